"""Which Debian packages bring the commands that the lab calls, and how do they get here?"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.base.cache import cache_root
from lab.base.errors import LabError
from lab.base.steps import Steps

PACKAGES = {
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "systemd-nspawn": "systemd-container",
    "update-ca-certificates": "ca-certificates",
}
"""The package of each command, named the same in Debian and Ubuntu."""

LAB = (
    "debootstrap",
    "dpkg-deb",
    "etcd",
    "ip",
    "iptables",
    "nsenter",
    "ssh",
    "systemd-nspawn",
    "update-ca-certificates",
)
"""What the lab itself calls; the tests call `sshd` too."""

# A user's PATH often lacks the folders where Debian puts what root calls.
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")

_POLICY = Path("/usr/sbin/policy-rc.d")


def where(command: str) -> Path | None:
    """Where `command` is, on PATH or in a folder for root's commands."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM])
    place = shutil.which(command, path=search)
    return Path(place) if place else None


def need(steps: Steps, *commands: str) -> list[str]:
    """Install the packages of those `commands` that are missing; returns the names of the packages.

    :param commands: keys of `PACKAGES`.
    :raises LabError: when something is missing and this is not root on Debian or Ubuntu, or apt-get fails.
    """
    missing = [command for command in commands if where(command) is None]
    packages = sorted({PACKAGES[command] for command in missing})
    if not packages:
        return []
    what = f"{', '.join(missing)} missing on this machine"
    if where("apt-get") is None:
        raise LabError(
            f"{what}, and there is no apt-get here: install the commands, or run the lab on Debian or Ubuntu"
        )
    if os.geteuid() != 0:
        raise LabError(
            f"{what}: run as root, or first run `apt-get install --no-install-recommends {' '.join(packages)}` as root"
        )
    with steps.step(f"packages {', '.join(packages)}") as found:
        _install(packages)
        found("installed with apt-get")
    left = [command for command in missing if where(command) is None]
    if left:
        raise LabError(
            f"{', '.join(left)} still missing after {', '.join(packages)} were installed: see the log", _log()
        )
    return packages


def _install(packages: list[str]) -> None:
    log = _log()
    log.parent.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = [[*apt, "update"], [*apt, "install", "--no-install-recommends", *packages]]
    with log.open("wb") as out, _no_daemons():
        for command in commands:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
            )
            if done.returncode != 0:
                raise LabError(f"`{' '.join(command)}` failed: install {', '.join(packages)} by hand", log)


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """While packages are installed no daemon of theirs starts: etcd-server would take the machine's port 2379."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _log() -> Path:
    return cache_root() / "logs" / "apt.log"
