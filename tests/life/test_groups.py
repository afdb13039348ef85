"""A machine of a WorkloadGroup: istiod makes its entry, and takes it back when the machine has gone."""

from typing import Any, cast

import pytest

import meshvm
from lab.base.process import wait_until
from lab.lab import healthy
from tests.life.world import World

pytestmark = pytest.mark.lab

# The probe's answers, istiod's grace period, and room.
LIMIT = 40.0


def names(world: World) -> list[str]:
    return sorted(entry["metadata"]["name"] for entry in world.entries())


def test_a_machine_with_a_group_of_its_own_comes_into_rotation_and_goes_with_it(world: World) -> None:
    machine = world.boot()
    world.args["registration"] = meshvm.Registration.AUTO
    world.args["annotations"] = {"owner": "shop"}
    world.made(world.existing(machine))

    (entry,) = world.entries()
    assert entry["metadata"]["name"] == f"vm-{machine['private_ip']}"
    assert healthy(entry)
    assert entry["metadata"]["annotations"]["owner"] == "shop"
    assert entry["spec"]["labels"]["meshvm"] == "vm", "the machine's own Sidecar selects by it"
    assert world.made(world.existing(machine)).steps == []

    world.destroyed()
    assert wait_until(lambda: world.entries() == [], LIMIT)


def test_machines_of_a_shared_group_are_one_workload_and_leave_one_by_one(world: World) -> None:
    first, second = world.boot(), world.boot()
    group: Any = {
        "name": "fleet",
        "service_account": "ratings",
        "labels": {"tier": "backend"},
        "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 1},
    }
    world.mesh_args["groups"] = [group]
    world.args |= {"registration": meshvm.Registration.AUTO, "group": "fleet"}

    def program(machines: dict[str, dict[str, Any]]) -> Any:
        def run() -> None:
            expansion, on = world.mesh()
            for name, machine in machines.items():
                args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
                meshvm.MeshVm(name, cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)

        return run

    world.made(program({"one": first, "other": second}))
    assert names(world) == sorted(f"fleet-{machine['private_ip']}" for machine in (first, second))
    assert [healthy(entry) for entry in world.entries()] == [True, True]
    assert {entry["spec"]["labels"]["tier"] for entry in world.entries()} == {"backend"}
    assert {entry["spec"]["labels"]["meshvm"] for entry in world.entries()} == {"one", "other"}

    world.made(program({"one": first}))
    left = [f"fleet-{first['private_ip']}"]
    assert wait_until(lambda: names(world) == left, LIMIT), "istiod takes an entry back after its grace period"
    assert [healthy(entry) for entry in world.entries()] == [True]


def test_a_silent_application_of_a_group_fails_the_up_and_gets_no_traffic(world: World) -> None:
    machine = world.boot(silent=True)
    world.args |= {"registration": meshvm.Registration.AUTO, "healthy_seconds": 5}
    failed = world.up(world.existing(machine))
    assert "the application did not answer its probe within 5 s" in failed.text
    assert [healthy(entry) for entry in world.entries()] == [False]
