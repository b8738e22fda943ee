"""An S3-compatible store for tests: SeaweedFS from its package, a real server with its data on disk.

Belongs here: starting, killing and ending the server, and the variables that lead to it.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from pyarrow import fs

from tests.waiting import PATIENCE_S, started

BUCKET = "shared"
_SERVICES = ("master", "volume", "filer", "s3")
_WITHOUT = ("-s3.port.lance=0", "-s3.port.iceberg=0", "-master.telemetry=false")
_RIGHTS = {"writer": ["Admin", "Read", "List", "Tagging", "Write"], "reader": ["Read", "List"]}


class ObjectStore:
    """A running store with one bucket; `writer` may do all, `reader` may read. It ends with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(2 * len(_SERVICES))
        self._running = ExitStack()

    def __enter__(self) -> Self:
        secrets = [
            {"name": user, "credentials": [{"accessKey": user, "secretKey": f"{user}-secret"}], "actions": actions}
            for user, actions in _RIGHTS.items()
        ]
        (self._folder / "s3.json").write_text(json.dumps({"identities": secrets}), encoding="utf-8")
        (self._folder / "data").mkdir()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server, on the same ports and data each time, and wait until it serves the bucket."""
        ports = [
            f"-{service}.port{kind}={self._ports[2 * place + bool(kind)]}"
            for place, service in enumerate(_SERVICES)
            for kind in ("", ".grpc")
        ]
        weed = shutil.which("weed", path=Path(sys.executable).parent) or shutil.which("weed")
        assert weed, "SeaweedFS is missing: install the extra dev"
        options = ["-ip=127.0.0.1", f"-dir={self._folder / 'data'}", "-filer", "-s3", *ports, *_WITHOUT]
        options += [f"-s3.config={self._folder / 's3.json'}", "-s3.autoCreateBucket=false"]
        options += ["-master.volumeSizeLimitMB=64", "-volume.max=20"]
        log = self._running.enter_context((self._folder / "log").open("ab"))
        server = self._running.enter_context(
            started(weed, "server", *options, cwd=self._folder, stdout=log, stderr=log)
        )
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                system = self.system()
                system.create_dir(BUCKET)
                with system.open_output_stream(f"{BUCKET}/ready") as file:
                    file.write(b"ready")
            except OSError:
                said = (self._folder / "log").read_text(encoding="utf-8")
                assert server.poll() is None, said
                assert time.monotonic() < ends, said
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """End the server by force; its data stay."""
        self._running.close()

    def environment(self, user: str = "writer") -> dict[str, str]:
        """The variables that lead to the store."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": user,
            "AWS_SECRET_ACCESS_KEY": f"{user}-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[-2]}"

    def system(self) -> fs.S3FileSystem:
        """Everything that lies in the store, for looks around the code under test."""
        return fs.S3FileSystem(
            access_key="writer",
            secret_key="writer-secret",
            region="us-east-1",
            scheme="http",
            endpoint_override=f"127.0.0.1:{self._ports[-2]}",
            allow_bucket_creation=True,
        )


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
