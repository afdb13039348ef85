"""What a Command sends to the machine: a short command, and on standard input the values followed by the script.

The whole of standard input is one group of commands, which a shell reads to its end before it runs any of it, so that
a connection cut in the middle runs nothing. Values are shell variables and never exported: no process list and no
environment shows them.
"""

import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from meshvm.bootstrap.quote import quote

_SCRIPTS: Final = {
    "host": ("say.sh", "state.sh", "rules.sh", "places.sh", "preflight.sh", "offboard.sh", "host.sh"),
    "join": (
        "say.sh",
        "state.sh",
        "rules.sh",
        "resolve.sh",
        "package.sh",
        "look.sh",
        "identity.sh",
        "settings.sh",
        "verify.sh",
        "places.sh",
        "around.sh",
        "join.sh",
    ),
    # What the machine runs by itself every few minutes, when the gateway has a host name.
    "gateway": ("say.sh", "state.sh", "resolve.sh", "gateway.sh"),
}
# How long an action may take on the machine, in seconds. A lost SSH connection is not noticed by the provider, so the
# machine ends what takes too long.
_LIMIT: Final = 900


def command(script: str, action: str) -> str:
    """The text of a Command: become root and run what comes on standard input. It is printed with every failure, so
    it is short, holds no value of the user's, and what the script says last is the last line of the error."""
    run = f"timeout {_LIMIT} sh -s {action}"
    return (
        f'[ "$(id -u)" = 0 ] && exec {run}; sudo -n true 2>/dev/null || {{ '
        f'echo "meshvm {script}: $(id -un) on $(uname -n) may not use sudo without a password; '
        f'allow that (NOPASSWD) or log in as root" >&2; exit 1; }}; exec sudo -n {run}'
    )


def bundle(script: str, values: Mapping[str, str]) -> str:
    """The standard input of a Command: the values as variables, the script's parts, and the call of its action."""
    assignments = "".join(f"{name}={quote(value)}\n" for name, value in sorted(values.items()))
    return f'{{\n{assignments}{program(script)}main "$@"; exit $?\n}}\n'


@functools.cache
def program(script: str) -> str:
    """The text of a script, all its parts in order."""
    return "".join((files("meshvm.bootstrap") / part).read_text() for part in _SCRIPTS[script])


@functools.cache
def digest(*scripts: str) -> str:
    """Short digest of the scripts' text: another script means that the machine is to be joined again."""
    return hashlib.sha256("".join(program(script) for script in scripts).encode()).hexdigest()[:12]
