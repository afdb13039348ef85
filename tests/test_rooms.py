"""Does each room of the library import only what it may? The floors of the design, held."""

from pathlib import Path

import pytest

from tests.imports import CHECKOUT, imports, sources

COMPONENTS = {"expansion", "gateway", "vm", "group", "service"}
# What the components share: what goes into Pulumi and comes out of it, what waits for an `up`, what stands beside a
# machine, how SSH is asked for, what a firewall lets through.
SHARED = {"inputs", "specs", "neighbours", "outputs", "at_up", "connection", "rules"}

# Top first. `__init__` is the door: it names what is public.
FLOORS = (
    ("__init__", "cli", *COMPONENTS, *SHARED),
    ("tsb", "bootstrap"),
    ("args", "lint", "istio", "firewall", "cluster"),
    ("facts", "errors"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}

# Rooms that may be used from their own floor. No two of them use each other.
NEIGHBOURS = {
    "__init__": {*COMPONENTS, *SHARED},
    **dict.fromkeys(COMPONENTS, SHARED),
    "inputs": {"outputs"},
    "at_up": {"inputs", "outputs"},
    "specs": {"inputs", "outputs"},
    "neighbours": {"inputs", "outputs"},
    "connection": {"outputs"},
    "rules": {"outputs"},
    "group": {*SHARED, "vm"},
    "cluster": {"istio"},
    "lint": {"args", "istio", "firewall"},
    "istio": {"args"},
    "firewall": {"args"},
    "facts": {"errors"},
}
_ARGS = {"args.firewall", "args.machine", "args.mesh", "args.workload"}
KNOWS_PULUMI = {"__init__", *COMPONENTS, *SHARED, *_ARGS, "firewall.aws", "firewall.gcp", "testing"}

MODULES = [pytest.param(source, id=str(source.relative_to(CHECKOUT))) for source in sources("meshvm")]
# Apart from the floors: users' tests import it, nothing of the library does.
IN_ROOMS = [module for module in MODULES if module.id != "meshvm/testing.py"]


def module_name(source: Path) -> str:
    """`firewall.aws` for meshvm/firewall/aws.py; a package's own file bears the package's name."""
    parts = source.relative_to(CHECKOUT / "meshvm").with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def room_of(source: Path) -> str:
    return module_name(source).split(".")[0]


def rooms_used(source: Path) -> set[str]:
    """The rooms that a file imports from, its own left out; what is in none comes through the door."""
    parts = [name.split(".") for name in imports(source)]
    inside = {(name[1:] or ["__init__"])[0] for name in parts if name[0] == "meshvm"}
    return {room if room in {*FLOOR, "testing"} else "__init__" for room in inside} - {room_of(source)}


@pytest.mark.parametrize("source", IN_ROOMS)
def test_every_module_is_in_a_room_of_the_design(source: Path) -> None:
    assert room_of(source) in FLOOR, f"{source.name} is in no room: put it on a floor of FLOORS, or into a room"


@pytest.mark.parametrize("source", IN_ROOMS)
def test_a_room_uses_only_lower_floors_and_its_named_neighbours(source: Path) -> None:
    room = room_of(source)
    allowed = {other for other in FLOOR if FLOOR[other] > FLOOR.get(room, 1)} | NEIGHBOURS.get(room, set())
    assert rooms_used(source) <= allowed


@pytest.mark.parametrize("source", MODULES)
def test_only_components_args_rules_and_the_recorder_know_pulumi(source: Path) -> None:
    of_pulumi = {name for name in imports(source) if name.split(".")[0].startswith("pulumi")}
    assert not of_pulumi or module_name(source) in KNOWS_PULUMI


@pytest.mark.parametrize("source", MODULES)
def test_the_library_never_imports_its_lab_or_its_tests(source: Path) -> None:
    assert not {name.split(".")[0] for name in imports(source)} & {"lab", "tests", "examples"}


def test_no_two_neighbours_use_each_other() -> None:
    assert not [
        (room, other) for room, others in NEIGHBOURS.items() for other in others if room in NEIGHBOURS.get(other, ())
    ]
