"""What every benchmark says beside its figures: machine, versions, seed, command; and where it is written."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

# What a benchmark embeds, no earlier one has embedded for it; `benchmarks.vector_library` has a library of its own.
os.environ["CODE_INDEX_LIBRARY_BYTES"] = "0"
# Where results are written and found; `python -m benchmarks` keeps its short and its long form apart by it.
RESULTS = Path(os.environ.get("CODE_INDEX_BENCHMARK_RESULTS") or Path(__file__).parent / ".results")
_PACKAGES = ("dagster", "lancedb", "pyarrow", "numpy", "onnxruntime", "tree-sitter", "tree-sitter-language-pack")


def machine() -> dict[str, Any]:
    """Processor, memory, system and the versions that the figures depend on."""
    return {
        "processor": _processor(),
        "processors_available": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": [round(value, 2) for value in psutil.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def write(
    name: str,
    *,
    seed: int,
    machine_before: Mapping[str, Any],
    figures: Mapping[str, Any],
    markdown: str,
    module: str | None = None,
) -> Path:
    """Print the Markdown and write it with the raw figures as `<name>.json` and `<name>.md`; returns the JSON's path."""
    command = shlex.join(["python", "-m", f"benchmarks.{module or name}", *sys.argv[1:]])
    record = {
        "command": command,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "machine": {**machine_before, "load_after": [round(value, 2) for value in psutil.getloadavg()]},
        "figures": dict(figures),
    }
    described = ", ".join(f"{key} {value}" for key, value in machine_before.items())
    text = f"`{command}`\n\n{described}; seed {seed}\n\n{markdown}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    target = RESULTS / f"{name}.json"
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(text)
    print(f"Raw figures: {target}")
    return target


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; floats with three decimals."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += [
        "| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
