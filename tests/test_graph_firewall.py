"""Are the rules of a program those of its flows, each with one owner, in a preview as at an `up`?"""

import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.testing import UNKNOWN, FakeCluster, Recorded, Recording, record
from tests.samples import ENDPOINT, Machine, http_port, mesh, vm_args

GROUP = {"security_group_id": "sg-1"}
PEERS = {"peer_cidrs": ["10.0.0.0/16"]}
FAR = {"nodes_security_group_id": "sg-nodes", "load_balancer_security_group_id": "sg-lb"}
SHARED = {"name": "fleet", "ports": [http_port()], "firewall": {**PEERS, "ssh_from": ["192.0.2.0/24"]}, "aws": GROUP}


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Each test that asks for it holds in both."""
    return bool(request.param)


def rules(recording: Recording) -> dict[str, Recorded]:
    return {name: one for name, one in recording.items() if one.type.startswith("aws:")}


def one_vm(name: str = "ratings", **changes: Any) -> Callable[[], None]:
    def run() -> None:
        machine = Machine("vm")
        given = {"machine_id": machine.id, "address": machine.address, **changes}
        meshvm.MeshVm(name, vm_args(**given))

    return run


def graph(*, preview: bool = False, **changes: Any) -> Recording:
    return record(one_vm(**changes), preview=preview, outputs={"vm": {"address": "10.0.0.7"}})


def failure(program: Callable[[], Any], *, preview: bool = True) -> str:
    with pytest.raises(Exception, match="MeshVm") as caught:
        record(program, preview=preview)
    return str(caught.value)


def vm(name: str, **changes: Any) -> meshvm.MeshVm:
    number = 7 + sum(map(ord, name)) % 200
    return meshvm.MeshVm(name, vm_args(**{"machine_id": name, "address": f"10.0.0.{number}", **changes}))


def test_each_rule_has_one_source_one_port_its_reason_and_the_tags(preview: bool) -> None:
    aws = {**GROUP, "peer_security_group_id": "sg-n", "peer_prefix_list_id": "pl-1", "tags": {"team": "mesh"}}
    aws |= {
        "ssh_security_group_id": "sg-bastion",
        "gateway_prefix_list_id": "pl-gw",
        "scrape_security_group_id": "sg-p",
    }
    found = rules(graph(preview=preview, aws=aws, firewall=PEERS))
    sources = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
    shown = {name: [one.inputs[key] for key in sources if key in one.inputs] for name, one in found.items()}
    assert shown == {
        "ratings-ssh-group": ["sg-bastion"],
        "ratings-istiod-list": ["pl-gw"],
        "ratings-port-http-10-0-0-0-16": ["10.0.0.0/16"],
        "ratings-port-http-peers": ["sg-n"],
        "ratings-port-http-list": ["pl-1"],
        "ratings-metrics-15020-group": ["sg-p"],
        "ratings-call-9080-10-0-0-0-16": ["10.0.0.0/16"],
        "ratings-call-9080-peers": ["sg-n"],
        "ratings-call-9080-list": ["pl-1"],
    }
    for one in found.values():
        assert one.inputs["fromPort"] == one.inputs["toPort"]
        assert one.inputs["description"].startswith("meshvm: ")
        assert one.inputs["tags"] == {"team": "mesh"}


def test_what_is_said_of_aws_and_of_every_cloud_adds_up() -> None:
    aws = {**GROUP, "peer_cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}
    found = rules(graph(aws=aws, firewall=PEERS, calls=None))
    assert {name for name in found if "port" in name} == {
        "ratings-port-http-10-0-0-0-16",
        "ratings-port-http-10-1-0-0-16",
    }


def test_the_other_ends_rules_carry_the_machines_address(preview: bool) -> None:
    recording = graph(preview=preview, aws={**GROUP, **FAR}, firewall=PEERS)
    far = {name: one for name, one in rules(recording).items() if one.inputs["securityGroupId"] != "sg-1"}
    kinds = {
        name: (one.type.rpartition(":")[2], one.inputs["securityGroupId"], one.inputs["fromPort"])
        for name, one in far.items()
    }
    assert kinds == {
        "ratings-istiod-load-balancer": ("SecurityGroupIngressRule", "sg-lb", 15012),
        "ratings-port-http-nodes": ("SecurityGroupEgressRule", "sg-nodes", 9080),
        "ratings-call-9080-nodes": ("SecurityGroupIngressRule", "sg-nodes", 9080),
    }
    for one in far.values():
        assert one.inputs["cidrIpv4"] == (UNKNOWN if preview else "10.0.0.7/32")
        assert one.by_property["cidrIpv4"] == {"vm"}
        assert "ratings" in one.inputs["description"]


def test_a_rule_that_carries_the_address_is_replaced_new_first(preview: bool) -> None:
    """In place the machine that is yet to drain would lose it; by `replace_with` an address that stays would be refused
    as a rule that exists already."""
    recording = graph(preview=preview, aws={**GROUP, **FAR}, firewall=PEERS)
    for one in rules(recording).values():
        own = one.inputs["securityGroupId"] != "sg-1"
        assert one.options["replace_on_changes"] == (["cidrIpv4", "cidrIpv6"] if own else [])
        assert not one.options["delete_before_replace"]
        assert [other for other in one.options["replace_with"] if other] == []


def test_ssh_is_there_before_host_and_everything_else_before_drain(preview: bool) -> None:
    firewall = {**PEERS, "ssh_from": ["192.0.2.0/24"], "scrape_from": ["10.9.0.0/16"]}
    recording = graph(preview=preview, aws={**GROUP, **FAR}, firewall=firewall)
    ssh = {"ratings-ssh-192-0-2-0-24"}
    assert recording["ratings-host"].depends_on == {"vm", *ssh}
    assert recording["ratings-drain"].depends_on == {"vm", "ratings-host", *(rules(recording).keys() - ssh)}


def test_an_ipv6_machine_has_a_rule_of_its_family() -> None:
    recording = graph(
        address="2001:db8::7",
        aws={**GROUP, **FAR},
        mesh=mesh(gatewayAddress="2001:db8::1", gatewayAddresses="2001:db8::1"),
    )
    found = rules(recording)
    assert found["ratings-istiod"].inputs["cidrIpv6"] == "2001:db8::1/128"
    assert found["ratings-istiod-load-balancer"].inputs["cidrIpv6"] == "2001:db8::7/128"
    assert not any("cidrIpv4" in one.inputs for one in found.values())


def test_a_changed_port_changes_one_rule(preview: bool) -> None:
    before, after = (
        rules(graph(preview=preview, ports=[http_port(number), http_port(9090, "admin")], aws=GROUP, firewall=PEERS))
        for number in (9080, 9081)
    )
    assert before.keys() == after.keys()
    assert [name for name in before if before[name].inputs != after[name].inputs] == ["ratings-port-http-10-0-0-0-16"]


def test_without_a_cloud_the_flows_say_who_would_have_to_be_let_through() -> None:
    recording = graph()
    outputs = recording.outputs["ratings"]
    assert rules(recording) == {}
    assert [(row["direction"], row["port"], row["peer"]) for row in outputs["flow_table"]] == [
        ("in", "22", "the runner or the bastion"),
        ("out", "15012", "192.0.2.10/32"),
        ("in", "9080", "the mesh's workloads"),
        ("out", "9080", "the mesh's workloads"),
    ]
    assert outputs["flows"] == [row["why"] for row in outputs["flow_table"]]


def test_without_a_cloud_named_ranges_are_in_the_flows_and_the_others_stay_words() -> None:
    peers = [row["peer"] for row in graph(firewall=PEERS).outputs["ratings"]["flow_table"]]
    assert peers == ["the runner or the bastion", "192.0.2.10/32", "10.0.0.0/16", "10.0.0.0/16"]
    (row,) = (
        row
        for row in graph(firewall=PEERS).outputs["ratings"]["flow_table"]
        if row["port"] == "9080" and row["direction"] == "in"
    )
    assert row == {
        "name": "port-http-10-0-0-0-16",
        "at": "the machine",
        "direction": "in",
        "protocol": "tcp",
        "port": "9080",
        "peerKind": "range",
        "peer": "10.0.0.0/16",
        "why": "meshvm: the mesh calls port http of this machine",
    }


def test_the_table_has_a_row_for_each_rule() -> None:
    recording = graph(aws={**GROUP, **FAR, "ssh_from": ["192.0.2.0/24"]}, firewall=PEERS)
    table = recording.outputs["ratings"]["flow_table"]
    assert {f"ratings-{row['name']}" for row in table} == rules(recording).keys()


def test_two_machines_that_would_declare_one_rule_are_refused() -> None:
    def two() -> None:
        for name in ("one", "other"):
            vm(name, aws=GROUP, firewall=PEERS)

    said = failure(two)
    assert said.startswith(
        "MeshVm \"other\": aws.security_group_id: the rule 'istiod' on 'sg-1' is that of MeshVm \"one\" too"
    )
    assert "shared_rules" in said


def test_two_machines_are_refused_by_a_group_that_is_not_known_yet() -> None:
    def two() -> None:
        group = Machine("group").id
        for name in ("one", "other"):
            vm(name, aws={"security_group_id": group}, firewall=PEERS)

    assert 'MeshVm "one" too' in failure(two)


def test_two_machines_in_groups_of_their_own_may_have_the_same_rules() -> None:
    def two() -> None:
        for name in ("one", "other"):
            vm(name, aws={"security_group_id": f"sg-{name}"}, firewall=PEERS)

    assert len(rules(record(two))) == 6


def test_machines_in_a_shared_group_declare_only_what_carries_their_address(preview: bool) -> None:
    def fleet() -> None:
        args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), "shared_rules": [SHARED]}
        expansion = meshvm.MeshExpansion("shop", args)
        for name in ("one", "other"):
            vm(name, mesh=expansion.mesh, aws={**GROUP, **FAR}, firewall={"shared": True}, calls=None)

    recording = record(fleet, preview=preview, cluster_answers=FakeCluster())
    by_parent = {
        name: {rule for rule, one in rules(recording).items() if one.parent == name} for name in ("shop", "one")
    }
    shared = {"shop-fleet-ssh-192-0-2-0-24", "shop-fleet-istiod", "shop-fleet-port-http-10-0-0-0-16"}
    assert by_parent == {"shop": shared, "one": {"one-istiod-load-balancer", "one-port-http-nodes"}}
    assert recording["one-host"].depends_on >= shared
    assert recording["one-drain"].depends_on >= shared | by_parent["one"]


def test_more_rules_than_a_group_holds_are_refused_in_the_preview() -> None:
    ranges = [f"10.{number}.0.0/16" for number in range(61)]
    said = failure(lambda: vm("one", aws=GROUP, firewall={"peer_cidrs": ranges}, calls=None))
    assert "aws.security_group_id: this program declares 61 inbound rules for IPv4 on it, and it holds 60" in said
    found = record(lambda: vm("one", aws={**GROUP, "rules_per_group": 61}, firewall={"peer_cidrs": ranges}, calls=None))
    assert len(rules(found)) == 62


def test_inbound_and_outbound_and_the_families_are_counted_apart() -> None:
    ranges = [f"10.{number}.0.0/16" for number in range(59)] + [f"fd00:{number}::/32" for number in range(1, 60)]
    assert len(rules(record(lambda: vm("one", aws=GROUP, firewall={"peer_cidrs": ranges})))) == 2 * 118 + 1


def test_a_gateway_of_several_addresses_needs_ranges() -> None:
    answers = mesh(gatewayAddresses="192.0.2.10 192.0.2.11")
    assert "aws.gateway_cidrs: the gateway has 2 addresses" in failure(lambda: vm("one", mesh=answers, aws=GROUP))


@pytest.mark.parametrize("output", [False, True], ids=["plain", "output"])
def test_a_gateway_with_another_port_for_istiod_needs_its_ports(output: bool) -> None:
    def run(**firewall: Any) -> Callable[[], Any]:
        answers: Any = mesh(gatewayPort="15443")
        given = pulumi.Output.from_input(answers) if output else answers
        return lambda: vm("one", mesh=given, aws=GROUP, firewall={**PEERS, **firewall}).flow_table

    assert "firewall.gateway_ports: istiod is behind port 15443" in failure(run())
    assert "one-network" in rules(record(run(gateway_ports=[15443])))


def test_a_cloud_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meshvm.firewall.gcp", None)
    gcp = {"network": "default", "target_tag": "ratings"}
    assert failure(lambda: vm("one", gcp=gcp)).endswith("run pip install 'meshvm[gcp]'")


def said(monkeypatch: pytest.MonkeyPatch, *, preview: bool, **changes: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"info": [], "warn": []}
    for level, texts in found.items():
        monkeypatch.setattr(pulumi.log, level, lambda text, texts=texts, **_: texts.append(text))
    graph(preview=preview, **changes)
    return found


def test_a_preview_says_once_what_stays_closed_and_an_up_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = said(monkeypatch, preview=True, aws=GROUP, firewall=PEERS)
    assert shown == {
        "info": [
            (
                'MeshVm "ratings": the firewall leaves closed: SSH (22), because nobody is named in ssh_from; '
                "metrics (15020, 15090), because nobody is said to scrape them"
            )
        ],
        "warn": [],
    }
    assert said(monkeypatch, preview=False, aws=GROUP, firewall=PEERS) == {"info": [], "warn": []}


def test_what_is_declared_and_closed_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = said(monkeypatch, preview=False, aws=GROUP)["warn"]
    assert "declared, but closed, because nobody is named for it: port-http (9080), call-9080 (9080)" in warning


def test_who_has_no_cloud_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, preview=True) == {"info": [], "warn": []}
