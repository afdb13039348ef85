"""A machine joins, stays as it is, changes, fails and comes back: what the engine does and what the machine sees."""

import re

import pytest

from lab.lab import healthy
from tests.life.world import World

pytestmark = pytest.mark.lab


def test_one_up_puts_a_machine_into_the_mesh_and_the_next_one_changes_nothing(world: World) -> None:
    machine = world.boot()
    world.made(world.existing(machine))
    assert [healthy(entry) for entry in world.entries()] == [True]

    again = world.made(world.existing(machine))
    assert again.steps == []


def test_one_changed_setting_runs_the_join_alone_and_the_preview_names_it(world: World) -> None:
    machine = world.boot()
    world.args["network"] = "here"
    world.made(world.existing(machine))

    world.args["network"] = "elsewhere"
    preview = world.stack.preview()
    assert re.search(r'~ ISTIO_META_NETWORK *: "here" => "elsewhere"', preview.text), preview.text
    assert preview.text.count("(replace)") == 1, preview.text
    changed = world.made(world.existing(machine))
    assert set(changed.names("create-replacement", "delete-replaced", "replace")) == {"vm-join"}
    assert changed.names("update") == ["vm-entry"]
    assert (
        "ISTIO_META_NETWORK='elsewhere'"
        in world.machine(machine["id"]).run("cat", "/var/lib/istio/envoy/cluster.env").stdout
    )


def test_a_join_that_failed_runs_again_also_when_the_change_is_taken_back(world: World) -> None:
    machine = world.boot()
    world.made(world.existing(machine))

    right = world.lab.package_sha256
    proxy = {"package": world.lab.package_url, "sha256": "0" * 64}
    world.args["proxy"] = proxy
    failed = world.up(world.existing(machine))
    assert f"has the checksum {right} and not {proxy['sha256']}" in failed.text
    assert [healthy(entry) for entry in world.entries()] == [True], "what ran before still serves"

    world.args.pop("proxy")
    assert world.made(world.existing(machine)).names("create", "create-replacement") == ["vm-join"]


def test_by_default_a_port_that_nobody_listens_on_gets_no_traffic(world: World) -> None:
    """The default probe asks the application and not the sidecar that stands before it."""
    machine = world.boot(silent=True)
    world.args["probe"] = {"tcp": {"port": 9080}, "period_seconds": 1}
    world.args["healthy_seconds"] = 5
    silent = world.up(world.existing(machine))
    assert "the application did not answer its probe within 5 s" in silent.text
    assert [healthy(entry) for entry in world.entries()] == [False]

    world.machine(machine["id"]).run("systemctl", "enable", "--now", "ratings")
    world.args["healthy_seconds"] = 15
    world.made(world.existing(machine))
    assert [healthy(entry) for entry in world.entries()] == [True]
