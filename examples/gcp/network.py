"""The machine's network, and what every machine in it may reach whoever it is. What the mesh needs, meshvm derives."""

import pulumi
import pulumi_gcp as gcp

# Names need no rule: they are asked of the metadata server, which Google never blocks.
_PACKAGES = ["80", "443"]
_LAST = 65534  # after every other rule


class Network(pulumi.ComponentResource):
    """A VPC with one subnetwork, closed in both directions but for packages.

    Google lets nothing in by itself, and a machine connect to everywhere unless a rule denies it: one does, after all
    others.

    :param peer: link of the cluster's VPC, to be peered with; empty for none.
    """

    def __init__(self, name: str, peer: str = "", opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bookinfo:index:Network", name, {}, opts)
        here = pulumi.ResourceOptions(parent=self)
        vpc = gcp.compute.Network(name, auto_create_subnetworks=False, opts=here)
        subnet = gcp.compute.Subnetwork(name, network=vpc.id, ip_cidr_range="10.20.1.0/24", opts=here)
        if peer:
            self._peered(name, vpc, peer)
        gcp.compute.Firewall(
            f"{name}-packages",
            network=vpc.id,
            direction="EGRESS",
            allows=[{"protocol": "tcp", "ports": _PACKAGES}],
            destination_ranges=["0.0.0.0/0"],
            description="packages and the sidecar's package",
            opts=here,
        )
        gcp.compute.Firewall(
            f"{name}-nothing-else",
            network=vpc.id,
            direction="EGRESS",
            denies=[{"protocol": "all"}],
            destination_ranges=["0.0.0.0/0"],
            priority=_LAST,
            description="what no other rule allows",
            opts=here,
        )
        self.network_id = vpc.id
        self.subnetwork_id = subnet.id
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})

    def _peered(self, name: str, vpc: gcp.compute.Network, peer: str) -> None:
        """Both halves, one after the other: Google changes one peering of a network at a time."""
        ours = gcp.compute.NetworkPeering(
            f"{name}-to-cluster",
            network=vpc.self_link,
            peer_network=peer,
            opts=pulumi.ResourceOptions(parent=self),
        )
        gcp.compute.NetworkPeering(
            f"{name}-from-cluster",
            network=peer,
            peer_network=vpc.self_link,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[ours]),
        )
