"""A stand-in of the `aws` plugin: the resource types and functions that meshvm and its examples use."""

from typing import Final

from lab.plugins.aws_firewall import EgressRule, IngressRule, ManagedPrefixList, SecurityGroup
from lab.plugins.aws_instances import Eip, EipAssociation, Instance, KeyPair
from lab.plugins.aws_lookups import INVOKES
from lab.plugins.aws_network import InternetGateway, Route, RouteTable, RouteTableAssociation, Subnet, Vpc
from lab.plugins.cloud import CloudPlugin
from lab.plugins.serve import serve

VERSION: Final = "7.51.1"


def plugin() -> CloudPlugin:
    """The plugin, not yet serving."""
    kinds = (
        Vpc(),
        Subnet(),
        InternetGateway(),
        RouteTable(),
        Route(),
        RouteTableAssociation(),
        SecurityGroup(),
        IngressRule(),
        EgressRule(),
        ManagedPrefixList(),
        KeyPair(),
        Instance(),
        Eip(),
        EipAssociation(),
    )
    return CloudPlugin("aws", kinds, INVOKES)


def main() -> None:
    """Serve it."""
    serve(plugin(), "aws", VERSION)


if __name__ == "__main__":
    main()
