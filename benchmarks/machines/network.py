"""Machines that are namespaces of this one, on a network of their own, and the servers that they share.

    with Network(4) as network, network.postgres() as postgres, network.store() as store, network.redis() as redis:
        one, *others = network.hosts
        with one.start("dagster", "--version") as process:
            process.wait()

Belongs here: hosts with a name, an address and processes of their own, what happens to them (power lost, link lost), and
servers on this machine, which the hosts reach through a bridge. Does not belong here: what is measured on them.

Needs Linux, root, `ip` and `unshare`; PostgreSQL, Redis and SeaweedFS where they are asked for. Hosts share the files of
this machine. Everything ends with the block.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_NETWORKS = 250
_START_S = 120.0
# The first process of a host waits for all that lose their parent.
_FIRST_PROCESS = "hostname {name}; {own} sleep infinity & wait"


class Host:
    """A host: its network, its name and its process numbers are its own; its files are those of this machine."""

    def __init__(self, name: str, address: str, *, space: str, port: str, own: Sequence[Path]) -> None:
        self.name = name
        self.address = address
        self._space = space
        self._port = port
        self._own = own
        self._first: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start the host, without processes; its link is up."""
        folders = "".join(f"mkdir -p {folder}; mount -t tmpfs none {folder}; " for folder in self._own)
        own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._first = subprocess.Popen(
            ["ip", "netns", "exec", self._space, *own, "sh", "-c", _FIRST_PROCESS.format(name=self.name, own=folders)]
        )
        _wait_for(lambda: _children(self._first_process()), f"the first process of {self.name}")
        _wait_for(lambda: self._output("hostname").strip() == self.name, f"the name of {self.name}")
        self.connect()

    def start(self, *command: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
        """Start a command on the host; `env` are variables beside those of this process.

        What comes back is `nsenter`, which ends with the command; a signal to it is none to the command.
        """
        inside = ["nsenter", "--all", f"--target={_children(self._first_process())[0]}", f"--wd={Path.cwd()}"]
        return subprocess.Popen(
            [*inside, "--", *map(str, command)], env={**os.environ, **(env or {})}, start_new_session=True, **options
        )

    def run(self, *command: object, env: Mapping[str, str] | None = None) -> str:
        """Run a command on the host to its end and return what it printed.

        Raises:
            RuntimeError: it failed.
        """
        with self.start(*command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            printed = process.communicate()[0]
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} on {self.name}: {printed}")
        return str(printed)

    def processes(self) -> list[int]:
        """Numbers, as this machine sees them, of the processes of the host."""
        found = subprocess.run(["ip", "netns", "pids", self._space], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def lose_power(self) -> None:
        """End the host: nothing says goodbye to anybody, and its link is down. `boot` starts it again."""
        self.disconnect()
        self.kill()

    def kill(self) -> None:
        """Kill all processes of the host by force; its kernel still closes their connections. `boot` starts it again."""
        if self._first is not None:
            for pid in _children(self._first.pid):  # the kernel ends a namespace with its first process
                os.kill(pid, signal.SIGKILL)
            self._first.kill()
            self._first.wait()
            self._first = None
        _wait_for(lambda: not self.processes(), f"the end of the processes of {self.name}")

    def disconnect(self) -> None:
        """Cut the link of the host, as a pulled cable does: packets in both directions are lost."""
        _ip("link", "set", self._port, "down")

    def connect(self) -> None:
        """Restore the link of the host."""
        _ip("link", "set", self._port, "up")

    def _first_process(self) -> int:
        if self._first is None:
            raise RuntimeError(f"{self.name} is not running.")
        return self._first.pid

    def _output(self, *command: str) -> str:
        with self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            return str(process.communicate()[0])


class Network:
    """So many hosts, `h1` and on, on a bridge whose end on this machine has `address`; folders `own` are empty on each."""

    def __init__(self, hosts: int, *, own: Sequence[Path] = ()) -> None:
        self._count = hosts
        self._own = own
        self.hosts: list[Host] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all ends with the block then, too
        with self._undo as undo:
            number, bridge = _new_bridge()
            undo.callback(_ip, "link", "del", bridge)
            prefix = f"10.77.{number}"
            self.address = f"{prefix}.1"
            _ip("addr", "add", f"{self.address}/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for place in range(1, self._count + 1):
                space, outside = f"{bridge}h{place}", f"v{number}h{place}"
                _ip("netns", "add", space)
                undo.callback(_ip, "netns", "del", space)
                _ip("link", "add", outside, "type", "veth", "peer", "name", "e0", "netns", space)
                undo.callback(_ip, "link", "del", outside)
                _ip("link", "set", outside, "master", bridge, "up")
                host = Host(f"h{place}", f"{prefix}.{10 + place}", space=space, port=outside, own=self._own)
                _ip("-n", space, "link", "set", "e0", "up")
                _ip("-n", space, "addr", "add", f"{host.address}/24", "dev", "e0")
                _ip("-n", space, "link", "set", "lo", "up")
                undo.callback(host.kill)
                host.boot()
                self.hosts.append(host)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """A PostgreSQL with a database `index`, and no password for anybody on the network."""
        programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
        if programs is None:
            raise RuntimeError("PostgreSQL's server is missing: apt-get install postgresql")
        with _folder() as folder:
            shutil.chown(folder, "postgres")
            server = Postgres(programs.parent, folder, self.address, _free_port(self.address))
            server.make()
            server.start()
            try:
                yield server
            finally:
                server.stop()

    @contextmanager
    def redis(self) -> Iterator[str]:
        """A Redis without persistence; gives its URL."""
        port = _free_port(self.address)
        bound = ["--bind", self.address, "--port", str(port), "--protected-mode", "no", "--save", ""]
        with _folder() as folder, _server(folder, "redis-server", *bound, "--dir", str(folder)):
            _wait_for(lambda: _listens(self.address, port), "Redis")
            yield f"redis://{self.address}:{port}/0"

    @contextmanager
    def store(self, bucket: str = "team") -> Iterator[Store]:
        """A SeaweedFS with one bucket."""
        with _folder() as folder:
            store = Store(folder, self.address, bucket)
            store.start()
            try:
                yield store
            finally:
                store.kill()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server on this machine."""

    programs: Path
    folder: Path
    address: str
    port: int

    @property
    def url(self) -> str:
        """The address of its database, as SQLAlchemy and Dagster take it."""
        return f"postgresql+psycopg2://postgres@{self.address}:{self.port}/index"

    def make(self) -> None:
        """Make its files."""
        self._call("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--no-sync")
        with (self.folder / "data/pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("host all all 10.77.0.0/16 trust\n")

    def start(self) -> None:
        """Start it, and wait until its database is there."""
        options = f"-c listen_addresses={self.address} -c port={self.port} -c unix_socket_directories={self.folder}"
        self._call("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", f"{options} -c max_connections=400", "start")
        # `createdb` fails where it is there: after the first start.
        call = ["createdb", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "index"]
        subprocess.run(call, capture_output=True, check=False, cwd=self.folder)

    def stop(self) -> None:
        """End it at once: all sessions are lost, what was committed is not."""
        self._call("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        command = ["runuser", "-u", "postgres", "--", str(self.programs / program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)


class Store:
    """An S3-compatible store on this machine: SeaweedFS."""

    def __init__(self, folder: Path, address: str, bucket: str) -> None:
        self.bucket = bucket
        self._folder = folder
        self._address = address
        self._ports = {name: _free_port(address) for name in ("master", "volume", "filer", "s3")}
        self._running = ExitStack()
        rights = {"name": "team", "credentials": [{"accessKey": "team", "secretKey": "team-secret"}]}
        (folder / "s3.json").write_text(json.dumps({"identities": [{**rights, "actions": ["Admin", "Read", "Write"]}]}))
        (folder / "data").mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self._address}:{self._ports['s3']}",
            "AWS_ACCESS_KEY_ID": "team",
            "AWS_SECRET_ACCESS_KEY": "team-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it, on the same ports and data each time, and wait until it serves the bucket."""
        weed = shutil.which("weed", path=Path(sys.executable).parent) or shutil.which("weed")
        if weed is None:
            raise RuntimeError("SeaweedFS is missing: install the extra dev")
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        grpc = [f"-{name}.port.grpc={_free_port(self._address)}" for name in self._ports]
        options = [f"-ip={self._address}", f"-dir={self._folder / 'data'}", "-filer", "-s3", *ports, *grpc]
        options += ["-s3.port.lance=0", "-s3.port.iceberg=0", "-master.telemetry=false", "-volume.max=20"]
        options += ["-master.volumeSizeLimitMB=256", f"-s3.config={self._folder / 's3.json'}"]
        self._running.enter_context(_server(self._folder, weed, "server", *options))
        _wait_for(self._serves, "SeaweedFS")

    def kill(self) -> None:
        """End it by force; its data stay."""
        self._running.close()

    def _serves(self) -> bool:
        from pyarrow import fs  # most of what uses this module has no store

        system = fs.S3FileSystem(
            access_key="team",
            secret_key="team-secret",
            region="us-east-1",
            scheme="http",
            endpoint_override=f"{self._address}:{self._ports['s3']}",
            allow_bucket_creation=True,
        )
        try:
            system.create_dir(self.bucket)
            with system.open_output_stream(f"{self.bucket}/ready") as file:
                file.write(b"ready")
        except OSError:
            return False
        return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _new_bridge() -> tuple[int, str]:
    """Make a bridge whose number nobody else has."""
    for number in range(_NETWORKS):
        name = f"ci77n{number}"
        made = subprocess.run(
            ["ip", "link", "add", name, "type", "bridge"], capture_output=True, text=True, check=False
        )
        if made.returncode == 0:
            return number, name
        if "exists" not in made.stderr:
            raise RuntimeError(f"Cannot make a network: {made.stderr.strip()} Run as root.")
    raise RuntimeError("Too many networks are there: `ip link` lists them, `ip link del` removes one.")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="code-index-machines-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def _server(folder: Path, *command: str) -> Iterator[None]:
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(address: str) -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


def _wait_for(holds: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + _START_S
    while not holds():
        if time.monotonic() > ends:
            raise RuntimeError(f"Not within {_START_S:g} s: {what}")
        time.sleep(0.05)
