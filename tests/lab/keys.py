"""How does a test log in to a machine: with a key of its own and the real ssh."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.machines.machine import Machine

PATIENCE = 30
"""Seconds that nothing of a test takes; a limit for what would hang."""


@dataclass(frozen=True)
class Key:
    """A user's key pair: the private one in a file, as ssh wants it."""

    file: Path
    public: str

    def ssh(self, machine: Machine, *command: str, user: str = "admin", host_key: str | None = None) -> list[str]:
        """A real ssh that knows the machine by `host_key`, its own by default, and asks nothing."""
        known = self.file.with_name(f"known-{machine.name}")
        known.write_text(f"{machine.public_ip} {host_key or machine.host_key}\n")
        options = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "BatchMode=yes", "ConnectTimeout=10")
        words = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self.file), *words, f"{user}@{machine.public_ip}", *command]


def make_key(file: Path) -> Key:
    """A new key pair without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file], check=True)
    return Key(file, file.with_suffix(".pub").read_text().strip())


def said(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
