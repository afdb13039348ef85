"""The ways to a machine: key, password, agent; root or sudo; directly or through a bastion."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.lab import healthy
from tests.life.world import World

pytestmark = pytest.mark.lab


def joined(world: World, machine: dict[str, Any], **ssh: Any) -> list[bool]:
    """Put the machine into the mesh with other SSH arguments; whether its entries are healthy."""
    given = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])["ssh"]
    world.args["ssh"] = {key: value for key, value in {**given, **ssh}.items() if value is not None}
    world.made(world.existing(machine))
    return [healthy(entry) for entry in world.entries()]


def test_root_needs_no_sudo(world: World) -> None:
    machine = world.boot()
    there = world.machine(machine["id"])
    there.run("install", "-d", "-m", "0700", "/root/.ssh")
    there.path("/root/.ssh/authorized_keys").write_text(f"{world.login.public}\n")
    there.run("mv", "/usr/bin/sudo", "/usr/bin/sudo.away")
    there.run("ln", "-s", "/usr/bin/sudo.away", "/usr/local/bin/sudo")  # the sidecar's own unit needs it
    assert joined(world, machine, user="root") == [True]


def test_a_password_is_enough(world: World) -> None:
    machine = world.boot()
    world.machine(machine["id"]).run("chpasswd", stdin="admin:correct horse\n")
    assert joined(world, machine, private_key=None, password="correct horse") == [True]


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Iterator[str]:
    """An SSH agent that holds the world's key; its socket."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        add = ["ssh-add", "-q", str(world.login.file)]
        for _ in range(100):
            if subprocess.run(add, env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=False).returncode == 0:
                break
        yield str(socket)
    finally:
        process.terminate()
        process.wait()


def test_an_agent_keeps_the_key_to_itself(world: World, agent: str) -> None:
    machine = world.boot()
    assert joined(world, machine, private_key=None, agent_socket=agent) == [True]


def test_a_bastion_leads_to_a_machine_that_the_runner_cannot_reach(world: World) -> None:
    machine, bastion = world.boot(), world.boot()
    # The runner is the host's end of the lab's network; the bastion is another machine in it.
    runner = [world.lab.network.host_ip, world.lab.network.host_public_ip]
    for address in runner:
        reject = ["-s", address, "-p", "tcp", "--dport", "22", "-j", "REJECT"]
        world.machine(machine["id"]).run("iptables", "-I", "INPUT", *reject)
    through = {
        "host": bastion["public_ip"],
        "user": "admin",
        "private_key": world.login.file.read_text(),
        "host_key": world.host_key.public,
    }
    assert joined(world, machine, host=machine["private_ip"], bastion=through) == [True]
