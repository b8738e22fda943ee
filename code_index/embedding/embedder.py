"""Texts to unit vectors: the public side of the embedding package.

Belongs here: the contract (`Embedder`), and the recipe of a document's vector. Does not belong here:
batches and failures (`batch_runner`), devices and libraries (the backends), and the text of a chunk
(`code_index.core.embedding_text`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from code_index.core.embedding_text import NAME_WEIGHT
from code_index.core.errors import EmbeddingError
from code_index.core.unit_vectors import Vectors, normalized, off_unit, vector_lengths
from code_index.embedding.backend import Backend, Tokens
from code_index.embedding.batch_runner import BatchRunner

_SLICE_TEXTS = 4_096
"""Texts that are sorted by length together. The next slice is tokenized while one is embedded; larger slices
would save hardly any padding and make the device wait for its first batch."""
_SLICE_TEXTS_GPU = 1_024
"""The same for a GPU, which embeds texts faster than sixteen processors tokenize them: it waits for less."""
_NAME_CACHE_SIZE = 16_384
"""Name vectors kept between calls: 25 MB at 384 dimensions."""
_ERRORS_SHOWN = 3

_Slice = tuple[int, list[Tokens], dict[int, str]]
"""Place of the first text, tokens of each, and the reasons why some have none, by their place in the slice."""
Progress = Callable[[int], None]
"""Gets the number of texts finished since its last call."""


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors of a call, (n, dim) float32, input order: unit rows, zero for the texts in `errors`.

    `errors` maps an input's index to the reason why it has no vector; a `TransientReason` may pass on a retry.
    """

    vectors: Vectors
    errors: dict[int, str] = field(default_factory=dict)


class Embedder(Protocol):
    """Chunk texts and queries to vectors of one space."""

    @property
    def model_id(self) -> str:
        """Identity of the vectors; vectors of two identities are never compared.

        Device and precision are left out: bfloat16 documents and int8 queries agree within tolerance.
        """

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0` or `mps`."""

    def describe(self) -> str:
        """Model, device, precision and why they were chosen, for people."""

    def embed_documents(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> Vectors:
        """Vectors of the texts, each with its name mixed in: (n, dim) float32, unit rows, input order.

        Raises:
            EmbeddingError: a text has no vector; the message names the first ones.
        """

    def embed_documents_detailed(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> EmbeddingResult:
        """Like `embed_documents`, but a text that cannot be embedded fails by itself.

        Raises:
            EmbeddingError: nothing can be embedded (the device is lost, the model is broken).
        """

    def embed_query(self, text: str) -> Vectors:
        """Vector of a query: (dim,) float32, unit norm.

        Raises:
            EmbeddingError: the query cannot be embedded.
        """


def all_or_raise(result: EmbeddingResult) -> Vectors:
    """The vectors of a result without errors.

    Raises:
        EmbeddingError: the result has errors; the message names the first ones.
    """
    if not result.errors:
        return result.vectors
    shown = "; ".join(f"text {index}: {reason}" for index, reason in sorted(result.errors.items())[:_ERRORS_SHOWN])
    raise EmbeddingError(f"{len(result.errors)} of {len(result.vectors)} texts cannot be embedded: {shown}")


def verified_result(result: EmbeddingResult, *, texts: int, embedder: Embedder) -> EmbeddingResult:
    """The result, with a reason for each text whose vector cannot be searched: not finite, or not of unit length.

    Raises:
        EmbeddingError: the array has another shape than (texts, dimension), or none of several vectors can be used:
            the fault is the model's, not a text's.
    """
    shape = (texts, embedder.dimension)
    if result.vectors.shape != shape:
        raise EmbeddingError(
            f"{embedder.model_id} gave vectors of shape {result.vectors.shape} in place of {shape}. Nothing was stored "
            "of them; check the model, then `code-index resume`."
        )
    found = vector_lengths(result.vectors)
    errors = {
        int(at): f"the model gave a vector of length {found[at]:.4g} in place of 1"
        for at in off_unit(found)
        if int(at) not in result.errors
    }
    if errors and len(errors) == texts - len(result.errors) > 1:
        raise EmbeddingError(
            f"{embedder.model_id} gave no usable vector for any of {texts} texts: {next(iter(errors.values()))}. "
            "Nothing was stored of them; check the model and its device, then `code-index resume`."
        )
    return EmbeddingResult(vectors=result.vectors, errors={**errors, **result.errors})


def mix_names(vectors: Vectors, name_vectors: Vectors) -> Vectors:
    """normalize(text + `NAME_WEIGHT` x name) for each row; a zero row of `name_vectors` adds nothing.

    Both are (n, dim) float32 with unit or zero rows; so is the result.
    """
    return normalized(vectors + np.float32(NAME_WEIGHT) * name_vectors)


class TextEmbedder:
    """An `Embedder` over a backend. Safe to share between threads."""

    def __init__(
        self,
        backend: Backend,
        *,
        model_id: str,
        token_budget: int,
        document_prompt: str = "",
        query_prompt: str = "",
        reason: str = "",
        slice_texts: int | None = None,
        name_cache_size: int = _NAME_CACHE_SIZE,
    ) -> None:
        self._backend = backend
        self._runner = BatchRunner(backend, token_budget=token_budget)
        self._model_id = model_id
        self._document_prompt = document_prompt
        self._query_prompt = query_prompt
        self._reason = reason
        self._slice_texts = slice_texts or (_SLICE_TEXTS if backend.device == "cpu" else _SLICE_TEXTS_GPU)
        self._names = _NameVectors(name_cache_size)

    @property
    def model_id(self) -> str:
        """See `Embedder`."""
        return self._model_id

    @property
    def dimension(self) -> int:
        """See `Embedder`."""
        return self._backend.dimension

    @property
    def device(self) -> str:
        """See `Embedder`."""
        return self._backend.device

    @property
    def token_budget(self) -> int:
        """Most tokens a batch holds, padding included; smaller than configured after memory ran out."""
        return self._runner.token_budget

    def describe(self) -> str:
        """See `Embedder`."""
        reason = f" ({self._reason})" if self._reason else ""
        return f"{self._model_id} on {self._backend.description}{reason}"

    def embed_documents(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> Vectors:
        """See `Embedder`."""
        return all_or_raise(self.embed_documents_detailed(texts, names, progress=progress))

    def embed_documents_detailed(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> EmbeddingResult:
        """See `Embedder`."""
        if len(texts) != len(names):
            raise EmbeddingError(f"{len(texts)} texts but {len(names)} names: give each text a name, or an empty one")
        slices = self._tokenized(texts, self._document_prompt)  # begins while the names are embedded
        name_vectors, name_errors = self._name_vectors(names)
        vectors, errors = self._embed(len(texts), slices, progress)
        for index, reason in name_errors.items():
            errors.setdefault(index, type(reason)(f"name {names[index]!r}: {reason}"))
        vectors = mix_names(vectors, name_vectors)
        vectors[list(errors)] = 0
        return EmbeddingResult(vectors=vectors, errors=errors)

    def embed_query(self, text: str) -> Vectors:
        """See `Embedder`."""
        vectors, errors = self._embed(1, self._tokenized([text], self._query_prompt), None)
        if errors:
            raise EmbeddingError(f"the query cannot be embedded: {errors[0]}")
        vector: Vectors = vectors[0]
        return vector

    def _name_vectors(self, names: Sequence[str]) -> tuple[Vectors, dict[int, str]]:
        """A row per name, zero for empty and failed ones, and the failed ones' reasons by index."""
        wanted = list(dict.fromkeys(name for name in names if name))
        known = self._names.get(wanted)
        missing = [name for name in wanted if name not in known]
        vectors, errors = self._embed(len(missing), self._tokenized(missing, self._document_prompt), None)
        fresh = {name: vectors[at] for at, name in enumerate(missing) if at not in errors}
        self._names.put(fresh)
        known |= fresh
        reasons = {missing[at]: reason for at, reason in errors.items()}
        rows = np.zeros((len(names), self.dimension), dtype=np.float32)
        for index, name in enumerate(names):
            if name in known:
                rows[index] = known[name]
        return rows, {index: reasons[name] for index, name in enumerate(names) if name in reasons}

    def _embed(self, texts: int, slices: Iterator[_Slice], progress: Progress | None) -> tuple[Vectors, dict[int, str]]:
        vectors = np.zeros((texts, self.dimension), dtype=np.float32)
        errors: dict[int, str] = {}
        for start, items, failed in slices:
            errors |= {start + at: reason for at, reason in failed.items()}
            places = [start + at for at in range(len(items)) if at not in failed]
            kept = [item for at, item in enumerate(items) if at not in failed]
            if failed and progress is not None:
                progress(len(failed))
            part, part_errors = self._runner.run(kept, progress=progress)
            vectors[places] = part
            errors |= {places[at]: reason for at, reason in part_errors.items()}
        return vectors, errors

    def _tokenized(self, texts: Sequence[str], prompt: str) -> Iterator[_Slice]:
        """Tokenize slice by slice: the first of several at once, the next while one is in use."""
        starts = range(0, len(texts), self._slice_texts)
        if len(starts) <= 1:
            return iter([(start, *self._tokenize(texts, prompt)) for start in starts])
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize")

        def submitted(start: int) -> Future[tuple[list[Tokens], dict[int, str]]]:
            return pool.submit(self._tokenize, texts[start : start + self._slice_texts], prompt)

        def slices(ahead: Future[tuple[list[Tokens], dict[int, str]]]) -> Iterator[_Slice]:
            with pool:
                for start in starts[:-1]:
                    current, ahead = ahead, submitted(start + self._slice_texts)
                    yield (start, *current.result())
                yield (starts[-1], *ahead.result())

        return slices(submitted(0))

    def _tokenize(self, texts: Sequence[str], prompt: str) -> tuple[list[Tokens], dict[int, str]]:
        try:
            return self._backend.tokenize(texts, prompt), {}
        except EmbeddingError:
            items: list[Tokens] = []
            errors: dict[int, str] = {}
            for at, text in enumerate(texts):
                try:
                    items += self._backend.tokenize([text], prompt)
                except EmbeddingError as error:
                    errors[at] = str(error)
                    items.append(Tokens(length=1))
            return items, errors


class _NameVectors:
    """Vectors of the names used last. Names repeat (`get`, `run`, `to dict`): each is embedded once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._rows: OrderedDict[str, Vectors] = OrderedDict()

    def get(self, names: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {name: self._rows[name] for name in names if name in self._rows}
            for name in found:
                self._rows.move_to_end(name)
            return found

    def put(self, rows: dict[str, Vectors]) -> None:
        with self._lock:
            for name, row in rows.items():
                self._rows[name] = row.copy()  # a view would keep its whole batch alive
            while len(self._rows) > self._size:
                self._rows.popitem(last=False)
