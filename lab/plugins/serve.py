"""How a stand-in of a provider plugin is started, spoken to and ended by the engine.

A plugin is a subclass of `Plugin` and one call of `serve`. `Check` takes the inputs as they are and `Diff` compares
them; the rest is the subclass's. A refusal is an exception: `raise Refused("what is wrong and what to do")`.
"""

import errno
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.plugins.difference import compare
from lab.plugins.values import UNKNOWN, Secret, has_secret, has_unknown, inputs, plain, redacted, struct

__all__ = [
    "UNKNOWN",
    "Plugin",
    "Refused",
    "Secret",
    "has_secret",
    "has_unknown",
    "inputs",
    "plain",
    "redacted",
    "serve",
    "start",
    "struct",
]

MESSAGE_LIMIT: Final = 400 * 1024 * 1024  # bytes, as the engine's own limit
_WORKERS: Final = 64
_log = logging.getLogger("lab.plugins")


class Refused(Exception):
    """The operation cannot be done; the engine prints the message as the resource's error."""


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """What every stand-in answers alike. `config` holds the provider's configuration after `Configure`."""

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.config: dict[str, Any] = {}

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """What the plugin understands: secrets and output values."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version it claims to be."""
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """A schema with no resources: the SDKs are the original's own."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self.name, "version": self.version}))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Any provider configuration is accepted."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """A changed provider configuration updates the provider, it replaces nothing."""
        return compare(inputs(request.old_inputs), inputs(request.news))

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Keep the provider's configuration."""
        self.config = inputs(request.args)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True
        )

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """The inputs as they are."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Every changed input updates."""
        return compare(inputs(request.old_inputs), inputs(request.news))

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The engine has been interrupted; what runs is left to end."""
        return empty_pb2.Empty()


def start(plugin: Plugin, name: str, version: str) -> tuple[grpc.Server, int]:
    """A running server of `plugin` on a free loopback port, and that port. Tests use it to stay in one process."""
    plugin.name, plugin.version = name, version
    server = grpc.server(
        futures.ThreadPoolExecutor(_WORKERS, thread_name_prefix=name),
        interceptors=[_Guard(name)],
        options=[("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def serve(plugin: Plugin, name: str, version: str) -> None:
    """Serve `plugin` until the engine ends it, or has gone away itself. The port is the first line of stdout.

    The log is `$MESHVM_LAB/logs/<name>.log`; without that variable there is none.
    """
    engine = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine ends plugins by it: no traceback
    _log_to(os.environ.get("MESHVM_LAB"), name)
    _, port = start(plugin, name, version)
    print(port, flush=True)
    _log.info("%s %s serves on port %d for process %d", name, version, port, engine)
    ended = threading.Event()
    while os.getppid() == engine and not _refuses(sys.argv[1:2]):
        ended.wait(1.0)
    os._exit(0)  # an engine that was killed must not leave its plugins; running calls have no one to report to


def _refuses(engine: list[str]) -> bool:
    """Whether the engine's own address, a plugin's first argument, is closed: it may have died before we began."""
    host, colon, port = (engine or [""])[0].rpartition(":")
    if not colon or not port.isdigit():
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, int(port))) == errno.ECONNREFUSED


def _log_to(run: str | None, name: str) -> None:
    if not run:
        return
    file = Path(run) / "logs" / f"{name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    form = f"%(asctime)s {os.getpid()} %(levelname)s %(message)s"
    logging.basicConfig(filename=file, level=logging.INFO, format=form)


class _Guard(grpc.ServerInterceptor):
    """Logs each call by method and resource (never its properties), and turns exceptions into an error's text."""

    def __init__(self, name: str) -> None:
        self._name = name

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Wrap the handler that gRPC has found."""
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = str(handler_call_details.method).rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._call(method, handler.unary_unary, request, context),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _call(self, method: str, behaviour: Callable[[Any, Any], Any], request: Any, context: Any) -> Any:
        about = f"{method} {getattr(request, 'urn', '') or getattr(request, 'tok', '')}"
        about += " (preview)" if getattr(request, "preview", False) else ""
        began = time.monotonic()
        try:
            answer = behaviour(request, context)
        except Refused as refusal:
            _log.info("%s refused: %s", about, refusal)
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        except Exception as error:
            if context.code() is not None:  # the plugin has aborted the call itself
                raise
            _log.exception("%s failed", about)
            context.abort(grpc.StatusCode.UNKNOWN, self._bug(method, error))
        _log.info("%s took %.3f s", about, time.monotonic() - began)
        return answer

    def _bug(self, method: str, error: Exception) -> str:
        run = os.environ.get("MESHVM_LAB")
        where = f"; its log is {run}/logs/{self._name}.log" if run else ""
        return f"the stand-in of {self._name} failed in {method}: {type(error).__name__}: {error}{where}"


if __name__ == "__main__":
    sys.exit("lab.plugins.serve is what the plugins share; run one of them, e.g. python -m lab.plugins.tls")
