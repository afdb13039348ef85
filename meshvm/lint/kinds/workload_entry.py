"""Would a WorkloadEntry be taken? Its spec is also the template of a group and an endpoint of a ServiceEntry."""

import re
from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.istio_values import UNIX
from meshvm.lint.kinds import schema
from meshvm.lint.rules import is_ip, shown

_PORT_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?\Z")

SPEC: Final = schema.fields(
    {
        "address": schema.text(256),
        "labels": schema.keyed(schema.text(), 256),
        "locality": schema.text(2048),
        "network": schema.text(2048),
        "ports": schema.keyed(schema.port_number, 128),
        "serviceAccount": schema.text(253),
        "weight": schema.whole(),
    }
)


def check(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    """A WorkloadEntry of its own."""
    spec = SPEC(path, spec, warnings)
    check_address(spec, path)
    check_endpoint(spec, path, warnings, fqdn=True)


def check_address(spec: Mapping[str, Any], path: str) -> None:
    """The rules of the definition, which hold for a template too."""
    address = spec.get("address", "")
    for name in spec.get("ports", {}):
        if len(name) > 62 or not _PORT_NAME.match(name):
            remedy = "write letters, digits and inner dashes, 62 at most"
            raise ArgumentError(f"{path}.ports[{name!r}]", "it is not a port's name", remedy)
    if address.startswith(UNIX):
        rest = address.removeprefix(UNIX)
        if rest[:1] not in {"/", "@"} or address.endswith("/"):
            wrong = f"{shown(address)} is not a socket"
            raise ArgumentError(f"{path}.address", wrong, "write unix:///run/app.sock, or unix://@name")
        if "ports" in spec:
            raise ArgumentError(f"{path}.ports", "a socket has no ports", "leave them out")


def check_endpoint(spec: Mapping[str, Any], path: str, warnings: list[str], *, fqdn: bool) -> None:
    """What istiod's webhook asks of an endpoint.

    :param fqdn: whether a host name may stand for the address.
    """
    address, network = spec.get("address", ""), spec.get("network", "")
    if not address:
        if not network:
            wrong = "it is empty, and the network too"
            raise ArgumentError(f"{path}.address", wrong, "write the machine's address")
        warnings.append(f"{path}.address: it is not set, and only the network {network} is; write the address")
    elif not address.startswith(UNIX) and not is_ip(address):
        if not fqdn:
            raise ArgumentError(f"{path}.address", f"{shown(address)} is not an IP address", "write one")
        if not istio_values.is_fqdn(address):
            wrong = f"{shown(address)} is neither an IP address nor a host name"
            raise ArgumentError(f"{path}.address", wrong, "write one of the two, without a port")
    istio_values.check_labels(f"{path}.labels", spec.get("labels", {}))
