"""The libraries of vectors that a run asks before it embeds, and gives to afterwards.

Belongs here: which they are, in which order, and that none of them can harm a run. Does not belong here: the table of one
(`vector_library`).
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypedDict, TypeVar

import numpy as np

from code_index.core.addresses import Bucket, parsed_address
from code_index.core.cache import cache_folder
from code_index.core.embedding_text import EmbeddingInput
from code_index.core.errors import IndexBusyError, StoreError, UsageError, is_panic
from code_index.core.unit_vectors import Vectors
from code_index.index.locks import Duty, hold
from code_index.index.settings import Settings
from code_index.sharing.vector_library import VectorLibrary

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

OWN: Final = "your library"
_FOLDER: Final = "vectors"
_LOOKED_FILE: Final = "last_expiry"
_RUNS_LOOK: Final = timedelta(days=1)
"""A run reads the times of use of the whole library when nobody has for so long: what became too old may wait."""
_LEFT_OF_BOUND: Final = 0.9
"""Share of the bytes allowed that trimming leaves, so that the next vectors do not cause the next trimming."""


def own_place() -> Path:
    """The folder of this user's library, which nobody else can reach."""
    return cache_folder() / _FOLDER


@dataclass(frozen=True, slots=True)
class ExpiredVectors:
    """Vectors in a library, their bytes, and how many of them expire: those that were used last before `used_before`."""

    vectors: int
    vector_bytes: int
    expired: int
    used_before: datetime


class Bounds(TypedDict):
    """Bounds of this user's library: bytes of vectors, and time without use."""

    max_bytes: int
    max_age: timedelta


def own_bounds(settings: Settings) -> Bounds:
    """The bounds that the settings name."""
    return Bounds(max_bytes=settings.library_bytes, max_age=timedelta(days=settings.library_days))


@dataclass(slots=True)
class Libraries:
    """Libraries of one model, the user's own first; one that fails is left out for the rest of the run, with a warning.

    `written` are the shared ones that this run also gives to; one that refuses that is only read from then on. `taken` counts
    the vectors that each gave, by its name. With `read_only` nothing is noted or added anywhere.
    """

    own: VectorLibrary | None
    shared: list[VectorLibrary] = field(default_factory=list)
    written: list[VectorLibrary] = field(default_factory=list)
    read_only: bool = False
    own_bounds: Bounds | None = None
    taken: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, settings: Settings, model_id: str, *, read_only: bool = False) -> Libraries:
        """The libraries that the settings name, for the vectors of a model."""
        shared = []
        for place in map(parsed_address, settings.shared_libraries):
            if isinstance(place, Bucket) or place.is_dir():
                shared.append(VectorLibrary(place, model_id))
            else:
                _LOG.warning("The shared library %s is not there: make the folder, or correct shared_libraries.", place)
        return cls(
            own=VectorLibrary(own_place(), model_id) if settings.library_bytes else None,
            shared=shared,
            written=list(shared) if settings.write_shared_libraries and not read_only else [],
            read_only=read_only,
            own_bounds=own_bounds(settings),
        )

    @classmethod
    def none(cls) -> Libraries:
        """No library: for a model that takes no longer for a text than a table for its vector."""
        return cls(own=None)

    def ask(self, wanted: Mapping[str, EmbeddingInput], *, dimension: int) -> dict[str, Vectors]:
        """Find vectors of texts, (dimension,) float32 by text hash; what a shared library gives goes into the user's own."""
        now = datetime.now(UTC)
        missing = {key: _characters(item) for key, item in wanted.items()}
        found: dict[str, Vectors] = {}
        for library in self._all():
            noted = now if library is self.own and not self.read_only else None  # no other expires
            ask = partial(library.ask, missing, dimension=dimension, now=noted)
            if not (part := self._attempt(library, ask)):
                continue
            self.taken[self._name(library)] += len(part)
            if self.own is not None and library is not self.own and not self.read_only:
                self._attempt(self.own, partial(self.own.give, part, missing, now=now))
            found |= part
            missing = {key: count for key, count in missing.items() if key not in part}
        return found

    def give(self, vectors: Mapping[str, Vectors], texts: Mapping[str, EmbeddingInput], *, replace: bool) -> None:
        """Add vectors, (dimension,) float32 by text hash, to the libraries that are written to."""
        now = datetime.now(UTC)
        characters = {key: _characters(texts[key]) for key in vectors}
        if (own := self.own) is not None and not self.read_only:
            self._attempt(own, partial(own.give, vectors, characters, now=now, replace=replace))
        for library in list(self.written):
            self._attempt_write(library, partial(library.give, vectors, characters, now=now, replace=replace))

    def folders(self) -> list[Path | Bucket]:
        """List the folder of the model in each library."""
        return [library.folder for library in self._all()]

    def contents(self) -> dict[str, int]:
        """Count the vectors of the model in each library, by its folder; one that cannot be read has none."""
        return {str(library.place): self._attempt(library, library.count) or 0 for library in self._all()}

    def compact_and_expire(self) -> None:
        """Keep the libraries that are written to quick, and the user's own within its bounds.

        Another process that does so is not waited for.
        """
        if self.own is not None and self.own_bounds is not None:
            bounded = partial(compact_and_expire, own_place(), **self.own_bounds, looked_within=_RUNS_LOOK)
            self._attempt(self.own, bounded)
        for library in list(self.written):
            self._attempt_write(library, partial(compact, library.place))

    def _all(self) -> list[VectorLibrary]:
        return [*([] if self.own is None else [self.own]), *self.shared]

    def _name(self, library: VectorLibrary) -> str:
        return OWN if library is self.own else str(library.place)

    def _attempt(self, library: VectorLibrary, action: Callable[[], _T]) -> _T | None:
        done, error = _tried(action)
        if error is not None:
            _LOG.warning(
                "%s is left out for this run, which embeds by itself what it would have found there: %s. If that does not "
                "pass, delete %s: it is a cache.",
                self._name(library),
                error,
                library.folder,
            )
            if library is self.own:
                self.own = None
            else:
                self.shared = [one for one in self.shared if one is not library]
                self.written = [one for one in self.written if one is not library]
        return done

    def _attempt_write(self, library: VectorLibrary, action: Callable[[], object]) -> None:
        _, error = _tried(action)
        if error is not None:
            _LOG.warning("%s is only read in this run, which could not write there: %s", self._name(library), error)
            self.written = [one for one in self.written if one is not library]


def _tried(action: Callable[[], _T]) -> tuple[_T | None, BaseException | None]:
    """Run what may fail at a library; another process that compacts it is no failure."""
    try:
        return action(), None
    except IndexBusyError:
        return None, None
    except BaseException as error:
        if not _is_fault(error):
            raise
        return None, error


def find_expired(place: Path, *, max_bytes: int, max_age: timedelta, now: datetime | None = None) -> ExpiredVectors:
    """Look at what `compact_and_expire` would remove, and change nothing.

    Raises:
        StoreError: the library cannot be read.
    """
    libraries = VectorLibrary.stored(place)
    times = [library.times_of_use() for library in libraries]
    used = np.concatenate([np.zeros(0, np.int64), *times])
    sizes = np.repeat([library.row_bytes() for library in libraries], [len(part) for part in times])
    limit = int(((now or datetime.now(UTC)) - max_age).timestamp() * 1e6)
    total = int(sizes.sum())
    if total > max_bytes:
        newest = np.argsort(-used, kind="stable")
        fitting = int(np.searchsorted(np.cumsum(sizes[newest]), _LEFT_OF_BOUND * max_bytes, side="right"))
        limit = max(limit, int(used[newest[fitting]]) + 1)
    return ExpiredVectors(len(used), total, int((used < limit).sum()), datetime.fromtimestamp(limit / 1e6, UTC))


def find_expired_of_user(settings: Settings) -> ExpiredVectors:
    """Look at what `compact_and_expire_of_user` would remove, and change nothing.

    Raises:
        StoreError: the library cannot be read.
    """
    if not settings.library_bytes:
        return ExpiredVectors(0, 0, 0, datetime.now(UTC))
    return find_expired(own_place(), **own_bounds(settings))


def compact_and_expire_of_user(settings: Settings) -> None:
    """Keep this user's library, of all models, within its bounds; one that fails stays as it is, with a warning."""
    if not settings.library_bytes:
        return
    try:
        compact_and_expire(own_place(), **own_bounds(settings))
    except IndexBusyError:
        return
    except BaseException as error:
        if not _is_fault(error):
            raise
        _LOG.warning(
            "Your library %s is not kept within its bounds (%s). Delete it if that does not pass: it is a cache.",
            own_place(),
            error,
        )


def compact_and_expire(
    place: Path, *, max_bytes: int, max_age: timedelta, looked_within: timedelta = timedelta(0)
) -> int:
    """Join small files, and remove the vectors that were not used for longest until the rest, of all models, fits.

    Args:
        place: folder of the library.
        max_bytes: of the vectors that stay; nine tenths of it stay where more are there.
        max_age: time without use after which a vector goes in any case.
        looked_within: where it fits, and was looked at so recently, the times of use are not read.

    Returns:
        how many vectors were removed.

    Raises:
        IndexBusyError: another process does the same.
        StoreError: the library cannot be read or written.
    """
    with hold(place, Duty.EXPIRE, wait_s=0):
        libraries = VectorLibrary.stored(place)
        looked = place / _LOOKED_FILE
        age_s = time.time() - looked.stat().st_mtime if looked.exists() else math.inf
        expired = 0
        if not 0 <= age_s < looked_within.total_seconds() or _vector_bytes(libraries) > max_bytes:
            found = find_expired(place, max_bytes=max_bytes, max_age=max_age)
            for library in libraries if found.expired else ():
                expired += library.expire(before=found.used_before)
            looked.touch()
        for library in libraries:
            library.compact()
        return expired


def _vector_bytes(libraries: Sequence[VectorLibrary]) -> int:
    return sum(library.count() * library.row_bytes() for library in libraries)


def _is_fault(error: BaseException) -> bool:
    """Tell a fault of a library, which costs time only, from one of the program."""
    return isinstance(error, StoreError | UsageError | OSError) or is_panic(
        error
    )  # damaged files make native code panic


def compact(place: Path | Bucket) -> None:
    """Join small files, of all models; at a store several may do so at once: a commit that comes late is not made.

    Raises:
        IndexBusyError: another process does the same in a folder.
        StoreError: the library cannot be read or written.
    """
    with nullcontext() if isinstance(place, Bucket) else hold(place, Duty.EXPIRE, wait_s=0):
        for library in VectorLibrary.stored(place):
            library.compact()


def _characters(item: EmbeddingInput) -> int:
    return len(item.text) + len(item.name)
