"""In which control group does a machine run, so that the systemds of two machines do not end each other's services?

systemd-nspawn makes `payload` in the group that it is started in: two started from one group would share it.
"""

import contextlib
from pathlib import Path

from lab.base.process import wait_until

HIERARCHIES = ("name=systemd", "")
"""The ones that a systemd inside works with; the empty name is the unified hierarchy."""


class Cgroup:
    """A group of its own for one machine: a scope where systemd runs the host, else folders made here.

    :param name: the machine's name, unique on the host.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._by_systemd = Path("/run/systemd/system").is_dir()

    def command(self, *command: str) -> list[str]:
        """`command`, started inside the group and with the same process id."""
        if self._by_systemd:
            # Named by systemd itself: after a reboot the old scope may still be there for a moment.
            return ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--", *command]
        enter = " && ".join(f"echo $$ > '{folder}/cgroup.procs'" for folder in self._made()) or ":"
        return ["/bin/sh", "-c", f'{enter}; exec "$@"', "sh", *command]

    def remove(self) -> None:
        """Take the folders back, when the last process is gone."""
        if not self._by_systemd:
            for parent in _own_groups():
                remove(parent / self._name)

    def _made(self) -> list[Path]:
        folders = [parent / self._name for parent in _own_groups()]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        return folders


def leftovers(prefix: str) -> list[Path]:
    """Groups that a dead lab left: where a lab like this one would have made them."""
    return [folder for parent in _own_groups() for folder in parent.glob(f"{prefix}*") if folder.is_dir()]


def remove(group: Path) -> None:
    """Remove a group and those below it; what a dying process still holds is tried again for a moment."""
    wait_until(lambda: _removed(group), 2)


def _removed(group: Path) -> bool:
    if not group.is_dir():
        return True
    for folder in [*sorted((f for f in group.rglob("*") if f.is_dir()), reverse=True), group]:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not group.exists()


def _own_groups() -> list[Path]:
    """The folders of this process's own groups."""
    mounts = _mounted()
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in HIERARCHIES and controllers in mounts:
            found.append(mounts[controllers] / path.lstrip("/"))
    return found


def _mounted() -> dict[str, Path]:
    mounts = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == "cgroup2":
            mounts[""] = Path(point)
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            mounts["name=systemd"] = Path(point)
    return mounts
