"""Which resources would a program without MeshVm register to the same end?

Those that a recorded MeshVm registers, of the SDK's own classes, below a component of the same type, with the same
inputs and options: whatever MeshVm makes today is what it is compared with. All that is known is plain here, where a
MeshVm works it out of the mesh's facts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s
from pulumi_command import local, remote

from lab.base.errors import LabError
from meshvm.testing import UNKNOWN, Recorded, Recording

_COMPONENT: Final = "meshvm:index:MeshVm"


@dataclass(frozen=True)
class Resource:
    """One resource to register.

    :param inputs: by the names of the SDK's own arguments.
    :param after: names of the resources that it depends on.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    secrets: frozenset[str]
    after: Sequence[str]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Machine:
    """All resources of one machine, and what its component says of itself."""

    name: str
    resources: Sequence[Resource]
    outputs: Mapping[str, Any]


def machine(recording: Recording, name: str, words: Mapping[str, str]) -> Machine:
    """The resources of another machine than the recorded one.

    :param recording: of one MeshVm.
    :param words: what is to stand in the place of each word of the recorded one.
    """
    resources = [
        Resource(
            type=one.type,
            name=_replaced(one.name, words),
            inputs={_snake(key): value for key, value in _replaced(one.inputs, words).items()},
            secrets=frozenset(_snake(key) for key in one.secrets),
            after=[_replaced(other, words) for other in sorted(one.depends_on)],
            options=_options(one),
        )
        for one in recording.values()
        if one.type != _COMPONENT and one.parent
    ]
    (component,) = recording.of_type(_COMPONENT)
    return Machine(name, resources, _replaced(recording.outputs[component.name], words))


def register(machines: Sequence[Machine]) -> None:
    """Register the machines: the program."""
    for one in machines:
        _Component(one)


class _Component(pulumi.ComponentResource):
    def __init__(self, machine: Machine) -> None:
        super().__init__(_COMPONENT, machine.name, {})
        made: dict[str, pulumi.Resource] = {}
        for one in machine.resources:
            depends_on = [made[name] for name in one.after]
            options = pulumi.ResourceOptions(parent=self, depends_on=depends_on, **one.options)
            made[one.name] = _class(one.type)(one.name, opts=options, **_inputs(one))
        self.register_outputs(_known(machine.outputs))


def _class(type_: str) -> Callable[..., pulumi.Resource]:
    if type_.startswith("kubernetes:"):
        return k8s.apiextensions.CustomResource
    classes = {"command:remote:Command": remote.Command, "command:local:Command": local.Command}
    if type_ not in classes:
        raise LabError(f"no resource of type {type_} is made by hand: lab/bench/by_hand.py needs its class")
    return classes[type_]


def _inputs(one: Resource) -> dict[str, Any]:
    given: dict[str, Any] = _known(one.inputs)
    if "connection" in given:
        login = {_snake(key): value for key, value in given["connection"].items()}
        login["private_key"] = pulumi.Output.secret(login["private_key"])
        given["connection"] = remote.ConnectionArgs(**login)
    given.update({key: pulumi.Output.secret(given[key]) for key in one.secrets if key != "connection"})
    return given


def _options(one: Recorded) -> dict[str, Any]:
    # A program says only what it wants otherwise than it is anyway.
    known = {key: one.options[key] for key in ("ignore_changes", "delete_before_replace")}
    return {key: value for key, value in known.items() if value}


def _known(value: Any) -> Any:
    """What a recording says, as a program gives it."""
    if value is UNKNOWN:
        return pulumi.Output.from_input(pulumi.UNKNOWN)
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    return [_known(one) for one in value] if isinstance(value, list) else value


def _replaced(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in words.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, Mapping):
        return {key: _replaced(one, words) for key, one in value.items()}
    return [_replaced(one, words) for one in value] if isinstance(value, list) else value


def _snake(name: str) -> str:
    return re.sub("(?=[A-Z])", "_", name).lower()
