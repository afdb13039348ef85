"""Flows as security group rules on AWS: one rule a flow, on the machine's group and on those of the other ends."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pulumi
from pulumi_aws import vpc

from meshvm.firewall.ports import Direction, End, Flow, Peer, PeerKind, Role

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
_DESCRIPTION_LIMIT: Final = 255
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
_RULES_PER_GROUP: Final = 60

# The arguments that name somebody, and the place of each in the names of the rules.
_ROLES: Final = {
    Role.MESH: ("peer", "peers"),
    Role.RUNNER: ("ssh", "group"),
    Role.GATEWAY: ("gateway", "group"),
    Role.SCRAPER: ("scrape", "group"),
}
_ENDS: Final = {
    End.MACHINE: "security_group_id",
    End.NODES: "nodes_security_group_id",
    End.LOAD_BALANCER: "load_balancer_security_group_id",
}


def peers(aws: Mapping[str, Any]) -> dict[Role, list[Peer]]:
    """Who is named by a security group or a prefix list."""
    found: dict[Role, list[Peer]] = {role: [] for role in _ROLES}
    for role, (prefix, name) in _ROLES.items():
        group, list_ = aws.get(f"{prefix}_security_group_id"), aws.get(f"{prefix}_prefix_list_id")
        if group is not None:
            found[role].append(Peer(name, PeerKind.GROUP, group))
        if list_ is not None:
            found[role].append(Peer("list", PeerKind.PREFIX_LIST, list_))
    return found


def places(aws: Mapping[str, Any]) -> dict[End, tuple[str, pulumi.Input[str]]]:
    """The groups that rules are added to, each with the argument that names it."""
    return {end: (key, aws[key]) for end, key in _ENDS.items() if aws.get(key) is not None}


def limit(aws: Mapping[str, Any]) -> int:
    """How many rules a group holds, in one direction and of one family."""
    return int(aws.get("rules_per_group") or _RULES_PER_GROUP)


def rules(
    name: str,
    flows: Iterable[Flow],
    aws: Mapping[str, Any],
    places: Mapping[End, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """One rule for each flow.

    :param name: name of the component, which the names of the rules begin with.
    :param aws: the argument `aws`.
    :param places: the group of each end.
    :param opts: options of every rule.
    """
    return [_rule(f"{name}-{flow.name}", flow, places[flow.at], aws.get("tags"), opts) for flow in flows]


def _rule(
    name: str, flow: Flow, group: pulumi.Input[str], tags: Mapping[str, Any] | None, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    kind = vpc.SecurityGroupIngressRule if flow.direction is Direction.IN else vpc.SecurityGroupEgressRule
    if flow.at is not End.MACHINE:
        # AWS would change the address in place, and the machine that is yet to drain would lose its rule.
        moved = pulumi.ResourceOptions(replace_on_changes=["cidrIpv4", "cidrIpv6"])
        opts = pulumi.ResourceOptions.merge(opts, moved)
    rule: pulumi.Resource = kind(
        name,
        security_group_id=group,
        ip_protocol="tcp",
        from_port=flow.port,
        to_port=flow.port,
        description=flow.why[:_DESCRIPTION_LIMIT],
        tags=tags,
        opts=opts,
        **_peer(flow.peer),
    )
    return rule


def _peer(peer: Peer) -> dict[str, pulumi.Input[Any]]:
    if peer.kind is PeerKind.GROUP:
        return {"referenced_security_group_id": peer.value}
    if peer.kind is PeerKind.PREFIX_LIST:
        return {"prefix_list_id": peer.value}
    if isinstance(peer.value, str):
        return {"cidr_ipv6" if ":" in peer.value else "cidr_ipv4": peer.value}
    # A range whose family is known when it is.
    return {
        "cidr_ipv4": peer.value.apply(lambda text: None if ":" in text else text),
        "cidr_ipv6": peer.value.apply(lambda text: text if ":" in text else None),
    }
