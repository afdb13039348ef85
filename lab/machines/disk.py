"""Where does a machine write: a layer of its own over the root that all share, or a copy of it?"""

import subprocess
from functools import partial
from pathlib import Path

from lab.base.errors import LabError
from lab.base.process import wait_until

MOST_LINKS = 40
"""As the kernel counts them in one path."""


class Disk:
    """The root file system of one machine, kept while the machine is off.

    An overlay when the kernel allows one on this folder's file system, else on a tmpfs, else a copy.

    :param base: the root that it starts from; never written.
    :param folder: what it may fill, created and removed by it.
    """

    def __init__(self, base: Path, folder: Path) -> None:
        self._base = base
        self._folder = folder
        self.kind = ""
        """`overlay`, `overlay on tmpfs` or `copy`; empty before `make`."""

    @property
    def root(self) -> Path:
        """The machine's `/`, seen from the host."""
        return self._folder / "root"

    def make(self) -> None:
        """Make the root as fresh as the base."""
        self._folder.mkdir(mode=0o700, parents=True)
        self.root.mkdir()
        if self._overlay():
            self.kind = "overlay"
            return
        if _run("mount", "-t", "tmpfs", "-o", "mode=0700", "meshvm", self._layers):
            if self._overlay():
                self.kind = "overlay on tmpfs"
                return
            _run("umount", self._layers)
        self.kind = "copy"
        if not _run("cp", "--archive", "--reflink=auto", f"{self._base}/.", self.root):
            raise LabError(f"the copy of {self._base} to {self.root} failed: see whether the disk is full")

    def remove(self) -> None:
        """Give everything back; harmless when there is nothing."""
        for point in (self.root, self._layers):
            if point.is_mount() and not wait_until(partial(_run, "umount", point), 3):
                # A process on the host still looks into it: the name goes now, the rest with that process.
                _run("umount", "--lazy", point)
        if self._folder.exists():
            _run("rm", "-rf", "--one-file-system", self._folder)
        self.kind = ""

    @property
    def _layers(self) -> Path:
        return self._folder / "layers"

    def _overlay(self) -> bool:
        upper, work = self._layers / "upper", self._layers / "work"
        for folder in (upper, work):
            folder.mkdir(parents=True, exist_ok=True)
        upper.chmod(0o755)
        layers = f"lowerdir={self._base},upperdir={upper},workdir={work}"
        # volatile: no write waits for the disk; the layer never outlives this mount anyway.
        return any(
            _run("mount", "-t", "overlay", "meshvm", "-o", options, self.root)
            for options in (f"{layers},volatile", layers)
        )


def inside(root: Path, path: str) -> Path:
    """The host's name of `path` in a root, where a link that begins with / leads into the root and not to the host."""
    place, parts, links = root, [part for part in path.split("/") if part not in ("", ".")], 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            place = place if place == root else place.parent
            continue
        step = place / part
        if not step.is_symlink():
            place = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise LabError(f"{path} in {root}: too many links, one of them leads back to itself")
        target = str(step.readlink())
        place = root if target.startswith("/") else place
        parts = [part for part in target.split("/") if part not in ("", ".")] + parts
    return place


def _run(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
