"""What does a machine's user data ask for? A stand-in of cloud-init's reading: a subset of cloud-config, or a script.

What the subset does not have is an error that names it: nothing is left out in silence.
"""

import base64
import binascii
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.base.errors import LabError

KEY_TYPES = ("rsa", "ecdsa", "ed25519")
USER_KEYS = ("name", "sudo", "ssh_authorized_keys", "groups", "shell", "lock_passwd", "plain_text_passwd")
FILE_KEYS = ("path", "content", "permissions", "owner", "encoding", "defer")
HOST_KEYS = tuple(f"{kind}_{part}" for kind in KEY_TYPES for part in ("private", "public"))
KEYS = (
    "users",
    "ssh_authorized_keys",
    "ssh_keys",
    "ssh_deletekeys",
    "disable_root",
    "hostname",
    "manage_etc_hosts",
    "write_files",
    "runcmd",
)


@dataclass(frozen=True)
class User:
    """An account to make, or to add to.

    :param sudo: rules for sudoers, without the name.
    :param lock_password: no login by password.
    """

    name: str
    sudo: tuple[str, ...] = ()
    authorized_keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    shell: str = "/bin/sh"
    lock_password: bool = True
    password: str | None = None


@dataclass(frozen=True)
class File:
    """A file to write; `late` ones after the users are made, the others before."""

    path: str
    content: bytes
    mode: int
    owner: str
    late: bool


@dataclass(frozen=True)
class UserData:
    """What to make of a fresh machine.

    :param default_user: whether the image's own user is made too.
    :param host_keys: texts by `ed25519_private` and the like; none: the machine makes its own.
    :param commands: lines of shell, run once when the network and sshd are up.
    :param script: a whole program, run once after them.
    """

    default_user: bool = True
    users: tuple[User, ...] = ()
    authorized_keys: tuple[str, ...] = ()
    host_keys: Mapping[str, str] = field(default_factory=dict)
    delete_host_keys: bool = True
    disable_root: bool = True
    hostname: str | None = None
    manage_hosts: bool = False
    files: tuple[File, ...] = ()
    commands: tuple[str, ...] = ()
    script: str | None = None


def parse(text: str) -> UserData:
    """Read user data as a cloud hands it over.

    :raises LabError: naming the key that the stand-in does not know, or what is wrong with its value.
    """
    if not text.strip():
        return UserData()
    if text.startswith("#!"):
        return UserData(script=text)
    if text.split("\n", 1)[0].strip() != "#cloud-config":
        raise LabError(
            "user data: the first line must be #cloud-config or begin with #!: the stand-in reads nothing else"
        )
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"user data: not YAML: {' '.join(str(error).split())}") from error
    return _config(_mapping({} if config is None else config, "", KEYS))


def _config(config: Mapping[str, Any]) -> UserData:
    entries = _list(config.get("users", ["default"]), "users")
    host_keys = _mapping(config.get("ssh_keys", {}), "ssh_keys", HOST_KEYS)
    return UserData(
        default_user="default" in entries,
        users=tuple(_user(entry, f"users[{at}]") for at, entry in enumerate(entries) if entry != "default"),
        authorized_keys=_texts(config.get("ssh_authorized_keys", []), "ssh_authorized_keys"),
        host_keys={key: _text(value, f"ssh_keys.{key}") for key, value in host_keys.items()},
        delete_host_keys=_flag(config.get("ssh_deletekeys", True), "ssh_deletekeys"),
        disable_root=_flag(config.get("disable_root", True), "disable_root"),
        hostname=_text(config["hostname"], "hostname") if "hostname" in config else None,
        manage_hosts=_flag(config.get("manage_etc_hosts", False), "manage_etc_hosts"),
        files=tuple(
            _file(entry, f"write_files[{at}]")
            for at, entry in enumerate(_list(config.get("write_files", []), "write_files"))
        ),
        commands=tuple(
            _command(entry, f"runcmd[{at}]") for at, entry in enumerate(_list(config.get("runcmd", []), "runcmd"))
        ),
    )


def _user(value: object, where: str) -> User:
    entry = _mapping(value, where, USER_KEYS)
    if "name" not in entry:
        raise LabError(f"user data: {where} has no name: add one")
    sudo, groups = entry.get("sudo") or [], entry.get("groups", [])
    return User(
        name=_text(entry["name"], f"{where}.name"),
        sudo=(sudo,) if isinstance(sudo, str) else _texts(sudo, f"{where}.sudo"),
        authorized_keys=_texts(entry.get("ssh_authorized_keys", []), f"{where}.ssh_authorized_keys"),
        groups=tuple(groups.replace(",", " ").split())
        if isinstance(groups, str)
        else _texts(groups, f"{where}.groups"),
        shell=_text(entry.get("shell", "/bin/sh"), f"{where}.shell"),
        lock_password=_flag(entry.get("lock_passwd", True), f"{where}.lock_passwd"),
        password=_text(entry["plain_text_passwd"], f"{where}.plain_text_passwd")
        if "plain_text_passwd" in entry
        else None,
    )


def _file(value: object, where: str) -> File:
    entry = _mapping(value, where, FILE_KEYS)
    path = _text(entry.get("path"), f"{where}.path")
    if not path.startswith("/"):
        raise LabError(f"user data: {where}.path {path!r} is not absolute: begin it with /")
    return File(
        path=path,
        content=_content(
            _text(entry.get("content", ""), f"{where}.content"), entry.get("encoding", "text/plain"), where
        ),
        mode=_mode(entry.get("permissions", "0644"), f"{where}.permissions"),
        owner=_text(entry.get("owner", "root:root"), f"{where}.owner"),
        late=_flag(entry.get("defer", False), f"{where}.defer"),
    )


def _content(text: str, encoding: object, where: str) -> bytes:
    if encoding == "text/plain":
        return text.encode()
    if encoding not in ("b64", "base64"):
        raise LabError(f"user data: {where}.encoding {encoding!r} is unknown: use b64 or leave it out")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise LabError(
            f"user data: {where}.content is not base64 ({error}): correct it or leave out encoding"
        ) from error


def _mode(value: object, where: str) -> int:
    """A string is octal; a number is one that YAML has read already (0644 is 420)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(_text(value, where), 8)
    except ValueError as error:
        raise LabError(f"user data: {where} {value!r} is not an octal mode: write '0644'") from error


def _command(value: object, where: str) -> str:
    """A list is one command with its arguments, a string is a line of shell."""
    return value if isinstance(value, str) else shlex.join(str(word) for word in _list(value, where))


def _mapping(value: object, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise LabError(f"user data: {where or 'cloud-config'} must be a map, not {type(value).__name__}")
    for key in value:
        if key not in known:
            path = f"{where}.{key}" if where else str(key)
            raise LabError(f"user data: unknown key {path!r}: the stand-in of cloud-init knows {', '.join(known)}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise LabError(f"user data: {where} must be a list, not {type(value).__name__}")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(_text(entry, f"{where}[{at}]") for at, entry in enumerate(_list(value, where)))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise LabError(f"user data: {where} must be a string, not {type(value).__name__}: put it in quotes")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise LabError(f"user data: {where} must be true or false, not {value!r}")
    return value
