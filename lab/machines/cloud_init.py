"""How does user data become a machine? A stand-in of cloud-init's work, done from outside before the first boot.

Order and results are those of the original: host keys, files, users, then in a last stage, when the machine is up,
runcmd and the script, once; at the end /var/lib/cloud/instance/boot-finished. The original is not in the image.
"""

import os
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.base.errors import LabError
from lab.machines.disk import inside
from lab.machines.user_data import KEY_TYPES, File, User, UserData

ADMIN_GROUPS = ("adm", "audio", "cdrom", "dip", "floppy", "plugdev", "sudo", "video")
NOT_ROOT = (
    'no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo Log in as {user}, not as root.; exit 142" '
)
INSTANCE = "var/lib/cloud/instance"
STAGE = """#!/bin/sh
# Stand-in of cloud-init's final stage: what the user data asks to run, once an instance.
cd /
instance=/var/lib/cloud/instance
if [ ! -e $instance/sem/config_scripts_user ]; then
    touch $instance/sem/config_scripts_user
    for script in $instance/scripts/*; do
        [ -x "$script" ] || continue
        "$script" || echo "cloud-init stand-in: $script ended with $?"
    done
fi
cat /proc/uptime > $instance/boot-finished
"""
UNIT = """[Unit]
Description=Final stage (the lab's stand-in of cloud-init)
After=network-online.target ssh.service multi-user.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/var/lib/cloud/final-stage
RemainAfterExit=yes
TimeoutSec=0
StandardOutput=append:/var/log/cloud-init-output.log
StandardError=append:/var/log/cloud-init-output.log

[Install]
WantedBy=cloud-init.target
"""


@dataclass(frozen=True)
class Seed:
    """What a cloud gives to a machine at its creation.

    :param user: the image's default user; it may use sudo without a password.
    :param authorized_keys: public keys of that user.
    :param user_data: cloud-config or a script.
    """

    user: str = "admin"
    authorized_keys: tuple[str, ...] = ()
    user_data: str = ""


def apply(root: Path, data: UserData, seed: Seed, hostname: str) -> None:
    """Make of a fresh root what `data` and `seed` ask for."""
    name = data.hostname or hostname
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    (root / "etc/hostname").write_text(f"{name}\n")
    if data.manage_hosts:
        with (root / "etc/hosts").open("a") as hosts:
            hosts.write(f"127.0.1.1\t{name}\n")
    _host_keys(root, data, name)
    _files(root, [file for file in data.files if not file.late])
    _users(root, data, seed)
    _files(root, [file for file in data.files if file.late])
    _final_stage(root, data)


def host_key(root: Path) -> str:
    """The public key that the machine's sshd shows, type and key; ed25519 before others."""
    for kind in reversed(KEY_TYPES):
        file = root / f"etc/ssh/ssh_host_{kind}_key.pub"
        if file.exists():
            return " ".join(file.read_text().split()[:2])
    raise LabError(f"the machine at {root} has no host key")


def _host_keys(root: Path, data: UserData, name: str) -> None:
    folder = root / "etc/ssh"
    if data.delete_host_keys:
        for file in folder.glob("ssh_host_*"):
            file.unlink()
    for key, text in data.host_keys.items():
        kind, part = key.split("_")
        file = folder / (f"ssh_host_{kind}_key" if part == "private" else f"ssh_host_{kind}_key.pub")
        _write(file, f"{text.strip()}\n".encode(), 0o600 if part == "private" else 0o644)
    for kind in KEY_TYPES:
        private, public = folder / f"ssh_host_{kind}_key", folder / f"ssh_host_{kind}_key.pub"
        if private.exists() and not public.exists():
            _write(public, _output("ssh-keygen", "-y", "-f", str(private)).encode(), 0o644)
    if not data.host_keys:
        for kind in ("ecdsa", "ed25519"):
            private = folder / f"ssh_host_{kind}_key"
            if not private.exists():
                _output("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{name}", "-f", str(private))


def _users(root: Path, data: UserData, seed: Seed) -> None:
    users = list(data.users)
    if data.default_user:
        keys = (*seed.authorized_keys, *data.authorized_keys)
        users.insert(0, User(seed.user, ("ALL=(ALL) NOPASSWD:ALL",), keys, ADMIN_GROUPS, "/bin/bash"))
    for user in users:
        _user(root, user)
    rules = [f"{user.name} {rule}" for user in users for rule in user.sudo]
    if rules:
        _write(root / "etc/sudoers.d/90-cloud-init-users", "".join(f"{rule}\n" for rule in rules).encode(), 0o440)
    first = users[0].name if users else seed.user
    keys = (*seed.authorized_keys, *data.authorized_keys)
    _authorize(root, "root", [(NOT_ROOT.format(user=first) if data.disable_root else "") + key.strip() for key in keys])


def _user(root: Path, user: User) -> None:
    for group in user.groups:
        _in(root, "groupadd", "--force", group)
    groups = ",".join(user.groups)
    if f"\n{user.name}:" in "\n" + (root / "etc/passwd").read_text():
        if groups:
            _in(root, "usermod", "--append", "--groups", groups, user.name)
    else:
        more = ["--groups", groups] if groups else []
        _in(root, "useradd", "--create-home", "--shell", user.shell, *more, user.name)
    if user.password is not None:
        _in(root, "chpasswd", stdin=f"{user.name}:{user.password}\n")
    if user.lock_password:
        _in(root, "usermod", "--lock", user.name)
    _authorize(root, user.name, [key.strip() for key in user.authorized_keys])


def _authorize(root: Path, user: str, keys: Sequence[str]) -> None:
    if not keys:
        return
    home, uid, gid = _account(root, user)
    folder = inside(root, home) / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "authorized_keys"
    before = file.read_bytes() if file.exists() else b""
    _write(file, before + "".join(f"{key}\n" for key in keys).encode(), 0o600)
    for place in (folder, file):
        os.chown(place, uid, gid, follow_symlinks=False)


def _files(root: Path, files: Sequence[File]) -> None:
    for file in files:
        place = inside(root, file.path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _write(place, file.content, file.mode)
        if file.owner != "root:root":
            done = _chroot(root, "chown", file.owner, file.path)
            if done.returncode != 0:
                why = done.stderr.strip()
                raise LabError(
                    f"user data: write_files, {file.path}: no owner {file.owner!r} ({why}): add `defer: true`"
                )


def _final_stage(root: Path, data: UserData) -> None:
    scripts = root / INSTANCE / "scripts"
    for folder in (scripts, root / INSTANCE / "sem"):
        folder.mkdir(mode=0o755, parents=True)
    if data.commands:
        _write(scripts / "runcmd", "\n".join(("#!/bin/sh", *data.commands, "")).encode(), 0o700)
    if data.script is not None:
        _write(scripts / "user-script", data.script.encode(), 0o700)
    _write(root / "var/lib/cloud/final-stage", STAGE.encode(), 0o755)
    units = root / "etc/systemd/system"
    _write(units / "cloud-final.service", UNIT.encode(), 0o644)
    # As the original's target: after multi-user.target, so a command may wait for any service.
    target = "[Unit]\nDescription=Cloud-init target (stand-in)\nAfter=multi-user.target\n"
    _write(units / "cloud-init.target", target.encode(), 0o644)
    for wants, unit in (
        ("multi-user.target.wants", "cloud-init.target"),
        ("cloud-init.target.wants", "cloud-final.service"),
    ):
        (units / wants).mkdir(exist_ok=True)
        (units / wants / unit).symlink_to(f"../{unit}")


def _account(root: Path, user: str) -> tuple[str, int, int]:
    for line in (root / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, _, home, _ = line.split(":")
        if name == user:
            return home, int(uid), int(gid)
    raise LabError(f"user data: the machine has no user {user!r}: add it to users")


def _write(file: Path, content: bytes, mode: int) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(content)
    file.chmod(mode)


def _in(root: Path, *command: str, stdin: str | None = None) -> None:
    done = _chroot(root, *command, stdin=stdin)
    if done.returncode != 0:
        raise LabError(f"user data: {command[0]} for {command[-1]} failed: {done.stderr.strip()}")


def _chroot(root: Path, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        ["chroot", str(root), *command], env=path, input=stdin or "", capture_output=True, text=True, check=False
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip()
        raise LabError(f"user data: {command[0]} failed: {why}: is the key complete and without a passphrase?")
    return done.stdout
