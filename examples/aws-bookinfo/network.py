"""The machine's network: a VPC with one public subnet, and a security group that meshvm adds the mesh's rules to."""

import pulumi
import pulumi_aws as aws


class Network(pulumi.ComponentResource):
    """A VPC for one machine.

    The group opens what the machine needs before the mesh: names, package mirrors and the sidecar's package. Rules for
    the mesh are meshvm's.
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
        subnet = aws.ec2.Subnet(name, vpc_id=vpc.id, cidr_block="10.20.1.0/24", map_public_ip_on_launch=True, opts=here)
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=routes.id, opts=here)
        group = aws.ec2.SecurityGroup(name, vpc_id=vpc.id, description="Bookinfo on a virtual machine", opts=here)
        for protocol, port in (("tcp", 443), ("tcp", 80), ("udp", 53)):
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-{protocol}-{port}",
                security_group_id=group.id,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                cidr_ipv4="0.0.0.0/0",
                description="names, packages and the sidecar's package",
                opts=here,
            )
        self.subnet_id = subnet.id
        # A machine that starts before its way out exists cannot fetch anything in its first boot.
        self.security_group_id = pulumi.Output.all(group.id, way_out.id).apply(lambda ids: ids[0])
        self.register_outputs({"subnet_id": self.subnet_id, "security_group_id": self.security_group_id})
