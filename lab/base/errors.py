"""What goes wrong in the lab, said so that the reader knows where to look."""

from pathlib import Path


class LabError(Exception):
    """A piece of the lab could not do its work.

    :param message: one sentence: which piece, what happened, what to do.
    :param log: the log of the piece; its path and its last lines are part of the text.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message if log is None else f"{message}\n  log: {log}\n{_tail(log)}")
        self.log = log


def _tail(log: Path, lines: int = 15) -> str:
    try:
        last = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return f"  (no log: {error})"
    return "\n".join(f"  | {line}" for line in last)
