"""Flows as firewall rules on Google Cloud: one rule a flow, for what has a tag or runs as a service account."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

import pulumi
from pulumi_gcp import compute

from meshvm.firewall.ports import Direction, End, Flow, Peer, PeerKind, Role

_ROLES: Final = {Role.MESH: ("peer", "peers"), Role.RUNNER: ("ssh", "source"), Role.SCRAPER: ("scrape", "source")}
# A load balancer that passes packets through has no firewall of its own: they meet the nodes'.
_ENDS: Final = {End.MACHINE: "target", End.NODES: "nodes", End.LOAD_BALANCER: "nodes"}
_KINDS: Final = {"tag": PeerKind.TAG, "service_account": PeerKind.ACCOUNT}
_PRIORITY: Final = 1000
# https://cloud.google.com/compute/docs/naming-resources has 63; of them the provider makes up eight.
_NAME_LIMIT: Final = 55


def peers(gcp: Mapping[str, Any]) -> dict[Role, list[Peer]]:
    """Who is named by a tag or a service account."""
    return {
        role: [
            Peer(name, kind, gcp[f"{prefix}_{suffix}"])
            for suffix, kind in _KINDS.items()
            if gcp.get(f"{prefix}_{suffix}") is not None
        ]
        for role, (prefix, name) in _ROLES.items()
    }


def places(gcp: Mapping[str, Any]) -> dict[End, tuple[str, pulumi.Input[str]]]:
    """The tags or service accounts that rules are for, each with the argument that names it."""
    keys = [(end, f"{prefix}_{suffix}") for end, prefix in _ENDS.items() for suffix in _KINDS]
    return {end: (key, gcp[key]) for end, key in keys if gcp.get(key) is not None}


def limit(gcp: Mapping[str, Any]) -> None:
    """Google counts the rules of a project, which one program does not know."""


def rules(
    name: str,
    flows: Iterable[Flow],
    gcp: Mapping[str, Any],
    places: Mapping[End, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """One rule for each flow.

    :param name: name of the component, which the names of the rules begin with.
    :param gcp: the argument `gcp`.
    :param places: the target of each end.
    :param opts: options of every rule.
    """
    return [_rule(_named(f"{name}-{flow.name}"), flow, gcp, places[flow.at], opts) for flow in flows]


def _named(name: str) -> str:
    """A name that Google takes with the eight characters that the provider adds."""
    name = name.lower()
    return name if len(name) <= _NAME_LIMIT else f"{name[: _NAME_LIMIT - 9]}-{sha256(name.encode()).hexdigest()[:8]}"


def _rule(
    name: str, flow: Flow, gcp: Mapping[str, Any], target: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    inbound = flow.direction is Direction.IN
    tagged = gcp.get(f"{_ENDS[flow.at]}_tag") is not None
    if flow.at is not End.MACHINE:
        # Google would change the address in place, and the machine that is yet to drain would lose its rule.
        moved = pulumi.ResourceOptions(replace_on_changes=["sourceRanges", "destinationRanges"])
        opts = pulumi.ResourceOptions.merge(opts, moved)
    # The name is made up by the provider, so that a rule's successor may stand beside it.
    rule: pulumi.Resource = compute.Firewall(
        name,
        network=gcp["network"],
        project=gcp.get("project"),
        priority=_PRIORITY if gcp.get("priority") is None else gcp["priority"],
        direction="INGRESS" if inbound else "EGRESS",
        allows=[{"protocol": "tcp", "ports": [str(flow.port)]}],
        description=flow.why,
        opts=opts,
        **{"target_tags" if tagged else "target_service_accounts": [target]},
        **_peer(flow.peer, inbound=inbound),
    )
    return rule


def _peer(peer: Peer, *, inbound: bool) -> dict[str, list[Any]]:
    if peer.kind is PeerKind.TAG:
        return {"source_tags": [peer.value]}
    if peer.kind is PeerKind.ACCOUNT:
        return {"source_service_accounts": [peer.value]}
    return {"source_ranges" if inbound else "destination_ranges": [peer.value]}
