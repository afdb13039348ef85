"""What does a lab that was killed leave on the host, and how does the next one take it back?"""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lab.base.process import wait_until
from lab.machines import cgroup, nspawn

NETNS = Path("/run/netns")
PROPAGATE = Path("/run/systemd/nspawn/propagate")
"""systemd-nspawn makes a folder for each machine here, and refuses to remove it where /run is on a disk."""


def clean(folder: Path, prefix: str, link: str) -> None:
    """End and remove whatever a lab has left; only for who holds its lock.

    :param folder: where its machines' disks are.
    :param prefix: what the names of its machines and namespaces begin with.
    :param link: its link on the host.
    """
    _kill_machines(prefix)
    for mount in _mounts_below(folder):
        _run("umount", "--lazy", mount)
    for netns in NETNS.glob(f"{prefix}*"):
        _run("ip", "netns", "delete", netns.name)
    _run("ip", "link", "delete", link)
    for group in cgroup.leftovers(prefix):
        cgroup.remove(group)
    for place in PROPAGATE.glob(f"{prefix}*"):
        shutil.rmtree(place, ignore_errors=True)
    if folder.exists():
        _run("rm", "-rf", "--one-file-system", str(folder))


def _kill_machines(prefix: str) -> None:
    """The kernel kills all processes of a machine with its init."""
    pids = nspawn.running(prefix)
    for pid in pids:
        for victim in (nspawn.init_of(pid), pid):
            if victim is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not nspawn.running(prefix), 5)


def _mounts_below(folder: Path) -> list[str]:
    """Deepest first."""
    points = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)


def _run(*command: str) -> None:
    """What is not there cannot be removed: no error."""
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
