"""Which objects does meshvm make of a machine's arguments? As MeshVm puts them together, with plain values."""

from collections.abc import Mapping
from typing import Any

from meshvm.istio import objects

NAMESPACE = "verdicts"


def made_objects(args: Mapping[str, Any], name: str = "case") -> list[dict[str, Any]]:
    """The WorkloadEntry, the WorkloadGroup, the Sidecar and the Telemetry of one machine."""
    ports, listeners = args.get("ports") or [], args.get("listeners") or []
    annotations, calls = args.get("annotations") or {}, args.get("calls") or []
    workload: dict[str, Any] = {
        "labels": objects.workload_labels(args.get("labels") or {}, name),
        "service_account": args["service_account"],
        "ports": ports,
        "network": args.get("network") or "",
        "locality": args.get("locality"),
        "weight": args.get("weight"),
    }
    sidecar = objects.sidecar_spec(
        vm=name,
        namespace=NAMESPACE,
        istio_namespace="istio-system",
        calls=calls,
        ports=ports,
        capture=str((args.get("capture") or {}).get("mode") or "IPTABLES"),
        address=args.get("instance_address") or args["address"],
        listeners=listeners,
        egress_hosts=args.get("egress_hosts") or [],
        outbound=args.get("outbound"),
    )
    group = objects.workload_group_spec(**workload, annotations=annotations, probe=args.get("probe"))
    entry = objects.workload_entry_spec(**workload, address=args["address"])
    log = objects.telemetry_spec(vm=name, access_log=args.get("access_log") or {})
    return [
        _whole("WorkloadEntry", entry, name, objects.entry_annotations(ports, annotations)),
        _whole("WorkloadGroup", group, name),
        _whole("Sidecar", sidecar, name),
        _whole("Telemetry", log, name),
    ]


def _whole(kind: str, spec: Any, name: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    version = objects.TELEMETRY_API_VERSION if kind == "Telemetry" else objects.API_VERSION
    metadata: dict[str, Any] = {"name": name, "namespace": NAMESPACE}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
