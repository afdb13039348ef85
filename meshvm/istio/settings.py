"""Each variable of cluster.env by itself: which inputs it depends on, and its value.

A function's parameters are the inputs that it needs. The preview prints a variable as soon as its own inputs are
known, so an address that is not known yet hides one variable and not all of them. Names, values and format are those
of `istioctl x workload entry configure` (istio: istioctl/pkg/workload); docs/istio.md lists the differences.
"""

import functools
import inspect
import json
from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from meshvm.istio.files import discovery_host
from meshvm.istio.names import canonical_name, canonical_revision

Setting = Callable[..., str]

# The mesh's root certificate on the machine, where istio-start.sh and the agent expect it.
ROOT_CERTIFICATE: Final = "/etc/certs/root-cert.pem"
# Which file each is: the proxy shows one certificate, to istiod and to those that it calls, and to its callers.
_CERTIFICATE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ISTIO_META_TLS_CLIENT_CERT_CHAIN": "certificate",
        "ISTIO_META_TLS_CLIENT_KEY": "private_key",
        "ISTIO_META_TLS_CLIENT_ROOT_CERT": "root",
        "ISTIO_META_TLS_SERVER_CERT_CHAIN": "certificate",
        "ISTIO_META_TLS_SERVER_KEY": "private_key",
        "ISTIO_META_TLS_SERVER_ROOT_CERT": "root",
    }
)
# These are left out of cluster.env when they are empty; all others are written as they are.
_OPTIONAL: Final = frozenset(
    {
        "CA_ADDR",
        "CREDENTIAL_FETCHER_TYPE",
        "FILE_MOUNTED_CERTS",
        "ISTIOD_SAN",
        "ISTIO_CUSTOM_IP_TABLES",
        "ISTIO_DUAL_STACK",
        "ISTIO_EXCLUDE_INTERFACES",
        "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE",
        "ISTIO_META_AUTO_REGISTER_GROUP",
        "ISTIO_META_DNS_CAPTURE",
        "ISTIO_META_INTERCEPTION_MODE",
        "ISTIO_META_POD_PORTS",
        *_CERTIFICATE_FILES,
        "ISTIO_META_WORKLOAD_ENTRY",
        "ISTIO_OUTBOUND_PORTS",
        "ISTIO_SERVICE_EXCLUDE_CIDR",
        "KUBE_VIRT_INTERFACES",
        "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION",
    }
)

_ALWAYS_PLAIN: Final = frozenset(
    {"access_log", "behind_nat", "calls", "capture", "dual_stack", "identity", "listener_ports", "ports"}
)

# Made once: json.dumps with arguments makes another one at each call.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_STATUS_PORT: Final = 15020
_NEVER_CAPTURED: Final = (22, 15090, 15021)
# The namespace and revision that the agent's start script takes for granted.
_ISTIO_NAMESPACE: Final = "istio-system"
_NO_REVISION: Final = frozenset({"", "default"})


@functools.cache
def needs(setting: Setting) -> tuple[str, ...]:
    """Names of the inputs that a setting depends on."""
    return tuple(inspect.signature(setting).parameters)


def present(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables as they are written: without the optional ones that are empty."""
    written = {name: value for name, value in variables.items() if value or name not in _OPTIONAL}
    # Set and empty: where they are not set the agent's start script sets them, and the agent does not take both.
    return {**written, "OUTPUT_CERTS": "", "PROV_CERT": ""} if "FILE_MOUNTED_CERTS" in written else written


@functools.cache
def cluster_env_settings() -> Mapping[str, Setting]:
    """The variables of cluster.env, by name."""
    return MappingProxyType({**_workload(), **_control_plane(), **_certificates(), **_capture()})


def asked_for(
    settings: Mapping[str, Setting], inputs: Mapping[str, Any], optional: Container[str] = _OPTIONAL
) -> dict[str, Setting]:
    """The settings without those optional ones that are empty by arguments which are always plain: a preview is not to
    print a line for each thing that nobody asked for."""
    other = "ISTIO_META_WORKLOAD_ENTRY" if inputs["registration"] == "AUTO" else "ISTIO_META_AUTO_REGISTER_GROUP"

    def is_asked_for(name: str, setting: Setting) -> bool:
        if name not in optional or not _ALWAYS_PLAIN.issuperset(needs(setting)):
            return name != other
        return setting(*(inputs[need] for need in needs(setting))) != ""

    return {name: setting for name, setting in settings.items() if is_asked_for(name, setting)}


def _workload() -> dict[str, Setting]:
    """Who the workload is."""
    return {
        "CANONICAL_REVISION": canonical_revision,
        "CANONICAL_SERVICE": canonical_name,
        "ISTIO_METAJSON_LABELS": labels_json,
        # With a group istiod makes the entry, under a name of its own.
        "ISTIO_META_AUTO_REGISTER_GROUP": lambda registration, group: group if registration == "AUTO" else "",
        "ISTIO_META_NETWORK": lambda network: network,
        "ISTIO_META_POD_PORTS": pod_ports,
        # Not istioctl's: names the entry that this proxy reports the application's health to.
        "ISTIO_META_WORKLOAD_ENTRY": lambda registration, entry: "" if registration == "AUTO" else entry,
        "ISTIO_META_WORKLOAD_NAME": lambda workload: workload,
        "ISTIO_NAMESPACE": lambda mesh: mesh["namespace"],
        "ISTIO_SERVICE": lambda mesh, workload: f"{workload}.{mesh['namespace']}",
        "ISTIO_SVC_IP": agents_address,
        "POD_NAMESPACE": lambda mesh: mesh["namespace"],
        # Behind a NAT the machine cannot ask itself by the address that others use.
        "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION": lambda behind_nat: "true" if behind_nat else "",
        "SERVICE_ACCOUNT": lambda service_account: service_account,
    }


def _control_plane() -> dict[str, Setting]:
    """Where istiod is, and by what the workload proves who it is."""
    return {
        # The start script knows one name of istiod alone.
        "CA_ADDR": lambda mesh: mesh["discoveryAddress"] if has_own_name(mesh) else "",
        # Not Istio's: spares two seconds of asking three clouds' metadata servers at each start.
        "CLOUD_PLATFORM": lambda platform: platform,
        "CREDENTIAL_FETCHER_TYPE": lambda identity: "GoogleComputeEngine" if identity["kind"] == "GCE" else "",
        "ISTIOD_SAN": lambda mesh: discovery_host(mesh["discoveryAddress"]) if _by_host_name(mesh) else "",
        "ISTIO_META_CLUSTER_ID": lambda mesh: mesh["clusterId"],
        "ISTIO_META_MESH_ID": lambda mesh: mesh["meshId"],
        "TRUST_DOMAIN": lambda mesh: mesh["trustDomain"],
    }


def _certificates() -> dict[str, Setting]:
    """Certificate and key of an identity by files: the agent asks no CA then, and serves them anew when they change."""

    def path(which: str) -> Setting:
        return lambda identity: {**identity, "root": ROOT_CERTIFICATE}[which] if identity["kind"] == "FILES" else ""

    given: dict[str, Setting] = {name: path(which) for name, which in _CERTIFICATE_FILES.items()}
    return {**given, "FILE_MOUNTED_CERTS": lambda identity: "true" if identity["kind"] == "FILES" else ""}


def _capture() -> dict[str, Setting]:
    """What of the machine's traffic goes through the sidecar."""
    return {
        "ISTIO_CUSTOM_IP_TABLES": lambda capture: "true" if _no_rules(capture) else "",
        "ISTIO_DUAL_STACK": lambda dual_stack: "true" if dual_stack else "",
        "ISTIO_EXCLUDE_INTERFACES": lambda capture: _listed(capture, "exclude_interfaces"),
        "ISTIO_INBOUND_PORTS": inbound_ports,
        "ISTIO_LOCAL_EXCLUDE_PORTS": excluded_ports,
        "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE": lambda capture: _listed(capture, "exclude_outbound_ports"),
        # Without rules nothing leads the machine's questions to the sidecar.
        "ISTIO_META_DNS_CAPTURE": lambda capture: "" if _no_rules(capture) or capture.get("dns") is False else "true",
        "ISTIO_META_INTERCEPTION_MODE": lambda capture: "NONE" if _no_rules(capture) else "",
        "ISTIO_OUTBOUND_PORTS": lambda capture: _listed(capture, "include_outbound_ports"),
        "ISTIO_SERVICE_CIDR": lambda capture: _listed(capture, "include_ranges") or "*",
        "ISTIO_SERVICE_EXCLUDE_CIDR": lambda capture: _listed(capture, "exclude_ranges"),
        "KUBE_VIRT_INTERFACES": lambda capture: _listed(capture, "virtual_interfaces"),
    }


def _no_rules(capture: Mapping[str, Any]) -> bool:
    return capture.get("mode") == "NONE"


def _listed(capture: Mapping[str, Any], key: str) -> str:
    return ",".join(str(one) for one in capture.get(key) or ())


def _by_host_name(mesh: Mapping[str, str]) -> bool:
    return mesh["gatewayAddressKind"] == "host"


def agents_address(address: str, instance_address: str) -> str:
    """The address that the agent says is its own: istiod finds the workload's services by it, also behind a NAT.

    A machine that has both families and is known by its IPv6 address says IPv4: an agent that says IPv6 beside an IPv4
    address does not come up (seen with 1.30), and istiod knows the other addresses of a machine as well.
    """
    return instance_address if ":" in address and ":" not in instance_address else address


def has_own_name(mesh: Mapping[str, str]) -> bool:
    """Whether istiod has another name than the one that the agent's start script takes for granted."""
    return mesh["revision"] not in _NO_REVISION or mesh["istioNamespace"] != _ISTIO_NAMESPACE


def discovery_address(mesh: Mapping[str, str]) -> str:
    """Where the proxy asks for its configuration.

    istiod's own name, which /etc/hosts leads to the gateway; a gateway with a host name by that name, so that a load
    balancer may change its addresses: then ISTIOD_SAN says whose certificate to expect (istio: pkg/istio-agent).
    """
    if _by_host_name(mesh):
        return f"{mesh['gatewayAddress']}:{mesh['gatewayPort']}"
    return mesh["discoveryAddress"]


def inbound_ports(ports: Sequence[Mapping[str, Any]], listener_ports: Sequence[int] = ()) -> str:
    """The ports whose inbound traffic is captured, ascending; all when none is declared.

    :param listener_ports: those of further listeners, which are captured too.
    """
    numbers = {*(port["number"] for port in ports), *listener_ports} if ports else set()
    return ",".join(str(number) for number in sorted(numbers)) or "*"


def excluded_ports(default_config: Mapping[str, Any], capture: Mapping[str, Any]) -> str:
    """The ports whose inbound traffic is never captured: SSH's, the sidecar's own, and what the user names."""
    status_port = default_config.get("statusPort") or _STATUS_PORT
    ports = [*_NEVER_CAPTURED, status_port, *(capture.get("exclude_inbound_ports") or ())]
    return ",".join(str(port) for port in dict.fromkeys(ports))


def pod_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    """The declared ports as a pod's would be listed, by name; empty when there are none."""
    listed = [
        {"name": port["name"], "containerPort": port["number"], "protocol": ""}
        for port in sorted(ports, key=lambda port: str(port["name"]))
    ]
    return go_json(listed) if listed else ""


def labels_json(labels: Mapping[str, str], workload: str) -> str:
    """The labels with the canonical names, sorted by their bytes."""
    named = {
        **labels,
        "service.istio.io/canonical-name": canonical_name(labels, workload),
        "service.istio.io/canonical-revision": canonical_revision(labels),
    }
    return go_json(dict(sorted(named.items(), key=lambda item: item[0].encode())))


def go_json(value: object) -> str:
    """Compact JSON as Go writes it: UTF-8 as it is, but `<`, `>`, `&` and two line separators escaped."""
    text = _JSON.encode(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
