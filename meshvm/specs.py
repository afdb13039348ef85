"""The specs of one VM's objects, each part as soon as it is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from meshvm.args import Capture, MeshVmArgs
from meshvm.inputs import Inputs
from meshvm.istio import objects
from meshvm.outputs import derived


def entry(args: MeshVmArgs, inputs: Inputs) -> dict[str, Any]:
    """The spec of the WorkloadEntry, each part as soon as it is known."""
    return objects.workload_entry_spec(
        address=inputs["address"],
        labels=inputs["labels"],
        service_account=inputs["service_account"],
        ports=inputs["ports"],
        network=inputs["network"],
        locality=args.get("locality"),
        weight=args.get("weight"),
    )


def group(args: MeshVmArgs, inputs: Inputs) -> dict[str, Any]:
    """The spec of the machine's own WorkloadGroup."""
    return objects.workload_group_spec(
        labels=inputs["labels"],
        annotations=inputs["annotations"],
        service_account=inputs["service_account"],
        ports=inputs["ports"],
        probe=inputs["probe"],
        network=inputs["network"],
        locality=args.get("locality"),
        weight=args.get("weight"),
    )


def sidecar(name: str, args: MeshVmArgs, inputs: Inputs) -> pulumi.Input[dict[str, Any]]:
    """The spec of the machine's own Sidecar."""
    capture = inputs["capture"].get("mode") or Capture.IPTABLES
    # The machine's own address is in the object only where the sidecar has to be told to listen on it.
    address = inputs["instance_address"] if capture == Capture.NONE else ""

    def spec(mesh: Mapping[str, str], address: str, listeners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return objects.sidecar_spec(
            vm=name,
            namespace=mesh["namespace"],
            istio_namespace=mesh["istioNamespace"],
            calls=inputs["calls"],
            ports=inputs["ports"],
            capture=capture,
            address=address,
            listeners=listeners,
            egress_hosts=args.get("egress_hosts") or (),
            outbound=args.get("outbound"),
        )

    return derived(spec, inputs["mesh"], address, inputs["listeners"])
