"""Would the connection pool of a Sidecar be taken?"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.kinds import schema

_INT32: Final = schema.whole(-(2**31), 2**31 - 1)
_HTTP_NUMBERS: Final = (
    "http1MaxPendingRequests",
    "http2MaxRequests",
    "maxConcurrentStreams",
    "maxRequestsPerConnection",
    "maxRetries",
)
_KEEPALIVE: Final = schema.fields({"interval": schema.text(), "probes": schema.whole(), "time": schema.text()})
SPEC: Final = schema.fields(
    {
        "http": schema.fields(
            {
                **dict.fromkeys(_HTTP_NUMBERS, _INT32),
                "h2UpgradePolicy": schema.word("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
                "idleTimeout": schema.text(),
                "useClientProtocol": schema.boolean,
            }
        ),
        "tcp": schema.fields(
            {
                "connectTimeout": schema.text(),
                "idleTimeout": schema.text(),
                "maxConnectionDuration": schema.text(),
                "maxConnections": _INT32,
                "tcpKeepalive": _KEEPALIVE,
            }
        ),
    }
)


def check(pool: Mapping[str, Any], path: str) -> None:
    """What istiod's webhook asks of it."""
    if not {"http", "tcp"} & pool.keys():
        raise ArgumentError(path, "it says nothing", "write http or tcp")
    http, tcp = pool.get("http", {}), pool.get("tcp", {})
    for where, given, names in (
        (f"{path}.http", http, _HTTP_NUMBERS),
        (f"{path}.tcp", tcp, ("maxConnections",)),
    ):
        for name in names:
            if given.get(name, 0) < 0:
                raise ArgumentError(f"{where}.{name}", f"{given[name]} is below zero", "write 0 or more")
    if http.get("h2UpgradePolicy") == "UPGRADE" and http.get("useClientProtocol"):
        wrong = "it contradicts the h2UpgradePolicy UPGRADE"
        raise ArgumentError(f"{path}.http.useClientProtocol", wrong, "leave one of the two out")
    durations = {
        f"{path}.http.idleTimeout": http.get("idleTimeout"),
        f"{path}.tcp.connectTimeout": tcp.get("connectTimeout"),
        f"{path}.tcp.maxConnectionDuration": tcp.get("maxConnectionDuration"),
        f"{path}.tcp.tcpKeepalive.time": tcp.get("tcpKeepalive", {}).get("time"),
        f"{path}.tcp.tcpKeepalive.interval": tcp.get("tcpKeepalive", {}).get("interval"),
    }
    idle = tcp.get("idleTimeout")
    if idle is not None:
        length = istio_values.duration(idle)
        # Less than a millisecond turns it off.
        if length is None or abs(length) >= 10**6:
            durations[f"{path}.tcp.idleTimeout"] = idle
    for where, value in durations.items():
        if value is not None:
            istio_values.check_milliseconds(where, value)
