"""One machine takes another's place: the entry leaves the rotation first, and only then what it stood for."""

from datetime import datetime

import pytest

from lab.lab import healthy
from tests.life.world import World

pytestmark = pytest.mark.lab

NEXT_IMAGE = "ami-0deb1a00000000013"


def left_rotation(world: World, entry: str) -> float:
    """When the API server had deleted an entry, by its audit log, in seconds since the epoch."""
    for event in world.lab.cluster.audit():
        reference = event.get("objectRef", {})
        if event["verb"] == "delete" and reference.get("name") == entry and reference["namespace"] == world.name:
            return datetime.fromisoformat(event["stageTimestamp"]).timestamp()
    raise AssertionError(f"the audit log has no delete of {entry}")


def ended(world: World, machine: str) -> float:
    """When the cloud was asked to end a machine."""
    calls = world.lab.cloud.calls.entries("ec2:TerminateInstances*")
    return next(float(call["at"]) for call in calls if call["id"] == machine)


def test_new_first_the_old_machine_ends_only_when_its_entry_was_gone_for_the_drain_time(world: World) -> None:
    world.made(world.instance())
    old_entry, old_machine = world.entries()[0]["metadata"]["name"], world.stack.outputs()["machine"]

    done = world.made(world.instance(NEXT_IMAGE))
    entries = world.entries()
    assert [healthy(entry) for entry in entries] == [True]
    assert entries[0]["metadata"]["name"] != old_entry
    assert ended(world, old_machine) - left_rotation(world, old_entry) >= world.vm_args("", "", "")["drain_seconds"]
    order = done.order()
    assert order.index("create-replacement vm-gate") < order.index("delete-replaced vm-entry"), order


def test_old_first_the_entry_goes_first_and_the_old_machine_is_off_boarded_after_the_drain_time(world: World) -> None:
    world.made(world.instance(old_first=True))
    old_entry = world.entries()[0]["metadata"]["name"]

    done = world.made(world.instance(NEXT_IMAGE, old_first=True))
    assert [healthy(entry) for entry in world.entries()] == [True]
    stopped = done.began("delete-replaced vm-host")
    assert stopped - left_rotation(world, old_entry) >= world.vm_args("", "", "")["drain_seconds"]
    order = done.order()
    assert order.index("delete-replaced vm-entry") < order.index("delete-replaced vm-drain"), order
    assert order.index("delete-replaced vm-drain") < order.index("delete-replaced vm-host"), order
    assert order.index("delete-replaced machine") < order.index("create-replacement machine"), order


def test_a_machine_imaged_anew_at_its_address_is_not_off_boarded_by_its_predecessor(world: World) -> None:
    machine = world.boot()
    world.made(world.existing(machine))
    there = world.machine(machine["id"])
    there.reimage()
    there.ready()
    there.settled()

    world.made(world.existing({**machine, "id": "imaged-anew"}))
    assert [healthy(entry) for entry in world.entries()] == [True]
    assert there.path("/var/lib/meshvm/mark").read_text() == "imaged-anew"
    assert there.run("systemctl", "is-active", "istio").stdout.strip() == "active"


def test_a_new_machine_whose_application_is_silent_fails_the_up_and_leaves_everything_old(world: World) -> None:
    world.made(world.instance())
    before = world.entries()[0]["metadata"]["name"]
    old_machine = world.stack.outputs()["machine"]

    failed = world.up(world.instance(NEXT_IMAGE, silent=True))
    assert "the application did not answer its probe within 15 s" in failed.text
    assert {entry["metadata"]["name"]: healthy(entry) for entry in world.entries()}[before] is True
    assert not world.lab.cloud.calls.entries("ec2:TerminateInstances*") or all(
        call["id"] != old_machine for call in world.lab.cloud.calls.entries("ec2:TerminateInstances*")
    )

    new = world.machine(world.stack.resource("machine")["id"])
    new.run("systemctl", "enable", "--now", "ratings")
    world.made(world.instance(NEXT_IMAGE, silent=True))
    assert [(entry["metadata"]["name"] != before, healthy(entry)) for entry in world.entries()] == [(True, True)]


def test_destroy_leaves_nothing_and_logs_in_to_no_machine_that_goes_too(world: World) -> None:
    world.made(world.instance())
    machine = world.machine(world.stack.outputs()["machine"])
    # From now on nobody can log in, so a destroy that tries cannot end well.
    machine.run("systemctl", "stop", "ssh")

    world.destroyed()
    assert world.stack.state() == []
    assert world.entries() == []
    assert world.lab.cloud.calls.entries("ec2:TerminateInstances*")[-1]["id"] not in world.lab.cloud.instances
