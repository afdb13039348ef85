"""The Kubernetes objects of one VM: its WorkloadEntry and its Sidecar."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.istio.names import called_hosts

API_VERSION: Final = "networking.istio.io/v1"
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


def entry_annotations(ports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """With ports, no traffic before the first good probe. Without ports there is nothing to probe, and an entry with
    this annotation would stay unhealthy for ever."""
    return {HEALTH_ANNOTATION: "true"} if ports else {}


def sidecar_spec(
    *, vm: str, namespace: str, istio_namespace: str, calls: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The spec of the VM's own Sidecar: what it calls, and the mesh's own namespace; without calls, its namespace."""
    hosts = sorted({host for call in calls for host in called_hosts(call["host"], namespace)}) or ["./*"]
    return {
        "workloadSelector": {"labels": {VM_LABEL: vm}},
        "egress": [{"hosts": [*hosts, f"{istio_namespace}/*"]}],
    }
