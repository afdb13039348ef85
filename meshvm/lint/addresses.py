"""Which addresses can work where: of a machine, of what it listens on, and the ranges that are captured."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import rules
from meshvm.lint.rules import Rule, is_ip, of_text, shown

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What is routed inside an organisation and not between them: RFC 1918, RFC 6598, RFC 4193.
_PRIVATE: Final = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_ENDPOINT: Final = re.compile(r"(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):([0-9]{1,5})\Z")
_UNIX: Final = re.compile(r"unix://(@[^\0-\x1f\x7f]+|/[^\0-\x1f\x7f]*[^/\0-\x1f\x7f])\Z")


@of_text
def reachable(path: str, value: str) -> None:
    """An address by which another machine can reach this one."""
    if not is_ip(value):
        raise ArgumentError(path, f"{shown(value)} is not an IP address", "write one, such as 10.0.0.7, without a port")
    address = ipaddress.ip_address(value)
    if why := _unreachable(address):
        remedy = "write the address of the machine's network interface, such as 10.0.0.7"
        raise ArgumentError(path, f"{value!r} is {why}", remedy)


def _unreachable(address: Address) -> str:
    """What is in the way; empty when nothing is."""
    if address.version == 6 and address.ipv4_mapped:
        return f"an IPv4 address in the clothes of IPv6 (it is {address.ipv4_mapped})"
    scoped = address.version == 6 and bool(address.scope_id)
    found = {
        "the unspecified address, which stands for all of a machine's own": address.is_unspecified,
        "a loopback address, by which a machine reaches itself alone": address.is_loopback,
        "a link-local address, which no other network reaches": address.is_link_local or scoped,
        "an address of many machines": address.is_multicast or str(address) == "255.255.255.255",
    }
    return next((why for why, so in found.items() if so), "")


def pair(address: str, instance_address: str) -> None:
    """The address by which the mesh reaches the machine, and the machine's own.

    Both may be private: networks are translated into each other as well. A machine with both kinds of address that is
    reached by IPv6 needs its IPv4 one for itself: its agent asks the sidecar by that (Istio 1.30).
    """
    outside, inside = ipaddress.ip_address(address), ipaddress.ip_address(instance_address)
    if outside.version == 4 and inside.version == 6:
        wrong = f"{instance_address} is of IPv6, and `address` {address} of IPv4, which no NAT makes of the other"
        raise ArgumentError("instance_address", wrong, "write the machine's own IPv4 address")
    if outside.version != inside.version:
        return
    if _is_private(outside) and not _is_private(inside):
        wrong = (
            f"{address} is private and `instance_address` {instance_address} is public, so the two stand in each "
            "other's place: pods connect to `address`, and the machine itself has `instance_address`"
        )
        remedy = (
            f"write address: {instance_address} and instance_address: {address} when the mesh reaches the machine by "
            f"its public address, or address: {address} alone when it reaches the private one"
        )
        raise ArgumentError("address", wrong, remedy)


def _is_private(address: Address) -> bool:
    return any(address in network for network in _PRIVATE)


@of_text
def bind(path: str, value: str) -> None:
    """An address to listen on."""
    if not is_ip(value) or "%" in value:
        raise ArgumentError(
            path, f"{shown(value)} is not an IP address", "write one that the machine has, or 127.0.0.1"
        )


@of_text
def default_endpoint(path: str, value: str) -> None:
    """Where the application listens, behind a listener of the sidecar."""
    found = _ENDPOINT.match(value)
    if not _UNIX.match(value) and not (found and 1 <= int(found[2]) <= 65535):
        remedy = "write 127.0.0.1:PORT, [::1]:PORT or unix:///PATH"
        raise ArgumentError(path, f"{shown(value)} is no endpoint on the machine itself", remedy)


def endpoint_port(value: str) -> tuple[str, int] | None:
    """Address and port of a default endpoint; None for a socket's path."""
    found = _ENDPOINT.match(value)
    return (found[1].strip("[]"), int(found[2])) if found else None


@of_text
def masked_range(path: str, value: str) -> None:
    """An address range with its prefix length, as a Service and Istio's rules want it."""
    rules.network_range(path, value)
    if "/" not in value:
        wrong = f"{value!r} has no prefix length"
        raise ArgumentError(path, wrong, f"write {value}/{128 if ':' in value else 32}")


@of_text
def interface(path: str, value: str) -> None:
    """A network interface on Linux."""
    if not re.match(r"(?!\.{1,2}\Z)[A-Za-z0-9_.@-]{1,15}\Z", value):
        remedy = "write its name as `ip link` shows it, 15 characters at most, such as docker0"
        raise ArgumentError(path, f"{shown(value)} is not a network interface", remedy)


def each(path: str, values: Sequence[Any], rule: Rule) -> None:
    """Every one of a list, and none of them twice."""
    for index, value in enumerate(values):
        rule(f"{path}[{index}]", value)
        if value in values[:index]:
            raise ArgumentError(f"{path}[{index}]", f"{value!r} is there twice", "name each once")
