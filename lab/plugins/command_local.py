"""How a command is run on the machine of the engine, as local.Command and local.run do it."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from lab.plugins.command_output import Output
from lab.plugins.serve import Refused

STDOUT: Final = "PULUMI_COMMAND_STDOUT"
STDERR: Final = "PULUMI_COMMAND_STDERR"
_SHELL: Final = ("/bin/sh", "-c")
_SIGNALS: Final[Mapping[int, str]] = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGABRT: "aborted",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}


class TimedOut(Refused):
    """The operation ran out of time; the original's error has the code for that."""


class Stop:
    """When an operation has to give up: at its own deadline (custom timeouts), or when the engine cancels."""

    def __init__(self, cancelled: threading.Event, seconds: float = 0) -> None:
        self._cancelled = cancelled
        self._end = time.monotonic() + seconds if seconds else None

    def wait(self, seconds: float) -> str | None:
        """Wait; the reason when the operation is to give up before or meanwhile."""
        left = seconds if self._end is None else min(seconds, max(0.0, self._end - time.monotonic()))
        if self._cancelled.wait(left):
            return "context canceled"
        if self._end is not None and time.monotonic() >= self._end:
            return "context deadline exceeded"
        return None


def previous(values: Mapping[str, Any], outputs: tuple[str, str]) -> dict[str, str]:
    """The variables that hand the last run's output to the next one; empty ones are left out."""
    if values.get("addPreviousOutputInEnv") is False:
        return {}
    return {name: text for name, text in zip((STDOUT, STDERR), outputs, strict=True) if text}


def run(command: str, values: Mapping[str, Any], before: tuple[str, str], output: Output, stop: Stop) -> None:
    """Run `command` with the interpreter, folder, environment and stdin of `values` (plain ones).

    :param before: stdout and stderr of the run before this one.
    :raises Refused: with the original's message.
    """
    for name in ("assetPaths", "archivePaths"):
        if values.get(name) is not None:
            raise Refused(f"the stand-in of command does not know `{name}`: leave it out or use the real plugin")
    program = [*(values.get("interpreter") or _SHELL), command]
    environment = {**os.environ, **(values.get("environment") or {}), **previous(values, before)}
    child = _started(program, values.get("dir"), environment, command)
    threads = [
        threading.Thread(target=_read, args=(child.stdout, "out", output)),
        threading.Thread(target=_read, args=(child.stderr, "err", output)),
        threading.Thread(target=_write, args=(child.stdin, str(values.get("stdin") or "").encode())),
    ]
    for thread in threads:
        thread.start()
    error = _ended(child, stop)
    for thread in threads:
        thread.join()  # a process left behind keeps the streams open, and the original waits for it as well
    output.end()
    if error:
        raise Refused(output.failure(error, command))


def _started(
    program: Sequence[str], folder: str | None, environment: Mapping[str, str], command: str
) -> "subprocess.Popen[bytes]":
    failed = Output("none", lambda _: None).failure
    if folder is not None and not Path(folder).is_dir():
        what = "not a directory" if Path(folder).exists() else "no such file or directory"
        raise Refused(failed(f"chdir {folder}: {what}", command))
    if "/" not in program[0] and shutil.which(program[0]) is None:
        raise Refused(failed(f'exec: "{program[0]}": executable file not found in $PATH', command))
    try:
        return subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
    except OSError as error:
        text = os.strerror(error.errno or 0)
        raise Refused(failed(f"fork/exec {program[0]}: {text[:1].lower()}{text[1:]}", command)) from error


def _ended(child: "subprocess.Popen[bytes]", stop: Stop) -> str | None:
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(0.1):
                child.kill()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    code = child.wait()
    over.set()
    if code < 0:
        return f"signal: {_SIGNALS.get(-code, f'signal {-code}')}"
    return f"exit status {code}" if code else None


def _read(stream: IO[bytes] | None, name: str, output: Output) -> None:
    while stream is not None and (data := os.read(stream.fileno(), 32768)):
        output.feed(name, data)
    if stream is not None:
        stream.close()


def _write(stream: IO[bytes] | None, data: bytes) -> None:
    if stream is None:
        return
    try:
        stream.write(data)
        stream.close()
    except BrokenPipeError:
        return  # a command need not read what it is given
