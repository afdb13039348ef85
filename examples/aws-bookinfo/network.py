"""Where machines stand: a VPC with a subnet in each of two zones, and the group that meshvm adds its rules to."""

from typing import Final

import pulumi
import pulumi_aws as aws

_SUBNETS: Final = ("10.20.1.0/24", "10.20.2.0/24")
# Package mirrors and the sidecar's package. AWS's own resolver needs no rule: security groups do not filter it
# (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html).
_PACKAGES: Final = (80, 443)


class Network(pulumi.ComponentResource):
    """A VPC for one machine, and its bastion if it has one.

    The machine's group lets out what the machine needs before the mesh; rules for the mesh are meshvm's. The subnets
    have a way out to the internet and no NAT gateway: one of those costs several times what the machine does.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bookinfo:index:Network", name, {}, opts)
        here = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(name, cidr_block="10.20.0.0/16", enable_dns_hostnames=True, opts=here)
        internet = aws.ec2.InternetGateway(name, vpc_id=vpc.id, opts=here)
        routes = aws.ec2.RouteTable(name, vpc_id=vpc.id, opts=here)
        way_out = aws.ec2.Route(
            name, route_table_id=routes.id, destination_cidr_block="0.0.0.0/0", gateway_id=internet.id, opts=here
        )
        # Local zones, which an account may have opted in to, do not have every type of machine.
        usual = [{"name": "opt-in-status", "values": ["opt-in-not-required"]}]
        zones = aws.get_availability_zones_output(state="available", filters=usual).names
        self.vpc_id = vpc.id
        self.route_table_id = routes.id
        self.subnet_ids: list[pulumi.Output[str]] = []
        """The subnets; what stands in them waits for their way out, and goes before it."""
        for number, block in enumerate(_SUBNETS):
            subnet = aws.ec2.Subnet(
                f"{name}-{number + 1}",
                vpc_id=vpc.id,
                availability_zone=zones[number],
                cidr_block=block,
                map_public_ip_on_launch=True,
                opts=here,
            )
            routed = aws.ec2.RouteTableAssociation(
                f"{name}-{number + 1}", subnet_id=subnet.id, route_table_id=routes.id, opts=here
            )
            self.subnet_ids.append(after(subnet.id, way_out, routed))
        group = aws.ec2.SecurityGroup(name, vpc_id=vpc.id, description="Bookinfo on a virtual machine", opts=here)
        out = [
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-packages-{port}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4="0.0.0.0/0",
                description="package mirrors, and the package of the sidecar",
                opts=here,
            )
            for port in _PACKAGES
        ]
        self.security_group_id = after(group.id, *out)
        """The machine's group, once it lets out what a first boot fetches."""
        self.register_outputs({"subnet_ids": self.subnet_ids, "security_group_id": self.security_group_id})


def after(value: pulumi.Output[str], *others: pulumi.CustomResource) -> pulumi.Output[str]:
    """The value, for those who are also to wait for `others`, and to go before them."""
    return pulumi.Output.all(value, *(other.id for other in others)).apply(lambda known: str(known[0]))
