"""From nothing to the first answer: what an installation weighs, and how long it takes, beside two peers.

    make dist && python -m benchmarks.installation [--rounds 3] [--place FOLDER] [--python python3.11] [PATH]

Packages are downloaded into a folder first, which is not measured. Then, for each program, an environment is made of that
folder, by uv and by pip: seconds and bytes on disk. The wheel of `dist/` goes on, with a HOME that has never been used: the
first index of Flask 3.1.1 (207 files, or PATH) and the first answer of a new process, with seconds and the peak of
resident memory of all its processes together. Peers take their models from a hub, which this needs no way to: where
their model is not there, they are installed and not run. `--uv` names uv, which is not a dependency (`pip install uv`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

from benchmarks.peers import Tool, cost
from benchmarks.pipeline import copied, fetch
from benchmarks.report import machine, table, write

_ROOT = Path(__file__).resolve().parents[1]
_DEFAULT = "flask==3.1.1"
_QUERY = "where are blueprints registered"
_OURS = "code-index-search"
_PEERS = {
    "semble 0.7.0": ["semble==0.7.0"],
    "cocoindex-code 0.2.42": ["cocoindex-code==0.2.42"],
    "cocoindex-code[full] 0.2.42": ["cocoindex-code[full]==0.2.42", "-r", str(_ROOT / "requirements-torch.lock")],
}
_SHOWN_PACKAGES = 15
_BLOCK = 512


def wheels(place: Path, name: str, requirements: Sequence[str], python: str) -> Path:
    """The folder with all packages of a program; filled at the first call, ours at each."""
    folder = place / name.replace(" ", "-")
    if name == _OURS:
        for old in folder.glob("code_index_search-*"):
            old.unlink()
    elif folder.is_dir():
        return folder
    download = [python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--prefer-binary"]
    subprocess.run([*download, "--dest", str(folder), *requirements], check=True)
    return folder


@contextmanager
def timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    """Put the seconds of the block, and the processor's seconds of its processes, into `figures`."""
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    yield
    after = getrusage(RUSAGE_CHILDREN)
    figures[f"{name}_s"] = time.perf_counter() - started
    figures[f"{name}_processor_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def installed(
    installer: Sequence[str], folder: Path, name: str, python: str, figures: dict[str, Any]
) -> Iterator[Path]:
    """An environment with a program, for as long as the block runs; the time it takes goes into `figures`."""
    with tempfile.TemporaryDirectory() as temporary:
        environment = Path(temporary) / "environment"
        cache = {"UV_CACHE_DIR": f"{temporary}/cache", "PIP_NO_CACHE_DIR": "1", "UV_LINK_MODE": "copy"}
        only = ["--no-index", "--find-links", str(folder), name.partition(" ")[0]]
        if installer[0] == "pip":
            venv = [python, "-m", "venv"]
            install = [
                str(environment / "bin/python"),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            ]
        else:
            venv = [*installer, "venv", "--quiet", "--python", python]
            install = [*installer, "pip", "install", "--quiet", "--python", str(environment / "bin/python")]
        with timed(figures, "pip" if installer[0] == "pip" else "uv"):
            subprocess.run([*venv, environment], check=True)
            subprocess.run([*install, *only], check=True, env={**os.environ, **cache})
        yield environment


def sizes(environment: Path) -> Counter[str]:
    """Bytes on disk by top-level folder or file of an environment's packages, and of the rest together."""
    found: Counter[str] = Counter()
    for path in environment.rglob("*"):
        status = path.lstat()
        parts = path.relative_to(environment).parts
        at = parts.index("site-packages") + 1 if "site-packages" in parts else len(parts)
        found[parts[at] if at < len(parts) else "programs"] += status.st_blocks * _BLOCK
    return found


def first_answer(environment: Path, corpus: Path, figures: dict[str, Any]) -> None:
    """Seconds and memory of the first index and of the first answer, in a HOME that has never been used."""
    program = str(environment / "bin" / "code-index")
    with tempfile.TemporaryDirectory() as home, copied(corpus) as root:
        tool = Tool(
            name=_OURS,
            setup=lambda _root: [],
            index=lambda root: [program, "index", str(root)],
            query=lambda root, text: [program, "search", text, "--path", str(root)],
            stored=".code-index",
            programs=environment / "bin",
            environment={"HOME": home},
        )
        with timed(figures, "index"):
            index, _ = cost(tool.index(root), tool, root)
        with timed(figures, "answer"):
            answer, text = cost(tool.query(root, _QUERY), tool, root)
        if ".py:" not in text:
            raise SystemExit(f"No answer: {text}")
        figures |= {"index_mib": index["mib"], "answer_mib": answer["mib"]}


def measure(name: str, folder: Path, options: argparse.Namespace, corpus: Path) -> dict[str, Any]:
    """Installation by both installers and, of ours, the first answer after it."""
    figures: dict[str, Any] = {}
    for installer in options.installer or ("uv", "pip"):
        command = [options.uv] if installer == "uv" else [installer]
        with installed(command, folder, name, options.python, figures) as environment:
            if installer == "uv":
                found = sizes(environment)
                figures["mb"] = found.total() / 1e6
                figures["packages"] = {part: round(size / 1e6, 1) for part, size in found.most_common(_SHOWN_PACKAGES)}
                if name == _OURS:
                    first_answer(environment, corpus, figures)
    return figures


def _cell(rounds: Sequence[Mapping[str, Any]], figure: str, unit: str) -> str:
    values = [each[figure] for each in rounds if figure in each]
    if not values:
        return "not run"
    of_processor = [each[f"{figure.removesuffix('_s')}_processor_s"] for each in rounds if unit == "s"]
    more = f" ({statistics.median(of_processor):,.1f} s of processor)" if of_processor else ""
    return f"{statistics.median(values):,.1f} {unit}{more}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help=f"folder of a repository; by default {_DEFAULT}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, default=Path(__file__).parent / ".results" / "installation")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environments")
    parser.add_argument("--uv", default=shutil.which("uv"), help="the program uv")
    parser.add_argument("--installer", action="append", choices=["uv", "pip"], help="by default both")
    parser.add_argument("--only", action="append", choices=[_OURS, *_PEERS], help="may be given several times")
    options = parser.parse_args()
    if options.uv is None:
        parser.error("uv is not on PATH: pip install uv, or name it by --uv")
    wheel = next((_ROOT / "dist").glob("*.whl"), None)
    if wheel is None:
        parser.error("dist/ has no wheel: make dist")
    for name in [name for name in os.environ if name.startswith("CODE_INDEX_")]:
        del os.environ[name]  # it is used as by somebody who has just installed it
    before = machine()
    corpus = options.path.resolve() if options.path else fetch(_DEFAULT)
    programs = {_OURS: [str(wheel)], **_PEERS}
    folders = {
        name: wheels(options.place.resolve(), name, requirements, options.python)
        for name, requirements in programs.items()
        if not options.only or name in options.only
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in folders}
    for number in range(options.rounds):
        for name, folder in folders.items():
            rounds[name].append(measure(name, folder, options, corpus))
            print(f"round {number + 1}, {name}: {rounds[name][-1]}", flush=True)
    asked = {
        "installed": ("mb", "MB"),
        "installation by uv": ("uv_s", "s"),
        "installation by pip": ("pip_s", "s"),
        f"first index of {corpus.name}": ("index_s", "s"),
        "peak memory of it": ("index_mib", "MiB"),
        "first answer": ("answer_s", "s"),
        "peak memory of that": ("answer_mib", "MiB"),
    }
    rows = [[title, *(_cell(each, *which) for each in rounds.values())] for title, which in asked.items()]
    parts = [
        f"{name}: {', '.join(f'{part} {size}' for part, size in each[0]['packages'].items())}"
        for name, each in rounds.items()
    ]
    write(
        "installation",
        seed=0,
        machine_before=before,
        figures={"corpus": corpus.name, **rounds},
        markdown="\n\n".join([table(["", *rounds], rows), *parts]),
    )


if __name__ == "__main__":
    main()
