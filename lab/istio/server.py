"""istiod's stand-in, the process: TLS on 15012, where agents get certificates and configuration and report health.

One connection is one call, in JSON lines; `lab/istio/go/control.go` names the messages.
"""

import argparse
import contextlib
import functools
import json
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.istio import objects
from lab.istio.authentication import Authenticator
from lab.istio.ca import Identity, MeshCA, certificates
from lab.istio.configuration import Configuration, Mirror
from lab.istio.mesh_root import RootEverywhere, load_or_create
from lab.istio.proxy import Node, Refused, verify
from lab.istio.registry import Connection, Registry, now

SILENCE = 15.0
"""Seconds without a word (agents send one every five) after which an agent is taken for dead."""


def say(text: str) -> None:
    """A line of istiod's log."""
    print(f"{now().isoformat(timespec='milliseconds')} {text}", flush=True)


class Call:
    """One TLS connection: lines out, lines in with a limit on the silence."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self._buffer = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def message(self, seconds: float) -> dict[str, Any] | None:
        """The next message; None when `seconds` pass without one.

        :raises EOFError: when the other side has ended.
        """
        while b"\n" not in self._buffer:
            if not self.connection.pending() and not select.select([self.connection], [], [], seconds)[0]:
                return None
            received = self.connection.recv(65536)
            if not received:
                raise EOFError
            self._buffer += received
        line, self._buffer = self._buffer.split(b"\n", 1)
        return dict(json.loads(line))


class Control:
    """Answers agents.

    :param lifetime: the longest life of a certificate, in seconds.
    """

    def __init__(
        self, ca: MeshCA, authenticator: Authenticator, registry: Registry, configuration: Configuration, lifetime: int
    ) -> None:
        self._ca = ca
        self._authenticator = authenticator
        self._registry = registry
        self._configuration = configuration
        self._lifetime = lifetime

    def serve(self, raw: socket.socket, context: ssl.SSLContext, peer: str) -> None:
        """One connection from its first byte to its last."""
        raw.settimeout(SILENCE)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                self._answer(Call(connection), peer)
        except ssl.SSLError as error:
            say(f"{peer}: TLS refused: {error}")
        except (OSError, EOFError):
            pass

    def _answer(self, call: Call, peer: str) -> None:
        request = call.message(SILENCE)
        if request is None:
            return
        try:
            identity = self._authenticator.authenticate(call.connection, request)
            if request["call"] == "sign":
                call.send(self._sign(request, identity))
            else:
                self._hold(call, _node(request), identity)
        except Refused as error:
            say(f"{peer}: {request['call']}: {error.code}: {error} {error.__cause__ or ''}".rstrip())
            call.send({"error": {"code": error.code, "message": str(error)}})
        except objects.UNANSWERED as error:
            say(f"{peer}: {request['call']}: the API server: {error}")
            call.send({"error": {"code": "Unavailable", "message": str(error)}})

    def _sign(self, request: dict[str, Any], identity: Identity) -> dict[str, Any]:
        seconds = min(int(request["seconds"]), self._lifetime)
        try:
            chain = self._ca.certify(str(request["csr"]), identity, seconds)
        except ValueError as error:
            raise Refused("InvalidArgument", f"CSR signing error ({error})") from error
        say(f"signed {identity.spiffe(self._ca.trust_domain)} for {seconds} s")
        return {"chain": [chain, *certificates(self._ca.chain)], "root": self._ca.root}

    def _hold(self, call: Call, node: Node, identity: Identity) -> None:
        verify(identity, node, self._ca.trust_domain)
        connection = self._registry.connect(node, identity, now())
        say(f"ADS: new connection for node:{node.id}")
        try:
            self._converse(call, connection)
        finally:
            say(f"ADS: {node.id} terminated")
            self._registry.disconnect(connection)

    def _converse(self, call: Call, connection: Connection) -> None:
        node, entry = connection.node, connection.entry
        generation, pushed, heard = -1, None, time.monotonic()
        while time.monotonic() - heard < SILENCE:
            if generation != self._configuration.generation:
                generation = self._configuration.generation
                wanted = self._configuration.of(node)
                if wanted != pushed:
                    call.send({"config": wanted})
                    pushed = wanted
            message = call.message(0.2)
            if message is None:
                continue
            heard = time.monotonic()
            health = message.get("health")
            if health and entry:
                self._registry.report(
                    node.namespace, entry, healthy=bool(health["healthy"]), message=str(health.get("message") or "")
                )


def _node(request: dict[str, Any]) -> Node:
    node = request["node"]
    return Node(str(node["id"]), tuple(node["addresses"]), dict(node["metadata"]), str(node.get("locality") or ""))


def _server_context(ca: MeshCA, names: list[str], folder: Path) -> ssl.SSLContext:
    own = ca.issue_server(names)
    folder.mkdir(parents=True, exist_ok=True)
    pair = folder / "istiod.pem"
    with os.fdopen(os.open(pair, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(own.certificate + own.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair)
    context.load_verify_locations(cadata=ca.root)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _connections(address: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server((address, port), backlog=128) as listener:
        say(f"listening on {address}:{port}")
        while True:
            connection, peer = listener.accept()
            yield connection, f"{peer[0]}:{peer[1]}"


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.istio.server", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=15012)
    parser.add_argument("--folder", type=Path, required=True, help="where its own key is kept while it runs")
    parser.add_argument("--revision", default="", help="name of this control plane among several")
    parser.add_argument("--jwt-rule", default="", help="whose tokens are believed besides the API server's, as JSON")
    parser.add_argument("--cluster", default="Kubernetes", help="the cluster id that agents must name")
    parser.add_argument("--trust-domain", default="cluster.local")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds that an entry outlives its agent")
    parser.add_argument("--lifetime", type=int, default=86400, help="longest life of a certificate, in seconds")
    return parser.parse_args(words)


def main(words: list[str]) -> None:
    """Serve until told to end; then at once, so that to agents and entries it is as if it had crashed."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    arguments = _arguments(words)
    api = objects.client(arguments.kubeconfig)
    ca = load_or_create(api, arguments.trust_domain)
    RootEverywhere(api, ca.root).start()
    configuration = Configuration(api)
    configuration.start()
    registry = Registry(api, f"istiod-{os.getpid()}", arguments.grace, say)
    Mirror(api, objects.WorkloadGroup, functools.partial(_group_changed, registry)).start()
    threading.Thread(target=_sweep, args=(registry, arguments.grace), daemon=True).start()
    rule = json.loads(arguments.jwt_rule) if arguments.jwt_rule else None
    authenticator = Authenticator(api, arguments.trust_domain, arguments.cluster, rule)
    control = Control(ca, authenticator, registry, configuration, arguments.lifetime)
    context = _server_context(ca, _names(arguments.revision), arguments.folder)
    for connection, peer in _connections(arguments.address, arguments.port):
        threading.Thread(target=control.serve, args=(connection, context, peer), daemon=True).start()


def _group_changed(registry: Registry, event: str, group: dict[str, Any]) -> None:
    if event == "ADDED":
        registry.group_added(group)


def _names(revision: str) -> list[str]:
    """The host names that its certificate is for."""
    names = [f"{name}.istio-system.svc" for name in ("istiod", "istiod-remote", "istio-pilot")]
    return [*names, f"istiod-{revision}.istio-system.svc"] if revision else names


def _sweep(registry: Registry, grace: float) -> None:
    while True:
        time.sleep(max(1.0, 10 * grace))
        with contextlib.suppress(*objects.UNANSWERED):
            registry.sweep()


if __name__ == "__main__":
    main(sys.argv[1:])
