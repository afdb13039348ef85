"""What is a machine of the lab: the host's own release with systemd and sshd, in namespaces, at two addresses."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

from lab.base.errors import LabError
from lab.base.process import wait_until
from lab.machines import cloud_init, nspawn
from lab.machines.cgroup import Cgroup
from lab.machines.cloud_init import Seed
from lab.machines.disk import Disk, inside
from lab.machines.leftovers import PROPAGATE
from lab.machines.network import Attachment, Network
from lab.machines.root import Root
from lab.machines.user_data import parse

BOOT_SECONDS = 30
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Machine:
    """A machine that boots in about half a second and keeps its disk and addresses until `stop`.

    :param name: small letters, digits and dashes; its host name unless user data gives another.
    :param logs: folder for its console log, which survives the machine.
    :param seed: what a cloud would hand over: default user, keys, user data.
    """

    def __init__(self, name: str, root: Root, network: Network, logs: Path, seed: Seed | None = None) -> None:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name) or name == "switch":
            raise LabError(f"machine name {name!r}: use up to 40 small letters, digits and dashes, and not `switch`")
        self.name = name
        self.log = logs / f"machine-{name}.log"
        self._root = root
        self._network = network
        self._seed = seed or Seed()
        self._disk: Disk | None = None
        self._attachment: Attachment | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._changes = threading.RLock()

    @property
    def private_ip(self) -> str:
        """Its address in 198.18.N.0/24."""
        return self._attached().private_ip

    @property
    def public_ip(self) -> str:
        """Its address in 198.19.N.0/24."""
        return self._attached().public_ip

    @property
    def ipv6(self) -> str:
        """Its address in fd00:6d76:N::/64; empty where the host's kernel has no IPv6."""
        return self._attached().ipv6

    @property
    def user(self) -> str:
        """The default user: logs in by key, may use sudo without a password."""
        return self._seed.user

    @property
    def host_key(self) -> str:
        """The public key that its sshd shows, as known_hosts wants it: type and key."""
        return cloud_init.host_key(self._made().root)

    @property
    def disk(self) -> str:
        """`overlay`, `overlay on tmpfs` or `copy`."""
        return self._made().kind

    @property
    def running(self) -> bool:
        """Whether its init runs."""
        child = self._child
        return child is not None and child.poll() is None

    @property
    def pid(self) -> int:
        """The process id, on the host, of the machine's init; another one after a reboot."""
        found = self._init()
        if found is None:
            raise LabError(f"machine {self.name} is not running", self.log)
        return found

    def start(self) -> None:
        """Boot it; the first time on a fresh disk made from user data, later on the disk as it is."""
        with self._changes:
            if self.running:
                return
            if self._disk is None:
                self._make_disk()
            self._boot()

    def ready(self) -> None:
        """Wait until sshd greets on port 22."""
        if not wait_until(lambda: not self.running or _greets(self.private_ip), BOOT_SECONDS):
            raise LabError(f"machine {self.name}: no sshd on {self.private_ip} within {BOOT_SECONDS} s", self.log)
        if not self.running:
            raise LabError(f"machine {self.name} ended while booting", self.log)

    def stop(self) -> None:
        """End it and remove disk and addresses; its console log stays."""
        with self._changes:
            self.shut_down()
            disk, self._disk = self._disk, None
            if disk is not None:
                disk.remove()
            if self._attachment is not None:
                self._network.detach(self.name)
            self._attachment = None

    def shut_down(self) -> None:
        """End it as `poweroff` does (after ten seconds as a power cut does); disk and addresses stay."""
        self._end(patience=10)

    def kill_power(self) -> None:
        """End it between two instructions; disk and addresses stay, rules and connections are gone."""
        self._end(patience=0)

    def reboot(self) -> None:
        """Shut down and boot again on the same disk; call `ready` after it."""
        with self._changes:
            self.shut_down()
            self.start()

    def reimage(self, seed: Seed | None = None) -> None:
        """Another fresh disk at the same addresses, as when a cloud replaces the disk; `seed` as before by default."""
        with self._changes:
            self.kill_power()
            if self._disk is not None:
                self._disk.remove()
            self._disk, self._seed = None, seed or self._seed
            self.start()

    def path(self, path: str) -> Path:
        """A file of the machine, seen from the host; of the running machine with its own mounts (/run, /tmp)."""
        init = self._init()
        return inside(self._made().root if init is None else Path(f"/proc/{init}/root"), path)

    def run(
        self, *argv: str, stdin: str | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside the machine, without ssh.

        :raises LabError: with its error output when it fails and `check` is left on.
        """
        spaces = [
            "--target",
            str(self.pid),
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--root",
            "--wd",
        ]
        command = [
            "nsenter",
            *spaces,
            "--",
            "env",
            "--ignore-environment",
            *(f"{k}={v}" for k, v in ENVIRONMENT.items()),
            *argv,
        ]
        try:
            done = subprocess.run(
                command, input=stdin or "", capture_output=True, text=True, check=False, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"machine {self.name}: `{' '.join(argv)}` did not end within {timeout:.0f} s", self.log
            ) from error
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"machine {self.name}: `{' '.join(argv)}` ended with {done.returncode}: {said}")
        return done

    def settled(self, seconds: float = 60) -> None:
        """Wait until the last stage of user data has run (/var/lib/cloud/instance/boot-finished)."""
        if not wait_until(self.path("/var/lib/cloud/instance/boot-finished").exists, seconds):
            raise LabError(
                f"machine {self.name}: its user data has not run within {seconds:.0f} s",
                self.path("/var/log/cloud-init-output.log"),
            )

    def _make_disk(self) -> None:
        data = parse(self._seed.user_data)
        disk = Disk(self._root.path, self._network.folder / "machines" / self.name)
        try:
            disk.make()
            cloud_init.apply(disk.root, data, self._seed, self.name)
            (disk.root / "etc/resolv.conf").write_text(f"nameserver {self._network.host_ip}\n")
        except BaseException:
            disk.remove()
            raise
        self._disk = disk

    def _boot(self) -> None:
        """A network namespace without rules or tracked connections, and systemd in it (measured: half a second)."""
        disk = self._made()
        self._attachment = self._network.attach(self.name)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        full_name = self._network.netns(self.name)
        command = nspawn.command(disk.root, self._attachment.netns, full_name)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                Cgroup(full_name).command(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._child = child
        threading.Thread(target=self._watch, args=(child,), name=f"watch {self.name}", daemon=True).start()

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        """Boot again when the machine rebooted itself; after `poweroff` inside, clear what its processes left."""
        code = child.wait()
        with self._changes:
            if self._child is not child:
                return
            self._clear()
            if code == nspawn.REBOOT:
                self._boot()

    def _end(self, patience: int) -> None:
        with self._changes:
            child = self._child
            if child is None:
                return
            init = self._init()
            # The watching thread must take it for our doing, not for a reboot.
            self._child = None
            for _ in range(patience if init else 0):
                if child.poll() is None:
                    # Again each second: an init that has just been started does not listen yet.
                    _signal(init, nspawn.HALT)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(1)
            if child.poll() is None:
                _signal(init, signal.SIGKILL)
                _signal(child.pid, signal.SIGKILL)
                child.wait(10)
            self._clear()

    def _clear(self) -> None:
        self._child = None
        full_name = self._network.netns(self.name)
        self._network.unplug(self.name)
        Cgroup(full_name).remove()
        shutil.rmtree(PROPAGATE / full_name, ignore_errors=True)

    def _init(self) -> int | None:
        child = self._child
        if child is None or child.poll() is not None:
            return None
        return nspawn.init_of(child.pid)

    def _made(self) -> Disk:
        if self._disk is None:
            raise LabError(f"machine {self.name} has not been started")
        return self._disk

    def _attached(self) -> Attachment:
        if self._attachment is None:
            raise LabError(f"machine {self.name} has not been started")
        return self._attachment


def _greets(address: str) -> bool:
    """Whether an SSH server says its version there; a socket that systemd holds for it accepts before that."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4).startswith(b"SSH-")
    except OSError:
        return False


def _signal(pid: int | None, number: int) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
