"""The stand-in of the provider plugin pulumi-command 1.2.1: remote.Command, remote.CopyToRemote, local.Command, run.

It speaks real SSH. Its behaviour is the original's as seen on the wire, quirks included, so that what works in the lab
works with the original: each answer to check, diff, preview, create, update and delete was compared with it.
Not here: remote.CopyFile (deprecated), `assetPaths` and `archivePaths`.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import provider_pb2

from lab.plugins import command_inputs as known
from lab.plugins import command_local as local
from lab.plugins.command_diff import difference, same
from lab.plugins.command_local import Stop, TimedOut
from lab.plugins.command_output import Engine, Output
from lab.plugins.serve import Plugin, Refused, Secret, inputs, plain, serve, struct
from lab.plugins.values import UNKNOWN, has_secret, has_unknown

VERSION: Final = "1.2.1"
_REMOTE: Final = "command:remote:Command"
_COPY: Final = "command:remote:CopyToRemote"
_LOCAL: Final = "command:local:Command"
_RECORDS: Final[Mapping[str, known.Record]] = {
    _REMOTE: known.REMOTE_COMMAND,
    _COPY: known.COPY_TO_REMOTE,
    _LOCAL: known.LOCAL_COMMAND,
}
_OUTPUTS: Final = ("stdout", "stderr")


class Command(Plugin):
    """The plugin. It keeps the SSH connections of its commands open until it ends, as the original does."""

    def __init__(self) -> None:
        super().__init__()
        self._engine = Engine()
        self._cancelled = threading.Event()
        self._connections: list[Any] = []

    def Handshake(self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext) -> NoReturn:
        """Not known to the original; the engine then goes on without."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "method Handshake not implemented")

    def Attach(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """An engine that did not start the plugin says where it is."""
        self._engine = Engine(request.address)
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Dialling stops between two tries, a local command is killed; a remote one cannot be interrupted."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Known fields of the right types, defaults, secrets marked."""
        record = _record(request.urn, context)
        news = inputs(request.news)
        found = known.mistakes(record, news)
        values = known.marked(record, news) if found else known.settled(record, news)
        if record is known.COPY_TO_REMOTE:
            source = known.settled(known.SOURCE, news.get("source"))
            values = {"remotePath": "", **values, "source": source}
            found += known.source_mistakes(source)
        return provider_pb2.CheckResponse(
            inputs=struct(known.wire(values)),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in found],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Any change updates; only triggers replace."""
        _record(request.urn, context)
        news = _kept(inputs(request.news), inputs(request.olds), request.ignoreChanges)
        news = {key: value for key, value in news.items() if key != "version" and not key.startswith("__")}
        return difference(inputs(request.old_inputs), news, {"triggers"})

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Run `create`, or nothing in a preview or without one."""
        record = _record(request.urn, context)
        values = _present(inputs(request.properties))
        if found := known.mistakes(record, values):
            raise Refused(f"invalid inputs: {known.decoding(found)}")
        name = request.urn.rpartition("::")[2] if record is not known.COPY_TO_REMOTE else ""
        identity = name + secrets.token_hex(4)
        if request.preview:
            shown = _preview(record, values, None)
            identity = identity if record is not known.COPY_TO_REMOTE else ""
            return provider_pb2.CreateResponse(id=identity, properties=struct(known.wire(shown)))
        stop = Stop(self._cancelled, request.timeout)
        state = (
            self._copy(request.urn, values, stop, context)
            if record is known.COPY_TO_REMOTE
            else self._state(record, request.urn, values, values.get("create"), ("", ""), stop, context)
        )
        return provider_pb2.CreateResponse(id=identity, properties=struct(known.wire(state)))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Run `update`, or `create` without one: whatever input has changed."""
        record = _record(request.urn, context)
        olds = _present(inputs(request.olds))
        values = _present(_kept(inputs(request.news), olds, request.ignoreChanges))
        if found := known.mistakes(_state_of(record), olds) or known.mistakes(record, values):
            raise Refused(known.decoding(found))
        if request.preview:
            return provider_pb2.UpdateResponse(properties=struct(known.wire(_preview(record, values, olds))))
        stop = Stop(self._cancelled, request.timeout)
        if record is known.COPY_TO_REMOTE:
            return provider_pb2.UpdateResponse(
                properties=struct(known.wire(self._copy(request.urn, values, stop, context, olds)))
            )
        text = values.get("create") if values.get("update") is None else values["update"]
        new = self._state(record, request.urn, values, text, _before(olds), stop, context)
        return provider_pb2.UpdateResponse(properties=struct(known.wire(new)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Run `delete`, when there is one, with what the state holds."""
        record = _record(request.urn, context)
        values = _present(inputs(request.properties))
        if record is not known.COPY_TO_REMOTE:
            if found := known.mistakes(_state_of(record), values):
                raise Refused(known.decoding(found))
            stop = Stop(self._cancelled, request.timeout)
            self._state(record, request.urn, values, values.get("delete"), _before(values), stop, context)
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """A refresh finds what the state holds: nothing is asked of the machine."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """`local.run`: a command that runs in each preview and each update."""
        if request.tok != "command:local:run":
            context.abort(grpc.StatusCode.NOT_FOUND, f"Invoke '{request.tok.removeprefix('command:')}' not found")
        values = _present(inputs(request.args))
        if found := known.mistakes(known.LOCAL_RUN, values):
            failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in found]
            return _returned(struct_pb2.Struct(), failures)
        stop = Stop(self._cancelled)
        result = self._state(known.LOCAL_RUN, "", values, values["command"], ("", ""), stop, context)
        return _returned(struct(known.wire(result)), [])

    def _state(
        self,
        record: known.Record,
        urn: str,
        values: dict[str, Any],
        command: Any,
        before: tuple[str, str],
        stop: Stop,
        context: grpc.ServicerContext,
    ) -> dict[str, Any]:
        """Inputs and outputs after `command` has run; without a command the outputs stay as they were."""
        settings = plain(values)
        bare = {name: value for name, value in values.items() if name not in _OUTPUTS}
        if command is None:
            return {**bare, "stdout": before[0], "stderr": before[1]}
        output = Output(settings.get("logging"), lambda line: self._engine.say(urn, line))
        if record is known.REMOTE_COMMAND:
            from lab.plugins import command_ssh as ssh  # noqa: PLC0415  # paramiko takes 0.2 s; previews do without

            say = ssh.Say(self._engine, urn)
            with _in_time(context):
                self._connections.append(ssh.run(plain(command), settings, before, output, stop, say))
        else:
            local.run(plain(command), settings, before, output, stop)
        try:
            return {**bare, "stdout": output.text("out"), "stderr": output.text("err")}
        except UnicodeDecodeError:
            text = "grpc: error while marshaling: string field contains invalid UTF-8"
            context.abort(grpc.StatusCode.INTERNAL, text)

    def _copy(
        self,
        urn: str,
        values: dict[str, Any],
        stop: Stop,
        context: grpc.ServicerContext,
        olds: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        from lab.plugins import command_copy, command_ssh  # noqa: PLC0415  # paramiko, as below

        if olds is None or command_copy.changed(plain(olds), plain(values)):
            with _in_time(context):
                command_copy.copy(plain(values), stop, command_ssh.Say(self._engine, urn))
        return {**values, "source": known.settled(known.SOURCE, values["source"])}


@contextmanager
def _in_time(context: grpc.ServicerContext) -> Iterator[None]:
    """An operation that runs out of time has a code of its own."""
    try:
        yield
    except TimedOut as error:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))


def _record(urn: str, context: grpc.ServicerContext) -> known.Record:
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in _RECORDS:
        context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{token.removeprefix('command:')}' not found")
    return _RECORDS[token]


def _state_of(record: known.Record) -> known.Record:
    """What a state holds: the inputs, and the outputs of a command."""
    outputs = {name: known.Field(known.STRING, required=True) for name in _OUTPUTS}
    more = {} if record is known.COPY_TO_REMOTE else outputs
    return known.Record(record.name.replace("Inputs", "Outputs"), {**record.fields, **more})


def _returned(values: struct_pb2.Struct, failures: Any) -> provider_pb2.InvokeResponse:
    answer = provider_pb2.InvokeResponse(failures=failures)
    getattr(answer, "return").CopyFrom(values)
    return answer


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _kept(news: dict[str, Any], olds: Mapping[str, Any], ignored: Any) -> dict[str, Any]:
    return {**news, **{name: olds[name] for name in ignored if name in olds}}


def _before(olds: Mapping[str, Any]) -> tuple[str, str]:
    return str(plain(olds.get("stdout")) or ""), str(plain(olds.get("stderr")) or "")


def _preview(record: known.Record, values: Mapping[str, Any], olds: Mapping[str, Any] | None) -> dict[str, Any]:
    """The outputs that a preview shows: those named like an input are known as far as it is.

    In an update `stdout` and `stderr` stay known as long as no input that was there before has changed.
    """
    moved = olds is None or any(
        values.get(name) is UNKNOWN or (name in olds and not same(values.get(name), olds[name]))
        for name in record.fields
    )
    shown = {name: _shown(name, value, moved=moved) for name, value in values.items() if name in record.fields}
    if record is known.COPY_TO_REMOTE:
        return shown
    outputs = _before(olds or {})
    return {**shown, **{name: UNKNOWN if moved else text for name, text in zip(_OUTPUTS, outputs, strict=True)}}


def _shown(name: str, value: Any, *, moved: bool) -> Any:
    """The original takes a source, and triggers with an unknown anywhere in them, for unknown as a whole."""
    if name == "source" and moved:
        return UNKNOWN
    if name == "triggers" and moved and value is not UNKNOWN and has_unknown(value):
        return Secret(UNKNOWN) if has_secret(value) else UNKNOWN
    return value


def main() -> None:
    """Serve the plugin until the engine ends it."""
    serve(Command(), "command", VERSION)


if __name__ == "__main__":
    main()
