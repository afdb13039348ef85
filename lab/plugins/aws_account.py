"""What every AWS stand-in needs to know: account, region, ids, ARNs, tags, and how EC2 words a refusal."""

import os
import uuid
from collections.abc import Collection
from typing import Final

from lab.cloud.objects import CloudObject
from lab.plugins.cloud import Account, Kind, Values, short_hex
from lab.plugins.serve import Refused

ACCOUNT: Final = "123456789012"
DEFAULT_VPC: Final = "vpc-0def0000000000000"  # an account has one per region before anybody makes any

VPC: Final = "aws:ec2/vpc:Vpc"
SUBNET: Final = "aws:ec2/subnet:Subnet"
GATEWAY: Final = "aws:ec2/internetGateway:InternetGateway"
ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
INGRESS: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
PREFIX_LIST: Final = "aws:ec2/managedPrefixList:ManagedPrefixList"
KEY_PAIR: Final = "aws:ec2/keyPair:KeyPair"
INSTANCE: Final = "aws:ec2/instance:Instance"


def region(account: Account) -> str:
    """The provider's region, else the one of the environment, else us-east-1."""
    return str(account.config.get("region") or os.environ.get("AWS_REGION") or "us-east-1")


def new_id(prefix: str) -> str:
    """An id as EC2 makes them: the prefix and 17 hex digits."""
    return f"{prefix}-0{short_hex(uuid.uuid4().bytes, 16)}"


def arn(account: Account, what: str, id_: str, service: str = "ec2") -> str:
    """The ARN of `what/id` in this account and region."""
    return f"arn:aws:{service}:{region(account)}:{ACCOUNT}:{what}/{id_}"


def api_error(call: str, code: str, message: str) -> Refused:
    """A refusal worded as the AWS SDK words it."""
    return Refused(
        f"operation error EC2: {call}, https response error StatusCode: 400, "
        f"RequestID: {uuid.uuid4()}, api error {code}: {message}"
    )


def tagged(account: Account, given: Values) -> Values:
    """`region` and `tagsAll`, which every EC2 resource answers with."""
    default = (account.config.get("defaultTags") or {}).get("tags") if account.config.get("defaultTags") else None
    return {"region": region(account), "tagsAll": {**(default or {}), **(given.get("tags") or {})}}


def wanted(account: Account, call: str, id_: str, kind: str) -> CloudObject:
    """The object of that id, or EC2's words for one that is not there."""
    found = account.objects.get(id_)
    if found is not None and found.kind == kind:
        return found
    code, message = {
        VPC: ("InvalidVpcID.NotFound", f"The vpc ID '{id_}' does not exist"),
        SUBNET: ("InvalidSubnetID.NotFound", f"The subnet ID '{id_}' does not exist"),
        GROUP: ("InvalidGroup.NotFound", f"The security group '{id_}' does not exist"),
        ROUTE_TABLE: ("InvalidRouteTableID.NotFound", f"The routeTable ID '{id_}' does not exist"),
        PREFIX_LIST: ("InvalidPrefixListID.NotFound", f"The prefix list ID '{id_}' does not exist"),
        INSTANCE: ("InvalidInstanceID.NotFound", f"The instance ID '{id_}' does not exist"),
        GATEWAY: ("InvalidInternetGatewayID.NotFound", f"The internetGateway ID '{id_}' does not exist"),
    }[kind]
    raise api_error(call, code, message)


def wanted_vpc(account: Account, call: str, id_: str) -> None:
    """Refuse a VPC that is not there; the default VPC always is."""
    if id_ != DEFAULT_VPC:
        wanted(account, call, id_, VPC)


class Ec2(Kind):
    """An EC2 resource type: a change of tags alone is a call of its own."""

    def update_calls(self, changed: Collection[str], given: Values) -> tuple[str, ...]:
        """`ec2:CreateTags` for tags, the type's own call for the rest."""
        own = (self.calls[1],) if set(changed) - {"tags"} else ()
        return own + (("ec2:CreateTags",) if "tags" in changed else ())

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """The outputs as they were, with the tags as they are now."""
        kept = {name: value for name, value in item.outputs.items() if name not in given}
        return {**kept, **tagged(account, given)}
