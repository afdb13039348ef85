"""The firewall rules of one component: the flows that it declares, and what its cloud makes of them."""

import importlib
import ipaddress
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import pulumi

from meshvm.errors import ArgumentError
from meshvm.firewall import ports
from meshvm.firewall.claims import Claims
from meshvm.firewall.ports import End, Flow, Parties, Peer, PeerKind, Role
from meshvm.outputs import derived, reported

# One file a cloud; each is imported where it is used, because a cloud's SDK is an extra.
CLOUDS: Final[Mapping[str, str]] = {"aws": "meshvm.firewall.aws", "gcp": "meshvm.firewall.gcp"}

# What is declared in a run, by the run's connection to the engine.
_CLAIMS: Final[MutableMapping[object, Claims]] = WeakKeyDictionary()
_LISTS: Final = {Role.RUNNER: "ssh_from", Role.MESH: "peer_cidrs", Role.SCRAPER: "scrape_from"}


class Rules:
    """The flows of a machine, or of machines that share them, as rules of their cloud.

    `before_host` and `before_drain` are what the first and the last session and the drain wait for; `sentences` and
    `table` are the component's outputs.

    :param component: the rules' parent; what the preview says is said of it.
    :param name: what the names of the rules begin with.
    :param args: arguments of MeshVm, or of one of `shared_rules`.
    :param mesh: the map `mesh`.
    :param address: the machine's, for the other ends; None when the rules are several machines'.
    """

    def __init__(
        self,
        component: pulumi.Resource,
        label: str,
        name: str,
        args: Mapping[str, Any],
        mesh: pulumi.Input[Mapping[str, str]],
        address: pulumi.Input[str] | None = None,
    ) -> None:
        self._component, self._label, self._name, self._args = component, label, name, args
        self._firewall: Mapping[str, Any] = args.get("firewall") or {}
        self._key = next((key for key in CLOUDS if args.get(key)), "")
        self._own: Mapping[str, Any] = args.get(self._key) or {}
        self._cloud: Any = self._imported() if self._key else None
        self._mesh, self._address = mesh, address
        self._shared = bool(self._firewall.get("shared"))

        parties = self._parties()
        declared = ports.declared(args, scraped=bool(parties.near.get(Role.SCRAPER)))
        wanted = ports.needs(declared)
        self.flows = ports.flows(wanted, parties, name)
        made = self._made()
        ssh = [flow for flow in self.flows if flow.needs[0] == "ssh" and flow.at is End.MACHINE]
        # What a MeshExpansion declares is there before its output `mesh`, and goes after it.
        others = [mesh.apply(lambda _: None)] if self._shared and isinstance(mesh, pulumi.Output) else []
        self.before_host: list[Any] = [*others, *(made[flow.name] for flow in ssh if flow.name in made)]
        self.before_drain: list[Any] = [
            *others,
            *(made[flow.name] for flow in self.flows if flow not in ssh and flow.name in made),
        ]
        if self._cloud and not self._shared:
            self._say(wanted, declared)
        self.sentences: list[str] = [flow.why for flow in self.flows]
        self.table = self._table(wanted)

    def _imported(self) -> Any:  # noqa: ANN401 a module
        try:
            return importlib.import_module(CLOUDS[self._key])
        except ModuleNotFoundError as error:
            with reported(self._label):
                raise ArgumentError(self._key, str(error), f"run pip install 'meshvm[{self._key}]'") from None

    def _parties(self) -> Parties:
        machine = None if self._address is None else Peer("machine", PeerKind.RANGE, derived(_single, self._address))
        far: dict[End, Peer] = {end: machine for end in self._places() if machine and end is not End.MACHINE}
        if self._shared:
            return Parties({}, far)
        named = self._cloud.peers(self._own) if self._cloud else {}
        near = {role: [*self._ranges(key), *named.get(role, ())] or self._unnamed(role) for role, key in _LISTS.items()}
        gateway = [*self._ranges("gateway_cidrs"), *named.get(Role.GATEWAY, ())]
        return Parties({**near, Role.GATEWAY: gateway or [self._one_gateway()]}, far)

    def _unnamed(self, role: Role) -> list[Peer]:
        """Who has a role that nobody is named for: somebody in words, for those who make their rules elsewhere."""
        asked = role is not Role.SCRAPER or self._firewall.get("scrape_ports")
        return [ports.in_words(role)] if asked and not self._cloud else []

    def _ranges(self, key: str) -> list[Peer]:
        return ports.ranges([*(self._firewall.get(key) or []), *(self._own.get(key) or [])])

    def _one_gateway(self) -> Peer:
        return Peer("", PeerKind.RANGE, derived(self._gateway_range, self._mesh))

    def _gateway_range(self, mesh: Mapping[str, str]) -> str:
        """The gateway's one address as a range."""
        address, addresses = mesh["gatewayAddress"], mesh["gatewayAddresses"].split()
        if mesh["gatewayAddressKind"] == "ip" and len(addresses) == 1:
            return _single(address)
        if not self._cloud:
            return ", ".join(addresses)
        several = f"the gateway has {len(addresses)} addresses, and a rule is for one range"
        wrong = f"the gateway {address} is a host name, and a rule needs its addresses"
        path = "aws.gateway_cidrs" if self._key == "aws" else "firewall.gateway_cidrs"
        with reported(self._label):
            remedy = "write the address ranges of its load balancer"
            raise ArgumentError(path, several if mesh["gatewayAddressKind"] == "ip" else wrong, remedy)

    def _places(self) -> Mapping[End, tuple[str, pulumi.Input[str]]]:
        found: Mapping[End, tuple[str, pulumi.Input[str]]] = self._cloud.places(self._own) if self._cloud else {}
        return found

    def _made(self) -> dict[str, pulumi.Resource]:
        """The rules by the names of their flows."""
        if not self._cloud:
            return {}
        places = {end: self._claimed(end, key, place) for end, (key, place) in self._places().items()}
        opts = pulumi.ResourceOptions(parent=self._component)
        rules = self._cloud.rules(self._name, self.flows, self._own, places, opts)
        return {flow.name: rule for flow, rule in zip(self.flows, rules, strict=True)}

    def _claimed(self, end: End, key: str, place: pulumi.Input[str]) -> pulumi.Input[str]:
        """The place of an end's rules, when nobody else has declared one of them there."""
        here = [flow for flow in self.flows if flow.at is end]
        if not isinstance(place, str):
            # The same Output in two components is the same group, whatever its id will be.
            self._claim(key, place, here)

        def claim(known: str) -> str:
            self._claim(key, known, here)
            return known

        return derived(claim, place)

    def _claim(self, key: str, place: object, here: Iterable[Flow]) -> None:
        claims = _CLAIMS.setdefault(pulumi.runtime.settings.get_monitor(), Claims())
        limit = self._cloud.limit(self._own)
        with reported(self._label):
            for flow in here:
                # A tag means something in its network alone; a security group has an id.
                claims.claim(f"{self._key}.{key}", (self._own.get("network"), place), flow, self._label, limit)

    def _say(self, wanted: Sequence[ports.Need], declared: ports.Declared) -> None:
        """What nobody can reach although it is declared, as a warning; what stays closed, in a preview."""
        alone = ports.unreachable(wanted, self.flows)
        if alone:
            told = ", ".join(f"{need.name} ({need.port})" for need in alone)
            remedy = "name the mesh's workloads in peer_cidrs, or leave out what nobody uses"
            text = f"{self._label}: declared, but closed, because nobody is named for it: {told}; {remedy}"
            pulumi.log.warn(text, resource=self._component)
        closed = ports.left_closed(declared, self.flows)
        if closed and pulumi.runtime.is_dry_run():
            pulumi.log.info(f"{self._label}: the firewall leaves closed: {'; '.join(closed)}", resource=self._component)

    def _table(self, wanted: Sequence[ports.Need]) -> pulumi.Output[Sequence[Mapping[str, str]]]:
        """The flows as a list of maps of strings."""
        opened = [need.port for need in wanted if need.role is Role.GATEWAY]

        def rows(mesh: Mapping[str, str], *known: str) -> list[dict[str, str]]:
            if self._cloud and int(mesh["gatewayPort"]) not in opened:
                wrong = f"istiod is behind port {mesh['gatewayPort']} of the gateway, and the rules are for {opened}"
                with reported(self._label):
                    remedy = "write all of the gateway's ports that the machine needs"
                    raise ArgumentError("firewall.gateway_ports", wrong, remedy)
            return [_row(flow, one) for flow, one in zip(self.flows, known, strict=True)]

        table: Any = derived(rows, self._mesh, *(flow.peer.value for flow in self.flows))
        # Not by `from_input`, which makes an Output of each value in it.
        return table if isinstance(table, pulumi.Output) else pulumi.Output.from_input("").apply(lambda _: table)


def _row(flow: Flow, peer: str) -> dict[str, str]:
    return {
        "name": flow.name,
        "at": flow.at.value,
        "direction": flow.direction.value,
        "protocol": "tcp",
        "port": str(flow.port),
        "peerKind": flow.peer.kind.value,
        "peer": peer,
        "why": flow.why,
    }


def _single(address: str) -> str:
    """An address as a range of one."""
    return str(ipaddress.ip_network(address))
