"""What when a port that was free has been taken by the time the process binds it?"""

from collections.abc import Callable
from pathlib import Path

from lab.base.errors import LabError


def ready_or_once_more(ready: Callable[[], None], start: Callable[[], None], log: Path) -> None:
    """`ready()`; when the log says that a port was taken, `start()` once more, which chooses others, and `ready()`."""
    try:
        ready()
    except LabError:
        if "address already in use" not in log.read_text(errors="replace"):
            raise
        start()
        ready()
