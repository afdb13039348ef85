"""What does a preview of 1,000 MeshVms cost, beside the same resources declared by hand?

Each program runs in a process of its own, on the real engine, the two in turns; no cluster is in reach. The mesh is an
Output, as it is when it comes from a MeshExpansion or from another stack.
"""

from collections.abc import Callable
from typing import Final

import pulumi

import meshvm
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.bench import by_hand, preview
from lab.bench.sample import MESH, meshvm_args
from meshvm.testing import Recording, record

_MACHINES: Final = 1000
_LIMIT: Final = 1.15
# Once each: a run is minutes long, which is its own mean. A shorter one says less: the SDK's own cost of a resource
# grows with their number.
_TURNS: Final = ("by hand", "MeshVm")
_SAMPLE: Final = ("sample-vm", "i-sample", "10.255.255.254")


def ask(steps: Steps) -> None:
    """Preview both programs and say the ratio."""
    with preview.engine(steps) as folder:
        differs = difference(number=7)
        if differs:
            raise LabError(f"what is made by hand is not what a MeshVm makes: {differs}; see lab/bench/by_hand.py")
        found = {way: preview.alone(steps, "lab.bench.registration", folder, way, _MACHINES) for way in _TURNS}
    steps.say("")
    for what, name in preview.NAMES.items():
        times = found["MeshVm"][what], found["by hand"][what]
        ways = "s by MeshVm", "s for the same resources by hand"
        preview.say(steps, f"a preview of {_MACHINES:,} machines", name, times, ways, _LIMIT)


def program(way: str, machines: int) -> Callable[[], None]:
    """The program that registers so many machines."""
    if way == "MeshVm":
        return lambda: _meshvms(machines)
    recording = recorded(*_SAMPLE)
    known = [by_hand.machine(recording, _names(number)[0], _words(number)) for number in range(machines)]
    return lambda: by_hand.register(known)


def _meshvms(machines: int) -> None:
    mesh = pulumi.Output.from_input(dict(MESH))
    for number in range(machines):
        name, machine, address = _names(number)
        meshvm.MeshVm(name, meshvm_args(machine, address, mesh))


def recorded(name: str, machine: str, address: str) -> Recording:
    """What one MeshVm registers in a preview."""

    def one() -> None:
        meshvm.MeshVm(name, meshvm_args(machine, address, pulumi.Output.from_input(dict(MESH))))

    return record(one, preview=True)


def difference(number: int) -> str:
    """What a machine by hand has otherwise than the same one by MeshVm; empty when nothing."""
    known = by_hand.machine(recorded(*_SAMPLE), _names(number)[0], _words(number))
    made = record(lambda: by_hand.register([known]), preview=True)
    wanted = recorded(*_names(number))
    if made.keys() != wanted.keys():
        return f"{', '.join(sorted(made.keys() ^ wanted.keys()))} is there once"
    different = [name for name in wanted if made[name] != wanted[name]]
    return different[0] if different else "" if made.outputs == wanted.outputs else "the component's outputs"


def _names(number: int) -> tuple[str, str, str]:
    return f"vm-{number}", f"i-{number}", f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def _words(number: int) -> dict[str, str]:
    words = dict(zip(_SAMPLE, _names(number), strict=True))
    # The name of the entry has the address in it, without dots.
    return {**words, **{old.replace(".", "-"): new.replace(".", "-") for old, new in words.items()}}


if __name__ == "__main__":
    preview.measure(program)
