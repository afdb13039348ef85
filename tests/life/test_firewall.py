"""A machine's rules in its life: who comes opens them first, who leaves closes them last, and nobody else's move."""

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pytest

import meshvm
from lab.cloud.objects import CloudObject, all_objects
from lab.lab import healthy
from tests.life.test_exchange import NEXT_IMAGE, left_rotation
from tests.life.world import World
from tests.samples import http_port

pytestmark = pytest.mark.lab

RULES = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)
PEERS = {"peer_cidrs": ["10.99.0.0/16"], "ssh_from": ["10.98.0.0/16"]}
FIRST_IMAGE = "ami-0deb1a00000000012"


def groups() -> dict[str, Any]:
    """The argument `aws` with a group for the machine, one for the nodes and one for the load balancer."""
    names = {"security_group_id": "own", "nodes_security_group_id": "nodes", "load_balancer_security_group_id": "lb"}
    return {key: aws.ec2.SecurityGroup(name).id for key, name in names.items()}


def program(world: World, *, image: str = FIRST_IMAGE, admin: int = 9090) -> Callable[[], None]:
    """A cloud machine and its MeshVm, with rules at all three ends and two ports."""

    def run() -> None:
        ports = [http_port(), http_port(admin, "admin")]
        world.args = {"aws": groups(), "firewall": PEERS, "ports": ports}
        world.instance(image)()

    return run


def shared(world: World, machine: dict[str, Any], *, member: bool) -> Callable[[], None]:
    """Shared rules, and one machine that has them, or that has left."""

    def run() -> None:
        ends = groups()
        own = {"security_group_id": ends["security_group_id"]}
        rules = {"name": "fleet", "ports": [http_port()], "firewall": PEERS, "aws": own}
        world.mesh_args = {"shared_rules": [rules]}
        expansion, on = world.mesh()
        if member:
            args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
            args |= {"mesh": expansion.mesh, "aws": ends, "firewall": {"shared": True}}
            meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", args), on)
        pulumi.export("own", own["security_group_id"])

    return run


def rules_left(world: World) -> list[CloudObject]:
    """The rules that this world's groups have in the cloud."""
    ours = {one["id"] for one in world.stack.state() if one["type"] in RULES}
    return [one for one in all_objects(world.lab.folder).values() if one.id in ours]


def of_rules(steps: list[tuple[str, str, str]]) -> list[str]:
    return [f"{operation} {name}" for operation, name, type_ in steps if type_ in RULES and operation != "replace"]


def test_the_old_machine_keeps_its_rules_until_it_has_drained(world: World) -> None:
    made = world.made(program(world)).order()
    assert made.index("create vm-ssh-10-98-0-0-16") < made.index("create vm-host")
    late = [one for one in made if one.startswith("create vm-port") and made.index(one) > made.index("create vm-drain")]
    assert late == []
    entry = world.entries()[0]["metadata"]["name"]
    before = {one.id for one in rules_left(world) if one.get("description", "").endswith("the machine vm")}
    assert len(before) == 2, "the nodes' way to both ports"

    done = world.made(program(world, image=NEXT_IMAGE))
    assert [healthy(one) for one in world.entries()] == [True]
    own = ["vm-istiod-load-balancer", "vm-port-admin-nodes", "vm-port-http-nodes"]
    steps = of_rules(done.steps)
    assert sorted(steps) == sorted(
        f"{step} {name}" for step in ("create-replacement", "delete-replaced") for name in own
    )
    order = done.order()
    for name in own:
        assert order.index(f"create-replacement {name}") < order.index("create-replacement vm-drain"), order
        assert order.index("delete-replaced vm-drain") < order.index(f"delete-replaced {name}"), order
    revoked = [call for call in world.lab.cloud.calls.entries("ec2:RevokeSecurityGroup*") if call["id"] in before]
    assert len(revoked) == 2
    drained = left_rotation(world, entry) + world.vm_args("", "", "")["drain_seconds"]
    assert min(call["at"] for call in revoked) >= drained


def test_a_changed_port_changes_one_rule_at_each_end(world: World) -> None:
    world.made(program(world))
    done = world.made(program(world, admin=9091))
    assert sorted(of_rules(done.steps)) == ["update vm-port-admin-10-99-0-0-16", "update vm-port-admin-nodes"]


def test_a_machine_that_leaves_takes_its_own_rules_along_and_leaves_the_shared_ones(world: World) -> None:
    machine = world.boot()
    world.made(shared(world, machine, member=True))
    assert {one["urn"].rpartition("::")[2] for one in world.stack.state() if one["type"] in RULES} == {
        "mesh-fleet-ssh-10-98-0-0-16",
        "mesh-fleet-istiod",
        "mesh-fleet-port-http-10-99-0-0-16",
        "vm-istiod-load-balancer",
        "vm-port-http-nodes",
    }
    gone = world.made(shared(world, machine, member=False)).order()
    moved = sorted(one for one in gone if "-nodes" in one or "-load-balancer" in one or "fleet" in one)
    assert moved == ["delete vm-istiod-load-balancer", "delete vm-port-http-nodes"]
    assert gone.index("delete vm-drain") < gone.index("delete vm-port-http-nodes")
    own = world.stack.outputs()["own"]
    assert {one.get("securityGroupId") for one in rules_left(world)} == {own}
    assert len(rules_left(world)) == 3
    world.destroyed()
    everything = all_objects(world.lab.folder).values()
    assert [one.id for one in everything if one.get("securityGroupId") == own] == []
