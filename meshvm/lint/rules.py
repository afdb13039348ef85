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
_KEY_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_HOST_KEY: Final = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( [^\n]*)?\n?\Z")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}\Z")
_LAST_PORT: Final = 65535
# Longest texts that the API server takes in a workload entry (istio: crd-all.gen.yaml).
_LONGEST: Final = 2048


def port(path: str, value: object) -> None:
    """A TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LAST_PORT:
        raise ArgumentError(path, f"{shown(value)} is not a port", "write a number from 1 to 65535")


def at_least(least: int) -> Callable[[str, object], None]:
    """A whole number that is not too small."""

    def check(path: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(
                path, f"{shown(value)} is too small, or not a number", f"write a number from {least} up"
            )

    return check


def within(least: int, most: int) -> Callable[[str, object], None]:
    """A whole number between two others."""

    def check(path: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ArgumentError(path, f"{shown(value)} is no number from {least} to {most}", "write one in between")

    return check


def of_text(rule: Rule) -> Rule:
    """The rule, for a value that may be of any type."""

    @functools.wraps(rule)
    def check(path: str, value: str) -> None:
        if not isinstance(value, str):
            raise ArgumentError(path, f"a {type(value).__name__} is not a string", "give a string")
        rule(path, value)

    return check


@of_text
def dns_label(path: str, value: str) -> None:
    """A name of a namespace, a revision or a Pulumi component of meshvm's (RFC 1123)."""
    if not _DNS_LABEL.match(value):
        remedy = "write lower case letters, digits and inner dashes, 63 at most"
        raise ArgumentError(path, f"{shown(value)} is not a DNS label", remedy)


@of_text
def host(path: str, value: str) -> None:
    """An IP address or a host name."""
    if is_ip(value) or _DNS_NAME.match(value.lower()):
        return
    raise ArgumentError(path, f"{shown(value)} is neither an IP address nor a host name", "write one, without a port")


@of_text
def name(path: str, value: str) -> None:
    """A host name, and not an address."""
    if is_ip(value) or not _DNS_NAME.match(value.lower()):
        raise ArgumentError(
            path, f"{shown(value)} is not a host name", "write the service's name, such as details.bookinfo"
        )


@of_text
def ip(path: str, value: str) -> None:
    """An IP address."""
    if not is_ip(value):
        raise ArgumentError(path, f"{shown(value)} is not an IP address", "write one, such as 10.0.0.7, without a port")


def is_ip(value: str) -> bool:
    """Whether `value` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@of_text
def network_range(path: str, value: str) -> None:
    """An address range; a single address counts as one."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        why = "its host bits are set" if "host bits" in str(error) else "it is neither IPv4 nor IPv6"
        remedy = "write 10.0.0.0/16, say"
        raise ArgumentError(path, f"{shown(value)} is not an address range ({why})", remedy) from None
    if "%" in value:
        raise ArgumentError(path, f"{shown(value)} names an interface", "write the range alone")


@of_text
def cidr(path: str, value: str) -> None:
    """An address range, and not the whole internet."""
    network_range(path, value)
    if ipaddress.ip_network(value).prefixlen == 0:
        raise ArgumentError(path, f"{shown(value)} is everybody", "write the range that needs it")


@of_text
def service(path: str, value: str) -> None:
    """A Service as namespace/name."""
    namespace, slash, name = value.partition("/")
    if not (slash and _DNS_LABEL.match(namespace) and _DNS_LABEL.match(name)):
        raise ArgumentError(
            path, f"{shown(value)} is not namespace/name", "write istio-system/istio-eastwestgateway, say"
        )


@of_text
def label_value(path: str, value: str) -> None:
    """A label's value."""
    if not _LABEL_VALUE.match(value):
        remedy = "write letters, digits and inner `-`, `_`, `.`, 63 at most"
        raise ArgumentError(path, f"{shown(value)} is not a label value", remedy)


@of_text
def label_key(path: str, value: str) -> None:
    """A label's key, or an annotation's."""
    prefix, slash, key = value.rpartition("/")
    if not _KEY_NAME.match(key) or (slash and not _DNS_NAME.match(prefix)):
        raise ArgumentError(path, f"{shown(value)} is not a label key", "write `name` or `prefix.example/name`")


@of_text
def subdomain(path: str, value: str) -> None:
    """A name of most Kubernetes objects, service accounts and workload groups among them (RFC 1123)."""
    if not _DNS_NAME.match(value):
        remedy = "write lower case letters, digits and inner dashes and dots, 253 at most"
        raise ArgumentError(path, f"{shown(value)} is not a name of a Kubernetes object", remedy)


@of_text
def port_name(path: str, value: str) -> None:
    """A port's name, in a Service (RFC 1123) and in a workload entry, which takes one character less."""
    if not _DNS_LABEL.match(value) or len(value) > 62:
        remedy = "write lower case letters, digits and inner dashes, 62 at most"
        raise ArgumentError(path, f"{shown(value)} is not a port's name", remedy)


@of_text
def network(path: str, value: str) -> None:
    """A network's name."""
    if not value or len(value) > _LONGEST or re.search(r"\s|[\0-\x1f\x7f]", value):
        raise ArgumentError(path, f"{shown(value)} is not a network's name", "write one word, such as vm-net")


@of_text
def locality(path: str, value: str) -> None:
    """A locality: region, zone and subzone."""
    parts = value.split("/")
    if len(value) > _LONGEST or len(parts) > 3 or not all(re.match(r"[^\s*\0-\x1f\x7f]+\Z", part) for part in parts):
        remedy = "write region, region/zone or region/zone/subzone"
        raise ArgumentError(path, f"{shown(value)} is not a locality", remedy)


@of_text
def absolute_path(path: str, value: str) -> None:
    """A file on the machine."""
    if not re.match(r"(/[^/\0-\x1f\x7f]+)+\Z", value):
        raise ArgumentError(path, f"{shown(value)} is not an absolute path to a file", "write /etc/certs/key.pem, say")


@of_text
def version(path: str, value: str) -> None:
    """A version of Istio, or of a build of somebody's own."""
    if not _VERSION.match(value):
        raise ArgumentError(path, f"{shown(value)} is not a version of Istio", "write one such as 1.30.3")


@of_text
def sha256(path: str, value: str) -> None:
    """A SHA-256 checksum."""
    if not _SHA256.match(value):
        raise ArgumentError(
            path, f"{shown(value)} is not a SHA-256 checksum", "write the 64 digits that sha256sum prints"
        )


@of_text
def package(path: str, value: str) -> None:
    """Where a machine gets a package from."""
    if not re.match(r"(https?://[^\s/]+/\S+|/\S+)\Z", value):
        remedy = "write an https:// address, or an absolute path on the machine"
        raise ArgumentError(path, f"{shown(value)} is neither an address nor an absolute path", remedy)


@of_text
def host_key(path: str, value: str) -> None:
    """A public host key that pulumi-command can pin."""
    if value.startswith("ssh-rsa "):
        remedy = "pin the machine's Ed25519 or ECDSA key (/etc/ssh/ssh_host_ed25519_key.pub)"
        raise ArgumentError(path, "with an RSA key the provider asks for SHA-1, which current servers refuse", remedy)
    if not _HOST_KEY.match(value):
        remedy = "write `ssh-ed25519 AAAA...`, as in /etc/ssh/ssh_host_ed25519_key.pub"
        raise ArgumentError(path, "it is not one line of an Ed25519 or ECDSA public key", remedy)


@of_text
def one_line(path: str, value: str) -> None:
    """Text without line breaks or NUL."""
    if not value or re.search(r"[\0\r\n]", value):
        raise ArgumentError(path, "it is empty or has a line break", "write one line")


def shown(value: object) -> str:
    """The value in an error, not longer than one reads."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
