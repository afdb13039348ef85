"""The machine's network and its rules. meshvm makes rules on AWS only so far, so they are written here by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp

# Names need no rule: they are asked of the metadata server, which Google never blocks.
_PACKAGES = ["80", "443"]
# istiod, and services in the cluster's network, both through the gateway.
_GATEWAY = ["15012", "15443"]
_LAST = 65534  # after every other rule


class Network(pulumi.ComponentResource):
    """A VPC for one machine, with one subnetwork."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bookinfo:index:Network", name, {}, opts)
        here = pulumi.ResourceOptions(parent=self)
        vpc = gcp.compute.Network(name, auto_create_subnetworks=False, opts=here)
        subnet = gcp.compute.Subnetwork(name, network=vpc.id, ip_cidr_range="10.20.1.0/24", opts=here)
        self.network_id = vpc.id
        self.subnetwork_id = subnet.id
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})


class Rules(pulumi.ComponentResource):
    """What may reach the machine, and what it may reach. The rules hold for whatever runs as its service account.

    Google lets a machine connect to everywhere unless a rule denies it: the last one does.
    """

    def __init__(
        self,
        name: str,
        *,
        network: pulumi.Input[str],
        account: pulumi.Input[str],
        ssh_from: str,
        mesh_from: Sequence[str],
        gateways: pulumi.Input[Sequence[str]],
    ) -> None:
        super().__init__("bookinfo:index:Rules", name, {})
        self._name, self._network, self._account = name, network, account
        self._in("ssh", ["22"], [ssh_from], "the runner sets up the sidecar by SSH")
        self._in("http", ["9080"], mesh_from, "the mesh calls port http of this machine")
        self._out("gateway", _GATEWAY, gateways, "istiod, and services in the cluster's network, through the gateway")
        self._out("packages", _PACKAGES, ["0.0.0.0/0"], "packages and the sidecar's package")
        deny = {"denies": [{"protocol": "all"}], "destination_ranges": ["0.0.0.0/0"], "priority": _LAST}
        self._rule("nothing-else", "EGRESS", "what no other rule allows", deny)
        self.register_outputs({})

    def _in(self, name: str, ports: Sequence[str], sources: Sequence[str], why: str) -> None:
        self._rule(name, "INGRESS", why, {"allows": _tcp(ports), "source_ranges": sources})

    def _out(self, name: str, ports: Sequence[str], to: pulumi.Input[Sequence[str]], why: str) -> None:
        self._rule(name, "EGRESS", why, {"allows": _tcp(ports), "destination_ranges": to})

    def _rule(self, name: str, direction: str, why: str, what: Mapping[str, Any]) -> None:
        gcp.compute.Firewall(
            f"{self._name}-{name}",
            network=self._network,
            direction=direction,
            target_service_accounts=[self._account],
            description=why,
            opts=pulumi.ResourceOptions(parent=self),
            **what,
        )


def _tcp(ports: Sequence[str]) -> list[dict[str, Any]]:
    return [{"protocol": "tcp", "ports": ports}]


def gateway_ranges(endpoint: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """The gateway's address ranges: those that are configured, else its address."""
    if given:
        return list(given)
    if endpoint["addressKind"] != "ip":
        raise pulumi.RunError(
            f"the gateway {endpoint['address']} is a host name, and a rule needs its addresses: set gatewayRanges"
        )
    return [f"{endpoint['address']}/32"]
