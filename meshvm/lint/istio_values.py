"""Single values as istiod's webhook reads them (istio: pkg/config/validation, pkg/config/labels).

They differ from Kubernetes' own: Istio's DNS labels may be in upper case, and a label's value may be of any length.
"""

import ipaddress
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from meshvm.errors import ArgumentError
from meshvm.lint.rules import is_ip, shown

UNIX: Final = "unix://"

_LABEL: Final = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_DNS_LABEL: Final = re.compile(rf"{_LABEL}\Z")
_WILDCARD_LABEL: Final = re.compile(rf"(?:\*|(?:\*-?)?{_LABEL})\Z")
_QUALIFIED: Final = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY: Final = re.compile(rf"({_LABEL}(?:\.{_LABEL})*/)?({_QUALIFIED})\Z")
_VALUE: Final = re.compile(rf"(?:{_QUALIFIED})?\Z")
_HEADER: Final = re.compile(r"[-A-Za-z0-9]+\Z")
_PREFIX: Final = re.compile(r"[^/%]+/(?:0|[1-9][0-9]{0,2})\Z")
# Host and port as Go splits them; the port may have a sign.
_ENDPOINT: Final = re.compile(r"(?:\[(?:|127\.0\.0\.1|0\.0\.0\.0|::1|::)\]|127\.0\.0\.1|0\.0\.0\.0|):([-+]?[0-9]+)\Z")
_DURATION: Final = re.compile(r"([-+])?((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|0)\Z")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PROTOCOLS: Final = frozenset(
    "tcp udp grpc grpc-web http http_proxy http2 https tls mongo redis mysql".split()  # noqa: SIM905 (read as words)
)
_HTTP: Final = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
_TLS: Final = frozenset({"https", "tls"})


def is_dns_label(value: str) -> bool:
    """Whether it is a DNS label, in upper case too."""
    return len(value) <= 63 and bool(_DNS_LABEL.match(value))


def _are_dns_labels(domain: str) -> bool:
    *before, last = domain.split(".")
    if re.match(r"[-+]?[0-9]+\Z", last):
        return False
    # The last one may be empty: `istio.io.`.
    return all(is_dns_label(label) for label in before) and (last == "" or is_dns_label(last))


def is_fqdn(name: str) -> bool:
    """Whether it is a host name whose last part is no number."""
    return 0 < len(name.encode(errors="replace")) <= 255 and _are_dns_labels(name)


def is_wildcard_domain(name: str) -> bool:
    """Whether it is a host name whose first part may be or begin with an asterisk."""
    if not 0 < len(name.encode(errors="replace")) <= 255:
        return False
    first, dot, rest = name.partition(".")
    return len(first) <= 63 and bool(_WILDCARD_LABEL.match(first)) and (not dot or _are_dns_labels(rest))


def check_port_name(path: str, name: str) -> None:
    """A port's name."""
    if not is_dns_label(name):
        remedy = "write letters, digits and inner dashes, 63 at most"
        raise ArgumentError(path, f"{shown(name)} is not a port's name", remedy)


def check_port_number(path: str, number: float) -> None:
    """A port's number, where the definition of the kind has no rule for it."""
    if not 1 <= number <= 65535:
        raise ArgumentError(path, f"{number} is not a port", "write a number from 1 to 65535")


def check_protocol(path: str, protocol: str) -> None:
    """A protocol by its name, in any case; empty when Istio is to guess."""
    if protocol and protocol.lower() not in _PROTOCOLS:
        known = ", ".join(sorted(one.upper() for one in _PROTOCOLS))
        raise ArgumentError(path, f"{shown(protocol)} is not a protocol of Istio's", f"write one of {known}")


def is_http(protocol: str) -> bool:
    """Whether its requests are HTTP's."""
    return protocol.lower() in _HTTP


def is_tls(protocol: str) -> bool:
    """Whether it begins with TLS."""
    return protocol.lower() in _TLS


def is_tcp(protocol: str) -> bool:
    """Whether Istio sees a stream in it."""
    return protocol.lower() in _PROTOCOLS - _HTTP - {"udp"}


def check_unix_path(path: str, value: str) -> None:
    """What comes after `unix://`: an abstract name, or an absolute path to a file."""
    if not value.startswith("@") and (not value.startswith("/") or value.endswith("/")):
        wrong = f"{shown(value)} is not an absolute path to a socket"
        raise ArgumentError(path, wrong, "write unix:///run/app.sock, or unix://@name")


def check_default_endpoint(path: str, value: str) -> None:
    """Where the application listens: on the machine itself, or nowhere in particular."""
    if value.startswith(UNIX):
        check_unix_path(path, value.removeprefix(UNIX))
        return
    found = _ENDPOINT.match(value)
    if not found or len(found[1]) > 20 or not 1 <= int(found[1]) <= 65535:
        remedy = "write 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH"
        raise ArgumentError(path, f"{shown(value)} is no endpoint on the machine itself", remedy)


def check_ip(path: str, value: str) -> None:
    """An IP address."""
    if not is_ip(value):
        raise ArgumentError(path, f"{shown(value)} is not an IP address", "write one, such as 10.0.0.7")


def check_subnet(path: str, value: str) -> None:
    """An IP address or a range, whose host bits may be set."""
    if value.count("/") == 1 and _PREFIX.match(value):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            pass
        else:
            return
    if "/" in value or not is_ip(value):
        raise ArgumentError(path, f"{shown(value)} is neither an address nor a range", "write 10.0.0.0/16, say")


def check_labels(path: str, labels: Mapping[str, str]) -> None:
    """Labels of a workload."""
    for key, value in labels.items():
        found = _KEY.match(key)
        if not found or len(found[1] or "") > 254 or len(found[2]) > 63:
            raise ArgumentError(f"{path}[{key!r}]", "it is not a label key", "write `name` or `prefix.example/name`")
        if not _VALUE.match(value):
            remedy = "write letters, digits and inner `-`, `_`, `.`"
            raise ArgumentError(f"{path}[{key!r}]", f"{shown(value)} is not a label value", remedy)


def check_header_name(path: str, name: str) -> None:
    """A header of a probe."""
    if not _HEADER.match(name):
        raise ArgumentError(path, f"{shown(name)} is not a header's name", "write letters, digits and `-`")


def duration(value: str) -> Decimal | None:
    """Nanoseconds of a duration as Go writes it; None when it is none."""
    found = _DURATION.match(value)
    if not found:
        return None
    parts = (
        Decimal(number.rstrip(".") or "0") * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(found[2])
    )
    return sum(parts, Decimal(0)) * (-1 if found[1] == "-" else 1)


def check_milliseconds(path: str, value: str) -> None:
    """A duration of whole milliseconds, at least one."""
    length = duration(value)
    if length is None or length < _NANOSECONDS["ms"] or length % _NANOSECONDS["ms"]:
        raise ArgumentError(path, f"{shown(value)} is not a duration of whole milliseconds", "write one such as 5s")
