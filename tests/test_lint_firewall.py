"""Is what is said of firewalls judged before anything is registered, with the path and the remedy?"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.args import MeshExpansionArgs
from meshvm.errors import ArgumentError
from meshvm.lint import expansion
from meshvm.lint.shape import check_shape
from tests.judged import complaint, failing, judge
from tests.samples import ENDPOINT, http_port, vm_args

AWS = {"security_group_id": "sg-1"}
GCP = {"network": "default", "target_tag": "ratings"}
WORLD = "0.0.0.0/0"


@pytest.mark.parametrize(
    "changes",
    [
        {"firewall": {"peer_cidrs": ["10.0.0.0/16", "fd00::/8"], "ssh_from": ["192.0.2.7"]}},
        {"firewall": {"gateway_ports": [15012, 15443, 9411, 11800]}},
        {"firewall": {"scrape_from": ["10.0.0.0/16"], "scrape_ports": [15020, 15090]}},
        {"firewall": {"ssh_from": [WORLD, "::/0"], "everybody": ["ssh"]}, "aws": AWS},
        {"aws": {**AWS, "ssh_from": [WORLD]}, "firewall": {"everybody": ["ssh"]}},
        {"firewall": {"peer_cidrs": [WORLD], "everybody": ["port-http", "call-9080"]}},
        {"firewall": {"peer_cidrs": [WORLD], "everybody": ["port-http"]}, "network": "vm-net"},
        {"firewall": {"gateway_cidrs": [WORLD], "everybody": ["istiod", "network"]}, "network": "vm-net"},
        {"firewall": {"shared": True}, "aws": {**AWS, "nodes_security_group_id": "sg-2", "tags": {"a": "b"}}},
        {"firewall": {"shared": True}, "gcp": {**GCP, "nodes_tag": "nodes", "project": "host", "priority": 0}},
        {"aws": {**AWS, "rules_per_group": 200, "ssh_prefix_list_id": "pl-1"}},
        {"gcp": {"network": "default", "target_service_account": "a@p", "peer_service_account": "b@p"}},
    ],
)
def test_what_works_is_let_through(changes: Mapping[str, Any]) -> None:
    judge(vm_args(**changes))


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"firewall": {"ssh_from": [WORLD]}}, "firewall.ssh_from[0]", "everybody, for the flow ssh"),
        ({"firewall": {"ssh_from": ["10.0.0.0/8", "::/0"]}}, "firewall.ssh_from[1]", "'ssh' into `everybody`"),
        ({"firewall": {"peer_cidrs": [WORLD], "everybody": ["port-http"]}}, "firewall.peer_cidrs[0]", "call-9080"),
        ({"firewall": {"peer_cidrs": [WORLD]}, "ports": None, "calls": None}, "firewall.peer_cidrs[0]", "everybody"),
        ({"firewall": {"scrape_from": ["::/0"], "everybody": ["ssh"]}}, "firewall.scrape_from[0]", "metrics-15020"),
        ({"firewall": {"everybody": ["port-nope"]}}, "firewall.everybody[0]", "known are call-9080, istiod, port-http"),
        ({"firewall": {"everybody": ["metrics-15020"]}}, "firewall.everybody[0]", "none of this machine's flows"),
        ({"firewall": {"peer_cidrs": ["fd00::/8", "FD00::/8"]}}, "firewall.peer_cidrs[1]", "there twice"),
        ({"firewall": {"peer_cidrs": ["10.0.0.7/16"]}}, "firewall.peer_cidrs[0]", "host bits"),
        ({"firewall": {"gateway_ports": [0]}}, "firewall.gateway_ports[0]", "not a port"),
        ({"firewall": {"scrape_ports": [15020, 15020]}}, "firewall.scrape_ports[1]", "there twice"),
        ({"firewall": {"shared": True}}, "firewall.shared", "give aws or gcp"),
        ({"firewall": {"shared": True, "ssh_from": ["10.0.0.0/8"]}, "aws": AWS}, "firewall.ssh_from", "shared_rules"),
        ({"firewall": {"shared": True}, "aws": {**AWS, "ssh_prefix_list_id": "p"}}, "aws.ssh_prefix_list_id", "shared"),
        ({"aws": AWS, "gcp": GCP}, "gcp", "one cloud"),
        ({"aws": {**AWS, "rules_per_group": 0}}, "aws.rules_per_group", "too small"),
        ({"aws": {"security_group_id": 5}}, "aws.security_group_id", "not a string"),
        ({"gcp": {"network": "default"}}, "gcp.target_tag", "every machine of the network"),
        ({"gcp": {**GCP, "ssh_service_account": "b@p"}}, "gcp.target_tag", "one kind alone"),
        ({"gcp": {**GCP, "priority": 65536}}, "gcp.priority", "from 0 to 65535"),
        ({"calls": [{"host": "a", "port": 80, "target_port": 0}]}, "calls[0].target_port", "not a port"),
        ({"firewall": {"peers": []}}, "firewall.peers", "no such argument"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(changes: Mapping[str, Any], path: str, words: str) -> None:
    error = failing(**changes)
    assert error.path == path
    assert words in str(error)


SHARED: dict[str, Any] = {"name": "fleet", "aws": AWS}


def judge_shared(*shared: Mapping[str, Any]) -> None:
    args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), "shared_rules": list(shared)}
    check_shape(args, MeshExpansionArgs)
    expansion.check_expansion(args)


@pytest.mark.parametrize(
    ("shared", "path"),
    [
        ([{"name": "Fleet", "aws": AWS}], "shared_rules[0].name"),
        ([SHARED, SHARED], "shared_rules[1].name"),
        ([{"name": "fleet"}], "shared_rules[0].aws"),
        ([{**SHARED, "gcp": GCP}], "shared_rules[0].gcp"),
        ([{**SHARED, "aws": {**AWS, "nodes_security_group_id": "s"}}], "shared_rules[0].aws.nodes_security_group_id"),
        ([{**SHARED, "firewall": {"shared": True}}], "shared_rules[0].firewall.shared"),
        ([{**SHARED, "firewall": {"ssh_from": [WORLD]}}], "shared_rules[0].firewall.ssh_from[0]"),
        ([{**SHARED, "ports": [http_port(0)]}], "shared_rules[0].ports[0].number"),
        ([{**SHARED, "calls": [{"host": "a b", "port": 1}]}], "shared_rules[0].calls[0].host"),
        ([{**SHARED, "ssh_port": 0}], "shared_rules[0].ssh_port"),
    ],
)  # fmt: skip
def test_shared_rules_that_cannot_work_are_refused(shared: list[Any], path: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        judge_shared(*shared)
    assert caught.value.path == path


def test_shared_rules_that_work_are_let_through() -> None:
    firewall = {"peer_cidrs": ["10.0.0.0/16"], "ssh_from": ["::/0"], "everybody": ["ssh"]}
    judge_shared({**SHARED, "ports": [http_port()], "calls": [{"host": "a", "port": 1}], "firewall": firewall})


@given(
    lists=st.lists(
        st.sampled_from(["peer_cidrs", "ssh_from", "gateway_cidrs", "scrape_from"]), unique=True, min_size=1
    ),
    range_=st.sampled_from([WORLD, "::/0"]),
    place=st.sampled_from(["firewall", "aws"]),
)
def test_nobody_opens_anything_to_the_whole_internet_without_saying_so(
    lists: list[str], range_: str, place: str
) -> None:
    known = [key for key in lists if place == "firewall" or key != "scrape_from"] or ["ssh_from"]
    given_ = {key: [range_] for key in known}
    said = complaint(vm_args(**{place: given_ if place == "firewall" else {**AWS, **given_}}))
    assert "is everybody" in said
