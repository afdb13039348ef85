"""How a command is run on another machine over SSH: environment, stdin, both streams, exit status."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from paramiko.common import cMSG_CHANNEL_REQUEST
from paramiko.message import Message

from lab.plugins.command_auth import SshError
from lab.plugins.command_dial import Transport, channel, dial
from lab.plugins.command_local import Stop, TimedOut, previous
from lab.plugins.command_output import DEBUG, ERROR, WARNING, Engine, Output
from lab.plugins.serve import Refused

_SIGNALS: Final[Mapping[str, int]] = {
    "ABRT": 6, "ALRM": 14, "FPE": 8, "HUP": 1, "ILL": 4, "INT": 2, "KILL": 9, "PIPE": 13, "QUIT": 3, "SEGV": 11,
    "TERM": 15,
}  # fmt: skip
_REFUSED: Final = """Unable to set '{}'. This only works if your SSH server is configured to accept
	these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could
	prefix the command itself with the variables in the form 'VAR=value command'"""


class Say:
    """What is told to the engine about one resource."""

    def __init__(self, engine: Engine, urn: str) -> None:
        self._engine, self._urn = engine, urn

    def progress(self, text: str) -> None:
        """Shown while it is the latest."""
        self._engine.say(self._urn, text)

    def detail(self, text: str) -> None:
        """Shown with `--debug`."""
        self._engine.say(self._urn, text, DEBUG, passing=False)

    def refused(self, name: str, *, fatal: bool) -> None:
        """A variable that the server did not take."""
        self._engine.say(self._urn, _REFUSED.format(name), ERROR if fatal else WARNING, passing=False)


def run(
    command: str, values: Mapping[str, Any], before: tuple[str, str], output: Output, stop: Stop, say: Say
) -> Transport:
    """Run `command`; the connection is handed back open, as the original leaves it.

    :param before: stdout and stderr of the run before this one, handed on in the environment.
    :raises Refused: with the original's message.
    """
    try:
        transport = dial(values["connection"], stop, say.progress)
        session = channel(transport)
    except SshError as error:
        raise (TimedOut if error.timed_out else Refused)(str(error)) from error
    try:
        for name, text in (values.get("environment") or {}).items():
            if not _asked(transport, session, "env", name, text):
                say.refused(name, fatal=True)
                raise Refused(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, text in previous(values, before).items():
            if not _asked(transport, session, "env", name, text):
                say.refused(name, fatal=False)
        failure = _executed(transport, session, command, str(values.get("stdin") or "").encode(), output)
    finally:
        session.close()
    output.end()
    if failure:
        raise Refused(output.failure(failure, command))
    return transport


def _asked(transport: Any, session: Any, kind: str, *strings: str) -> bool:
    """Send a channel request and wait for its answer; False when it is refused."""
    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(session.remote_chanid)
    message.add_string(kind)
    message.add_boolean(True)
    for text in strings:
        message.add_string(text)
    session._event_pending()  # noqa: SLF001
    transport._send_user_message(message)  # noqa: SLF001
    session.event.wait()
    return bool(transport.answered.pop(session.chanid, False))


def _executed(transport: Any, session: Any, command: str, stdin: bytes, output: Output) -> str | None:
    """The error of a command that failed, None for one that did not."""
    if not _asked(transport, session, "exec", command):
        return "EOF" if session.closed else f"ssh: command {command} failed"

    unread = threading.Event()

    def write() -> None:
        try:
            session.sendall(stdin)
            session.shutdown_write()
        except OSError:
            unread.set()

    readers = [
        threading.Thread(target=_read, args=(session.recv, "out", output), daemon=True),
        threading.Thread(target=_read, args=(session.recv_stderr, "err", output), daemon=True),
    ]
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    code = session.recv_exit_status()
    name, reason = transport.died.pop(session.chanid, ("", ""))
    if code == -1 and not name:
        return "wait: remote command exited without exit status or exit signal"
    if code == 0:
        writer.join()
        return "EOF" if unread.is_set() else None  # more stdin than fits into the window, and nobody read it
    code = 128 + _SIGNALS.get(name, 0) if code == -1 else code
    died = f" from signal {name}" if name else ""
    return f"Process exited with status {code}{died}" + (f". Reason was: {reason}" if reason else "")


def _read(receive: Callable[[int], bytes], stream: str, output: Output) -> None:
    while data := receive(32768):
        output.feed(stream, data)
