"""The rules over what makes a workload: labels, annotations, ports and probe, of a machine and of a shared group."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.istio.names import canonical_name
from meshvm.istio.objects import VM_LABEL
from meshvm.lint import rules, text

WEIGHT: Final = rules.within(0, 2**32 - 1)
_SECONDS: Final = rules.within(1, 2**31 - 1)
_PROBE_KINDS: Final = ("http", "tcp", "exec")
_PROBE_NUMBERS: Final = ("timeout_seconds", "period_seconds", "success_threshold", "failure_threshold")
# A workload entry takes 256; meshvm sets one itself, and the sidecar two that name the service in telemetry.
_MOST_LABELS: Final = 253
# A workload group takes 256; istiod and meshvm set some of their own.
_MOST_ANNOTATIONS: Final = 250
_MOST_PORTS: Final = 128
# Bytes of all annotations of an object (Kubernetes: ValidateAnnotationsSize), and of those that a user gives.
ANNOTATED: Final = 256 * 1024
_MOST_ANNOTATED: Final = 250 * 1024
_PROXY_CONFIG: Final = "proxy.istio.io/config"
_HEALTH: Final = "proxy.istio.io/health-checks-enabled"
_RESERVED: Final = {
    "istio.io/": "istiod keeps its own account of the machine under `istio.io/`",
    "internal.istio.io/": "Istio refuses what is under `internal.istio.io/`",
    "pulumi.com/": "under `pulumi.com/` meshvm tells the provider how to treat the object",
}
# What the sidecar itself listens on (https://istio.io/latest/docs/ops/deployment/application-requirements/).
SIDECARS: Final = {
    15000: "administration",
    15001: "outbound traffic",
    15002: "the test of its rules",
    15004: "debugging",
    15006: "inbound traffic",
    15008: "tunnels",
    15020: "metrics",
    15021: "health",
    15053: "DNS",
    15090: "Envoy's metrics",
}


def check_labels(labels: Mapping[str, Any], path: str = "labels", own_label: str = VM_LABEL) -> None:
    """Keys and number of labels; `own_label` is the key that meshvm sets itself. Their values may be Outputs, and have
    a rule of their own."""
    if len(labels) > _MOST_LABELS:
        raise ArgumentError(path, f"there are {len(labels)}", f"give {_MOST_LABELS} at most: a workload has no more")
    for key in labels:
        rules.label_key(f"{path}[{key!r}]", key)
    if own_label in labels:
        remedy = "leave it out: meshvm sets it to select this machine alone"
        raise ArgumentError(f"{path}[{own_label!r}]", "this label is meshvm's own", remedy)


def check_annotations(annotations: Mapping[str, str], path: str = "annotations") -> None:
    """Annotations that the user may set, and a proxy config that is one."""
    if len(annotations) > _MOST_ANNOTATIONS:
        raise ArgumentError(path, f"there are {len(annotations)}", f"give {_MOST_ANNOTATIONS} at most")
    for key in annotations:
        check_annotation_key(f"{path}[{key!r}]", key)
        if key == _HEALTH:
            remedy = "leave it out: meshvm sets it when there are ports to be probed"
            raise ArgumentError(
                f"{path}[{key!r}]", "it decides by itself whether the machine ever gets traffic", remedy
            )
        for prefix, why in _RESERVED.items():
            if key.startswith(prefix):
                raise ArgumentError(f"{path}[{key!r}]", why, "leave it out")
    check_annotations_size(annotations, path)
    if _PROXY_CONFIG in annotations:
        text.proxy_config(f"{path}[{_PROXY_CONFIG!r}]", annotations[_PROXY_CONFIG])


def check_annotation_key(path: str, key: str) -> None:
    """A key as the API server takes it, which looks away from upper case."""
    rules.label_key(path, key.lower())


def check_annotations_size(annotations: Mapping[str, str], path: str, most: int = _MOST_ANNOTATED) -> None:
    """All of them together are not too much for the API server."""
    size = sum(
        len(key.encode(errors="replace")) + len(value.encode(errors="replace")) for key, value in annotations.items()
    )
    if size > most:
        wrong = f"together they are {size} bytes, and there is room for {most}"
        raise ArgumentError(path, wrong, "leave out what nobody reads")


def check_ports(
    ports: Sequence[Mapping[str, Any]], path: str = "ports", beside: Iterable[Mapping[str, Any]] = ()
) -> None:
    """Names and numbers that work, each once, also among those `beside` them."""
    if len(ports) > _MOST_PORTS:
        raise ArgumentError(path, f"there are {len(ports)}", f"declare {_MOST_PORTS} at most: a workload has no more")
    seen = {key: {other[key] for other in beside} for key in ("name", "number")}
    for index, port in enumerate(ports):
        check_port(port, f"{path}[{index}]", seen)


def check_port(port: Mapping[str, Any], path: str, seen: Mapping[str, set[object]]) -> None:
    """One port; its name and number are added to those that are `seen`."""
    rules.port_name(f"{path}.name", port["name"])
    rules.port(f"{path}.number", port["number"])
    number = port["number"]
    if number in SIDECARS:
        wrong = f"{number} is the sidecar's own port for {SIDECARS[number]}"
        raise ArgumentError(f"{path}.number", wrong, "let the application listen on another one")
    if number == 22:
        wrong = "22 is SSH's port, and its traffic never goes through the sidecar"
        raise ArgumentError(f"{path}.number", wrong, "let the application listen on another one, or leave it out")
    for key, taken in seen.items():
        if port[key] in taken:
            raise ArgumentError(f"{path}.{key}", f"{port[key]!r} is there twice", "declare each port once")
        taken.add(port[key])


def check_probe(probe: Mapping[str, Any] | None, path: str = "probe", *, has_ports: bool) -> None:
    """One way of asking that works, and numbers that the agent takes."""
    if probe is None:
        return
    if not has_ports:
        raise ArgumentError(path, "a machine without ports is never in rotation", "declare ports, or leave it out")
    given = [kind for kind in _PROBE_KINDS if probe.get(kind) is not None]
    if len(given) != 1:
        raise ArgumentError(path, f"it has {len(given)} of http, tcp and exec", "give exactly one")
    kind = given[0]
    {"http": _check_http, "tcp": _check_asked, "exec": _check_exec}[kind](probe[kind], f"{path}.{kind}")
    if probe.get("initial_delay_seconds") is not None:
        rules.within(0, 2**31 - 1)(f"{path}.initial_delay_seconds", probe["initial_delay_seconds"])
    for key in _PROBE_NUMBERS:
        if probe.get(key) is not None:
            _SECONDS(f"{path}.{key}", probe[key])


def _check_asked(probe: Mapping[str, Any], path: str) -> None:
    rules.port(f"{path}.port", probe["port"])
    if probe["port"] in SIDECARS:
        wrong = f"{probe['port']} is the sidecar's own port, and the application is not asked"
        raise ArgumentError(f"{path}.port", wrong, "write the application's")
    if probe.get("host") is not None:
        rules.host(f"{path}.host", probe["host"])


def _check_http(probe: Mapping[str, Any], path: str) -> None:
    _check_asked(probe, path)
    asked = probe.get("path")
    if asked is not None and not re.match(r"/[^\s\0-\x1f\x7f]*\Z", asked):
        raise ArgumentError(f"{path}.path", f"{rules.shown(asked)} is not a path", "write `/health`, say")
    if probe.get("scheme") not in {None, "HTTP", "HTTPS"}:
        raise ArgumentError(f"{path}.scheme", f"{probe['scheme']!r} is not one of them", "write HTTP or HTTPS")
    for name, value in (probe.get("headers") or {}).items():
        where = f"{path}.headers[{name!r}]"
        if not re.match(r"[-A-Za-z0-9]+\Z", name):
            raise ArgumentError(where, "it is not a header's name", "write letters, digits and `-`")
        if re.search(r"[\0-\x08\x0a-\x1f\x7f]", value):
            raise ArgumentError(where, "its value has a line break or a control character", "write one line")


def _check_exec(probe: Mapping[str, Any], path: str) -> None:
    command = probe["command"]
    if not command:
        raise ArgumentError(f"{path}.command", "it is empty", "write program and arguments")
    for index, word in enumerate(command):
        if not word or "\0" in word:
            wrong = "it is empty or has a NUL in it, and Istio refuses the probe"
            raise ArgumentError(f"{path}.command[{index}]", wrong, "write program and arguments, one each")


def check_workload_name(path: str, name: str, labels: Mapping[str, Any]) -> None:
    """A group's name, which is the workload's too and becomes the value of a label unless `labels` name the service."""
    rules.subdomain(path, name)
    service = canonical_name(labels, name)
    if service == name and len(name) > 63:
        wrong = f"{rules.shown(name)} becomes the value of a label, which has 63 characters at most"
        raise ArgumentError(path, wrong, "write a shorter name, or the label `app` with one")


def check_group_network(path: str, value: str) -> None:
    """A network of machines that istiod registers: it is a part of their entries' names."""
    rules.network(path, value)
    if not re.match(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z", value) or len(value) > 200:
        wrong = f"istiod ends the names of its entries with it, and none may end with {rules.shown(value)}"
        raise ArgumentError(path, wrong, "write lower case letters, digits and inner dashes and dots, 200 at most")
