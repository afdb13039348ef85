"""The `meshvm` command, for people and scripts that write a machine's files by hand; the extra `cli`."""

import sys
from typing import Final

_OF_THE_EXTRA: Final = frozenset({"click", "rich"})


def main() -> None:
    """What the console script runs."""
    try:
        # Here, so that a plain installation can say what it lacks.
        from meshvm.cli.commands import meshvm  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_THE_EXTRA:
            raise
        sys.exit(f"meshvm: the command needs {package}, which is not installed; install meshvm[cli]")
    meshvm(prog_name="meshvm")
