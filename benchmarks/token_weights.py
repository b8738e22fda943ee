"""The weights of tokens of the static model `fast`, made again from the packages that they were learned from.

    python -m benchmarks.token_weights --archives FOLDER --fetch     # 491 archives, 1.4 GB, by pip, npm and apt-get
    python -m benchmarks.token_weights --archives FOLDER --output token_weights.bin

`token_weights.tsv` names the packages, with version, archive and licence. FOLDER holds their archives, those of one
source in a folder of its name (pypi, npm, debian, debian-source). The table of token vectors is fixed
(`code_index.embedding.models.static_export`): only one number a token is learned, so that a question is nearer to the code
that it asks for than to the rest of its batch. What is written is compared with what the program ships
(docs/decisions/0017-a-static-model-for-speed.md has the figures).
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from benchmarks.question_wordings import asked
from benchmarks.training_pairs import Pair, balanced, pairs_of
from code_index.embedding.models import static_export
from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model

MANIFEST: Final = Path(__file__).with_suffix(".tsv")
_PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64")
_PIP: Final = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", "{package}=={version}")
_FETCH: Final = {
    "pypi": (*_PIP, "--only-binary=:all:", "--python-version=3.12", *(f"--platform={one}" for one in _PLATFORMS)),
    "npm": ("npm", "pack", "--silent", "{package}@{version}"),
    "debian": ("apt-get", "download", "--quiet", "{package}={version}"),
    "debian-source": ("apt-get", "source", "--quiet", "--download-only", "{package}={version}"),
}
_FETCH_SOURCE: Final = (*_PIP, "--no-build-isolation", "--no-binary=:all:")
_MOST_PAIRS = 170_000
_WINDOW_TOKENS = 128
_ROUNDS = 2
_BATCH = 1024
_TOGETHER = 24
"""Pairs of one package that stand together in a batch: telling them apart is the harder part."""
_RATE = 0.02
_LEAST_RATE = 0.05
"""Of the first rate, at the end."""
_SCALE = 20.0
_NAME_SHARE = 0.2
"""Of the vector of a chunk's name, as the embedder mixes it in."""
_FREQUENT = 1e-2
"""Share of chunks at which a token's first weight is a half."""
_SAME = -1e4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true", help="download the archives and stop")
    parser.add_argument("--output", type=Path, default=Path("token_weights.bin"))
    parser.add_argument("--pairs", type=int, default=_MOST_PAIRS)
    arguments = parser.parse_args()
    with MANIFEST.open(encoding="utf-8", newline="") as manifest:
        packages = list(csv.DictReader(manifest, delimiter="\t"))
    if arguments.fetch:
        _fetch(packages, arguments.archives)
        return
    started = time.monotonic()
    archives = [arguments.archives / package["source"] / package["archive"] for package in packages]
    missing = [path.name for path in archives if not path.is_file()]
    if missing:
        print(f"{len(missing)} of {len(archives)} archives are missing: {', '.join(missing[:10])} ...")
    with ProcessPoolExecutor() as pool:
        there = [(path, path.parent.name) for path in archives if path.is_file()]
        found = [pair for pairs in pool.map(pairs_of, *zip(*there, strict=True), chunksize=4) for pair in pairs]
    pairs = balanced(found, arguments.pairs)
    print(f"{len(pairs):,} of {len(found):,} pairs of {len(there)} packages, {time.monotonic() - started:.0f} s")
    weights = learned(pairs)
    arguments.output.write_bytes(weights.tobytes())
    _compare(weights)


def learned(pairs: Sequence[Pair]) -> np.ndarray:
    """A byte of each token, as `token_weights.bin` holds them."""
    import torch
    from torch.nn.functional import cross_entropy, embedding_bag, normalize

    folder = find_model(DEFAULT_MODEL, allow_download=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    vectors = static_export.token_vectors(folder, tokenizer)
    table = torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1).mean())
    tokenizer.enable_truncation(_WINDOW_TOKENS)
    rng = random.Random(0)
    texts, names = (_tokens(tokenizer, which) for which in ([p.text for p in pairs], [p.name for p in pairs]))
    questions = [_tokens(tokenizer, [asked(p.kind, p.sentences, p.name, rng) for p in pairs]) for _ in range(_ROUNDS)]
    share = (np.bincount(np.concatenate([np.unique(text) for text in texts]), minlength=len(table)) + 1) / len(pairs)
    # Logarithms: a weight stays positive.
    weights = torch.tensor(np.log(_FREQUENT / (_FREQUENT + share)), dtype=torch.float32, requires_grad=True)
    files = np.unique([p.package + p.file for p in pairs], return_inverse=True)[1]
    sentences = np.unique([p.sentences[0].lower() for p in pairs], return_inverse=True)[1]

    def means(some: list[Any], weighted: Any) -> Any:
        lengths = torch.tensor([len(one) for one in some])
        flat, starts = torch.from_numpy(np.concatenate(some)), torch.cumsum(lengths, 0) - lengths
        return normalize(embedding_bag(flat, weighted, starts, mode="sum"), dim=-1, eps=1e-6)

    optimizer = torch.optim.Adam([weights], lr=_RATE)
    steps = _ROUNDS * (len(pairs) // _BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(_LEAST_RATE, 1 - step / max(steps, 1)))
    for asking in questions:
        for batch in _batches(pairs, rng):
            weighted = table * weights.exp()[:, None]
            question, text, name = (means([of[at] for at in batch], weighted) for of in (asking, texts, names))
            scores = question @ normalize(text + _NAME_SHARE * name, dim=-1).T * _SCALE
            # Neither another pair with the same sentence, nor, in half of the batches, one of the same file is wrong.
            same = sentences[batch][:, None] == sentences[batch][None]
            if rng.random() < 0.5:
                same |= files[batch][:, None] == files[batch][None]
            np.fill_diagonal(same, val=False)
            scores = scores.masked_fill(torch.from_numpy(same), _SAME)
            right = torch.arange(len(batch))
            loss = (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"loss {loss.item():.3f}")
    final = weights.detach().numpy()
    return np.clip(np.round((final.max() - final) * static_export.WEIGHT_STEPS), 0, 255).astype(np.uint8)


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Any]:
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.array(one.ids, dtype=np.int64) for one in encoded]


def _batches(pairs: Sequence[Pair], rng: random.Random) -> list[list[int]]:
    packages: dict[str, list[int]] = {}
    for at, pair in enumerate(pairs):
        packages.setdefault(pair.package, []).append(at)
    groups = []
    for _, places in sorted(packages.items()):
        rng.shuffle(places)
        groups += [places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)]
    rng.shuffle(groups)
    flat = [at for group in groups for at in group]
    return [flat[start : start + _BATCH] for start in range(0, len(flat) - _BATCH + 1, _BATCH)]


def _fetch(packages: Sequence[dict[str, str]], folder: Path) -> None:
    failed = []
    for package in packages:
        place = folder / package["source"]
        place.mkdir(parents=True, exist_ok=True)
        if not (place / package["archive"]).exists():
            is_source = package["source"] == "pypi" and not package["archive"].endswith(".whl")
            parts = _FETCH_SOURCE if is_source else _FETCH[package["source"]]
            command = [part.format(**package) for part in parts]
            subprocess.run(command, cwd=place, check=False, stdout=subprocess.DEVNULL)
            if not (place / package["archive"]).exists():
                failed.append(f"{package['package']} {package['version']}")
    print(
        f"{len(packages) - len(failed)} of {len(packages)} archives are there. Not had: {', '.join(failed) or 'none'}"
    )


def _compare(weights: np.ndarray) -> None:
    """Print how far these weights are from those of the program, apart from a factor that all have."""
    shipped = np.frombuffer(static_export.WEIGHTS_FILE.read_bytes(), dtype=np.uint8)
    moved = weights.astype(int) - shipped
    moved = np.abs(moved - np.median(moved))
    print(
        f"beside those that are shipped: {(moved == 0).mean():.1%} equal, {(moved <= 4).mean():.1%} within 10 %"
        f" (4 steps), correlation of the bytes {np.corrcoef(weights, shipped)[0, 1]:.3f}"
    )


if __name__ == "__main__":
    main()
