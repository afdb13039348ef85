"""Networks, subnetworks, peerings, firewalls, addresses and service accounts: what Google answers and what it refuses.

Which inputs replace: the ForceNew fields of the Terraform provider that pulumi-gcp bridges
(google/services/compute/resource_compute_*.go).
"""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from lab.cloud.objects import CloudObject
from lab.plugins.cloud import Account, Kind, Values, short_hex
from lab.plugins.gcp_account import (
    ADDRESS,
    API,
    FIREWALL,
    INSTANCE,
    NETWORK,
    PEERING,
    SERVICE_ACCOUNT,
    SUBNETWORK,
    Named,
    conflict,
    in_use,
    labels,
    network_path,
    number,
    path,
    project,
    region,
)


class Network(Named):
    """A VPC network."""

    token = NETWORK
    calls = ("compute.networks.insert", "compute.networks.patch", "compute.networks.delete")
    replacing = frozenset({"autoCreateSubnetworks", "description", "enableUlaInternalIpv6", "name", "project"})
    computed = ("gatewayIpv4", "networkId", "numericId", "project", "routingMode", "selfLink")
    defaults: ClassVar[Mapping[str, Any]] = {"autoCreateSubnetworks": True}

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Its links and numbers."""
        id_ = self.own_id(account, "networks", given)
        own = {"selfLink": API + id_, "numericId": number(id_), "networkId": number(id_), "gatewayIpv4": ""}
        return id_, {**own, "project": project(account, given), "routingMode": given.get("routingMode") or "REGIONAL"}

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while a firewall, a subnetwork or an instance is in it, or a peering is its own."""
        for other in account.objects.of_kind(SUBNETWORK, FIREWALL, INSTANCE, PEERING):
            if item.id in {other.get("networkPath"), other.get("network", "").removeprefix(API)}:
                raise in_use(item.id, other.id)


class Subnetwork(Named):
    """A subnetwork; its range can grow in place, not shrink or move."""

    token = SUBNETWORK
    calls = ("compute.subnetworks.insert", "compute.subnetworks.patch", "compute.subnetworks.delete")
    required = ("network",)
    replacing = frozenset({"description", "name", "network", "project", "region"})
    computed = ("creationTimestamp", "fingerprint", "gatewayAddress", "project", "region", "selfLink")

    def place(self, account: Account, given: Values) -> str:
        """A subnetwork is regional."""
        return f"projects/{project(account, given)}/regions/{region(account, given)}"

    def replaced_by(self, old: Values, new: Values) -> Collection[str]:
        """The range too, unless the new one contains the old one."""
        before, after = old.get("ipCidrRange"), new.get("ipCidrRange")
        try:
            grown = ipaddress.ip_network(str(before)).subnet_of(ipaddress.ip_network(str(after)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            grown = False
        return self.replacing if grown else self.replacing | {"ipCidrRange"}

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Its links and its gateway."""
        home = project(account, given)
        network = network_path(account, str(given["network"]), home)
        id_ = self.own_id(account, "subnetworks", given)
        first = next(ipaddress.ip_network(str(given.get("ipCidrRange") or "10.0.0.0/20")).hosts())
        own = {"selfLink": API + id_, "gatewayAddress": str(first), "networkPath": network, "network": API + network}
        return id_, {**own, "project": home, "region": region(account, given)}

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while an instance is in it."""
        for other in account.objects.of_kind(INSTANCE):
            if other.get("subnetworkPath") == item.id:
                raise in_use(item.id, other.id)


class NetworkPeering(Kind):
    """One network's half of a peering: active when the other network has its half too. The lab moves no packets by it.

    The original's id is the network's name and the peering's.
    """

    token = PEERING
    calls = ("compute.networks.addPeering", "compute.networks.updatePeering", "compute.networks.removePeering")
    required = ("network", "peerNetwork")
    replacing = frozenset({"name", "network", "peerNetwork"})
    computed = ("state", "stateDetails")
    autonamed = "name"

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Refused when a network is not there, or has a peering with the other one already."""
        home = project(account, given)
        network, peer = (network_path(account, str(given[end]), home) for end in ("network", "peerNetwork"))
        halves = [(one.get("networkPath"), one.get("peerPath")) for one in account.objects.of_kind(PEERING)]
        if (network, peer) in halves:
            raise conflict(f"{network}/peerings to {peer}")
        state = "ACTIVE" if (peer, network) in halves else "INACTIVE"
        id_ = f"{network.rpartition('/')[2]}/{given['name']}"
        return id_, {"networkPath": network, "peerPath": peer, "state": state, "stateDetails": ""}


class Firewall(Named):
    """A firewall rule: unique by name only, so equal rules may stand beside each other."""

    token = FIREWALL
    calls = ("compute.firewalls.insert", "compute.firewalls.patch", "compute.firewalls.delete")
    required = ("network",)
    replacing = frozenset({"direction", "name", "params", "project"})
    computed = ("creationTimestamp", "destinationRanges", "direction", "project", "selfLink")
    defaults: ClassVar[Mapping[str, Any]] = {"priority": 1000}

    def faults(self, given: Values) -> list[tuple[str, str]]:
        """Allow or deny; a source for what comes in; tags and service accounts do not mix."""
        found = []
        if (given.get("allows") is None) == (given.get("denies") is None):
            found.append(("allows", "only one of `allows,denies` can be specified, and one must be"))
        sources = ("sourceRanges", "sourceServiceAccounts", "sourceTags")
        if given.get("direction") in {None, "INGRESS"} and all(given.get(name) is None for name in sources):
            reason = "one of source_tags, source_ranges, or source_service_accounts must be defined"
            found.append(("sourceRanges", reason))
        accounts = [one for one in ("sourceServiceAccounts", "targetServiceAccounts") if given.get(one) is not None]
        tags = [one for one in ("sourceTags", "targetTags") if given.get(one) is not None]
        return found + [(tag, f'"{tag}": conflicts with {other}') for other in accounts for tag in tags]

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Its links; the direction is INGRESS when none is given."""
        home = project(account, given)
        network = network_path(account, str(given["network"]), home)
        id_ = self.own_id(account, "firewalls", given)
        own = {"selfLink": API + id_, "networkPath": network, "project": home}
        ranges = given.get("destinationRanges") or []
        return id_, {**own, "direction": given.get("direction") or "INGRESS", "destinationRanges": ranges}

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """It may move to another network."""
        network = network_path(account, str(given["network"]), project(account, given))
        return {**super().update(account, item, given, changed), "networkPath": network}


class Address(Named):
    """A regional address. The lab cannot move an address: an external one is dead, it only has a value."""

    token = ADDRESS
    calls = ("compute.addresses.insert", "compute.addresses.setLabels", "compute.addresses.delete")
    replacing = frozenset(
        {"address", "addressType", "description", "name", "network", "networkTier", "project", "region", "subnetwork"}
    )
    computed = ("address", "creationTimestamp", "effectiveLabels", "project", "pulumiLabels", "region", "selfLink")

    def place(self, account: Account, given: Values) -> str:
        """An address is regional."""
        return f"projects/{project(account, given)}/regions/{region(account, given)}"

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """An address of RFC 5737, where nothing answers, when none is asked for."""
        id_ = self.own_id(account, "addresses", given)
        value = given.get("address") or f"203.0.113.{int(short_hex(id_, 2), 16)}"
        own = {"address": value, "selfLink": API + id_, "addressType": given.get("addressType") or "EXTERNAL"}
        return id_, {**own, "project": project(account, given), "region": region(account, given), **labels(given)}


class ServiceAccount(Kind):
    """An IAM service account."""

    token = SERVICE_ACCOUNT
    calls = (
        "iam.projects.serviceAccounts.create",
        "iam.projects.serviceAccounts.patch",
        "iam.projects.serviceAccounts.delete",
    )
    required = ("accountId",)
    replacing = frozenset({"accountId", "project"})
    computed = ("email", "member", "name", "project", "uniqueId")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Its e-mail address, and the same as an IAM member."""
        home = project(account, given)
        email = f"{given['accountId']}@{home}.iam.gserviceaccount.com"
        id_ = path(email, "serviceAccounts", f"projects/{home}")
        if account.objects.get(id_):
            raise conflict(id_)
        own = {"email": email, "member": f"serviceAccount:{email}", "name": id_, "uniqueId": number(id_)}
        return id_, {**own, "project": home}
