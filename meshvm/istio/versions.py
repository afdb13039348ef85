"""Which releases of Istio does meshvm work with, and what is said of the others?"""

import re
from typing import Final

from meshvm.errors import ArgumentError

_Release = tuple[int, int]

# Before 1.24 the agent cannot take its own iptables rules back (`pilot-agent istio-iptables --cleanup-only`).
_OLDEST: Final[_Release] = (1, 24)
_TESTED: Final[tuple[_Release, _Release]] = ((1, 27), (1, 31))

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?![0-9])")


def check_version(path: str, version: str) -> str:
    """What a person should know of a control plane of this version; empty for one that meshvm is tested with.

    :param path: the property to name in an error.
    :raises ArgumentError: it is too old.
    """
    release = _release(version)
    (first, last) = _TESTED
    tested = f"{_named(first)} to {_named(last)}"
    if release is None:
        return (
            f"the control plane's version {version!r} does not say which release of Istio it is; meshvm is tested with "
            f"{tested}, and takes it for one of them"
        )
    if release < _OLDEST:
        wrong = (
            f"the control plane is Istio {version}, whose agent cannot take its iptables rules back from a machine "
            f"(that came with {_named(_OLDEST)})"
        )
        raise ArgumentError(path, wrong, f"upgrade it to one of {tested}")
    if release < first:
        return (
            f"the control plane is Istio {version}, which Istio no longer maintains and meshvm is not tested with: its "
            f"API server stores Istio's objects as v1beta1, which became v1 with {_named(first)}; upgrade it to one of "
            f"{tested}"
        )
    if release > last:
        return (
            f"the control plane is Istio {version}, which is newer than what this meshvm is tested with ({tested}); "
            f"look for a newer meshvm"
        )
    return ""


def _release(version: str) -> _Release | None:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else None


def _named(release: _Release) -> str:
    return f"{release[0]}.{release[1]}"
