"""How is a folder booted as a machine, and which process is its init?"""

import re
import signal
from pathlib import Path

REBOOT = 133
"""systemd-nspawn's exit code when the machine asked for a reboot: whoever started it must start it again."""

HALT = signal.SIGRTMIN + 3
"""Tells a systemd that is init to halt, see systemd(1)."""


def command(root: Path, netns: Path, name: str) -> list[str]:
    """Boot the folder `root` in a network namespace that is there already; its output is the console.

    :param name: the machine's name, unique on the host.
    """
    return [
        "systemd-nspawn",
        "--boot",
        "--quiet",
        "--register=no",
        # A reboot ends systemd-nspawn with 133 instead of booting again into the namespace with its rules.
        "--keep-unit",
        "--settings=no",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--capability=CAP_NET_ADMIN",
        "--setenv=SYSTEMD_COLORS=0",
        f"--network-namespace-path={netns}",
        f"--directory={root}",
        f"--machine={name}",
    ]


def init_of(nspawn: int) -> int | None:
    """The process id, on the host, of the init that a systemd-nspawn watches over; None before and after its life."""
    for pid in _children(nspawn):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE):
            return pid
    return None


def running(prefix: str) -> list[int]:
    """The systemd-nspawn of every machine whose name begins so."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _is_machine(pid, prefix)]


def _is_machine(pid: int, prefix: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return words[0].endswith("systemd-nspawn") and any(word.startswith(f"--machine={prefix}") for word in words)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
