"""What the machine starts with: a host key that this program already knows, and the application."""

import textwrap
from pathlib import Path

import pulumi
import pulumi_tls as tls

# A small stand-in for bookinfo's ratings: it answers /health and /ratings/<id>. Perl is in every Debian image.
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


def user_data(host_key: tls.PrivateKey) -> pulumi.Output[str]:
    """The machine's cloud-config: the host key and the application."""
    return host_key_data(host_key).apply(lambda planted: f"{planted}{_APPLICATION_DATA}")


def host_key_data(host_key: tls.PrivateKey) -> pulumi.Output[str]:
    """Cloud-config that plants the host key, so the first SSH contact is pinned already. It is secret."""
    return pulumi.Output.all(host_key.private_key_openssh, host_key.public_key_openssh).apply(
        lambda keys: _planted(*keys)
    )


def _planted(private_key: str, public_key: str) -> str:
    return "\n".join(
        [
            "#cloud-config",
            "ssh_deletekeys: true",
            "ssh_keys:",
            "  ed25519_private: |",
            textwrap.indent(private_key.strip(), "    "),
            f"  ed25519_public: {public_key.strip()}",
            "",
        ]
    )


_APPLICATION_DATA = "\n".join(
    [
        "write_files:",
        "  - path: /opt/ratings.pl",
        "    permissions: '0644'",
        "    content: |",
        textwrap.indent(_APPLICATION, "      "),
        "  - path: /etc/systemd/system/ratings.service",
        "    permissions: '0644'",
        "    content: |",
        textwrap.indent(_UNIT, "      "),
        "runcmd:",
        "  - [systemctl, daemon-reload]",
        "  - [systemctl, enable, --now, ratings]",
        "",
    ]
)
