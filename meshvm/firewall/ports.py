"""Which flows a machine needs: derived from what is declared, each with the reason that becomes its rule's description.

A need is a port between the machine and somebody in a role; a flow is a need with a peer that has the role. No rule
stands without a flow, and a need that nobody is named for stays closed.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

_SSH: Final = 22
# Ports of a gateway for VMs, with the names of their rules (istio: samples/multicluster/gen-eastwest-gateway.sh; the
# last two are those of a gateway of Tetrate Service Bridge).
ISTIOD: Final = 15012
BETWEEN_NETWORKS: Final = 15443
_GATEWAY: Final = {
    ISTIOD: ("istiod", "this machine gets certificate and configuration from istiod"),
    BETWEEN_NETWORKS: ("network", "this machine calls services in the network of the cluster"),
    9411: ("gateway-9411", "this machine sends traces"),
    11800: ("gateway-11800", "this machine sends access logs"),
}
# What Prometheus may ask (istio: pkg/istio-agent and pilot/cmd/pilot-agent/status).
_METRICS: Final = {15020: "metrics of application and sidecar", 15090: "metrics of Envoy"}
SCRAPED: Final = 15020


class Direction(Enum):
    """Seen from where the rule stands."""

    IN = "in"
    OUT = "out"


class Role(Enum):
    """Who is at the other end of what a machine needs; the value is what people call it."""

    RUNNER = "the runner or the bastion"
    MESH = "the mesh's workloads"
    GATEWAY = "the gateway"
    SCRAPER = "Prometheus"


class End(Enum):
    """Where a rule stands."""

    MACHINE = "the machine"
    NODES = "the cluster's nodes"
    LOAD_BALANCER = "the gateway's load balancer"


class PeerKind(Enum):
    """What a peer is given as."""

    RANGE = "range"
    GROUP = "security group"
    PREFIX_LIST = "prefix list"
    TAG = "tag"
    ACCOUNT = "service account"
    WORDS = "words"


# What goes through which end, and what its rules are called.
_FAR: Final = ((Role.MESH, End.NODES, "nodes"), (Role.GATEWAY, End.LOAD_BALANCER, "load-balancer"))
# What Google's rules know as a source and not as a destination.
_SOURCES_ONLY: Final = {PeerKind.TAG, PeerKind.ACCOUNT}


@dataclass(frozen=True)
class Peer:
    """Somebody at the other end.

    :param name: short and stable, becomes part of the names of the rules; empty for a role's only one.
    :param value: the range, or the id of the group and so on; perhaps an Output, and not looked into here.
    """

    name: str
    kind: PeerKind
    value: Any


@dataclass(frozen=True)
class Need:
    """One TCP port that has to be open between the machine and whoever has a role.

    :param name: becomes part of the names of the rules.
    :param direction: seen from the machine.
    :param why: the rule's description, so without an apostrophe and whatever else AWS refuses in one.
    """

    name: str
    direction: Direction
    port: int
    role: Role
    why: str


@dataclass(frozen=True)
class Flow:
    """One TCP port, open for one peer at one end.

    :param name: short and stable, becomes part of a resource's name.
    :param needs: names of the needs that it serves; two of them when one rule does for both.
    :param at: where its rule stands; `direction` is seen from there.
    """

    name: str
    needs: tuple[str, ...]
    at: End
    direction: Direction
    port: int
    peer: Peer
    why: str


@dataclass(frozen=True)
class Declared:
    """What of one machine, or of several that share their rules, decides about their flows; all of it is plain.

    :param between_networks: the machine is not in the pods' network: then what it calls is behind one port of the
        gateway, else it is the pods themselves.
    :param gateway_ports: instead of those that follow from the rest.
    :param scrape_ports: empty when nobody scrapes.
    """

    ports: Sequence[Mapping[str, Any]] = ()
    listeners: Sequence[Mapping[str, Any]] = ()
    calls: Sequence[Mapping[str, Any]] = ()
    egress_hosts: Sequence[str] = ()
    between_networks: bool = False
    ssh_port: int = _SSH
    gateway_ports: Sequence[int] = ()
    scrape_ports: Sequence[int] = ()

    @property
    def calls_something(self) -> bool:
        """Whether it says whom it calls."""
        return bool(self.calls or self.egress_hosts)


@dataclass(frozen=True)
class Parties:
    """Who is at the other ends.

    :param near: who has a role, for the rules at the machine.
    :param far: ends whose rules are declared too, with what stands for the machine there.
    """

    near: Mapping[Role, Sequence[Peer]] = field(default_factory=dict)
    far: Mapping[End, Peer] = field(default_factory=dict)


def declared(args: Mapping[str, Any], *, scraped: bool) -> Declared:
    """What a MeshVm's arguments, or a MeshExpansion's `shared_rules`, say of flows."""
    firewall = args.get("firewall") or {}
    return Declared(
        ports=args.get("ports") or (),
        listeners=[one for one in args.get("listeners") or () if not _is_loopback(one.get("bind"))],
        calls=args.get("calls") or (),
        egress_hosts=args.get("egress_hosts") or (),
        between_networks=bool(args.get("network")),
        ssh_port=args.get("ssh_port") or (args.get("ssh") or {}).get("port") or _SSH,
        gateway_ports=firewall.get("gateway_ports") or (),
        scrape_ports=(firewall.get("scrape_ports") or (SCRAPED,)) if scraped else (),
    )


def needs(of: Declared) -> list[Need]:
    """Everything that has to be open for what is declared, SSH first."""
    why = "meshvm: the runner sets up the sidecar by SSH"
    return [Need("ssh", Direction.IN, of.ssh_port, Role.RUNNER, why), *_to_gateway(of), *_inbound(of), *_calls(of)]


def _to_gateway(of: Declared) -> Iterator[Need]:
    behind = of.between_networks and of.calls_something
    for port in of.gateway_ports or (ISTIOD, BETWEEN_NETWORKS)[: 1 + behind]:
        name, why = _GATEWAY.get(port, (f"gateway-{port}", "this machine connects to the mesh"))
        yield Need(name, Direction.OUT, port, Role.GATEWAY, f"meshvm: {why}, through the gateway")


def _inbound(of: Declared) -> Iterator[Need]:
    for port in (*of.ports, *(listener["port"] for listener in of.listeners)):
        why = f"meshvm: the mesh calls port {port['name']} of this machine"
        yield Need(f"port-{port['name']}", Direction.IN, port["number"], Role.MESH, why)
    for number in of.scrape_ports:
        why = f"meshvm: Prometheus collects {_METRICS.get(number, 'metrics')}"
        yield Need(f"metrics-{number}", Direction.IN, number, Role.SCRAPER, why)


def _calls(of: Declared) -> Iterator[Need]:
    if of.between_networks:
        return
    hosts: dict[int, set[str]] = {}
    for call in of.calls:
        # The sidecar connects to the pods, and not to the service.
        hosts.setdefault(call.get("target_port") or call["port"], set()).add(call["host"])
    for number, called in sorted(hosts.items()):
        why = f"meshvm: this machine calls {', '.join(sorted(called))}"
        yield Need(f"call-{number}", Direction.OUT, number, Role.MESH, why)


def flows(wanted: Iterable[Need], parties: Parties, machine: str = "") -> list[Flow]:
    """A flow for each need and each peer that has its role, and one at each far end that the need goes through.

    :param machine: name of the machine, for the other ends' descriptions.
    """
    found: dict[tuple[object, ...], Flow] = {}
    for need in wanted:
        for flow in (*_near(need, parties), *_far(need, parties, machine)):
            other = found.get(same(flow))
            # A cloud refuses the same rule twice.
            found[same(flow)] = _both(other, flow) if other else flow
    return list(found.values())


def same(flow: Flow) -> tuple[object, ...]:
    """What two flows have in common that would be one rule."""
    value = flow.peer.value
    return flow.at, flow.direction, flow.port, flow.peer.kind, value if isinstance(value, str) else id(value)


def _both(one: Flow, other: Flow) -> Flow:
    why = f"{one.why}; {other.why.removeprefix('meshvm: ')}"
    return replace(one, needs=(*one.needs, *other.needs), why=why)


def _near(need: Need, parties: Parties) -> Iterator[Flow]:
    for peer in parties.near.get(need.role, ()):
        if need.direction is Direction.IN or peer.kind not in _SOURCES_ONLY:
            name = f"{need.name}-{peer.name}" if peer.name else need.name
            yield Flow(name, (need.name,), End.MACHINE, need.direction, need.port, peer, need.why)


def _far(need: Need, parties: Parties, machine: str) -> Iterator[Flow]:
    for role, end, suffix in _FAR:
        if need.role is role and end in parties.far:
            turned = Direction.OUT if need.direction is Direction.IN else Direction.IN
            why = need.why.replace("this machine", f"the machine {machine}")
            yield Flow(f"{need.name}-{suffix}", (need.name,), end, turned, need.port, parties.far[end], why)


def in_words(role: Role) -> Peer:
    """Somebody with that role, by what people call it."""
    return Peer("", PeerKind.WORDS, role.value)


def ranges(values: Iterable[str]) -> list[Peer]:
    """Address ranges as peers, each once, however it is written."""
    found = list(dict.fromkeys(str(ipaddress.ip_network(value)) for value in values))
    return [Peer(_slug(one), PeerKind.RANGE, one) for one in found]


def unreachable(wanted: Sequence[Need], found: Sequence[Flow]) -> list[Need]:
    """The needs that a rule was not made for, because nobody is named. SSH is left out: its rule may be elsewhere."""
    served = {name for flow in found if flow.at is End.MACHINE for name in flow.needs}
    return [need for need in wanted if need.name not in served and need.role is not Role.RUNNER]


def left_closed(of: Declared, found: Sequence[Flow]) -> list[str]:
    """What stays closed because nothing was said of it, a sentence each."""
    open_ports = {name for flow in found for name in flow.needs}
    closed = []
    if "ssh" not in open_ports:
        closed.append(f"SSH ({of.ssh_port}), because nobody is named in ssh_from")
    if not (of.ports or of.listeners):
        closed.append("every port to the mesh, because none is declared")
    if not of.calls_something:
        closed.append("what the machine would call, because no calls are declared")
    unscraped = [str(port) for port in _METRICS if f"metrics-{port}" not in open_ports]
    if unscraped:
        closed.append(f"metrics ({', '.join(unscraped)}), because nobody is said to scrape them")
    return closed


def _is_loopback(address: Any) -> bool:  # noqa: ANN401 perhaps an Output
    try:
        return isinstance(address, str) and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _slug(peer: str) -> str:
    return peer.replace("/", "-").replace(":", "-").replace(".", "-")
