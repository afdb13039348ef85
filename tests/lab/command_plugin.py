"""How do tests speak to the command plugin, and to which one: the stand-in, or the real one of MESHVM_REAL_COMMAND?"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from lab.plugins.values import Secret, inputs, struct

REMOTE = "command:remote:Command"
COPY = "command:remote:CopyToRemote"
LOCAL = "command:local:Command"


def urn(token: str) -> str:
    return f"urn:pulumi:dev::project::{token}::thing"


def connection(**more: Any) -> Secret:
    """A connection as a check hands it on."""
    return Secret({"user": "root", "host": "127.0.0.1", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15, **more})


class RefusedError(Exception):
    """What the plugin answered instead."""


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        self.said.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()


class CommandPlugin:
    """A running plugin and the engine it was told of; `said` is what it told the engine."""

    def __init__(self) -> None:
        self._listener = _Engine()
        self._engine = grpc.server(futures.ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self._listener, self._engine)
        port = self._engine.add_insecure_port("127.0.0.1:0")
        self._engine.start()
        real = os.environ.get("MESHVM_REAL_COMMAND")
        self.real = real is not None
        program = [real] if real else [sys.executable, "-m", "lab.plugins.command"]
        self._process = subprocess.Popen(
            [*program, f"127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"},
        )
        assert self._process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self._process.stdout.readline())}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]
        self._call(
            "Configure",
            provider_pb2.ConfigureRequest(
                acceptSecrets=True, acceptResources=True, sends_old_inputs=True, sends_old_inputs_to_delete=True
            ),
        )

    @property
    def said(self) -> list[tuple[str, str]]:
        """What the plugin told the engine: severity and text."""
        return self._listener.said

    def stop(self) -> None:
        self._channel.close()
        self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()
        self._engine.stop(None)

    def check(self, token: str, news: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        answer = self._call("Check", provider_pb2.CheckRequest(urn=urn(token), news=struct(news)))
        return inputs(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]

    def diff(
        self, old: Mapping[str, Any], new: Mapping[str, Any], ignored: Sequence[str] = ()
    ) -> tuple[dict[str, str], list[str]]:
        """The changed paths with the kind of change, and what replaces."""
        request = provider_pb2.DiffRequest(
            id="1", urn=urn(REMOTE), old_inputs=struct(old), olds=struct(old), news=struct(new), ignoreChanges=ignored
        )
        answer = self._call("Diff", request)
        kinds = provider_pb2.PropertyDiff.Kind
        return {path: kinds.Name(item.kind) for path, item in answer.detailedDiff.items()}, list(answer.replaces)

    def create(
        self, token: str, values: Mapping[str, Any], *, preview: bool = False, timeout: float = 0
    ) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(
            urn=urn(token), properties=struct(values), preview=preview, timeout=timeout
        )
        answer = self._call("Create", request)
        return answer.id, inputs(answer.properties)

    def update(
        self, token: str, olds: Mapping[str, Any], news: Mapping[str, Any], *, preview: bool = False
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id="1", urn=urn(token), olds=struct(olds), news=struct(news), preview=preview
        )
        return inputs(self._call("Update", request).properties)

    def delete(self, token: str, state: Mapping[str, Any]) -> None:
        self._call("Delete", provider_pb2.DeleteRequest(id="1", urn=urn(token), properties=struct(state)))

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._call("Invoke", provider_pb2.InvokeRequest(tok="command:local:run", args=struct(values)))
        return inputs(getattr(answer, "return"))

    def _call(self, method: str, request: Any) -> Any:
        self._listener.said.clear()
        try:
            return getattr(self._stub, method)(request, timeout=60)
        except grpc.RpcError as error:
            raise RefusedError(error.details()) from error
