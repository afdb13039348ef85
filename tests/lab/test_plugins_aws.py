"""Does the stand-in of AWS refuse what EC2 and its provider refuse, and nothing else? Without an engine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.cloud.objects import CloudObject, Objects
from lab.plugins.aws_account import GATEWAY, INSTANCE, SUBNET
from lab.plugins.aws_firewall import IngressRule
from lab.plugins.aws_network import InternetGateway
from lab.plugins.serve import UNKNOWN, Refused


@pytest.mark.parametrize(
    ("sources", "faults"),
    [
        ({"cidrIpv4": "10.0.0.0/8"}, 0),
        ({"cidrIpv4": UNKNOWN, "cidrIpv6": UNKNOWN}, 0),
        ({"cidrIpv4": "10.0.0.0/8", "prefixListId": UNKNOWN}, 0),
        ({"cidrIpv4": "10.0.0.0/8", "prefixListId": "pl-1"}, 1),
        ({}, 1),
    ],
    ids=["one", "unknown", "one and unknown", "two", "none"],
)
def test_a_rule_has_one_source_as_far_as_it_is_known(sources: dict[str, Any], faults: int) -> None:
    assert len(IngressRule().faults(sources)) == faults


@pytest.fixture
def account(tmp_path: Path) -> Any:
    """An account with a subnet in a VPC."""
    account = SimpleNamespace(objects=Objects(tmp_path))
    account.objects.put(CloudObject("subnet-1", SUBNET, {"vpcId": "vpc-1"}))
    return account


INTERNET = CloudObject("igw-1", GATEWAY, {"vpcId": "vpc-1"})


def test_an_internet_gateway_stays_while_a_public_address_needs_it(account: Any) -> None:
    account.objects.put(CloudObject("i-1", INSTANCE, {"subnetId": "subnet-1"}, {"publicIp": "198.51.100.7"}))
    with pytest.raises(Refused, match="mapped public address"):
        InternetGateway().delete(account, INTERNET)


def test_an_internet_gateway_goes_before_private_machines_and_those_of_other_networks(account: Any) -> None:
    account.objects.put(CloudObject("i-1", INSTANCE, {"subnetId": "subnet-1"}, {"publicIp": ""}))
    account.objects.put(CloudObject("i-2", INSTANCE, {"subnetId": "subnet-2"}, {"publicIp": "198.51.100.8"}))
    InternetGateway().delete(account, INTERNET)
