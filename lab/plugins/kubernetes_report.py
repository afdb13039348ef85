"""What the engine hears beside answers: messages, and objects that exist but are not what the program waits for."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, status_pb2

from lab.plugins.serve import struct


class Engine:
    """The engine's end of messages.

    :param address: host and port; nothing is sent when it is empty.
    """

    def __init__(self, address: str = "") -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address)) if address else None

    def tell(self, urn: str, text: str, *, status: bool = False) -> None:
        """Print a warning at a resource; a `status` is shown only while the resource is worked on."""
        if self._stub is None:
            return
        severity = engine_pb2.LogSeverity.INFO if status else engine_pb2.LogSeverity.WARNING
        with contextlib.suppress(grpc.RpcError):  # an engine that has gone reads nothing
            self._stub.Log(engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=status))


def half_done(
    context: grpc.ServicerContext,
    name: str,
    message: str,
    reasons: Sequence[str],
    state: Mapping[str, Any],
    written: Mapping[str, Any] | None = None,
) -> NoReturn:
    """End the call with an error that keeps the object in the state: it is there, but not ready."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=name,
        properties=struct(state),
        reasons=[message, *reasons],
        inputs=None if written is None else struct(written),
    )
    told = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    told.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", told.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
