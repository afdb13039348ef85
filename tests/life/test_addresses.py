"""Addresses of the gateway and of the machine: does the machine find the one, and does it have the other?"""

from collections.abc import Callable
from typing import Any

import pytest

from lab.machines.machine import Machine
from tests.life.test_refusals import joined, refused, with_mesh
from tests.life.world import World

pytestmark = pytest.mark.lab

GATEWAY = "gateway.test"
# An address that no machine of the lab has (RFC 5737).
ELSEWHERE = "203.0.113.9"
TIMER = "meshvm-gateway.timer"


def named(world: World, machine: dict[str, Any]) -> Callable[[], None]:
    """A program whose gateway has a host name."""
    names = {"gatewayAddress": GATEWAY, "gatewayAddresses": GATEWAY, "gatewayAddressKind": "host"}
    return with_mesh(world, machine, **names)


def resolves_to(machine: Machine, *addresses: str) -> None:
    """What the machine's own names say of the gateway from now on; nothing when there is no address."""
    hosts = machine.path("/etc/hosts")
    others = [line for line in hosts.read_text().splitlines() if GATEWAY not in line.split()]
    hosts.write_text("".join(f"{line}\n" for line in [*(f"{one} {GATEWAY}" for one in addresses), *others]))


def istiod_is_at(machine: Machine) -> list[str]:
    """The addresses that /etc/hosts has for istiod's name."""
    lines = machine.path("/etc/hosts").read_text().splitlines()
    return [line.split()[0] for line in lines if line.endswith(" istiod.istio-system.svc")]


def silent(world: World) -> str:
    """An address of the lab's network where nobody is."""
    return f"{world.lab.network.host_ip.rpartition('.')[0]}.254"


def test_a_gateway_with_a_host_name_is_followed_to_other_addresses(world: World) -> None:
    given = world.boot()
    machine, here, there = world.machine(given["id"]), world.lab.network.host_ip, silent(world)
    resolves_to(machine, there)
    tried = f"does not answer on port 15012 from the machine, tried at {there}; check the firewall rules"
    refused(world, named(world, given), "vm-join", f"the gateway {GATEWAY} {tried}")
    assert not machine.path("/usr/local/bin/pilot-agent").exists(), "it was found out before anything was changed"

    resolves_to(machine, there, here)
    joined(world, named(world, given))
    assert sorted(istiod_is_at(machine)) == sorted([here, there])
    assert machine.run("systemctl", "is-active", TIMER).stdout == "active\n"

    resolves_to(machine, here)
    machine.run("systemctl", "start", "meshvm-gateway.service")
    assert istiod_is_at(machine) == [here]
    resolves_to(machine)
    machine.run("systemctl", "start", "meshvm-gateway.service")
    assert istiod_is_at(machine) == [here], "no answer is no reason to forget it"

    world.made(world.existing(given))
    assert istiod_is_at(machine) == [here]
    assert machine.run("systemctl", "is-enabled", TIMER, check=False).stdout != "enabled\n"
    assert not list(machine.path("/etc/systemd/system").glob("meshvm-*"))


def test_every_address_of_a_gateway_is_the_machines_to_try(world: World) -> None:
    given = world.boot()
    here, there = world.lab.network.host_ip, silent(world)
    joined(world, with_mesh(world, given, gatewayAddress=there, gatewayAddresses=f"{there} {here}"))
    assert istiod_is_at(world.machine(given["id"])) == [there, here]


def test_an_address_that_the_machine_has_not_is_told_from_one_behind_a_nat(world: World) -> None:
    given = world.boot()
    has = f"but {given['private_ip']}, {given['public_ip']}"
    world.args.update(address=ELSEWHERE)
    said = refused(
        world, world.existing(given), "vm-join", f"address: the machine has not the address {ELSEWHERE} {has}"
    )
    assert f"or, when a NAT translates {ELSEWHERE} to one of them, write that one as instance_address" in said

    world.args.update(instance_address="203.0.113.10")
    said = refused(world, world.existing(given), "vm-join", "instance_address: the machine has not the address")
    assert "write the one to which the NAT translates address" in said
    assert not world.machine(given["id"]).path("/usr/local/bin/pilot-agent").exists()

    world.args.update(instance_address=given["private_ip"])
    joined(world, world.existing(given))
    assert [entry["spec"]["address"] for entry in world.entries()] == [ELSEWHERE]


def test_a_machine_joins_by_a_gateway_that_has_ipv6_alone(world: World) -> None:
    network = world.lab.network
    if not network.host_ipv6:
        pytest.skip("the kernel has no IPv6")
    given = world.boot()
    machine = world.machine(given["id"])
    gateway = {"gatewayAddress": network.host_ipv6, "gatewayAddresses": network.host_ipv6}
    program = with_mesh(world, given, **gateway)
    world.args.update(address=machine.ipv6.upper(), dual_stack=True)
    beside = f"the machine has the IPv4 address {given['private_ip']} beside {machine.ipv6}"
    refused(world, program, "vm-join", f"address: {beside}", f"write {given['private_ip']}, or take it off")

    world.args.update(address=given["private_ip"])
    joined(world, program)
    assert istiod_is_at(machine) == [network.host_ipv6]
    machine.run("ip", "-6", "address", "flush", "dev", "eth0", "scope", "global")
    world.args.update(rejoin="2")
    refused(world, program, "vm-join", "dual_stack: the machine has no IPv6 address but")
