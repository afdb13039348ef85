"""Are the flows of one VM those that it declared, and no others?"""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.firewall.ports import (
    Declared,
    Direction,
    End,
    Flow,
    Parties,
    Peer,
    PeerKind,
    Role,
    declared,
    flows,
    in_words,
    left_closed,
    needs,
    ranges,
    same,
    unreachable,
)
from tests.samples import http_port

PODS, RUNNER, V6 = "10.0.0.0/16", "192.0.2.0/24", "fd00::/8"
GATEWAY = Peer("", PeerKind.RANGE, "192.0.2.10/32")
NODES = Peer("peers", PeerKind.GROUP, "sg-nodes")
MACHINE = Peer("machine", PeerKind.RANGE, "10.0.0.7/32")
CALLS = [{"host": "b", "port": 80}, {"host": "a", "port": 80}, {"host": "c", "port": 81}]

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
DESCRIPTION = re.compile(r"meshvm: [a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]+\Z")

CIDRS = st.lists(st.sampled_from([PODS, "10.1.0.0/16", V6, "fd00:1::/64"]), unique=True)
NUMBERS = st.lists(st.integers(1, 65535), unique=True, max_size=4)
SAID = st.builds(
    Declared,
    ports=NUMBERS.map(lambda found: [http_port(number, f"p{index}") for index, number in enumerate(found)]),
    calls=NUMBERS.map(lambda found: [{"host": "a", "port": number} for number in found]),
    between_networks=st.booleans(),
    ssh_port=st.integers(1, 65535),
    gateway_ports=NUMBERS,
    scrape_ports=st.sampled_from([(), (15020,), (15020, 15090)]),
)
NEAR = st.fixed_dictionaries(
    {
        Role.MESH: st.tuples(CIDRS, st.booleans()).map(lambda one: [*ranges(one[0]), *[NODES] * one[1]]),
        Role.RUNNER: CIDRS.map(ranges),
        Role.SCRAPER: CIDRS.map(ranges),
        Role.GATEWAY: CIDRS.map(lambda found: ranges(found) or [GATEWAY]),
    }
)
PARTIES = st.builds(
    Parties,
    near=NEAR,
    far=st.sampled_from([{}, {End.NODES: MACHINE}, {End.NODES: MACHINE, End.LOAD_BALANCER: MACHINE}]),
)


def parties(**near: Any) -> Parties:
    """Who is there: `mesh`, `runner` and `scraper` as ranges, and the gateway."""
    named = {role: ranges(near.get(role.name.lower(), [])) for role in Role}
    return Parties({**named, Role.GATEWAY: [GATEWAY]})


def found(said: Declared, who: Parties) -> list[Flow]:
    return flows(needs(said), who, "ratings")


def summary(some: list[Flow]) -> set[tuple[str, str, int, str]]:
    return {(flow.at.name, flow.direction.value, flow.port, flow.peer.value) for flow in some}


ISTIOD = ("MACHINE", "out", 15012, "192.0.2.10/32")
NETWORK = ("MACHINE", "out", 15443, "192.0.2.10/32")
IN_V6 = ("MACHINE", "in", 9080, V6)
HTTPS = {"port": http_port(8443, "https")}


@pytest.mark.parametrize(
    ("said", "who", "expected"),
    [
        ({}, {}, {ISTIOD}),
        ({}, {"mesh": [PODS]}, {ISTIOD}),
        ({}, {"runner": [RUNNER, V6]}, {ISTIOD, ("MACHINE", "in", 22, RUNNER), ("MACHINE", "in", 22, V6)}),
        ({"ssh_port": 2222}, {"runner": [RUNNER]}, {ISTIOD, ("MACHINE", "in", 2222, RUNNER)}),
        ({"ports": [http_port()]}, {}, {ISTIOD}),
        ({"ports": [http_port()]}, {"mesh": [PODS, V6]}, {ISTIOD, ("MACHINE", "in", 9080, PODS), IN_V6}),
        ({"calls": CALLS}, {"mesh": [PODS]}, {ISTIOD, ("MACHINE", "out", 80, PODS), ("MACHINE", "out", 81, PODS)}),
        ({"calls": [{**CALLS[0], "target_port": 8080}]}, {"mesh": [PODS]}, {ISTIOD, ("MACHINE", "out", 8080, PODS)}),
        ({"calls": CALLS, "between_networks": True}, {"mesh": [PODS]}, {ISTIOD, NETWORK}),
        ({"between_networks": True}, {"mesh": [PODS]}, {ISTIOD}),
        ({"egress_hosts": ["./*"], "between_networks": True}, {}, {ISTIOD, NETWORK}),
        ({"gateway_ports": [15443]}, {}, {NETWORK}),
        ({"scrape_ports": [15020]}, {"scraper": [PODS]}, {ISTIOD, ("MACHINE", "in", 15020, PODS)}),
        ({"listeners": [HTTPS]}, {"mesh": [PODS]}, {ISTIOD, ("MACHINE", "in", 8443, PODS)}),
    ],
)  # fmt: skip
def test_the_flows_are_those_that_were_declared(said: dict[str, Any], who: dict[str, Any], expected: set[Any]) -> None:
    assert summary(found(Declared(**said), parties(**who))) == expected


def test_a_gateway_of_tetrate_service_bridge_has_ports_of_its_own() -> None:
    some = found(Declared(gateway_ports=(15012, 15443, 9411, 11800), between_networks=True), parties())
    assert [(flow.name, flow.port) for flow in some] == [
        ("istiod", 15012),
        ("network", 15443),
        ("gateway-9411", 9411),
        ("gateway-11800", 11800),
    ]


def test_a_call_says_whom() -> None:
    some = found(Declared(calls=CALLS), parties(mesh=[PODS]))
    assert {flow.why for flow in some if flow.port in {80, 81}} == {
        "meshvm: this machine calls a, b",
        "meshvm: this machine calls c",
    }


def test_the_other_end_lets_the_machine_alone_through() -> None:
    who = Parties({Role.GATEWAY: [GATEWAY]}, {End.NODES: MACHINE, End.LOAD_BALANCER: MACHINE})
    some = [flow for flow in found(Declared(ports=[http_port()], calls=CALLS[:1]), who) if flow.at is not End.MACHINE]
    assert summary(some) == {
        ("LOAD_BALANCER", "in", 15012, "10.0.0.7/32"),
        ("NODES", "out", 9080, "10.0.0.7/32"),
        ("NODES", "in", 80, "10.0.0.7/32"),
    }
    assert {flow.why for flow in some if flow.at is End.NODES} == {
        "meshvm: the mesh calls port http of the machine ratings",
        "meshvm: the machine ratings calls b",
    }


@pytest.mark.parametrize("kind", [PeerKind.TAG, PeerKind.ACCOUNT])
def test_a_tag_or_an_account_is_no_destination(kind: PeerKind) -> None:
    """Google's egress rules know ranges alone."""
    who = Parties({Role.MESH: [Peer("peers", kind, "nodes")]})
    some = found(Declared(ports=[http_port()], calls=CALLS), who)
    assert {flow.direction for flow in some} == {Direction.IN}


def test_a_listener_on_a_loopback_address_is_for_the_machine_alone() -> None:
    listeners = [
        {"port": http_port(8443, "https"), "bind": "127.0.0.3"},
        {"port": http_port(8444, "b"), "bind": "0.0.0.0"},
    ]
    said = declared({"listeners": listeners}, scraped=False)
    assert [listener["port"]["number"] for listener in said.listeners] == [8444]


def test_nobody_named_means_words() -> None:
    who = Parties({role: [in_words(role)] for role in Role})
    some = found(Declared(ports=[http_port()], calls=CALLS[:1]), who)
    assert [(flow.name, flow.peer.value) for flow in some] == [
        ("ssh", "the runner or the bastion"),
        ("istiod", "the gateway"),
        ("port-http", "the mesh's workloads"),
        ("call-80", "the mesh's workloads"),
    ]


@given(said=SAID, who=PARTIES)
def test_no_flow_without_a_need_and_no_need_without_a_flow_or_a_word(said: Declared, who: Parties) -> None:
    wanted = needs(said)
    some = flows(wanted, who, "ratings")
    by_name = {need.name: need for need in wanted}
    for flow in some:
        need = by_name[flow.needs[0]]
        peers = who.near[need.role] if flow.at is End.MACHINE else [who.far[flow.at]]
        assert flow.peer in peers
        assert flow.port == need.port
        assert (flow.direction is need.direction) == (flow.at is End.MACHINE)
        assert DESCRIPTION.match(flow.why)
    served = {name for flow in some if flow.at is End.MACHINE for name in flow.needs}
    assert served | {need.name for need in unreachable(wanted, some)} | {"ssh"} == set(by_name) | {"ssh"}


@given(said=SAID, who=PARTIES)
def test_every_open_port_is_declared_or_istios(said: Declared, who: Parties) -> None:
    inbound = {said.ssh_port, *(port["number"] for port in said.ports), *said.scrape_ports}
    outbound = {*(call["port"] for call in said.calls), *(said.gateway_ports or (15012, 15443))}
    for flow in found(said, who):
        at_machine = flow.at is End.MACHINE
        assert flow.port in (inbound if (flow.direction is Direction.IN) is at_machine else outbound)


@given(said=SAID, who=PARTIES)
def test_no_two_flows_are_one_rule_or_have_one_name(said: Declared, who: Parties) -> None:
    some = found(said, who)
    assert len({same(flow) for flow in some}) == len(some)
    assert len({flow.name for flow in some}) == len(some)


@given(said=SAID, who=PARTIES)
def test_what_is_open_is_not_said_to_be_closed(said: Declared, who: Parties) -> None:
    some = found(said, who)
    closed = " ".join(left_closed(said, some))
    assert ("SSH" in closed) is all("ssh" not in flow.needs for flow in some)
    assert ("none is declared" in closed) is (not said.ports)
    assert ("15020" in closed) is all("metrics-15020" not in flow.needs for flow in some)


def test_a_machine_that_says_nothing_is_told_what_stays_closed() -> None:
    assert left_closed(Declared(), found(Declared(), parties())) == [
        "SSH (22), because nobody is named in ssh_from",
        "every port to the mesh, because none is declared",
        "what the machine would call, because no calls are declared",
        "metrics (15020, 15090), because nobody is said to scrape them",
    ]


def test_the_name_of_a_flow_does_not_depend_on_the_others() -> None:
    """Else one more port would replace the rules of all."""
    before = {flow.name for flow in found(Declared(ports=[http_port()]), parties(mesh=[PODS]))}
    more = Declared(ports=[http_port(80, "a"), http_port()])
    assert before < {flow.name for flow in found(more, parties(mesh=[RUNNER, PODS], runner=[V6]))}


def test_a_range_is_one_however_it_is_written() -> None:
    assert [peer.value for peer in ranges(["FD00::/8", "fd00::/8", "10.0.0.7", "10.0.0.7/32"])] == [
        "fd00::/8",
        "10.0.0.7/32",
    ]
