"""Coverage-guided fuzzing of the chunker, as long as a person wants it.

    python -m venv --system-site-packages /tmp/fuzz && /tmp/fuzz/bin/pip install 'atheris>=3,<4'
    /tmp/fuzz/bin/python -m tests.fuzz.chunker --seconds 600 --seed 1

(`--system-site-packages` reaches the packages of the Python that made the environment, not of another one: where
code-index is in an environment of its own, install atheris there, and take it out again.) Atheris is no
dependency of the tests: it is large, and only some versions of Python have a build of it.

Prints the seed, the machine and what was run; ends with 1 where a claim of `tests.fuzz.claims` does not hold. The
input is then in the folder that is printed, and `--replay FILE` runs it again alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import random
import subprocess
import sys
import tempfile
from pathlib import Path

_MAX_BYTES = 20_000
_TIMEOUT_S = 30  # one input; what takes longer is a fault: 20 KB are parsed in milliseconds
_GROUP_NAMES = ("code_1", "code_2", "code_3", "structured")
_MISSING = """atheris is not installed, and this run is guided by it. In an environment that has code-index:
    pip install 'atheris>=3,<4'
The property tests (tests/unit/chunking/test_chunker_fuzzing.py) need nothing more than the test tools."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=int, default=600, help="In all; each group of languages gets its share.")
    options.add_argument("--group", choices=_GROUP_NAMES, action="append", help="Only these languages.")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 31))
    options.add_argument("--place", type=Path, help="Folder for the inputs; by default a new temporary one.")
    options.add_argument("--replay", type=Path, help="Run one input that was found, and end.")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    groups = arguments.group or list(_GROUP_NAMES)
    if arguments.replay is not None:
        _replay(arguments.replay, groups)
    elif importlib.util.find_spec("atheris") is None:
        sys.exit(_MISSING)
    elif arguments.inside:
        _fuzz(groups[0], arguments.seconds, arguments.seed, arguments.place)
    else:
        _run_groups(groups, arguments.seconds, arguments.seed, arguments.place)


def _run_groups(groups: list[str], seconds: int, seed: int, place: Path | None) -> None:
    place = place or Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(f"seed {seed}; {platform.platform()}, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    print(f"inputs in {place}", flush=True)
    failed = []
    for group in groups:
        folder = place / group
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        # A process each: libFuzzer ends the one that it runs in.
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.chunker", "--inside", "--group", group, "--seed", str(seed)),
                *("--seconds", str(max(1, seconds // len(groups))), "--place", str(folder)),
            ],
            cwd=Path(__file__).parents[2],
            check=False,
        )
        found = sorted(path for path in folder.iterdir() if path.is_file())
        kept = len(list((folder / "corpus").iterdir()))
        print(f"{group}: status {done.returncode}, {kept} inputs with coverage of their own", flush=True)
        for path in found:
            print(f"  python -m tests.fuzz.chunker --group {group} --replay {path}", flush=True)
        # A slow input alone is no failure: seconds say how busy the machine is. One of `_TIMEOUT_S` ends the process.
        if done.returncode:
            failed.append(group)
    print(
        f"seed {seed}, {seconds} s, groups {', '.join(groups)}: " + (f"FAILED {', '.join(failed)}" if failed else "ok")
    )
    sys.exit(1 if failed else 0)


def _fuzz(group: str, seconds: int, seed: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["code_index.core"]):
        from tests.fuzz import claims

    languages = claims.GROUPS[group]
    corpus = folder / "corpus"
    for number, language in enumerate(languages):
        (corpus / f"seed_{language}").write_bytes(bytes((number, 0)) + claims.SEEDS[language])

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)
        head, content = data[:2].ljust(2, b"\0"), data[2:]
        if draw.random() < 0.05:
            head = draw.randbytes(2)
        if draw.random() < 0.5:
            content = atheris.Mutate(content or b"x", max(1, max_size - 2))
        else:
            content = claims.mutated(draw, content, languages[head[0] % len(languages)], at_most=max_size - 2)
        return (head + content)[:max_size]

    def one_input(data: bytes) -> None:
        _check(data, group)

    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={_MAX_BYTES}",
            f"-timeout={_TIMEOUT_S}",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={folder}/",
        ],
        one_input,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def _check(data: bytes, group: str) -> None:
    """One input: its first byte says which language of the group, the second which options."""
    from tests.fuzz import claims

    head, content = data[:2].ljust(2, b"\0"), data[2:]
    languages = claims.GROUPS[group]
    claims.check(content, languages[head[0] % len(languages)], claims.OPTIONS[head[1] % len(claims.OPTIONS)])


def _replay(path: Path, groups: list[str]) -> None:
    if len(groups) != 1:
        sys.exit("--replay needs the --group that the input was found in.")
    _check(path.read_bytes(), groups[0])
    print(f"{path}: every claim holds")


if __name__ == "__main__":
    main()
