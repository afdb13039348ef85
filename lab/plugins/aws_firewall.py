"""Security groups, their rules, prefix lists: duplicates, the rule limit and groups in use are refused as by AWS.

A rule's update, replacement and checks: internal/service/ec2/vpc_security_group_ingress_rule.go of the Terraform
provider. The limit: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (60 for each direction,
a prefix list counts as its maximum of entries).
"""

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Final

from lab.cloud.objects import CloudObject
from lab.plugins.aws_account import (
    ACCOUNT,
    DEFAULT_VPC,
    EGRESS,
    GROUP,
    INGRESS,
    INSTANCE,
    PREFIX_LIST,
    Ec2,
    api_error,
    arn,
    new_id,
    tagged,
    wanted,
    wanted_vpc,
)
from lab.plugins.cloud import Account, Values
from lab.plugins.serve import UNKNOWN, Refused

RULES_PER_GROUP: Final = 60
_SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
_DESCRIPTION: Final = re.compile(r"[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{0,255}\Z")
_SAME: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}


class SecurityGroup(Ec2):
    """A security group; rules may stand in it (`ingress`, `egress`) or be resources of their own."""

    token = GROUP
    calls = ("ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup")
    replacing = frozenset({"description", "name", "namePrefix", "vpcId"})
    computed = ("arn", "egress", "ingress", "ownerId", "region", "tagsAll", "vpcId")
    autonamed = "name"
    defaults: ClassVar[Mapping[str, Any]] = {"description": "Managed by Pulumi"}

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """A name is unique in its VPC. The default rule that lets everything out is removed, as the original does."""
        vpc = given.get("vpcId") or DEFAULT_VPC
        wanted_vpc(account, "CreateSecurityGroup", vpc)
        for other in account.objects.of_kind(GROUP):
            if other.get("vpcId") == vpc and other.get("name") == given["name"]:
                message = f"The security group '{given['name']}' already exists for VPC '{vpc}'"
                raise api_error("CreateSecurityGroup", "InvalidGroup.Duplicate", message)
        id_ = new_id("sg")
        own = {"arn": arn(account, "security-group", id_), "ownerId": ACCOUNT, "vpcId": vpc}
        return id_, {**own, **_inline_rules(given), **tagged(account, given)}

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """The rules in it are the program's, all of them."""
        return {**super().update(account, item, given, changed), **_inline_rules(given)}

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while a living instance or a rule of another group uses it. Its own rules go with it."""
        rules = account.objects.of_kind(INGRESS, EGRESS)
        users = [one for one in account.objects.of_kind(INSTANCE) if item.id in (one.get("vpcSecurityGroupIds") or [])]
        users += [one for one in rules if _peer_group(one) == item.id and one.get("securityGroupId") != item.id]
        if users:
            message = f"resource {item.id} has a dependent object"
            raise api_error("DeleteSecurityGroup", "DependencyViolation", message)
        for rule in rules:
            if rule.get("securityGroupId") == item.id:
                account.objects.remove(rule.id)


class _Rule(Ec2):
    """One rule of one group, one source."""

    required = ("ipProtocol", "securityGroupId")
    replacing = frozenset({"securityGroupId"})
    computed = ("arn", "region", "securityGroupRuleId", "tagsAll")

    def faults(self, given: Values) -> list[tuple[str, str]]:
        """Exactly one source; a CIDR names a network, not a host in it; ports are between -1 and 65535."""
        named = [name for name in _SOURCES if given.get(name) is not None]
        sources = [name for name in named if given[name] is not UNKNOWN]
        # What is not known yet may turn out to be nothing.
        if len(sources) > 1 or not named:
            reason = f"Exactly one of these attributes must be configured: [{','.join(_SOURCES)}]"
            return [(sources[0] if sources else _SOURCES[0], reason)]
        found = []
        for name in ("cidrIpv4", "cidrIpv6"):
            value = given.get(name)
            if isinstance(value, str) and not _is_network(value):
                found.append((name, f'"{value}" is not a CIDR block of a network: its host bits must be zero'))
        for name in ("fromPort", "toPort"):
            value = given.get(name)
            if isinstance(value, int) and not -1 <= value <= 65535:
                found.append((name, f"Attribute {name} value must be between -1 and 65535, got: {value}"))
        return found

    def replaced_by(self, old: Values, new: Values) -> Collection[str]:
        """The group, and the source when it becomes one of another type."""
        before, after = ({name for name in _SOURCES if values.get(name) is not None} for values in (old, new))
        return self.replacing | (before ^ after)

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Refused for a group that is not there, a rule that is, and the rule after the sixtieth."""
        call = self.calls[0].partition(":")[2]
        self._admit(account, call, given, None)
        id_ = new_id("sgr")
        own = {"arn": arn(account, "security-group-rule", id_), "securityGroupRuleId": id_}
        return id_, {**own, **tagged(account, given)}

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """The same checks as at creation, the rule itself left out."""
        self._admit(account, "ModifySecurityGroupRules", given, item.id)
        return super().update(account, item, given, changed)

    def _admit(self, account: Account, call: str, given: Values, itself: str | None) -> None:
        group = wanted(account, call, given["securityGroupId"], GROUP)
        if _peer(given).startswith("sg-"):
            wanted(account, call, _peer(given), GROUP)
        weight = _weight(account, call, given.get("prefixListId"))
        if _protocol(given) in {"tcp", "udp"} and None in {given.get("fromPort"), given.get("toPort")}:
            message = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
            raise api_error(call, "InvalidParameterValue", message)
        if not _DESCRIPTION.match(given.get("description") or ""):
            message = "Invalid rule description. Valid descriptions are strings less than 256 characters from the "
            raise api_error(call, "InvalidParameterValue", message + "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
        others = [one for one in account.objects.of_kind(self.token) if one.id != itself]
        others = [one for one in others if one.get("securityGroupId") == group.id]
        inline = list(_inline(group.get("ingress" if self.token == INGRESS else "egress") or []))
        taken = {_identity(one.inputs) for one in others} | set(inline)
        if _identity(given) in taken:
            raise api_error(call, "InvalidPermission.Duplicate", _already(given))
        used = len(inline) + sum(_weight(account, call, one.get("prefixListId")) for one in others)
        if used + weight > RULES_PER_GROUP:
            raise _too_many(call)


class IngressRule(_Rule):
    """What may come in."""

    token = INGRESS
    calls = ("ec2:AuthorizeSecurityGroupIngress", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupIngress")


class EgressRule(_Rule):
    """What may go out."""

    token = EGRESS
    calls = ("ec2:AuthorizeSecurityGroupEgress", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupEgress")


class ManagedPrefixList(Ec2):
    """A list of CIDR blocks that rules can name."""

    token = PREFIX_LIST
    calls = ("ec2:CreateManagedPrefixList", "ec2:ModifyManagedPrefixList", "ec2:DeleteManagedPrefixList")
    required = ("addressFamily", "maxEntries")
    replacing = frozenset({"addressFamily"})
    computed = ("arn", "ownerId", "region", "tagsAll", "version")
    autonamed = "name"

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Its first version."""
        id_ = new_id("pl")
        own = {"arn": arn(account, "prefix-list", id_), "ownerId": ACCOUNT, "version": 1}
        return id_, {**own, **tagged(account, given)}


def _inline_rules(given: Values) -> Values:
    rules = {way: list(given.get(way) or []) for way in ("ingress", "egress")}
    for way, some in rules.items():
        if len(list(_inline(some))) > RULES_PER_GROUP:
            raise _too_many(f"AuthorizeSecurityGroup{way.capitalize()}")
    return rules


def _too_many(call: str) -> Refused:
    message = "The maximum number of rules per security group has been reached."
    return api_error(call, "RulesPerSecurityGroupLimitExceeded", message)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=True)
    except ValueError:
        return False
    return "/" in value


def _protocol(given: Any) -> str:
    word = str(given.get("ipProtocol")).lower()
    return _SAME.get(word, word)


def _peer(given: Any) -> str:
    found = next((str(given[name]) for name in _SOURCES if given.get(name) not in {None, UNKNOWN}), "")
    return found.rpartition("/")[2] if "/sg-" in found else found  # a peered account's group: 123456789012/sg-...


def _peer_group(rule: CloudObject) -> str:
    return _peer(rule.inputs)


def _identity(given: Any) -> tuple[str, Any, Any, str]:
    ports = (None, None) if _protocol(given) == "-1" else (given.get("fromPort"), given.get("toPort"))
    return _protocol(given), *ports, _peer(given)


def _inline(rules: list[Any]) -> Iterator[tuple[str, Any, Any, str]]:
    for rule in rules:
        groups = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups")
        for peer in (peer for name in groups for peer in rule.get(name) or []):
            one = {**rule, "ipProtocol": rule.get("protocol"), "cidrIpv4": peer}
            yield _identity(one)


def _weight(account: Account, call: str, prefix_list: str | None) -> int:
    if not prefix_list:
        return 1
    return int(wanted(account, call, prefix_list, PREFIX_LIST).get("maxEntries") or 1)


def _already(given: Values) -> str:
    protocol = _protocol(given)
    ports = f"from port: {given.get('fromPort')}, to port: {given.get('toPort')}, "
    what = "ALL, " if protocol == "-1" else f"{protocol.upper()}, {ports}"
    return f'the specified rule "peer: {_peer(given)}, {what}ALLOW" already exists'
