"""Which flows one VM needs: derived from what is declared, each with the reason that becomes its rule's description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_SSH = 22
# The ports of Istio's gateway for VMs (istio: samples/multicluster/gen-eastwest-gateway.sh).
_ISTIOD = 15012
_BETWEEN_NETWORKS = 15443


class Direction(Enum):
    """Seen from the machine."""

    IN = "in"
    OUT = "out"


class PeerKind(Enum):
    """What the other end is given as."""

    CIDR = "cidr"
    GROUP = "group"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class Flow:
    """One TCP port, open between the machine and one peer.

    :param name: short and stable, becomes part of a resource's name.
    :param peer: the address range for a CIDR; empty for the peer group and for the gateway, of which there is one.
    """

    name: str
    direction: Direction
    port: int
    kind: PeerKind
    peer: str
    why: str


def ssh_flows(*, sources: Sequence[str], port: int | None) -> list[Flow]:
    """The flows that the bootstrap needs: SSH from where the runner is."""
    why = "meshvm: the runner sets up the sidecar by SSH"
    return [Flow(f"ssh-{_slug(source)}", Direction.IN, port or _SSH, PeerKind.CIDR, source, why) for source in sources]


def mesh_flows(
    *,
    ports: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
    peer_group: bool,
    peer_cidrs: Sequence[str],
    between_networks: bool,
) -> list[Flow]:
    """The flows of the mesh: to istiod, to the declared ports, and to what is called.

    :param between_networks: the machine is not in the pods' network: then all calls go through one port of the gateway,
        else each to the pods themselves.
    """
    peers = [(PeerKind.GROUP, "")] * peer_group + [(PeerKind.CIDR, cidr) for cidr in peer_cidrs]
    why = "meshvm: certificate and configuration from istiod, through the gateway"
    flows = [Flow("istiod", Direction.OUT, _ISTIOD, PeerKind.GATEWAY, "", why)]
    for port in ports:
        why = f"meshvm: the mesh calls port {port['name']} of this machine"
        flows += [
            Flow(f"port-{port['name']}-{_slug(peer)}", Direction.IN, port["number"], kind, peer, why)
            for kind, peer in peers
        ]
    if between_networks:
        why = "meshvm: this machine calls services in the cluster's network, through the gateway"
        flows.append(Flow("network", Direction.OUT, _BETWEEN_NETWORKS, PeerKind.GATEWAY, "", why))
        return flows
    for number in sorted({call["port"] for call in calls}):
        hosts = ", ".join(sorted({call["host"] for call in calls if call["port"] == number}))
        why = f"meshvm: this machine calls {hosts}"
        flows += [Flow(f"call-{number}-{_slug(peer)}", Direction.OUT, number, kind, peer, why) for kind, peer in peers]
    return flows


def _slug(peer: str) -> str:
    return peer.replace("/", "-").replace(":", "-").replace(".", "-") or "peers"
