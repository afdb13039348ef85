"""How another machine is dialled: TCP, SSH, host key, login, proxy, and how often it is tried, as the original does it.

The library is paramiko: the plugin's server is threads, so is paramiko, and it can be driven one step at a time, which
the original's error texts need (which methods were tried, what the server offered). What it does not tell, the answer
to an environment request, the signal a command died of, the reason of a disconnect, `Transport` adds.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import paramiko
from paramiko.channel import Channel
from paramiko.common import MSG_CHANNEL_FAILURE, MSG_CHANNEL_REQUEST, MSG_CHANNEL_SUCCESS
from paramiko.message import Message

from lab.plugins.command_auth import Login, SshError, login
from lab.plugins.command_local import Stop

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what fails is told to the engine, in one line
_T = TypeVar("_T")
_FOREVER: Final = 1e6  # seconds; the original waits for a handshake and for an answer without limit
_DELAY, _BACKOFF, _LONGEST = 0.1, 1.5, 5.0  # seconds between two dials, and by how much longer each time
_REASONS: Final = {
    1: "administratively prohibited",
    2: "connect failed",
    3: "unknown channel type",
    4: "resource shortage",
}


class _UnaskedError(SshError):
    """The server refused a login by questions without asking one."""


class Transport(paramiko.Transport):
    """A transport that waits as long as the original, and keeps what the original tells of the server."""

    def __init__(self, sock: Any, algorithms: tuple[str, ...]) -> None:
        super().__init__(sock)
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = _FOREVER
        self.clear_to_send_timeout = self.channel_timeout = _FOREVER
        self.offered: list[str] = []
        self.died: dict[int, tuple[str, str]] = {}  # channel: signal and reason
        self.answered: dict[int, bool] = {}
        self.rejected = ""  # why the last channel was not opened
        if algorithms:
            self._preferred_keys = algorithms
        self._channel_handler_table = {
            **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]  # noqa: SLF001  # not in the stubs
            MSG_CHANNEL_REQUEST: self._request,
            MSG_CHANNEL_SUCCESS: lambda channel, _: self._answer(channel, accepted=True),
            MSG_CHANNEL_FAILURE: lambda channel, _: self._answer(channel, accepted=False),
        }

    def _request(self, channel: Any, message: Message) -> None:
        start = message.packet.tell()
        if message.get_text() == "exit-signal":
            message.get_boolean()
            name, _, reason = message.get_text(), message.get_boolean(), message.get_text()
            self.died[channel.chanid] = (name, reason)
            return
        message.packet.seek(start)
        channel._handle_request(message)  # noqa: SLF001

    def _answer(self, channel: Any, *, accepted: bool) -> None:
        """Unlike paramiko's own, a refusal leaves the channel open."""
        self.answered[channel.chanid] = accepted
        channel._request_success(None)  # noqa: SLF001

    def _really_parse_kex_init(self, m: Message, ignore_first_byte: bool = False) -> Any:
        parsed = super()._really_parse_kex_init(m, ignore_first_byte)  # type: ignore[misc]  # not in the stubs
        self.offered = list(parsed["server_key_algo_list"])
        return parsed

    def _parse_channel_open_failure(self, m: Message) -> None:
        start = m.packet.tell()
        m.get_int()
        reason, text = m.get_int(), m.get_text()
        self.rejected = f"ssh: rejected: {_REASONS.get(reason, f'unknown reason {reason}')} ({text})"
        m.packet.seek(start)
        super()._parse_channel_open_failure(m)  # type: ignore[misc]  # not in the stubs

    def _parse_disconnect(self, m: Message) -> None:
        self.saved_exception = SshError(f"ssh: disconnect, reason {m.get_int()}: {m.get_text()}")


def dial(values: Mapping[str, Any], stop: Stop, say: Callable[[str], None]) -> Transport:
    """A connection that is logged in to the machine of `values` (plain), through its proxy when it has one.

    :raises SshError: after `dialErrorLimit` failures, or for keys that cannot be read.
    """
    target = login(values)
    if values.get("proxy") is None:
        return _retry("Dial", target.limit, stop, say, lambda: _connected(target))
    try:
        proxy = login(values["proxy"])
        bastion = _retry("Dial proxy", proxy.limit, stop, say, lambda: _connected(proxy))
        through = _retry("Dial from proxy", target.limit, stop, say, lambda: _forwarded(bastion, target))
        return _retry("Dial", target.limit, stop, say, lambda: _logged_in(through, target))
    except SshError as error:
        raise SshError(f"proxy: {error}", timed_out=error.timed_out) from error


def channel(transport: Transport) -> Channel:
    """A session on a connection.

    :raises SshError: with the server's reason for refusing it, or when the connection is gone.
    """
    try:
        return transport.open_session()
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise SshError(_gone(error, transport)) from error


def _retry(what: str, limit: int, stop: Stop, say: Callable[[str], None], attempt: Callable[[], _T]) -> _T:
    tries, delay = 0, _DELAY
    while True:
        try:
            return attempt()
        except SshError as error:
            if -1 < limit < tries + 1:
                text = f"after {tries} failed attempts: {error}"
                raise SshError(text, timed_out=error.timed_out) from error
        say(f"{what} {tries + 1}/{'inf' if limit == -1 else limit} failed: retrying")
        if reason := stop.wait(min(delay, _LONGEST)):
            raise SshError(reason, timed_out=reason == "context deadline exceeded")
        delay, tries = min(delay, _LONGEST) * _BACKOFF, tries + 1


def _connected(target: Login) -> Transport:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SshError(_not_found(target.host)) from error
    first: SshError | None = None
    for family, kind, protocol, _, address in found:
        try:
            return _logged_in(_socket(family, kind, protocol, address, target.timeout), target)
        except OSError as error:
            timed_out = isinstance(error, TimeoutError) and error.errno is None
            text = "i/o timeout" if timed_out else f"connect: {_text(error)}"
            where = f"[{address[0]}]:{target.port}" if family == socket.AF_INET6 else f"{address[0]}:{target.port}"
            first = first or SshError(f"dial tcp {where}: {text}", timed_out=timed_out)
    raise first or SshError(_not_found(target.host))


def _socket(family: int, kind: int, protocol: int, address: Any, timeout: int) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout or None)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # Go's own: a lost machine is noticed after 150 s
    for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 9)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def _logged_in(sock: Any, target: Login) -> Transport:
    transport = Transport(sock, target.algorithms)
    ends = _ends(sock)
    transport.daemon = True
    try:
        _handshake(transport, target)
    except (paramiko.SSHException, SshError, EOFError, OSError) as error:
        transport.close()
        raise SshError(f"ssh: handshake failed: {_reason(error, transport, target, ends)}") from error
    return transport


def _handshake(transport: Transport, target: Login) -> None:
    transport.start_client()
    if target.host_key is not None and transport.get_remote_server_key().asbytes() != target.host_key:
        raise SshError("ssh: host key mismatch")
    _authenticate(transport, target)


def _authenticate(transport: paramiko.Transport, target: Login) -> None:
    """Try "none", then each method once that the server still allows: key, password, questions, agent."""
    methods = list(_methods(transport, target))
    tried, last = ["none"], ""
    allowed = _attempt(lambda: transport.auth_none(target.user))
    while not transport.is_authenticated():
        method = next((m for m in methods if m[0] in allowed and m[0] not in tried), None)
        if method is None:
            text = f"ssh: unable to authenticate, attempted methods [{' '.join(tried)}], no supported methods remain"
            raise SshError(last or text)
        last = ""
        try:
            further = _attempt(method[1])
        except _UnaskedError as error:
            further, last = [], str(error)
        if not further:
            tried.append(method[0])
        allowed = further or allowed


def _methods(transport: paramiko.Transport, target: Login) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    user = target.user
    if target.key is not None:
        yield "publickey", partial(transport.auth_publickey, user, target.key)
    if target.password is not None:
        yield "password", partial(transport.auth_password, user, target.password, fallback=False)
        yield "keyboard-interactive", partial(_answered, transport, user, target.password)
    if target.agent is not None:
        yield "publickey", partial(_any_of, transport, user, target.agent)


def _answered(transport: paramiko.Transport, user: str, password: str) -> list[str]:
    """Answer every question with the password. A server that refuses without a question has its own error."""
    asked = False

    def answer(_title: str, _text: str, questions: list[tuple[str, bool]]) -> list[str]:
        nonlocal asked
        asked = True
        return [password] * len(questions)

    try:
        return transport.auth_interactive(user, answer)
    except paramiko.AuthenticationException as error:
        if asked or "transport shut down" in str(error):
            raise
        raise _UnaskedError("ssh: unexpected message type 51 (expected 60)") from error


def _any_of(transport: paramiko.Transport, user: str, keys: Sequence[paramiko.PKey]) -> list[str]:
    for key in keys:
        allowed = _attempt(partial(transport.auth_publickey, user, key))
        if transport.is_authenticated() or allowed:
            return allowed
    raise paramiko.AuthenticationException


def _attempt(method: Callable[[], list[str]]) -> list[str]:
    """What the server allows next; nothing when it only refused."""
    try:
        return method()
    except paramiko.BadAuthenticationType as error:
        return error.allowed_types
    except paramiko.AuthenticationException as error:
        if "transport shut down" in str(error):
            raise EOFError from error
        return []


def _forwarded(bastion: Transport, target: Login) -> Channel:
    try:
        return bastion.open_channel("direct-tcpip", (target.host, target.port), ("0.0.0.0", 0))
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise SshError(_gone(error, bastion)) from error


def _gone(error: Exception, transport: Transport) -> str:
    if isinstance(error, paramiko.ChannelException):
        return transport.rejected
    return "EOF" if isinstance(error, EOFError) or "not active" in str(error) else str(error)


def _reason(error: Exception, transport: Transport, target: Login, ends: str) -> str:
    if isinstance(error, SshError):
        return str(error)
    if "no acceptable host key" in str(error):
        ours, theirs = " ".join(target.algorithms), " ".join(transport.offered)
        return f"ssh: no common algorithm for host key; we offered: [{ours}], peer offered: [{theirs}]"
    cause = error.__context__ if isinstance(error, paramiko.SSHException) and error.__context__ else error
    if isinstance(cause, EOFError) or "Negotiation failed" in str(error):
        return "EOF"
    return f"read tcp {ends}: read: {_text(cause)}" if isinstance(cause, ConnectionError) else str(cause)


def _ends(sock: Any) -> str:
    """Both addresses of a connection as Go prints them; one inside a proxy's has none."""
    if not isinstance(sock, socket.socket):
        return "0.0.0.0:0->0.0.0.0:0"
    local, remote = sock.getsockname(), sock.getpeername()
    return f"{local[0]}:{local[1]}->{remote[0]}:{remote[1]}"


def _text(error: OSError) -> str:
    text = os.strerror(error.errno or 0)
    return text[:1].lower() + text[1:]


def _not_found(host: str) -> str:
    """Go names the server that was asked, the first one of the machine's configuration."""
    try:
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    server = next((words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"), "")
    return f"dial tcp: lookup {host}{f' on {server}:53' if server else ''}: no such host"
