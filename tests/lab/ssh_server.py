"""An OpenSSH server on loopback, with host keys and users' keys of its own: where do tests log in?"""

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lab.base.ports import answers, free_port
from lab.base.process import wait_until


class SshServer:
    """`sshd` from the machine's own openssh-server, as a process of the test; it lets the test's own user in."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        program = shutil.which("sshd", path=os.defpath + ":/usr/sbin:/sbin")
        if program is None:
            pytest.skip("sshd is not here: install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd asks for it when it is root
        self.user, self.port, self.folder = getpass.getuser(), free_port(), folder
        self.key, public = keys(folder / "user")
        self.other_key, _ = keys(folder / "other")
        _, self.host_key = keys(folder / "host")
        _, self.other_host_key = keys(folder / "elsewhere")
        _, self.rsa_host_key = keys(folder / "rsa", "rsa")
        (folder / "authorized").write_text(public)
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"AcceptEnv ALLOWED\nSubsystem sftp internal-sftp\n{settings}\n"
        )
        with (folder / "log").open("w") as log:
            command = [program, "-D", "-e", "-f", str(folder / "config")]
            self._process = subprocess.Popen(command, stderr=log)
        assert wait_until(lambda: answers("127.0.0.1", self.port), 10), (folder / "log").read_text()

    def connection(self, **more: object) -> dict[str, object]:
        """What logs in; a value of None takes a setting away. One try only, unless told otherwise."""
        login = {
            "user": self.user,
            "host": "127.0.0.1",
            "port": self.port,
            "privateKey": self.key,
            "hostKey": self.host_key,
            "dialErrorLimit": 0,
            "perDialTimeout": 15,
            **more,
        }
        return {name: value for name, value in login.items() if value is not None}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def keys(path: Path, kind: str = "ed25519", passphrase: str = "") -> tuple[str, str]:
    """A new key pair: the private one in OpenSSH's format, the public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return path.read_text(), path.with_name(path.name + ".pub").read_text()


def full_listener() -> socket.socket:
    """A port of loopback that takes no further connection: dialling it runs into its timeout."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    return listener
