"""What a single value must be like. A rule looks at plain values alone; an Output is looked at when it is known."""

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import Final

from meshvm.errors import ArgumentError

# A rule takes the path and the value; it raises ArgumentError or returns.
Rule = Callable[[str, str], None]

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_DNS_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL_KEY: Final = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_HOST_KEY: Final = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( [^\n]*)?\n?\Z")
_LAST_PORT: Final = 65535


def port(path: str, value: object) -> None:
    """A TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LAST_PORT:
        raise ArgumentError(path, f"{value!r} is not a port", "write a number from 1 to 65535")


def at_least(least: int) -> Callable[[str, object], None]:
    """A whole number that is not too small."""

    def check(path: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(path, f"{value!r} is too small, or not a number", f"write a number from {least} up")

    return check


def _of_text(rule: Rule) -> Rule:
    """The rule, for a value that may be of any type."""

    @functools.wraps(rule)
    def check(path: str, value: str) -> None:
        if not isinstance(value, str):
            raise ArgumentError(path, f"a {type(value).__name__} is not a string", "give a string")
        rule(path, value)

    return check


@_of_text
def dns_label(path: str, value: str) -> None:
    """A name of a namespace, a service account or a port (RFC 1123)."""
    if not _DNS_LABEL.match(value):
        remedy = "write lower case letters, digits and inner dashes, 63 at most"
        raise ArgumentError(path, f"{value!r} is not a DNS label", remedy)


@_of_text
def host(path: str, value: str) -> None:
    """An IP address or a host name."""
    if is_ip(value) or _DNS_NAME.match(value.lower()):
        return
    raise ArgumentError(path, f"{value!r} is neither an IP address nor a host name", "write one, without a port")


@_of_text
def name(path: str, value: str) -> None:
    """A host name, and not an address."""
    if is_ip(value) or not _DNS_NAME.match(value.lower()):
        raise ArgumentError(path, f"{value!r} is not a host name", "write the service's name, such as details.bookinfo")


@_of_text
def ip(path: str, value: str) -> None:
    """An IP address."""
    if not is_ip(value):
        raise ArgumentError(path, f"{value!r} is not an IP address", "write one, such as 10.0.0.7, without a port")


def is_ip(value: str) -> bool:
    """Whether `value` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@_of_text
def cidr(path: str, value: str) -> None:
    """An address range, and not the whole internet."""
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ArgumentError(path, f"{value!r} is not an address range ({error})", "write 10.0.0.0/16, say") from None
    if network.prefixlen == 0:
        raise ArgumentError(path, f"{value!r} is everybody", "write the range that needs it")


@_of_text
def service(path: str, value: str) -> None:
    """A Service as namespace/name."""
    namespace, slash, name = value.partition("/")
    if not (slash and _DNS_LABEL.match(namespace) and _DNS_LABEL.match(name)):
        raise ArgumentError(path, f"{value!r} is not namespace/name", "write istio-system/istio-eastwestgateway, say")


@_of_text
def label_value(path: str, value: str) -> None:
    """A label's value."""
    if not _LABEL_VALUE.match(value):
        remedy = "write letters, digits and inner `-`, `_`, `.`, 63 at most"
        raise ArgumentError(path, f"{value!r} is not a label value", remedy)


@_of_text
def label_key(path: str, value: str) -> None:
    """A label's key."""
    if not _LABEL_KEY.match(value):
        raise ArgumentError(path, f"{value!r} is not a label key", "write `name` or `prefix.example/name`")


@_of_text
def sha256(path: str, value: str) -> None:
    """A SHA-256 checksum."""
    if not _SHA256.match(value):
        raise ArgumentError(path, f"{value!r} is not a SHA-256 checksum", "write the 64 digits that sha256sum prints")


@_of_text
def package(path: str, value: str) -> None:
    """Where a machine gets a package from."""
    if not re.match(r"(https?://[^\s/]+/\S+|/\S+)\Z", value):
        remedy = "write an https:// address, or an absolute path on the machine"
        raise ArgumentError(path, f"{value!r} is neither an address nor an absolute path", remedy)


@_of_text
def host_key(path: str, value: str) -> None:
    """A public host key that pulumi-command can pin."""
    if value.startswith("ssh-rsa "):
        remedy = "pin the machine's Ed25519 or ECDSA key (/etc/ssh/ssh_host_ed25519_key.pub)"
        raise ArgumentError(path, "with an RSA key the provider asks for SHA-1, which current servers refuse", remedy)
    if not _HOST_KEY.match(value):
        remedy = "write `ssh-ed25519 AAAA...`, as in /etc/ssh/ssh_host_ed25519_key.pub"
        raise ArgumentError(path, "it is not one line of an Ed25519 or ECDSA public key", remedy)


@_of_text
def one_line(path: str, value: str) -> None:
    """Text without line breaks or NUL."""
    if not value or re.search(r"[\0\r\n]", value):
        raise ArgumentError(path, "it is empty or has a line break", "write one line")
