"""The rules over how a machine's traffic goes: what is captured, what the sidecar listens on, calls and logs."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.args.enums import Capture
from meshvm.errors import ArgumentError
from meshvm.istio.listeners import crowded_ports
from meshvm.istio.names import called_hosts
from meshvm.lint import addresses, istio_values, rules, workload
from meshvm.lint.rules import of_text, shown

_QUOTED: Final = re.compile(r"""r?("(\\.|[^"\\])*"|'(\\.|[^'\\])*')""")
_CLOSED_BY: Final = {"(": ")", "[": "]", "{": "}"}
_LONGEST_FILTER: Final = 4096
# Why each key has nothing to say when there are no rules on the machine.
_RULES_ALONE: Final = {
    "dns": "without rules nothing leads the machine's DNS questions to the sidecar",
    "include_ranges": "without rules no address is captured: the sidecar listens for each of `calls`",
    "exclude_ranges": "without rules no address is captured",
    "exclude_inbound_ports": "without rules no port is captured: the sidecar listens on the declared ports alone",
    "include_outbound_ports": "without rules no port is captured: the sidecar listens for each of `calls`",
    "exclude_outbound_ports": "without rules no port is captured",
    "exclude_interfaces": "without rules every interface is left alone",
    "virtual_interfaces": "without rules every interface is left alone",
}


def check_capture(capture: Mapping[str, Any], ports: Sequence[Mapping[str, Any]]) -> None:
    """What is captured of the machine's traffic."""
    if is_none(capture):
        for key, why in _RULES_ALONE.items():
            if capture.get(key) is not None:
                raise ArgumentError(f"capture.{key}", f"with mode NONE it has no meaning: {why}", "leave it out")
        return
    for key, rule in (
        ("include_ranges", addresses.masked_range),
        ("exclude_ranges", _excluded_range),
        ("exclude_inbound_ports", rules.port),
        ("include_outbound_ports", rules.port),
        ("exclude_outbound_ports", rules.port),
        ("exclude_interfaces", addresses.interface),
        ("virtual_interfaces", addresses.interface),
    ):
        addresses.each(f"capture.{key}", capture.get(key) or [], rule)
    _check_contradictions(capture)
    declared = {port["number"] for port in ports}
    for index, number in enumerate(capture.get("exclude_inbound_ports") or []):
        if number in declared:
            wrong = f"{number} is one of `ports`, and what others send to those is for the sidecar"
            raise ArgumentError(f"capture.exclude_inbound_ports[{index}]", wrong, "take it out of one of the two")


def _excluded_range(path: str, value: str) -> None:
    """A range that is left out, which is not everything."""
    rules.cidr(path, value)
    addresses.masked_range(path, value)


def _check_contradictions(capture: Mapping[str, Any]) -> None:
    for key, other in (
        ("exclude_ranges", "include_ranges"),
        ("exclude_outbound_ports", "include_outbound_ports"),
        ("exclude_interfaces", "virtual_interfaces"),
    ):
        both = capture.get(other) or []
        for index, value in enumerate(capture.get(key) or []):
            if value in both:
                wrong = f"{value!r} is in `capture.{other}` too"
                raise ArgumentError(f"capture.{key}[{index}]", wrong, "take it out of one of the two")


def is_none(capture: Mapping[str, Any] | None) -> bool:
    """Whether no rules on the machine capture its traffic."""
    return (capture or {}).get("mode") == Capture.NONE


def check_probed(args: Mapping[str, Any]) -> None:
    """Whom the probe asks: the application, and not the sidecar before it. Without a host both kinds ask the
    application, HTTP through the rules or, where there are none, at 127.0.0.1."""
    probe: Mapping[str, Any] = args.get("probe") or {}
    kind = next((kind for kind in ("http", "tcp") if probe.get(kind) is not None), None)
    if kind is None:
        return
    host = probe[kind].get("host")
    if host is None:
        return
    if is_none(args.get("capture")):
        if not _is_loopback(host):
            wrong = (
                f"{host} leads to the sidecar's own listener, and with capture NONE the machine would be unhealthy for "
                "ever"
            )
            remedy = "write 127.0.0.1, where the application listens, or leave it out"
            raise ArgumentError(f"probe.{kind}.host", wrong, remedy)
    elif kind == "tcp" and host in (args.get("address"), args.get("instance_address")):
        wrong = f"at {host} it is the sidecar that accepts, whether or not the application is there"
        raise ArgumentError("probe.tcp.host", wrong, "leave it out to ask 127.0.0.1")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (rules.is_ip(host) and ipaddress.ip_address(host).is_loopback)


def check_calls(calls: Sequence[Mapping[str, Any]], capture: Mapping[str, Any], path: str = "calls") -> None:
    """Names and ports of what is called, each once; without rules, no more on a port than can be told apart."""
    seen = set()
    for index, call in enumerate(calls):
        _check_called(f"{path}[{index}].host", call["host"])
        rules.port(f"{path}[{index}].port", call["port"])
        if call.get("target_port") is not None:
            rules.port(f"{path}[{index}].target_port", call["target_port"])
        called = (call["host"], call["port"])
        if called in seen:
            raise ArgumentError(f"{path}[{index}]", f"{call['host']}:{call['port']} is there twice", "name each once")
        seen.add(called)
        if is_none(capture) and (call["port"] in workload.SIDECARS or call["port"] == 22):
            wrong = f"{call['port']} is taken on all addresses of the machine, by the sidecar or by SSH"
            remedy = "call another port, or write capture IPTABLES, where the sidecar does not listen for each call"
            raise ArgumentError(f"calls[{index}].port", wrong, remedy)
    if is_none(capture):
        _check_crowds(calls)


def _check_called(path: str, host: str) -> None:
    """A name that is one in a Sidecar too, in whatever form it will stand there."""
    rules.name(path, host)
    if host != host.lower():
        wrong = f"{shown(host)} is not how the mesh writes it, and it compares names letter by letter"
        raise ArgumentError(path, wrong, f"write {host.lower()}")
    try:
        for name in called_hosts(host, "a"):
            egress_host(path, name)
    except ArgumentError:
        remedy = "write parts of 63 characters at most, and svc.cluster.local after a namespace that is a number"
        raise ArgumentError(path, f"{shown(host)} is not a name that Istio knows a host by", remedy) from None


def _check_crowds(calls: Sequence[Mapping[str, Any]]) -> None:
    # The namespace is not known yet: a service that is called by two of its names counts as two.
    for port, hosts in crowded_ports(calls, "").items():
        index = max(index for index, call in enumerate(calls) if call["port"] == port)
        wrong = (
            f"{port} is called with several hosts ({', '.join(hosts)}), not all by HTTP, and with capture NONE one "
            "listener cannot tell them apart"
        )
        remedy = "let all but one of them have another port, or write capture IPTABLES"
        raise ArgumentError(f"calls[{index}].port", wrong, remedy)


def check_listeners(
    listeners: Sequence[Mapping[str, Any]], ports: Sequence[Mapping[str, Any]], capture: Mapping[str, Any]
) -> None:
    """Listeners beside those of the declared ports, each with a port of its own."""
    seen = {key: {port[key] for port in ports} for key in ("name", "number")}
    for index, listener in enumerate(listeners):
        path = f"listeners[{index}]"
        workload.check_port(listener["port"], f"{path}.port", seen)
        if listener.get("default_endpoint") is not None:
            addresses.default_endpoint(f"{path}.default_endpoint", listener["default_endpoint"])
        if is_none(capture):
            _check_own_address(listener, path)


def _check_own_address(listener: Mapping[str, Any], path: str) -> None:
    """Without rules the sidecar really listens: it and the application cannot have one address and port both."""
    number, bind = listener["port"]["number"], listener.get("bind")
    endpoint = addresses.endpoint_port(listener.get("default_endpoint") or f"127.0.0.1:{number}")
    if endpoint is None or endpoint[1] != number:
        return
    host, _ = endpoint
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        wrong = (
            f"{listener['default_endpoint']} leads back to the sidecar, which has this port of the machine's address"
        )
        raise ArgumentError(f"{path}.default_endpoint", wrong, f"write 127.0.0.1:{number}, and let it listen there")
    if isinstance(bind, str) and bind in {host, "0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        wrong = f"at {bind} the sidecar takes port {number} of {host} from the application"
        raise ArgumentError(f"{path}.bind", wrong, "write another address that the machine has, or leave it out")


@of_text
def egress_host(path: str, value: str) -> None:
    """A host as `namespace/name`, as in a Sidecar (istio: pkg/config/validation/agent)."""
    namespace, slash, name = value.partition("/")
    if not slash:
        wrong = f"{shown(value)} is not namespace/name"
        raise ArgumentError(path, wrong, "write `./*` for this namespace, or `*/api.example.com`, say")
    if namespace not in {".", "*", "~"} and not istio_values.is_dns_label(namespace):
        remedy = "write a namespace, `.` for the machine's own, `*` for any, or `~` for none"
        raise ArgumentError(path, f"{shown(namespace)} is not a namespace", remedy)
    if name == "*":
        return
    if "." not in name:
        wrong = f"{shown(name)} is a short name, which Istio does not look up here"
        raise ArgumentError(path, wrong, "write the whole name, such as bookinfo/details.bookinfo.svc.cluster.local")
    if not istio_values.is_wildcard_domain(name) or ("*" in name and not name.startswith("*.")):
        remedy = "write a host name, `*` for all, or `*.example.com`"
        raise ArgumentError(path, f"{shown(name)} is not a host name", remedy)


def check_access_log(log: Mapping[str, Any]) -> None:
    """What is logged, and how the log is rotated."""
    for key in ("max_megabytes", "keep"):
        if log.get(key) is not None:
            rules.at_least(1)(f"access_log.{key}", log[key])
    provider = log.get("provider")
    if provider is not None and not re.match(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?\Z", provider):
        remedy = "write a name from `extensionProviders` of the mesh config, such as envoy"
        raise ArgumentError("access_log.provider", f"{shown(provider)} is not a provider's name", remedy)
    if log.get("filter") is not None:
        _check_filter("access_log.filter", log["filter"])


def _check_filter(path: str, value: str) -> None:
    """A CEL expression as far as one sees without its compiler: quotes and brackets are closed."""
    rules.one_line(path, value)
    if not value.strip() or len(value) > _LONGEST_FILTER or is_open(value):
        wrong = f"{shown(value)} is not an expression: it is empty or too long, or a quote or bracket is open"
        raise ArgumentError(path, wrong, "write one such as response.code >= 400")


def is_open(expression: str) -> bool:
    """Whether a quote or a bracket is opened and not closed, or closed and not opened."""
    bare = _QUOTED.sub("", expression)
    waiting: list[str] = []
    for character in bare:
        if character in "([{":
            waiting.append(_CLOSED_BY[character])
        elif character in ")]}" and (not waiting or waiting.pop() != character):
            return True
    return bool(waiting) or "'" in bare or '"' in bare
