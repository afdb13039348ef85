"""Would a Sidecar be taken?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.istio_values import UNIX
from meshvm.lint.kinds import schema, sidecar_pool, sidecar_tls
from meshvm.lint.rules import shown
from meshvm.lint.traffic import egress_host

_PORT: Final = schema.fields(
    {"name": schema.text(), "number": schema.whole(), "protocol": schema.text(), "targetPort": schema.whole()}
)
_LISTENER: Final = {"bind": schema.text(), "captureMode": schema.word("DEFAULT", "IPTABLES", "NONE"), "port": _PORT}
_INGRESS: Final = schema.fields(
    {
        **_LISTENER,
        "connectionPool": sidecar_pool.SPEC,
        "defaultEndpoint": schema.text(),
        "tls": sidecar_tls.SPEC,
    },
    ("port",),
)
_EGRESS: Final = schema.fields({**_LISTENER, "hosts": schema.many(schema.text())}, ("hosts",))
_PROXY: Final = schema.fields(
    {"host": schema.text(), "port": schema.fields({"number": schema.whole()}), "subset": schema.text()}, ("host",)
)
SELECTOR: Final = schema.fields({"labels": schema.keyed(schema.text(63), 256)})
SPEC: Final = schema.fields(
    {
        "egress": schema.many(_EGRESS),
        "inboundConnectionPool": sidecar_pool.SPEC,
        "ingress": schema.many(_INGRESS),
        "outboundTrafficPolicy": schema.fields(
            {"egressProxy": _PROXY, "mode": schema.word("REGISTRY_ONLY", "ALLOW_ANY")}
        ),
        "workloadSelector": SELECTOR,
    }
)


def check(spec: Mapping[str, Any], path: str, warnings: list[str], namespace: str) -> None:
    """What the definition and istiod's webhook say of a Sidecar in `namespace`."""
    spec = SPEC(path, spec, warnings)
    check_selector(spec, path, warnings)
    ingress, egress = spec.get("ingress", []), spec.get("egress", [])
    if not ingress and not egress and not {"outboundTrafficPolicy", "inboundConnectionPool"} & spec.keys():
        raise ArgumentError(path, "it says nothing", "write egress, ingress or outboundTrafficPolicy")
    _check_ingress(ingress, f"{path}.ingress", warnings)
    if "inboundConnectionPool" in spec:
        sidecar_pool.check(spec["inboundConnectionPool"], f"{path}.inboundConnectionPool")
    _check_egress(egress, f"{path}.egress", warnings, namespace)
    _check_outbound(spec.get("outboundTrafficPolicy", {}), f"{path}.outboundTrafficPolicy")


def check_selector(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    """The labels by which it selects, none of them with an asterisk."""
    if "workloadSelector" not in spec:
        return
    labels = spec["workloadSelector"].get("labels", {})
    for key, value in labels.items():
        where = f"{path}.workloadSelector.labels[{key!r}]"
        if not key:
            raise ArgumentError(where, "the key is empty", "write a label's key")
        if "*" in key or "*" in value:
            raise ArgumentError(where, f"there is an asterisk in {shown(f'{key}={value}')}", "write the whole label")
    if not labels:
        warnings.append(f"{path}.workloadSelector: it has no labels, and so selects the whole namespace; write labels")


def _check_ingress(listeners: Sequence[Mapping[str, Any]], path: str, warnings: list[str]) -> None:
    numbers: set[object] = set()
    for index, listener in enumerate(listeners):
        where, port = f"{path}[{index}]", listener["port"]
        _check_target_port(port, where)
        _check_port(port, where)
        if listener.get("bind"):
            istio_values.check_ip(f"{where}.bind", listener["bind"])
        _once(port, numbers, where)
        if listener.get("defaultEndpoint"):
            istio_values.check_default_endpoint(f"{where}.defaultEndpoint", listener["defaultEndpoint"])
        if "tls" in listener:
            sidecar_tls.check(listener["tls"], f"{where}.tls", port.get("protocol", ""), warnings)
        if "connectionPool" in listener:
            sidecar_pool.check(listener["connectionPool"], f"{where}.connectionPool")
            if "http" in listener["connectionPool"] and not istio_values.is_http(port.get("protocol", "")):
                wrong = f"{where}.connectionPool.http: the port's protocol is not HTTP, and nothing of it applies"
                warnings.append(f"{wrong}; write tcp alone, or another protocol")


def _check_target_port(port: Mapping[str, Any], where: str) -> None:
    if port.get("targetPort", 0):
        raise ArgumentError(f"{where}.port.targetPort", "it has no effect in a Sidecar", "leave it out")


def _check_port(port: Mapping[str, Any], where: str) -> None:
    if port.get("name"):
        istio_values.check_port_name(f"{where}.port.name", port["name"])
    istio_values.check_protocol(f"{where}.port.protocol", port.get("protocol", ""))
    istio_values.check_port_number(f"{where}.port.number", port.get("number", 0))


def _once(port: Mapping[str, Any], numbers: set[object], where: str) -> None:
    if port["number"] in numbers:
        raise ArgumentError(f"{where}.port.number", f"{port['number']} is there twice", "give each listener its own")
    numbers.add(port["number"])


def _check_egress(listeners: Sequence[Mapping[str, Any]], path: str, warnings: list[str], namespace: str) -> None:
    numbers: set[object] = set()
    sockets: set[str] = set()
    for index, listener in enumerate(listeners):
        where = f"{path}[{index}]"
        if "port" not in listener:
            if index != len(listeners) - 1:
                wrong = "without a port it is for all other traffic, and only the last listener can be"
                raise ArgumentError(f"{where}.port", wrong, "write a port, or put it last")
        else:
            _check_target_port(listener["port"], where)
            if listener["port"].get("number", 0):
                _check_port(listener["port"], where)
                if listener.get("bind"):
                    istio_values.check_ip(f"{where}.bind", listener["bind"])
                _once(listener["port"], numbers, where)
            else:
                _check_socket(listener, where, sockets)
        _check_hosts(listener["hosts"], f"{where}.hosts", warnings, namespace)


def _check_socket(listener: Mapping[str, Any], where: str, sockets: set[str]) -> None:
    port, bind = listener["port"], listener.get("bind", "")
    if not bind.startswith(UNIX):
        raise ArgumentError(f"{where}.port.number", "it is 0, and `bind` is no socket", "write a port's number")
    _check_port({**port, "number": 1}, where)
    istio_values.check_unix_path(f"{where}.bind", bind.removeprefix(UNIX))
    if listener.get("captureMode", "DEFAULT") not in {"DEFAULT", "NONE"}:
        raise ArgumentError(f"{where}.captureMode", "no rules lead traffic to a socket", "write DEFAULT or NONE")
    if bind in sockets:
        raise ArgumentError(f"{where}.bind", f"{shown(bind)} is there twice", "give each listener its own socket")
    sockets.add(bind)


def _check_hosts(hosts: Sequence[str], path: str, warnings: list[str], namespace: str) -> None:
    if not hosts:
        raise ArgumentError(path, "it is empty", "write `./*`, say")
    seen: dict[str, set[str]] = {}
    for index, value in enumerate(hosts):
        egress_host(f"{path}[{index}]", value)
        space, _, name = value.partition("/")
        names = seen.setdefault(namespace if space == "." else space, set())
        if ("*" in names or name in names) if name != "*" else names:
            warnings.append(f"{path}[{index}]: {value} is there already; leave it out")
        names.add(name)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        warnings.append(f"{path}: `*/*` is every host there is; leave the others out")


def _check_outbound(policy: Mapping[str, Any], path: str) -> None:
    proxy = policy.get("egressProxy")
    if proxy is None:
        return
    if policy.get("mode", "REGISTRY_ONLY") != "ALLOW_ANY":
        raise ArgumentError(f"{path}.egressProxy", "it is for mode ALLOW_ANY alone", "leave it out, or write that mode")
    if not istio_values.is_fqdn(proxy["host"]):
        raise ArgumentError(f"{path}.egressProxy.host", f"{shown(proxy['host'])} is not a host name", "write one")
    if "port" not in proxy:
        raise ArgumentError(f"{path}.egressProxy.port", "it is required", "write its number")
    if proxy.get("subset") and not istio_values.is_dns_label(proxy["subset"]):
        raise ArgumentError(f"{path}.egressProxy.subset", f"{shown(proxy['subset'])} is not a subset", "write a name")
    istio_values.check_port_number(f"{path}.egressProxy.port.number", proxy["port"].get("number", 0))
