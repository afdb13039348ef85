"""Does one program declare a rule twice, or more of them than a group holds?"""

from collections import Counter
from typing import Final

from meshvm.errors import ArgumentError
from meshvm.firewall.ports import Flow, PeerKind, same

_BOTH: Final = ("IPv4", "IPv6")


class Claims:
    """The rules that the components of one program have in each place: a security group, a tag, a service account."""

    def __init__(self) -> None:
        """Nothing is claimed."""
        self._owners: dict[object, str] = {}
        self._counts: dict[object, Counter[str]] = {}

    def claim(self, path: str, place: tuple[object, object], flow: Flow, owner: str, limit: int | None) -> None:
        """Note that `owner` has this rule there; an error when somebody else has it, or when it is one too many.

        :param path: the argument that names the place.
        :param place: the network that it belongs to, if it has one, and what it names: the same for the same one.
        :param limit: how many a place holds, in one direction and of one family.
        """
        rule = (place, flow.direction, *_rest(flow))
        other = self._owners.setdefault(rule, owner)
        if other != owner:
            shown = f"{place[1]!r}" if isinstance(place[1], str) else "it"
            wrong = f"the rule {flow.name!r} on {shown} is that of {other} too, and a cloud takes it once"
            remedy = (
                "declare what several machines share once, by `shared_rules` of MeshExpansion, and write firewall: "
                '{"shared": True} to each of them; or give each machine a group, tag or service account of its own'
            )
            raise ArgumentError(path, wrong, remedy)
        self._count(path, place, flow, limit)

    def _count(self, path: str, place: object, flow: Flow, limit: int | None) -> None:
        counted = self._counts.setdefault((place, flow.direction), Counter())
        counted.update(families(flow))
        family, most = max(((family, counted[family]) for family in _BOTH), key=lambda one: one[1])
        if limit is not None and most > limit:
            way = f"{flow.direction.value}bound rules for {family}"
            wrong = f"this program declares {most} {way} on it, and it holds {limit}"
            remedy = (
                "name fewer and wider ranges or a prefix list, spread the machines over several groups, or raise the "
                "account's quota and write rules_per_group"
            )
            raise ArgumentError(path, wrong, remedy)


def families(flow: Flow) -> tuple[str, ...]:
    """The families of addresses that a rule counts for. A group or a list counts for both; an address that is not known
    yet, which is a machine's, for IPv4."""
    if flow.peer.kind is not PeerKind.RANGE:
        return _BOTH
    return ("IPv6",) if isinstance(flow.peer.value, str) and ":" in flow.peer.value else ("IPv4",)


def _rest(flow: Flow) -> tuple[object, ...]:
    _at, _direction, *rest = same(flow)
    return tuple(rest)
