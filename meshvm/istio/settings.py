"""Each variable of cluster.env by itself: which inputs it depends on, and its value.

A function's parameters are the inputs that it needs. The preview prints a variable as soon as its own inputs are
known, so an address that is not known yet hides one variable and not all of them. Names, values and format are those
of `istioctl x workload entry configure` (istio: istioctl/pkg/workload); docs/istio.md lists the differences.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from meshvm.istio.names import canonical_name, canonical_revision

Setting = Callable[..., str]

# These are left out of cluster.env when they are empty; all others are written as they are.
_OPTIONAL: Final = frozenset({"CA_ADDR", "ISTIO_META_POD_PORTS"})

_STATUS_PORT: Final = 15020
_NEVER_CAPTURED: Final = (22, 15090, 15021)


def needs(setting: Setting) -> tuple[str, ...]:
    """Names of the inputs that a setting depends on."""
    return tuple(inspect.signature(setting).parameters)


def present(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without the optional ones that are empty."""
    return {name: value for name, value in variables.items() if value or name not in _OPTIONAL}


def cluster_env_settings() -> dict[str, Setting]:
    """The variables of cluster.env, by name."""
    return {
        "CANONICAL_REVISION": canonical_revision,
        "CANONICAL_SERVICE": canonical_name,
        "CA_ADDR": lambda mesh: mesh["discoveryAddress"] if mesh["revision"] not in {"", "default"} else "",
        # Not Istio's: spares two seconds of asking three clouds' metadata servers at each start.
        "CLOUD_PLATFORM": lambda platform: platform,
        "ISTIO_INBOUND_PORTS": lambda ports: ",".join(str(number) for number in _numbers(ports)) or "*",
        "ISTIO_LOCAL_EXCLUDE_PORTS": _excluded_ports,
        "ISTIO_METAJSON_LABELS": _labels_json,
        "ISTIO_META_CLUSTER_ID": lambda mesh: mesh["clusterId"],
        "ISTIO_META_DNS_CAPTURE": lambda: "true",
        "ISTIO_META_MESH_ID": lambda mesh: mesh["meshId"],
        "ISTIO_META_NETWORK": lambda network: network,
        "ISTIO_META_POD_PORTS": _pod_ports,
        # Not istioctl's: names the entry that this proxy reports the application's health to.
        "ISTIO_META_WORKLOAD_ENTRY": lambda entry: entry,
        "ISTIO_META_WORKLOAD_NAME": lambda name: name,
        "ISTIO_NAMESPACE": lambda mesh: mesh["namespace"],
        "ISTIO_SERVICE": lambda mesh, name: f"{name}.{mesh['namespace']}",
        "ISTIO_SERVICE_CIDR": lambda: "*",
        "ISTIO_SVC_IP": lambda address: address,
        "POD_NAMESPACE": lambda mesh: mesh["namespace"],
        "SERVICE_ACCOUNT": lambda service_account: service_account,
        "TRUST_DOMAIN": lambda mesh: mesh["trustDomain"],
    }


def _numbers(ports: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted(port["number"] for port in ports)


def _excluded_ports(mesh: Mapping[str, str]) -> str:
    status_port = json.loads(mesh["defaultConfig"]).get("statusPort") or _STATUS_PORT
    ports = (*_NEVER_CAPTURED, *((status_port,) if status_port not in _NEVER_CAPTURED else ()))
    return ",".join(str(port) for port in ports)


def _pod_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    listed = [
        {"name": port["name"], "containerPort": port["number"], "protocol": ""}
        for port in sorted(ports, key=lambda port: str(port["name"]))
    ]
    return go_json(listed) if listed else ""


def _labels_json(labels: Mapping[str, str], name: str) -> str:
    named = {
        **labels,
        "service.istio.io/canonical-name": canonical_name(labels, name),
        "service.istio.io/canonical-revision": canonical_revision(labels),
    }
    return go_json(dict(sorted(named.items(), key=lambda item: item[0].encode())))


def go_json(value: object) -> str:
    """Compact JSON as Go writes it: UTF-8 as it is, but `<`, `>`, `&` and two line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
