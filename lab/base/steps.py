"""What a run says: each step, how long it took, and what it found, built or left out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Steps:
    """Prints one line when a step begins and one when it ends, with the time since the run began.

    :param out: where to print; standard output by default.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line of its own, with the time since the run began."""
        print(f"[{time.monotonic() - self._began:6.1f}s] {text}", file=self._out, flush=True)

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        """Announce `what`, and when it is done say how long it took and what was found.

        Yields a function: call it with what was found, built or left out; the last call counts.
        """
        found = ["done"]
        self.say(f"{what} ...")
        began = time.monotonic()
        try:
            yield lambda text: found.__setitem__(0, text)
        except BaseException:
            self.say(f"{what}: failed after {time.monotonic() - began:.1f} s")
            raise
        self.say(f"{what}: {found[0]} ({time.monotonic() - began:.1f} s)")
