"""VPC, subnet, internet gateway, routes: what AWS answers for them and what it refuses.

Which inputs replace: the ForceNew fields of the Terraform provider that pulumi-aws bridges (internal/service/ec2).
"""

from typing import ClassVar

from lab.cloud.objects import CloudObject
from lab.plugins.aws_account import (
    ACCOUNT,
    GATEWAY,
    GROUP,
    INSTANCE,
    ROUTE_TABLE,
    SUBNET,
    VPC,
    Ec2,
    api_error,
    arn,
    new_id,
    region,
    tagged,
    wanted,
    wanted_vpc,
)
from lab.plugins.cloud import Account, Kind, Values, short_hex


class Vpc(Ec2):
    """A VPC. It brings a security group and a route table of its own, and goes only when nothing else is in it."""

    token = VPC
    calls = ("ec2:CreateVpc", "ec2:ModifyVpcAttribute", "ec2:DeleteVpc")
    replacing = frozenset({"cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"})
    computed = (
        "arn",
        "defaultNetworkAclId",
        "defaultRouteTableId",
        "defaultSecurityGroupId",
        "dhcpOptionsId",
        "mainRouteTableId",
        "ownerId",
        "region",
        "tagsAll",
    )

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """The VPC and the group `default` in it."""
        id_, group, table = new_id("vpc"), new_id("sg"), new_id("rtb")
        about = {"name": "default", "description": "default VPC security group", "vpcId": id_}
        account.objects.put(
            CloudObject(group, GROUP, about, {"default": True, "arn": arn(account, "security-group", group)})
        )
        return id_, {
            "arn": arn(account, "vpc", id_),
            "defaultNetworkAclId": new_id("acl"),
            "defaultRouteTableId": table,
            "defaultSecurityGroupId": group,
            "dhcpOptionsId": new_id("dopt"),
            "mainRouteTableId": table,
            "ownerId": ACCOUNT,
            "enableDnsHostnames": bool(given.get("enableDnsHostnames")),
            "enableDnsSupport": given.get("enableDnsSupport") is not False,
            "instanceTenancy": given.get("instanceTenancy") or "default",
            **tagged(account, given),
        }

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while anything but its own default group is in it."""
        inside = account.objects.of_kind(SUBNET, GATEWAY, GROUP, ROUTE_TABLE)
        if any(other.get("vpcId") == item.id and not other.get("default") for other in inside):
            message = f"The vpc '{item.id}' has dependencies and cannot be deleted."
            raise api_error("DeleteVpc", "DependencyViolation", message)
        account.objects.remove(str(item.get("defaultSecurityGroupId")))


class Subnet(Ec2):
    """A subnet."""

    token = SUBNET
    calls = ("ec2:CreateSubnet", "ec2:ModifySubnetAttribute", "ec2:DeleteSubnet")
    required = ("vpcId",)
    replacing = frozenset({"availabilityZone", "availabilityZoneId", "cidrBlock", "outpostArn", "vpcId"})
    computed = ("arn", "availabilityZone", "availabilityZoneId", "ownerId", "region", "tagsAll")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """In the first availability zone when none is named."""
        wanted_vpc(account, "CreateSubnet", given["vpcId"])
        id_ = new_id("subnet")
        return id_, {
            "arn": arn(account, "subnet", id_),
            "availabilityZone": given.get("availabilityZone") or f"{region(account)}a",
            "availabilityZoneId": given.get("availabilityZoneId") or "use1-az1",
            "mapPublicIpOnLaunch": bool(given.get("mapPublicIpOnLaunch")),
            "ownerId": ACCOUNT,
            **tagged(account, given),
        }

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while an instance lives in it."""
        if any(other.get("subnetId") == item.id for other in account.objects.of_kind(INSTANCE)):
            message = f"The subnet '{item.id}' has dependencies and cannot be deleted."
            raise api_error("DeleteSubnet", "DependencyViolation", message)


class InternetGateway(Ec2):
    """An internet gateway; it moves to another VPC without being replaced."""

    token = GATEWAY
    calls = ("ec2:CreateInternetGateway", "ec2:AttachInternetGateway", "ec2:DeleteInternetGateway")
    computed = ("arn", "ownerId", "region", "tagsAll", "vpcId")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Attached at once when a VPC is named."""
        if given.get("vpcId"):
            wanted_vpc(account, "AttachInternetGateway", given["vpcId"])
        id_ = new_id("igw")
        return id_, {"arn": arn(account, "internet-gateway", id_), "ownerId": ACCOUNT, **tagged(account, given)}

    def delete(self, account: Account, item: CloudObject) -> None:
        """Refused while a public address in its VPC is in use: it is detached first."""
        inside = {subnet.id for subnet in account.objects.of_kind(SUBNET) if subnet.get("vpcId") == item.get("vpcId")}
        public = [one for one in account.objects.of_kind(INSTANCE) if one.get("publicIp")]
        if any(one.get("subnetId") in inside for one in public):
            message = f"Network {item.get('vpcId')} has some mapped public address(es). "
            message += "Please unmap those public address(es) before detaching the gateway."
            raise api_error("DetachInternetGateway", "DependencyViolation", message)


class RouteTable(Ec2):
    """A route table, with routes in it or beside it."""

    token = ROUTE_TABLE
    calls = ("ec2:CreateRouteTable", "ec2:ReplaceRoute", "ec2:DeleteRouteTable")
    required = ("vpcId",)
    replacing = frozenset({"vpcId"})
    computed = ("arn", "ownerId", "propagatingVgws", "region", "routes", "tagsAll")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """An empty table when no routes are given."""
        wanted_vpc(account, "CreateRouteTable", given["vpcId"])
        id_ = new_id("rtb")
        own = {"arn": arn(account, "route-table", id_), "ownerId": ACCOUNT, "propagatingVgws": []}
        return id_, {**own, "routes": given.get("routes") or [], **tagged(account, given)}


class Route(Kind):
    """One route; a table has one for each destination."""

    token = "aws:ec2/route:Route"
    calls = ("ec2:CreateRoute", "ec2:ReplaceRoute", "ec2:DeleteRoute")
    required = ("routeTableId",)
    replacing = frozenset(
        {"destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId", "routeTableId"}
    )
    computed = ("instanceId", "instanceOwnerId", "origin", "region", "state")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """The id follows from table and destination, as in the original."""
        table = str(given["routeTableId"])
        if not any(vpc.get("mainRouteTableId") == table for vpc in account.objects.of_kind(VPC)):
            wanted(account, "CreateRoute", table, ROUTE_TABLE)
        target = next((str(given[key]) for key in sorted(self.replacing - {"routeTableId"}) if given.get(key)), "")
        id_ = f"r-{table}{int(short_hex(target, 8), 16)}"
        if account.objects.get(id_):
            message = f"The route identified by {target} already exists."
            raise api_error("CreateRoute", "RouteAlreadyExists", message)
        return id_, {"origin": "CreateRoute", "state": "active", "region": region(account)}


class RouteTableAssociation(Kind):
    """A subnet's route table."""

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    calls: ClassVar[tuple[str, str, str]] = (
        "ec2:AssociateRouteTable",
        "ec2:ReplaceRouteTableAssociation",
        "ec2:DisassociateRouteTable",
    )
    required = ("routeTableId",)
    replacing = frozenset({"gatewayId", "subnetId"})
    computed = ("region",)

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Both ends must be there."""
        wanted(account, "AssociateRouteTable", given["routeTableId"], ROUTE_TABLE)
        if given.get("subnetId"):
            wanted(account, "AssociateRouteTable", given["subnetId"], SUBNET)
        return new_id("rtbassoc"), {"region": region(account)}
