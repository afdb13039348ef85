"""Who logs in, with which keys, and whose host key is expected: a connection's inputs, read as the original reads them.

Mistakes are told in the words of golang.org/x/crypto/ssh, which the original uses.
"""

import base64
import io
import os
import socket
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from paramiko.agent import AgentKey, AgentSSH

_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "+/")
_TYPES: Final = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


class SshError(Exception):
    """Something about a connection failed; the text is the original's.

    :param timed_out: whether time ran out: the original's error has another gRPC code then.
    """

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


@dataclass(frozen=True)
class Login:
    """One machine to log in to: the connection itself or its proxy."""

    host: str
    port: int
    user: str
    limit: int
    timeout: int
    password: str | None = None
    key: "paramiko.PKey | None" = None
    agent: "Sequence[paramiko.PKey] | None" = None
    host_key: bytes | None = None
    algorithms: tuple[str, ...] = field(default=())

    @property
    def endpoint(self) -> str:
        """Host and port as Go joins them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def login(values: Mapping[str, Any]) -> Login:
    """The login of a connection's inputs (plain ones). Keys are read and the agent is asked before anything is dialled.

    :raises SshError: for a host key or a private key that cannot be read, or an agent that does not answer.
    """
    pinned = values.get("hostKey")
    blob = None if pinned is None else _host_key(str(pinned))
    text = values.get("privateKey")
    key = None if text is None else _private_key(str(text), values.get("privateKeyPassword"))
    path = values.get("agentSocketPath")
    path = os.environ.get("SSH_AUTH_SOCK") or None if path is None else str(path)
    return Login(
        host=str(values["host"]),
        port=int(values.get("port", 22)),
        user=str(values.get("user", "root")),
        limit=int(values.get("dialErrorLimit", 10)),
        timeout=int(values.get("perDialTimeout", 15)),
        password=values.get("password"),
        key=key,
        agent=None if path is None else _agent(path),
        host_key=blob,
        algorithms=() if blob is None else (_type(blob),),
    )


def _host_key(text: str) -> bytes:
    last = ""
    for line in text.split("\n"):
        words = line.split("\r")[0].strip().split(None, 1)
        if len(words) < 2 or words[0].startswith("#"):
            continue
        for rest in (words[1], *words[1].split(None, 1)[1:]):  # the first word may be options
            try:
                return _blob(rest.split()[0])
            except SshError as error:
                last = str(error)
    raise SshError(
        "failed to parse host key: ssh: no key found"
        + (f"; last parsing error for ignored line: {last}" if last else "")
    )


def _blob(word: str) -> bytes:
    bad = _bad_base64(word)
    if bad is not None:
        raise SshError(f"illegal base64 data at input byte {bad}")
    blob = base64.b64decode(word)
    name = _type(blob)
    if not name or name not in _TYPES:
        raise SshError(f"ssh: unknown key algorithm: {name}" if name else "ssh: short read")
    if len(blob) < 8 + len(name) + int.from_bytes(blob[4 + len(name) : 8 + len(name)]):
        raise SshError("ssh: short read")
    return blob


def _type(blob: bytes) -> str:
    length = int.from_bytes(blob[:4])
    return blob[4 : 4 + length].decode(errors="replace") if len(blob) - length >= 4 else ""


def _bad_base64(word: str) -> int | None:
    """The position that Go names for text that is no base64; None when it is."""
    for place, char in enumerate(word):
        if char in _ALPHABET:
            continue
        if char != "=" or place % 4 < 2:
            return place
        padding = 4 - place % 4
        if word[place : place + padding] != "=" * padding:
            return len(word) if place + 1 == len(word) else place
        return None if len(word) == place + padding else place + padding
    return None if len(word) % 4 == 0 else len(word) - len(word) % 4


def _private_key(text: str, password: Any) -> paramiko.PKey:
    if _pem(text) is None:
        raise SshError("ssh: no key found")
    secret = None if password is None else str(password).encode()
    openssh = "BEGIN OPENSSH PRIVATE KEY" in text
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        loaded = load(text.encode(), secret)
    except TypeError as error:
        if secret is None:
            raise SshError("ssh: this private key is passphrase protected") from error
        raise SshError("ssh: key is not password protected" if openssh else "ssh: not an encrypted key") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if secret is None and "encrypted" in str(error):
            raise SshError("ssh: this private key is passphrase protected") from error
        encrypted = "x509: decryption password incorrect"
        raise SshError(encrypted if secret is not None else "ssh: invalid openssh private key format") from error
    if openssh and secret is not None and not _encrypted(text):
        raise SshError("ssh: key is not password protected")
    pem = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    kinds: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            return kind.from_private_key(io.StringIO(pem))
        except (paramiko.SSHException, ValueError):
            continue
    raise SshError("ssh: unhandled key type")


def _encrypted(text: str) -> bool:
    """Whether a private key in OpenSSH's own format has a passphrase: its cipher, the first string, says so."""
    return (_pem(text) or b"")[15:23] != b"\0\0\0\4none"


def _pem(text: str) -> bytes | None:
    """The bytes of a PEM block; None when it is none."""
    if "-----BEGIN " not in text or "-----END " not in text:
        return None
    body = "".join(line for line in text.splitlines() if "-----" not in line and ":" not in line)
    return base64.b64decode(body) if _bad_base64(body) is None else None


class _Agent(AgentSSH):
    """An agent at a path of one's own; paramiko itself only knows the environment's."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            text = os.strerror(error.errno or 0)
            raise SshError(f"dial unix {path}: connect: {text[:1].lower()}{text[1:]}") from error
        self._connect(connection)  # type: ignore[attr-defined]  # not in the stubs


def _agent(path: str) -> "Sequence[AgentKey]":
    return _Agent(path).get_keys()
