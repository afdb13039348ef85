"""What the machine starts with: a host key that this program already knows, the login key, and the application."""

import textwrap
from pathlib import Path

import pulumi
import pulumi_tls as tls

# Ubuntu's own user: Google's agent lets a user of `ssh-keys` use sudo without a password.
USER = "ubuntu"

# A small stand-in for bookinfo's ratings: it answers /health and /ratings/<id>. Perl is in every Ubuntu image.
_APPLICATION = (Path(__file__).parent / "ratings.pl").read_text()

_UNIT = """\
[Unit]
Description=Bookinfo ratings
After=network.target

[Service]
ExecStart=/usr/bin/perl /opt/ratings.pl
DynamicUser=yes
Restart=always

[Install]
WantedBy=multi-user.target
"""

# Google's agent makes new host keys at the first boot, over the planted one, unless it is told not to
# (https://github.com/GoogleCloudPlatform/guest-agent#configuration). cloud-init writes this before the agent starts.
_AGENT = """\
[InstanceSetup]
set_host_keys = false
"""

_FILES = {
    "/etc/default/instance_configs.cfg": _AGENT,
    "/opt/ratings.pl": _APPLICATION,
    "/etc/systemd/system/ratings.service": _UNIT,
}


def metadata(login: tls.PrivateKey, host_key: tls.PrivateKey) -> dict[str, pulumi.Input[str]]:
    """The machine's metadata, in which the one secret is the user data."""
    keys = pulumi.Output.all(host_key.private_key_openssh, host_key.public_key_openssh)
    return {
        "user-data": keys.apply(lambda known: user_data(*known)),
        "ssh-keys": login.public_key_openssh.apply(lambda key: f"{USER}:{key.strip()}"),
        # This key alone opens the machine: no key of the project's, and no account that logs in by IAM.
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "FALSE",
    }


def user_data(host_private_key: str, host_public_key: str) -> str:
    """The machine's cloud-config. The host key is planted, so the first SSH contact is pinned already."""
    lines = [
        "#cloud-config",
        "ssh_deletekeys: true",
        "ssh_keys:",
        "  ed25519_private: |",
        textwrap.indent(host_private_key.strip(), "    "),
        f"  ed25519_public: {host_public_key.strip()}",
        "write_files:",
    ]
    for path, content in _FILES.items():
        lines += [
            f"  - path: {path}",
            "    permissions: '0644'",
            "    content: |",
            textwrap.indent(content, "      "),
        ]
    lines += [
        "runcmd:",
        "  - [systemctl, daemon-reload]",
        "  - [systemctl, enable, --now, ratings]",
        "",
    ]
    return "\n".join(lines)
