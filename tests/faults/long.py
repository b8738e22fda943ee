"""The long form of the fault suite: hundreds of kills at random moments and steps.

    python -m tests.faults.long --kills 300 --seed 1

Prints the seed, the machine, and what the faults came to; ends with 1 where anything was lost or
durable work was done again. The short form is part of the tests.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.harness import Life, Report, small_steps

COMMANDS = ("index", "index", "index", "resume", "index --verify", "cleanup --keep-runs 3", "doctor --repair")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--kills-per-index", type=int, default=10)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--place", type=Path, help="Folder for the indexes; by default a temporary one.")
    options.add_argument("--keep", action="store_true", help="Keep the index of a life that went wrong.")
    arguments = options.parse_args()
    print(f"seed {arguments.seed}; {platform.platform()}, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    os.environ.update(small_steps({}))
    place = Path(tempfile.mkdtemp(prefix="faults-", dir=arguments.place))
    started = time.monotonic()
    draw = random.Random(arguments.seed)
    report = Report()
    while report.kills.total() < arguments.kills:
        home = place / str(report.lives)
        home.mkdir()
        wrong = len(report.wrong) + len(report.repeated)
        Life(home, draw, report, commands=COMMANDS).live(arguments.kills_per_index)
        bad = len(report.wrong) + len(report.repeated) > wrong
        print(
            f"{time.monotonic() - started:6.0f} s  {report.kills.total()} kills{'  WRONG' if bad else ''}", flush=True
        )
        if bad:
            print("\n".join([*report.wrong, *report.repeated][-3:]), flush=True)
        if not (bad and arguments.keep):
            shutil.rmtree(home)
    print(report)
    if not arguments.keep:
        shutil.rmtree(place)
    sys.exit(1 if report.wrong or report.repeated else 0)


if __name__ == "__main__":
    main()
