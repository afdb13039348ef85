"""Where the API server keeps its objects: one etcd, on the loopback address only."""

import http.client
import subprocess
from pathlib import Path

from lab.base.ports import free_port
from lab.base.process import Process
from lab.cluster.binaries import Binary
from lab.cluster.ports import ready_or_once_more


class Etcd:
    """An etcd of one member, for one run.

    :param binary: the `etcd` to run.
    :param folder: an empty or missing folder for its data; a memory file system does well.
    :param log: file that gets its output.
    """

    name = "etcd"

    def __init__(self, binary: Binary, folder: Path, log: Path) -> None:
        self.log = log
        self._binary = binary
        self._folder = folder
        self._port = 0
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where clients find it; final when `ready` has returned."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it on two ports that are free now."""
        self._port, peers = free_port(), free_port()
        peer_url = f"http://127.0.0.1:{peers}"
        command = [
            str(self._binary.path),
            "--name=lab",
            f"--data-dir={self._folder}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=lab={peer_url}",
            # Alone, it elects itself after one election timeout: a tenth of the default.
            "--heartbeat-interval=10",
            "--election-timeout=100",
            "--logger=zap",
            "--log-level=warn",
            *(["--unsafe-no-fsync"] if _can_skip_fsync(self._binary) else []),
        ]
        self._process = Process(self.name, command, self.log, self._healthy)
        self._process.start()

    def ready(self) -> None:
        """Return when it answers `/health`; when a port was taken meanwhile, try once with others."""
        ready_or_once_more(self._wait, self.start, self.log)

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.stop()

    def _wait(self) -> None:
        if self._process:
            self._process.ready()

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _can_skip_fsync(binary: Binary) -> bool:
    """Whether this etcd knows `--unsafe-no-fsync`: nothing outlives the run. 3.4 knows it and doesn't list it."""
    tried = subprocess.run(
        [binary.path, "--unsafe-no-fsync", "--version"], capture_output=True, timeout=30, check=False
    )
    return tried.returncode == 0
