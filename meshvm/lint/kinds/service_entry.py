"""Would a ServiceEntry be taken?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.istio_values import UNIX
from meshvm.lint.kinds import schema, sidecar, workload_entry
from meshvm.lint.rules import is_ip, shown

_PORT: Final = schema.fields(
    {
        "name": schema.text(256),
        "number": schema.port_number,
        "protocol": schema.text(256),
        "targetPort": schema.port_number,
    },
    ("number", "name"),
)
SPEC: Final = schema.fields(
    {
        "addresses": schema.many(schema.text(64), 256),
        "endpoints": schema.many(workload_entry.SPEC, 4096),
        "exportTo": schema.many(schema.text()),
        "hosts": schema.many(schema.text(), 256, 1),
        "location": schema.word("MESH_EXTERNAL", "MESH_INTERNAL"),
        "ports": schema.many(_PORT, 256),
        "resolution": schema.word("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
        "subjectAltNames": schema.many(schema.text()),
        "workloadSelector": sidecar.SELECTOR,
    },
    ("hosts",),
)
_DYNAMIC_PROTOCOLS: Final = frozenset({"http", "tls", "grpc", "http2"})


def check(spec: Mapping[str, Any], path: str, warnings: list[str], metadata: Mapping[str, Any]) -> None:
    """What the definition and istiod's webhook say of it."""
    spec = SPEC(path, spec, warnings)
    sidecar.check_selector(spec, path, warnings)
    resolution = spec.get("resolution", "NONE")
    if "workloadSelector" in spec and "endpoints" in spec:
        raise ArgumentError(f"{path}.endpoints", "there is a workloadSelector too", "write one of the two")
    for index, endpoint in enumerate(spec.get("endpoints", [])):
        workload_entry.check_address(endpoint, f"{path}.endpoints[{index}]")
    _check_hosts(spec, path, warnings, resolution)
    _check_addresses(spec, path, resolution)
    _check_ports(spec.get("ports", []), f"{path}.ports")
    _check_untold(spec, path, warnings, metadata)
    _RESOLUTIONS[resolution](spec, path, warnings)
    if resolution == "DYNAMIC_DNS":
        _check_waypoint(spec, path, metadata)
    _check_several_hosts(spec, path, resolution)
    _check_export(spec.get("exportTo", []), f"{path}.exportTo", str(metadata.get("namespace", "default")))


def _check_hosts(spec: Mapping[str, Any], path: str, warnings: list[str], resolution: str) -> None:
    for index, host in enumerate(spec["hosts"]):
        where = f"{path}.hosts[{index}]"
        if host == "*" or not istio_values.is_wildcard_domain(host):
            raise ArgumentError(where, f"{shown(host)} is not a host name", "write one, or `*.example.com`")
        if resolution != "DYNAMIC_DNS" and "*" in host and not host.startswith("*."):
            warnings.append(f"{where}: {shown(host)} begins with part of a name; write `*.example.com`")


def _check_addresses(spec: Mapping[str, Any], path: str, resolution: str) -> None:
    for index, address in enumerate(spec.get("addresses", [])):
        istio_values.check_subnet(f"{path}.addresses[{index}]", address)
        if "/" in address and resolution not in {"NONE", "STATIC"}:
            wrong = f"{address} is a range, which only resolutions NONE and STATIC may have"
            raise ArgumentError(f"{path}.addresses[{index}]", wrong, "write an address")


def _check_ports(ports: Sequence[Mapping[str, Any]], path: str) -> None:
    seen: dict[str, set[object]] = {"name": set(), "number": set()}
    for index, port in enumerate(ports):
        for key, taken in seen.items():
            if port[key] in taken:
                raise ArgumentError(f"{path}[{index}].{key}", f"{port[key]!r} is there twice", "define each port once")
            taken.add(port[key])
        istio_values.check_port_name(f"{path}[{index}].name", port["name"])
        istio_values.check_protocol(f"{path}[{index}].protocol", port.get("protocol", ""))


def _check_untold(spec: Mapping[str, Any], path: str, warnings: list[str], metadata: Mapping[str, Any]) -> None:
    """Streams to a host that has no address: they cannot be told from each other, unless istiod allocates one."""
    opted_out = metadata.get("labels", {}).get("networking.istio.io/enable-autoallocate-ip", "").lower() == "false"
    if spec.get("addresses") or (spec.get("resolution", "NONE") != "NONE" and not opted_out):
        return
    for index, port in enumerate(spec.get("ports", [])):
        if port.get("protocol", "") in {"", "TCP"}:
            warnings.append(f"{path}.ports[{index}]: streams to a host without address; write addresses")


def _without_resolution(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    if "endpoints" in spec:
        raise ArgumentError(
            f"{path}.endpoints", "resolution NONE has none", "write resolution: STATIC, or leave it out"
        )
    if "workloadSelector" in spec:
        warnings.append(f"{path}.workloadSelector: with resolution NONE nothing is selected; write resolution: STATIC")


def _static(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    names = {port["name"] for port in spec.get("ports", [])}
    for index, endpoint in enumerate(spec.get("endpoints", [])):
        where = f"{path}.endpoints[{index}]"
        workload_entry.check_endpoint(endpoint, where, warnings, fqdn=False)
        _check_names(endpoint, where, names)
        if endpoint.get("address", "").startswith(UNIX) and len(names) != 1:
            raise ArgumentError(f"{where}.address", "a socket stands for one port", "define exactly one port")


def _check_names(endpoint: Mapping[str, Any], path: str, names: set[str]) -> None:
    for name in endpoint.get("ports", {}):
        if name not in names:
            raise ArgumentError(f"{path}.ports[{name!r}]", "there is no such port in `ports`", "define it there")


def _dns(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    endpoints = spec.get("endpoints", [])
    for index, host in enumerate(spec["hosts"]):
        if not endpoints and not istio_values.is_fqdn(host):
            wrong = f"{shown(host)} cannot be resolved"
            raise ArgumentError(f"{path}.hosts[{index}]", wrong, "write a whole host name, or endpoints")
    if spec["resolution"] == "DNS_ROUND_ROBIN" and len(endpoints) > 1:
        raise ArgumentError(f"{path}.endpoints", "DNS_ROUND_ROBIN has one at most", "write one, or resolution: DNS")
    names = {port["name"] for port in spec.get("ports", [])}
    for index, endpoint in enumerate(endpoints):
        where, address = f"{path}.endpoints[{index}]", endpoint.get("address", "")
        if not is_ip(address) and not istio_values.is_fqdn(address):
            raise ArgumentError(f"{where}.address", f"{shown(address)} is no address or host name", "write one")
        istio_values.check_labels(f"{where}.labels", endpoint.get("labels", {}))
        _check_names(endpoint, where, names)
    streams = any(istio_values.is_tcp(port.get("protocol", "")) for port in spec.get("ports", []))
    if spec.get("addresses") and streams and len(spec["hosts"]) > 1:
        warnings.append(f"{path}.hosts: several at one address and TCP port cannot be told apart; write one")


def _dynamic(spec: Mapping[str, Any], path: str, _warnings: list[str]) -> None:
    for index, host in enumerate(spec["hosts"]):
        if not host.startswith("*"):
            raise ArgumentError(f"{path}.hosts[{index}]", f"{shown(host)} has no asterisk", "write `*.example.com`")
    for key in ("addresses", "endpoints"):
        if spec.get(key):
            raise ArgumentError(f"{path}.{key}", "DYNAMIC_DNS resolves the name that is asked for", "leave it out")
    for index, port in enumerate(spec.get("ports", [])):
        if port.get("protocol", "").lower() not in _DYNAMIC_PROTOCOLS:
            wrong = "with DYNAMIC_DNS it must carry a name"
            raise ArgumentError(f"{path}.ports[{index}].protocol", wrong, "write HTTP, HTTP2, GRPC or TLS")


_RESOLUTIONS: Final = {
    "NONE": _without_resolution,
    "STATIC": _static,
    "DNS": _dns,
    "DNS_ROUND_ROBIN": _dns,
    "DYNAMIC_DNS": _dynamic,
}


def _check_waypoint(spec: Mapping[str, Any], path: str, metadata: Mapping[str, Any]) -> None:
    waypoint = metadata.get("labels", {}).get("istio.io/use-waypoint", "")
    if spec.get("location") == "MESH_INTERNAL" and waypoint.lower() not in {"", "none"}:
        raise ArgumentError(f"{path}.location", "with DYNAMIC_DNS a waypoint needs MESH_EXTERNAL", "write that")


def _check_several_hosts(spec: Mapping[str, Any], path: str, resolution: str) -> None:
    if resolution == "NONE" or len(spec["hosts"]) < 2:
        return
    for index, port in enumerate(spec.get("ports", [])):
        protocol = port.get("protocol", "")
        if not istio_values.is_http(protocol) and not istio_values.is_tls(protocol):
            wrong = "several hosts at a port that is neither HTTP nor TLS cannot be told apart"
            raise ArgumentError(f"{path}.ports[{index}].protocol", wrong, "write one host, or another protocol")


def _check_export(targets: Sequence[str], path: str, namespace: str) -> None:
    seen: set[str] = set()
    for index, target in enumerate(targets):
        where = f"{path}[{index}]"
        key = namespace if target == "." else target
        if key in seen:
            raise ArgumentError(where, f"{shown(target)} is there twice", "name each namespace once")
        if target not in {".", "*", "~"} and not istio_values.is_dns_label(target):
            raise ArgumentError(where, f"{shown(target)} is not a namespace", "write one, `.`, `*` or `~`")
        seen.add(key)
    if len(targets) > 1 and seen & {"*", "~"}:
        raise ArgumentError(path, "`*` and `~` stand alone", "leave the others out")
