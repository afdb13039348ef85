"""What stands in for a cloud: it writes down every call, refuses those it was told to, and boots machines.

Which calls a provider makes, and what its types look like, is the business of the plugins' stand-ins.
"""

import contextlib
import json
import re
import secrets
import socketserver
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from lab.base.errors import LabError
from lab.base.process import wait_until
from lab.cloud.client import CloudClient, CloudRefused
from lab.cloud.journal import Journal
from lab.machines.cloud_init import Seed
from lab.machines.machine import Machine
from lab.machines.network import Network
from lab.machines.root import Root

Answer = tuple[HTTPStatus, Mapping[str, Any]]
GONE: Answer = (HTTPStatus.NOT_FOUND, {"message": "there is no such instance"})


class CloudHost:
    """The lab's cloud: JSON over HTTP on a unix socket, served by a thread of the lab's own process.

    POST /calls announces a call; POST /instances boots a machine; GET and DELETE /instances/<id>;
    POST /instances/<id>/stop and /start.

    :param run: the lab's run directory: `calls.jsonl`, and `logs` with the console of every machine.
    """

    def __init__(self, run: Path, network: Network, root: Root) -> None:
        self.name = "cloud"
        self.log = run / "logs" / "cloud.log"
        self.journal = run / "calls.jsonl"
        """The calls, a line of JSON each; `calls` reads it."""
        self.calls = Journal(self.journal)
        self._logs = run / "logs"
        self._network = network
        self._root = root
        self._machines: dict[str, Machine] = {}
        self._names: dict[str, str] = {}
        self._server: _Server | None = None

    @property
    def socket(self) -> Path:
        """Beside the network's own files and not in the run directory: a socket's path has at most 107 bytes."""
        return self._network.folder / "cloud.socket"

    def start(self) -> None:
        """Listen."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._server = _Server(str(self.socket), self)
        self.socket.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="cloud", daemon=True).start()

    def ready(self) -> None:
        """Wait until it answers."""
        if not wait_until(self._answers, 5):
            raise LabError("the lab's cloud does not answer", self.log)

    def stop(self) -> None:
        """Listen no more, and end every machine."""
        server, self._server = self._server, None
        if server is not None:
            self.socket.unlink(missing_ok=True)
            server.shutdown()
            server.server_close()
        machines = list(self._machines.values())
        self._machines.clear()
        if machines:
            with ThreadPoolExecutor(len(machines)) as pool:
                list(pool.map(Machine.stop, machines))

    def fail_nth(self, pattern: str, n: int, message: str) -> None:
        """Refuse the n-th call from now (1 is the next) whose "call type" matches `pattern`, a file name pattern.

        `fail_nth("ec2:RunInstances *", 1, "InsufficientInstanceCapacity: ...")`
        """
        self.calls.fail_nth(pattern, n, message)

    def machine(self, id_: str) -> Machine:
        """The machine behind an instance: what a test looks into, cuts the power of, gives another disk."""
        try:
            return self._machines[id_]
        except KeyError:
            known = ", ".join(self._machines) or "none"
            raise LabError(f"the lab's cloud has no instance {id_!r}; there are: {known}") from None

    @property
    def instances(self) -> list[str]:
        """The ids of all instances that are not terminated."""
        return list(self._machines)

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """What a request gets."""
        words = [method, *path.strip("/").split("/")]
        match words:
            case ["POST", "calls"]:
                refused = self.calls.write(body)
                return (
                    (HTTPStatus.OK, {}) if refused is None else (HTTPStatus.INTERNAL_SERVER_ERROR, {"message": refused})
                )
            case ["POST", "instances"]:
                return HTTPStatus.OK, self._run(body)
            case [_, "instances", id_] | [_, "instances", id_, _] if id_ not in self._machines:
                return GONE
            case ["GET", "instances", id_]:
                return HTTPStatus.OK, self._described(id_)
            case ["DELETE", "instances", id_]:
                machine = self._machines.pop(id_, None)
                if machine is not None:
                    machine.stop()
            case ["POST", "instances", id_, "stop"]:
                self._machines[id_].shut_down()
            case ["POST", "instances", id_, "start"]:
                self._machines[id_].start()
            case _:
                return HTTPStatus.NOT_IMPLEMENTED, {"message": f"the lab's cloud has no {method} {path}"}
        return HTTPStatus.OK, {}

    def _run(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        id_ = f"i-{secrets.token_hex(8)}"
        seed = Seed(
            str(given.get("user") or "admin"), tuple(given.get("authorized_keys", ())), str(given.get("user_data", ""))
        )
        # Two machines may have one name: when the new one is up, the old one still serves.
        machine = Machine(
            f"{_slug(str(given.get('name', '')))}-{id_[2:8]}", self._root, self._network, self._logs, seed
        )
        try:
            machine.start()
        except BaseException:
            machine.stop()
            raise
        self._names[id_] = str(given.get("name", ""))
        self._machines[id_] = machine
        return self._described(id_)

    def _described(self, id_: str) -> Mapping[str, Any]:
        machine = self._machines[id_]
        return {
            "id": id_,
            "name": self._names[id_],
            "user": machine.user,
            "state": "running" if machine.running else "stopped",
            "private_ip": machine.private_ip,
            "public_ip": machine.public_ip,
            "host": machine.name,
            "log": str(machine.log),
        }

    def _answers(self) -> bool:
        try:
            return CloudClient(self.socket).instance("i-none") is None
        except CloudRefused:
            return False


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    # Each preview dials anew, and a big program creates its resources side by side.
    request_queue_size = 128

    def __init__(self, path: str, host: CloudHost) -> None:
        super().__init__(path, _Handler)
        self.host = host


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _reply(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            status, answer = self.server.host.answer(
                self.command, self.path, json.loads(self.rfile.read(length) or b"{}")
            )
        except (LabError, ValueError) as error:
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, {"message": str(error)}
        body = json.dumps(answer).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _reply  # noqa: N815 (names that http.server looks for)

    def address_string(self) -> str:
        """A unix socket has no address to show."""
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server has)
        """Into the lab's log instead of standard error."""
        with self.server.host.log.open("a") as log:
            log.write(f"{self.log_date_time_string()} {format % args}\n")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24].rstrip("-") or "vm"
