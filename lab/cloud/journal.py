"""What was asked of the lab's cloud, when, and which of it was told to fail?"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any


@dataclass
class _Failure:
    pattern: str
    calls_left: int
    message: str


class Journal:
    """Every call to the lab's cloud as a line of JSON, written before the call is done.

    A line: `at` (seconds since 1970), `call` (`ec2:RunInstances`), `type` (type token), `name` (the resource's),
    `inputs` (without secrets), `id`, and `refused` when the call was told to fail.

    :param path: the file; a new lab appends to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failures: list[_Failure] = []
        self._one_at_a_time = threading.Lock()

    def fail_nth(self, pattern: str, n: int, message: str) -> None:
        """Refuse the n-th call from now (1 is the next) whose "call type" matches `pattern`, a file name pattern."""
        with self._one_at_a_time:
            self._failures.append(_Failure(pattern, n, message))

    def write(self, entry: Mapping[str, Any]) -> str | None:
        """Write a call down; the message to refuse it with, None when it may be done."""
        with self._one_at_a_time:
            refused = self._refusal(f"{entry.get('call', '')} {entry.get('type', '')}")
            line = {"at": time.time(), **entry, **({"refused": refused} if refused is not None else {})}
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return refused

    def entries(self, call: str = "*") -> list[dict[str, Any]]:
        """The calls so far whose `call` matches the pattern, oldest first."""
        if not self.path.exists():
            return []
        entries = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [entry for entry in entries if fnmatchcase(entry["call"], call)]

    def _refusal(self, call: str) -> str | None:
        """Every failure that matches counts this call; the first that is due is used up by it, the others wait."""
        matching = [failure for failure in self._failures if fnmatchcase(call, failure.pattern)]
        for failure in matching:
            failure.calls_left -= 1
        due = next((failure for failure in matching if failure.calls_left <= 0), None)
        if due is None:
            return None
        self._failures.remove(due)
        return due.message
