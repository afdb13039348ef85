"""A daemon of the lab: started with a log of its own, waited for, and ended by its own id."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lab.base.errors import LabError


class Piece(Protocol):
    """What each piece of the lab can do."""

    name: str
    log: Path

    def start(self) -> None:
        """Begin; returns at once."""

    def ready(self) -> None:
        """Return when the piece answers; raise `LabError` with its log when it does not."""

    def stop(self) -> None:
        """End it and take back what it made; harmless when it is not running."""


def wait_until(answers: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Ask again and again until `answers()` is true; False when `seconds` have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answers():
            return True
        time.sleep(every)
    return False


class Process:
    """A child process in a session of its own, so that a Ctrl-C at the terminal reaches only the lab, which stops it.

    :param name: what messages call it.
    :param command: program and arguments.
    :param log: file that gets its output, appended.
    :param answers: true as soon as it can be used; None when being alive is enough.
    :param within: seconds until `ready` gives up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        answers: Callable[[], bool] | None = None,
        within: float = 30,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._answers = answers or (lambda: True)
        self._within = within
        self._env = None if env is None else {**os.environ, **env}
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; an error before `start`."""
        if self._child is None:
            raise LabError(f"{self.name} has not been started")
        return self._child.pid

    def start(self) -> None:
        """Start the process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*_ends_with_its_parent(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def ready(self) -> None:
        """Wait until it answers; a process that ended, or never answers, is a `LabError` with its log."""
        child = self._child

        def settled() -> bool:
            return child is None or child.poll() is not None or self._answers()

        in_time = wait_until(settled, self._within)
        if child is None or child.poll() is not None:
            code = None if child is None else child.returncode
            raise LabError(f"{self.name} ended at once (exit code {code})", self.log)
        if not in_time:
            raise LabError(f"{self.name} did not answer within {self._within:.0f} s", self.log)

    def stop(self) -> None:
        """Ask it to end, and after ten seconds make it."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)


def _ends_with_its_parent() -> list[str]:
    """A prefix for a command that the kernel ends when the lab's process is gone, even by SIGKILL: a daemon that stays
    would answer in the place of the next lab's."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
