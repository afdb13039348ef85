"""Flows as security group rules on AWS, one rule a flow."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pulumi
from pulumi_aws import vpc

from meshvm.firewall.ports import Direction, Flow, PeerKind

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
_DESCRIPTION_LIMIT: Final = 255


def rules(
    name: str,
    flows: Iterable[Flow],
    aws: Mapping[str, Any],
    gateways: list[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """One rule for each flow and peer, on the machine's own security group.

    :param name: name of the component, which the names of the rules begin with.
    :param aws: the argument `aws` of MeshVm.
    :param gateways: the gateway's address ranges.
    :param opts: options of every rule.
    """
    made: list[pulumi.Resource] = []
    for flow in flows:
        made += [
            _rule(f"{name}-{flow.name}{suffix}", flow, aws["security_group_id"], peer, opts)
            for suffix, peer in _peers(flow, aws, gateways)
        ]
    return made


def _peers(
    flow: Flow, aws: Mapping[str, Any], gateways: list[pulumi.Input[str]]
) -> list[tuple[str, dict[str, pulumi.Input[Any]]]]:
    if flow.kind is PeerKind.GROUP:
        return [("", {"referenced_security_group_id": aws["peer_security_group_id"]})]
    if flow.kind is PeerKind.CIDR:
        return [("", {"cidr_ipv6" if ":" in flow.peer else "cidr_ipv4": flow.peer})]
    single = len(gateways) == 1
    return [("" if single else f"-{index}", _either_family(range_)) for index, range_ in enumerate(gateways)]


def _either_family(range_: pulumi.Input[str]) -> dict[str, pulumi.Input[Any]]:
    """A range whose family is known when it is."""
    known = pulumi.Output.from_input(range_)
    return {
        "cidr_ipv4": known.apply(lambda text: None if ":" in text else text),
        "cidr_ipv6": known.apply(lambda text: text if ":" in text else None),
    }


def _rule(
    name: str,
    flow: Flow,
    group: pulumi.Input[str],
    peer: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    kind = vpc.SecurityGroupIngressRule if flow.direction is Direction.IN else vpc.SecurityGroupEgressRule
    rule: pulumi.Resource = kind(
        name,
        security_group_id=group,
        ip_protocol="tcp",
        from_port=flow.port,
        to_port=flow.port,
        description=flow.why[:_DESCRIPTION_LIMIT],
        opts=opts,
        **peer,
    )
    return rule
