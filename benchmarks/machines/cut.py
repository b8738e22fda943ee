"""The link of a lock's holder is cut: when another host has the lock, and what the first one does when the link is back.

    python -m benchmarks.machines.cut [--seconds 90] [--times 3]

Both ask for the lock of one phase as the product does; the holder looks every 0.1 s whether it still has it, as before a
commit, and notes the time when it has. A note that is later than the other's lock would be a commit that nobody may make.
What the product's own runs do then: `python -m benchmarks.machines.kills celery --cut 90`. Needs root and PostgreSQL.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.intervals import SEED
from benchmarks.machines.network import Network

_HOLDER = """
import sys, time
from code_index.core.errors import CodeIndexError
from code_index.index.locks import Phase, check_held, hold
from code_index.index.server_locks import LockServer
place = LockServer(sys.argv[1], "s3://team/cut")
try:
    with hold(place, Phase.EMBED):
        print("has", time.time(), flush=True)
        ends = time.time() + float(sys.argv[2])
        while time.time() < ends:
            check_held(place, Phase.EMBED)
            print("may commit", time.time(), flush=True)
            time.sleep(0.1)
except CodeIndexError as error:
    print(type(error).__name__, time.time(), error, flush=True)
"""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the link is cut")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    machine, found = report.machine(), []
    with Network(2) as network, network.postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.times):
            said = [Path(folder, host.name) for host in network.hosts]
            processes: list[subprocess.Popen[bytes]] = []
            for host, path in zip(network.hosts, said, strict=True):
                with path.open("wb") as file:
                    command = (sys.executable, "-c", _HOLDER, postgres.url, arguments.seconds + 60)
                    processes.append(host.start(*command, stdout=file))
                while not processes[1:] and b"may commit" not in path.read_bytes():
                    time.sleep(0.05)
            time.sleep(3)
            network.hosts[0].disconnect()
            cut = time.time()
            time.sleep(arguments.seconds)
            network.hosts[0].connect()
            for process in processes:
                process.wait()
            first, second = ([line.split(maxsplit=2) for line in path.read_text("utf-8").splitlines()] for path in said)
            taken = float(second[0][1])
            later = sum(line[0] == "may" and float(line[2]) > taken for line in first)
            found.append(
                {"taken_s": taken - cut, "stopped_s": float(first[-1][1]) - cut, "later": later, "error": first[-1]}
            )
    report.write(
        "cut",
        seed=SEED,
        machine_before=machine,
        figures={"cuts": found},
        markdown="\n".join(
            f"- cut for {arguments.seconds:g} s: another host had the lock after {one['taken_s']:.1f} s; the first stopped "
            f"after {one['stopped_s']:.1f} s with {' '.join(map(str, one['error']))}; {one['later']} commits allowed meanwhile"
            for one in found
        ),
        module="machines.cut",
    )


if __name__ == "__main__":
    main()
