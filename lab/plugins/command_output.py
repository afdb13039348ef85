"""What becomes of a command's output: kept as outputs, told to the engine line by line, quoted in an error."""

import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from lab.plugins.serve import Refused

_LINE_LIMIT: Final = 64 * 1024  # bytes; Go's bufio.Scanner
_CONTROLS: Final[Mapping[str, str]] = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'
}  # fmt: skip
_REPLACED: Final = re.compile("\ufffd+")
DEBUG: Final = engine_pb2.DEBUG
INFO: Final = engine_pb2.INFO
WARNING: Final = engine_pb2.WARNING
ERROR: Final = engine_pb2.ERROR


class Engine:
    """The engine's end of the log: what is said here is shown beside the resource."""

    def __init__(self, address: str | None = None) -> None:
        self.address = address if address is not None else _address()
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._lock = threading.Lock()

    def say(
        self, urn: str, text: str, severity: "engine_pb2.LogSeverity.ValueType" = INFO, *, passing: bool = True
    ) -> None:
        """Tell the engine. `passing`: shown only while it is the latest, as progress is."""
        with self._lock:
            if self._stub is None and self.address:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self.address))
            stub = self._stub
        if stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=passing)
        try:
            stub.Log(request, timeout=10)
        except grpc.RpcError:
            return  # progress is told to no one; the command goes on


def _address() -> str:
    """The engine starts a plugin with its own address as the argument."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


class Output:
    """Collects both streams; lines of those that `logging` names go to `say` as they come."""

    def __init__(self, logging: str | None, say: Callable[[str], None]) -> None:
        self._say = say
        self._logged = {
            "out": logging in {None, "stdout", "stdoutAndStderr"},
            "err": logging in {None, "stderr", "stdoutAndStderr"},
        }
        self._parts: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
        self._both = bytearray()
        self._line = bytearray()
        self._endless = False
        self._lock = threading.Lock()

    def feed(self, stream: str, data: bytes) -> None:
        """Take what came on `stream`, `out` or `err`."""
        with self._lock:
            self._parts[stream] += data
            self._both += data
            if not self._logged[stream]:
                return
            self._line += data
            *lines, rest = bytes(self._line).split(b"\n")
            self._line = bytearray(rest)
            self._endless = self._endless or any(len(line) >= _LINE_LIMIT for line in (*lines, rest))
            for line in lines:
                self._say(readable(line.removesuffix(b"\r")))

    def end(self) -> None:
        """No more will come: the last line may have no end.

        :raises Refused: where the original would hang for ever, as it does after a line that is too long to be logged.
        """
        if self._endless:
            raise Refused(
                "the command printed a line of 64 KiB or more, after which pulumi-command hangs: "
                "let it print shorter lines, or set `logging` to none"
            )
        with self._lock:
            if self._line:
                self._say(readable(bytes(self._line).removesuffix(b"\r")))
                self._line.clear()

    def text(self, stream: str) -> str:
        """A stream as it becomes an output: one newline less. Bytes that are no UTF-8 raise `UnicodeDecodeError`."""
        return bytes(self._parts[stream]).decode().removesuffix("\n")

    def failure(self, error: str, command: str) -> str:
        """The message of a command that failed."""
        return f"{error}: running {quoted(command)}:\n{readable(bytes(self._both))}"


def readable(data: bytes) -> str:
    """Text of bytes; a run of what is no UTF-8 becomes one replacement character."""
    return _REPLACED.sub("\ufffd", data.decode(errors="replace"))


def quoted(text: str) -> str:
    """`text` as Go's %q prints it."""
    return '"' + "".join(_CONTROLS.get(char) or _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char == " " or unicodedata.category(char)[0] in "LMNPS":
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
