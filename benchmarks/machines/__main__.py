"""All figures of several machines, one benchmark after the other; each can be run by itself, with options of its own.

    python -m benchmarks.machines [NAME]...

Needs root, `ip`, PostgreSQL, Redis and the extra `dev`. In all it takes about an hour on two processors.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

_BENCHMARKS = {
    "fleet": ["fleet", "--repositories", "40"],
    "shares": ["shares"],
    "kills": ["kills", "celery", "--kills", "20"],
    "cut": ["cut", "--times", "2"],
    "outages": ["fleet", "--repositories", "2", "--outages", "10", "30", "60"],
    "requests": ["requests", "--files", "600"],
    "deployment": ["deployment"],
    "queue": ["queue"],
}


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *_BENCHMARKS], metavar="NAME", help=", ".join(_BENCHMARKS))
    for name in parser.parse_args().names or _BENCHMARKS:
        module, *options = _BENCHMARKS[name]
        subprocess.run([sys.executable, "-m", f"benchmarks.machines.{module}", *options], check=True)


if __name__ == "__main__":
    main()
