"""Are the flows of one VM those that it declared, and no others?"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meshvm.firewall.ports import Direction, Flow, PeerKind, mesh_flows, ssh_flows
from tests.samples import http_port

CIDRS = st.lists(st.sampled_from(["10.0.0.0/16", "10.1.0.0/16", "fd00::/8"]), unique=True)
NUMBERS = st.lists(st.integers(1, 65535), unique=True, max_size=4)


def flows(**changes: Any) -> list[Flow]:
    given_: dict[str, Any] = {
        "ports": [],
        "calls": [],
        "peer_group": False,
        "peer_cidrs": [],
        "between_networks": False,
    }
    return mesh_flows(**{**given_, **changes})


def summary(found: list[Flow]) -> set[tuple[str, int, str, str]]:
    return {(flow.direction.value, flow.port, flow.kind.value, flow.peer) for flow in found}


def test_without_sources_ssh_is_not_opened() -> None:
    assert ssh_flows(sources=[], port=None) == []


def test_ssh_is_opened_from_each_source_on_its_port() -> None:
    found = ssh_flows(sources=["192.0.2.0/24", "fd00::/8"], port=2222)
    assert summary(found) == {("in", 2222, "cidr", "192.0.2.0/24"), ("in", 2222, "cidr", "fd00::/8")}
    assert {flow.port for flow in ssh_flows(sources=["192.0.2.0/24"], port=None)} == {22}


def test_a_machine_that_declares_nothing_only_reaches_istiod() -> None:
    assert summary(flows(peer_group=True, peer_cidrs=["10.0.0.0/16"])) == {("out", 15012, "gateway", "")}


def test_a_port_is_open_to_the_declared_peers_alone() -> None:
    found = flows(ports=[http_port()], peer_group=True, peer_cidrs=["10.0.0.0/16"])
    assert summary(found) == {
        ("out", 15012, "gateway", ""),
        ("in", 9080, "group", ""),
        ("in", 9080, "cidr", "10.0.0.0/16"),
    }


def test_a_port_without_peers_is_open_to_nobody() -> None:
    assert summary(flows(ports=[http_port()])) == {("out", 15012, "gateway", "")}


def test_within_one_network_calls_go_to_the_peers() -> None:
    calls = [{"host": "b", "port": 80}, {"host": "a", "port": 80}, {"host": "c", "port": 81}]
    found = [flow for flow in flows(calls=calls, peer_group=True) if flow.kind is PeerKind.GROUP]
    assert [(flow.port, flow.why) for flow in found] == [
        (80, "meshvm: this machine calls a, b"),
        (81, "meshvm: this machine calls c"),
    ]


def test_between_networks_calls_go_through_one_port_of_the_gateway() -> None:
    found = flows(calls=[{"host": "a", "port": 80}], peer_group=True, between_networks=True)
    assert summary(found) == {("out", 15012, "gateway", ""), ("out", 15443, "gateway", "")}


@given(numbers=NUMBERS, called=NUMBERS, cidrs=CIDRS, group=st.booleans(), between=st.booleans())
def test_no_rule_without_a_declared_flow(
    numbers: list[int], called: list[int], cidrs: list[str], group: bool, between: bool
) -> None:
    """Every open port is declared or Istio's, every peer is declared or the gateway, and nobody is everybody."""
    ports = [http_port(number, f"p{index}") for index, number in enumerate(numbers)]
    calls = [{"host": "a", "port": number} for number in called]
    found = flows(ports=ports, calls=calls, peer_group=group, peer_cidrs=cidrs, between_networks=between)
    for flow in found:
        assert flow.port in (numbers if flow.direction is Direction.IN else {*called, 15012, 15443})
        assert flow.peer in {"", *cidrs}
        assert flow.kind is not PeerKind.GROUP or group
        assert flow.why.startswith("meshvm: ")
    assert len({flow.name for flow in found}) == len(found)
    assert len(summary(found)) == len(found)


def test_the_name_of_a_flow_does_not_depend_on_the_others() -> None:
    """Else one more port would replace the rules of all."""
    before = {flow.name for flow in flows(ports=[http_port()], peer_cidrs=["10.0.0.0/16"])}
    ports = [http_port(80, "a"), http_port()]
    assert before < {flow.name for flow in flows(ports=ports, peer_cidrs=["192.0.2.0/24", "10.0.0.0/16"])}
