"""The Kubernetes objects of one VM: its WorkloadEntry or the group that it comes from, its Sidecar, its Telemetry."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.istio.files import readiness_probe
from meshvm.istio.listeners import captured_ingress, egress, ingress, without_covered
from meshvm.istio.names import called_hosts

API_VERSION: Final = "networking.istio.io/v1"
TELEMETRY_API_VERSION: Final = "telemetry.istio.io/v1"
HEALTH_ANNOTATION: Final = "proxy.istio.io/health-checks-enabled"
# A Sidecar selects by labels. This one is on the entry and the proxy of one MeshVm and on nothing else, so that its
# Sidecar never configures its neighbours.
VM_LABEL: Final = "meshvm"


def workload_labels(labels: Mapping[str, str], vm: str) -> dict[str, str]:
    """The user's labels and the one by which the VM's own Sidecar finds it."""
    return {**labels, VM_LABEL: vm}


def workload_entry_spec(
    *,
    address: object,
    labels: object,
    service_account: object,
    ports: Sequence[Mapping[str, Any]],
    network: object,
    locality: object,
    weight: int | None,
) -> dict[str, Any]:
    """The spec of the WorkloadEntry; what was not given is left out. Its parts may stand for values that are not known
    yet: nothing looks into them."""
    spec: dict[str, Any] = {
        "address": address,
        "labels": labels,
        "serviceAccount": service_account,
        "network": network,
    }
    if ports:
        spec["ports"] = {port["name"]: port["number"] for port in ports}
    if locality is not None:
        spec["locality"] = locality
    if weight is not None:
        spec["weight"] = weight
    return spec


def entry_annotations(
    ports: Sequence[Mapping[str, Any]], annotations: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The user's annotations; with ports, no traffic before the first good probe. Without ports there is nothing to
    probe, and an entry with that annotation would stay unhealthy for ever."""
    return {**(annotations or {}), **({HEALTH_ANNOTATION: "true"} if ports else {})}


def workload_group_spec(
    *,
    labels: object,
    annotations: object,
    service_account: object,
    ports: Sequence[Mapping[str, Any]],
    network: object,
    locality: object,
    weight: int | None,
    probe: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The spec of a WorkloadGroup; what was not given, or is empty, is left out.

    Its labels are in `metadata`, as those of the template are deprecated. The annotation of health checks is istiod's
    to add, when the proxy says that it probes.
    """
    metadata = {"labels": labels, "annotations": annotations}
    template = {
        "serviceAccount": service_account,
        "ports": {port["name"]: port["number"] for port in ports},
        "network": network,
        "locality": locality,
        "weight": weight,
    }
    asked = readiness_probe(probe, list(ports))
    parts = {"metadata": _given(metadata), "template": _given(template), "probe": asked}
    return {key: part for key, part in parts.items() if key == "template" or part}


def _given(parts: Mapping[str, object]) -> dict[str, object]:
    """What was given of these. A value of another type may be one that is not known yet, and counts as given."""
    return {key: part for key, part in parts.items() if not isinstance(part, str | Mapping | None) or part}


def sidecar_spec(
    *,
    vm: str,
    namespace: str,
    istio_namespace: str,
    calls: Sequence[Mapping[str, Any]],
    ports: Sequence[Mapping[str, Any]] = (),
    capture: str = "IPTABLES",
    address: object = "",
    listeners: Sequence[Mapping[str, Any]] = (),
    egress_hosts: Sequence[str] = (),
    outbound: str | None = None,
) -> dict[str, Any]:
    """The spec of the VM's own Sidecar: what it calls, further hosts, and the mesh's own namespace; without calls, its
    namespace.

    :param address: the machine's own address, which capture NONE listens on; nothing looks into it.
    :param listeners: further inbound listeners.
    :param outbound: what happens to traffic to hosts that it does not know; None: the mesh's policy.
    """
    if capture == "NONE":
        inbound = ingress(ports, address, listeners)
        outgoing = egress(calls, namespace, istio_namespace, egress_hosts)
    else:
        inbound = captured_ingress(ports, listeners)
        called = sorted({host for call in calls for host in called_hosts(call["host"], namespace)}) or ["./*"]
        known = [*called, *egress_hosts, f"{istio_namespace}/*"]
        outgoing = [{"hosts": without_covered(known, namespace)}]
    return {
        "workloadSelector": {"labels": {VM_LABEL: vm}},
        **({"ingress": inbound} if inbound else {}),
        "egress": outgoing,
        **({"outboundTrafficPolicy": {"mode": str(outbound)}} if outbound else {}),
    }


def telemetry_spec(*, vm: str, access_log: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of the VM's own Telemetry: a line for each request, or for those that the filter names."""
    logging: dict[str, Any] = {"providers": [{"name": access_log.get("provider") or "envoy"}]}
    if access_log.get("filter"):
        logging["filter"] = {"expression": access_log["filter"]}
    return {"selector": {"matchLabels": {VM_LABEL: vm}}, "accessLogging": [logging]}
