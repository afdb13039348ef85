"""How does a plugin, in a process of its own, ask the lab's cloud?"""

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 120
"""A boot waits for the ones before it on a busy host."""


class CloudRefused(Exception):
    """The lab's cloud did not do it; the message is what the cloud's API would have said."""


class CloudClient:
    """A client of one lab's cloud; may be used from several threads.

    :param path: the unix socket, `$MESHVM_CLOUD` for a plugin.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    # The arguments are named as the journal's fields.
    def call(self, call: str, type: str, name: str, inputs: Mapping[str, Any], id: str = "") -> None:  # noqa: A002
        """Announce a call before doing it.

        :param call: service and action, `ec2:RunInstances`.
        :param type: type token of the resource.
        :param name: its name in the program.
        :param inputs: without secrets; a value that JSON does not know is written as the name of its class.
        :param id: the cloud's id, when it has one already.
        :raises CloudRefused: when the lab was told to fail this call.
        """
        self._ask("POST", "/calls", {"call": call, "type": type, "name": name, "inputs": inputs, "id": id})

    def run_instance(
        self,
        name: str,
        user: str = "admin",
        authorized_keys: Sequence[str] = (),
        user_data: str = "",
    ) -> dict[str, Any]:
        """Boot a machine; `id`, `name`, `state`, `private_ip`, `public_ip`. Its sshd may take a moment longer.

        :raises CloudRefused: when it cannot boot, e.g. for its user data.
        """
        given = {"name": name, "user": user, "authorized_keys": list(authorized_keys), "user_data": user_data}
        return self._ask("POST", "/instances", given) or {}

    def instance(self, id_: str) -> dict[str, Any] | None:
        """What `run_instance` answered, with the `state` of now; None when there is no such machine (any more)."""
        return self._ask("GET", f"/instances/{id_}")

    def terminate_instance(self, id_: str) -> None:
        """End the machine and remove its disk; harmless when it is gone."""
        self._ask("DELETE", f"/instances/{id_}")

    def stop_instance(self, id_: str) -> None:
        """Shut it down; its disk and addresses stay."""
        self._ask("POST", f"/instances/{id_}/stop")

    def start_instance(self, id_: str) -> None:
        """Boot a stopped machine on the disk it had."""
        self._ask("POST", f"/instances/{id_}/start")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        connection = _Connection(self._path)
        try:
            text = None if body is None else json.dumps(body, default=lambda value: f"[{type(value).__name__}]")
            connection.request(method, path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException) as error:
            raise CloudRefused(
                f"the lab's cloud at {self._path} does not answer ({error}): is the lab running?"
            ) from error
        finally:
            connection.close()
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise CloudRefused(str(answer.get("message", "")))
        return answer


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._unix = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._unix))
