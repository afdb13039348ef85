"""Does a machine fit beside what else is declared: other machines' addresses, and the mesh's groups?"""

import json
from collections.abc import Mapping, MutableMapping
from typing import Final
from weakref import WeakKeyDictionary

import pulumi

from meshvm.args import MeshVmArgs
from meshvm.errors import ArgumentError
from meshvm.inputs import Inputs
from meshvm.outputs import derived, reported

# Which component has an address in a network, by the run that it belongs to.
_TAKEN: Final[MutableMapping[object, dict[tuple[str, str, str], str]]] = WeakKeyDictionary()


def checks(label: str, args: MeshVmArgs, inputs: Inputs) -> list[pulumi.Input[None]]:
    """What can only be seen beside other things: another component's machine, or the mesh's groups. Each fails at once
    when all that it needs is plain, else as an Output."""
    taken = derived(lambda *known: _take(label, *known), inputs["mesh"], inputs["network"], inputs["address"])
    if not args.get("group"):
        return [taken]
    fits = derived(
        lambda *known: _check_group(label, *known),
        inputs["mesh"],
        inputs["group"],
        inputs["service_account"],
        inputs["network"],
    )
    return [taken, fits]


def _take(label: str, mesh: Mapping[str, str], network: str, address: str) -> None:
    """An error when another component of this program has a machine with that address in that network: the mesh could
    not tell the two apart."""
    of_this_run = _TAKEN.setdefault(pulumi.runtime.settings.get_monitor(), {})
    other = of_this_run.setdefault((mesh["namespace"], network, address), label)
    if other != label:
        where = f"in the network {network!r}" if network else "in the mesh's one network"
        wrong = f"{address} {where} is the address of {other} too, and the mesh knows machines by their addresses"
        with reported(label):
            raise ArgumentError("address", wrong, "give each machine its own, or name the networks apart by `network`")


def _check_group(label: str, mesh: Mapping[str, str], group: str, account: str, network: str) -> None:
    """An error when the machine does not fit a group that MeshExpansion makes; istiod would refuse its connection."""
    known = json.loads(mesh["groups"]).get(group)
    if known is None:
        return
    with reported(label):
        if known["serviceAccount"] != account:
            wrong = f"{account!r} is not the account of the group {group!r}, which is {known['serviceAccount']!r}"
            raise ArgumentError("service_account", wrong, "write that one, or the name of another group")
        if known["network"] != network:
            wrong = f"{network!r} is not the network of the group {group!r}, which is {known['network']!r}"
            raise ArgumentError("network", wrong, "write that one, or the name of another group")
