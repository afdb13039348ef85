"""What the lab itself asks of the API server: as its administrator, with plain requests."""

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the API server answered.

    :param status: the HTTP status; 0 when nothing answered.
    :param body: the object, or the `Status` that says why there is none.
    """

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """Why it was refused, in the API server's words."""
        return str(self.body.get("message", self.body))


class Admin:
    """Requests with the certificate of the cluster's administrator.

    :param server: gives the API server's address when it is asked.
    :param ca: the authority's certificate.
    :param certificate: the administrator's certificate.
    :param key: its private key.
    """

    def __init__(self, server: Callable[[], str], ca: Path, certificate: Path, key: Path) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._tls.load_cert_chain(certificate, key)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        timeout: float = 30,
    ) -> Answer:
        """Send one request; `kind` is the content type of `body`. Raises neither for a refusal nor for silence."""
        # Not urllib: a proxy in the user's environment is not asked for the loopback address.
        address, _, port = self._server().removeprefix("https://").partition(":")
        connection = http.client.HTTPSConnection(address, int(port), timeout=timeout, context=self._tls)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            response = connection.getresponse()
            return Answer(response.status, _decoded(response.read()))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, {"message": str(error)})
        finally:
            connection.close()

    def watch(self, path: str) -> "Watch":
        """What happens to the objects at `path`, beginning with those that are there."""
        address, _, port = self._server().removeprefix("https://").partition(":")
        return Watch(http.client.HTTPSConnection(address, int(port), context=self._tls), f"{path}?watch=true")

    def alive(self) -> bool:
        """Whether the API server says that it is ready, with its own roles and namespaces in place."""
        return self.ask("GET", "/readyz", timeout=5).status == 200


class Watch:
    """The events of one watch: iterate in one thread, stop it from another."""

    def __init__(self, connection: http.client.HTTPSConnection, path: str) -> None:
        self._connection = connection
        self._path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The events, each an object with `type` and `object`, until it is stopped or the API server ends it."""
        try:
            self._connection.request("GET", self._path)
            for line in self._connection.getresponse():
                yield _decoded(line)
        except (OSError, ValueError, http.client.HTTPException):
            return  # stopped, or the API server has gone
        finally:
            self._connection.close()

    def stop(self) -> None:
        """End the iteration."""
        with contextlib.suppress(OSError):
            if self._connection.sock:
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace")}
    return told if isinstance(told, dict) else {"message": str(told)}
