"""How pulumi-command reaches the machine: the argument `ssh` as its connection.

The connection is built key by key from a checked map: with an unknown key the provider would print all of it.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_command import remote

from meshvm.args import SshArgs

# Tries until a machine counts as unreachable. While a machine boots it refuses; 70 tries are five minutes then.
_DIAL_ATTEMPTS = 70


def connection(ssh: SshArgs) -> remote.ConnectionArgs:
    """The connection to a machine, through its bastion if it has one."""
    bastion = ssh.get("bastion")
    given = _login(ssh)
    if bastion:
        given["proxy"] = remote.ProxyConnectionArgs(**_login(bastion))
    if ssh.get("agent_socket"):
        given["agent_socket_path"] = ssh["agent_socket"]
    return remote.ConnectionArgs(dial_error_limit=ssh.get("dial_attempts") or _DIAL_ATTEMPTS, **given)


def _login(login: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "host": login["host"],
        "port": float(login.get("port") or 22),
        "user": login.get("user") or "root",
    }
    for key in ("password", "private_key", "private_key_password"):
        if login.get(key) is not None:
            given[key] = pulumi.Output.secret(login[key])
    if login.get("host_key") is not None:
        # tls.PrivateKey ends its line with a line break, which is not part of the key.
        given["host_key"] = pulumi.Output.from_input(login["host_key"]).apply(lambda key: str(key).strip())
    return given
