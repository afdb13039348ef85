"""How a file, a folder or a text is copied to another machine, as remote.CopyToRemote does it: over SFTP."""

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from stat import S_ISDIR
from typing import Any

import paramiko

from lab.plugins.command_auth import SshError
from lab.plugins.command_dial import dial
from lab.plugins.command_inputs import copied
from lab.plugins.command_local import Stop, TimedOut
from lab.plugins.command_ssh import Say
from lab.plugins.serve import Refused


def changed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether an update copies: another content or another place. Anything else changes the state alone."""
    return bool(olds["source"].get("hash") != news["source"].get("hash") or olds["remotePath"] != news["remotePath"])


def copy(values: Mapping[str, Any], stop: Stop, say: Say) -> None:
    """Copy `source` to `remotePath` (plain values); the connection is closed afterwards.

    :raises Refused: with the original's message.
    """
    path, text = copied(values["source"])
    target = str(values["remotePath"])
    origin = "text asset" if text else f"local file {path}"
    say.detail(f"Creating file: {values['connection']['host']}:{target} from {origin}")
    try:
        transport = dial(values["connection"], stop, say.progress)
    except SshError as error:
        raise (TimedOut if error.timed_out else Refused)(str(error)) from error
    try:
        sftp = paramiko.SFTPClient.from_transport(transport)
        if sftp is None:
            raise Refused("EOF")
        if text:
            _text(sftp, text, target)
        else:
            _tree(sftp, path, target)
    except (paramiko.SSHException, EOFError) as error:
        raise Refused(str(error) or "EOF") from error
    finally:
        transport.close()


def _text(sftp: paramiko.SFTPClient, text: str, target: str) -> None:
    if _kind(sftp, target) == "folder":
        raise Refused(f"remote path {target} is a directory; when using a text asset, remotePath must be a file path")
    _parents(sftp, target)
    _write(sftp, text.encode(), target)


def _tree(sftp: paramiko.SFTPClient, path: str, target: str) -> None:
    source = Path(path)
    if not source.exists():
        raise Refused(f"open {path}: no such file or directory")
    there = _kind(sftp, target)
    if not source.is_dir():
        if there == "folder":
            target = str(PurePosixPath(target) / source.name)
        elif there is None:
            _parents(sftp, target)
        _write(sftp, source.read_bytes(), target)
        return
    if there is None:
        _folders(sftp, PurePosixPath(target))
    if not path.endswith("/"):
        target = str(PurePosixPath(target) / source.name)
    for inner in [source, *sorted(source.rglob("*"))]:
        place = str(PurePosixPath(target) / inner.relative_to(source))
        if inner.is_dir():
            _folder(sftp, place)
        else:
            _write(sftp, inner.read_bytes(), place)


def _folder(sftp: paramiko.SFTPClient, place: str) -> None:
    there = _kind(sftp, place)
    if there == "file":
        raise Refused(f"remote path {place} exists but is not a directory")
    if there is None:
        try:
            sftp.mkdir(place)
        except OSError as error:
            raise Refused(f"failed to create remote directory {place}: {_reason(error)}") from error


def _parents(sftp: paramiko.SFTPClient, target: str) -> None:
    try:
        _folders(sftp, PurePosixPath(target).parent)
    except OSError as error:
        raise Refused(f"failed to create parent directories for {target}: {_reason(error)}") from error


def _folders(sftp: paramiko.SFTPClient, folder: PurePosixPath) -> None:
    for part in _downwards(folder):
        if _kind(sftp, str(part)) is None:
            sftp.mkdir(str(part))


def _downwards(folder: PurePosixPath) -> Iterator[PurePosixPath]:
    yield from reversed(folder.parents)
    yield folder


def _write(sftp: paramiko.SFTPClient, data: bytes, place: str) -> None:
    try:
        with sftp.open(place, "wb") as file:
            file.set_pipelined(True)
            file.write(data)
    except OSError as error:
        raise Refused(f"failed to create remote file {place}: {_reason(error)}") from error


def _kind(sftp: paramiko.SFTPClient, place: str) -> str | None:
    try:
        mode = sftp.stat(place).st_mode or 0
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"failed to stat remote path {place}: {_reason(error)}") from error
    return "folder" if S_ISDIR(mode) else "file"


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "file does not exist"
    return "permission denied" if error.errno == errno.EACCES else f'sftp: "{error}" (SSH_FX_FAILURE)'
