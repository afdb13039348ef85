"""What the machine starts with: a host key that this program already knows, and the application."""

import textwrap
from pathlib import Path

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


def user_data(host_private_key: str, host_public_key: str) -> str:
    """The machine's cloud-config. The host key is planted, so the first SSH contact is pinned already."""
    return "\n".join(
        [
            "#cloud-config",
            "ssh_deletekeys: true",
            "ssh_keys:",
            "  ed25519_private: |",
            textwrap.indent(host_private_key.strip(), "    "),
            f"  ed25519_public: {host_public_key.strip()}",
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
