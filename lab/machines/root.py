"""What is the disk of a fresh lab machine: a root of the host's own release, built once and kept."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

from lab.base.cache import kept
from lab.base.errors import LabError
from lab.machines.apt_sources import Source, own_source

PACKAGES = (
    "systemd-sysv",
    "udev",
    "dbus",
    "openssh-server",
    "iproute2",
    "iptables",
    "curl",
    "ca-certificates",
    "openssl",
    "sudo",
    "procps",
    "netbase",
    "hostname",
)
"""What a cloud image brings and the bootstrap may count on, and no more."""

MASKED = (
    # The lab sets addresses from outside.
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    # They make a boot slow, or want a network that is not there.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "motd-news.timer",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp.service",
)
RECIPE = "2"
"""Another number builds the root again."""


class Root:
    """The disk that every machine of the lab starts from; read-only for them.

    :param logs: folder for the log of the build.
    """

    def __init__(self, logs: Path) -> None:
        self.name = "root"
        self.log = logs / "root.log"
        self.built = False
        """Whether `start` had to build it."""
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder of the root; an error before `start`."""
        if self._path is None:
            raise LabError("the machines' root is not there yet: start it first")
        return self._path

    @property
    def release(self) -> str:
        """The code name of the release, `bookworm` say."""
        return release()

    def start(self) -> None:
        """Take the root from the cache, or build it (about half a minute)."""
        if os.geteuid() != 0:
            raise LabError("the lab's machines need root (namespaces, mounts): run the lab as root")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        place, self.built = kept("root", version(self.release), self._build)
        self._path = place

    def ready(self) -> None:
        """`start` has done everything."""

    def stop(self) -> None:
        """Nothing: the root stays in the cache."""

    def _build(self, target: Path) -> None:
        source = own_source(self.release)
        with self.log.open("ab") as log:
            # A mount namespace of its own: what debootstrap mounts in the root goes with it, however it ends.
            done = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", *debootstrap(self.release, source, target)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                umask=0o022,
            )
        if done.returncode != 0:
            raise LabError(
                f"debootstrap of {self.release} from {source.uri} failed: see whether the mirror answers", self.log
            )
        finish(target)


def release() -> str:
    """The code name of the host's own release; Debian and its kin have one."""
    try:
        codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        codename = ""
    if not codename:
        raise LabError("the lab's machines need a Debian or Ubuntu host: /etc/os-release names no VERSION_CODENAME")
    return codename


def version(codename: str) -> str:
    """Which root it is: another release, package list or recipe is another root."""
    recipe = "\n".join((RECIPE, platform.machine(), *PACKAGES, *MASKED))
    return f"{codename}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def debootstrap(codename: str, source: Source, target: Path) -> list[str]:
    """The command that fills an empty folder."""
    keyring = [f"--keyring={source.keyring}"] if source.keyring else []
    return [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *keyring,
        codename,
        str(target),
        source.uri,
    ]


def finish(root: Path) -> None:
    """Make a fresh debootstrap what a cloud image is: no identity, no host keys, no caches."""
    for pattern in (
        "etc/ssh/ssh_host_*",
        "var/cache/apt/archives/*.deb",
        "var/cache/apt/*.bin",
        "var/lib/apt/lists/*_*",
    ):
        for file in root.glob(pattern):
            file.unlink()
    for unit in MASKED:
        mask = root / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    root.chmod(0o755)
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").unlink(missing_ok=True)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hosts").write_text("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    # Newer than /usr: systemd then leaves out the units that bring /etc and /var up to date.
    for stamp in ("etc/.updated", "var/.updated"):
        (root / stamp).touch()
