"""A machine's rules on Google Cloud in its life, against the lab's stand-in of the API."""

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest

import meshvm
from lab.cloud.objects import all_objects
from tests.life.world import World
from tests.samples import http_port

gcp = pytest.importorskip(
    "pulumi_gcp",
    reason="the extra gcp is not in the lock, because it is as large as all the rest: pip install 'meshvm[gcp]'",
)

pytestmark = [
    pytest.mark.lab,
    # pulumi_gcp announces its own old resources whenever gcp.compute is imported.
    pytest.mark.filterwarnings("ignore:gcp[.]:DeprecationWarning"),
]

RULE = "gcp:compute/firewall:Firewall"
FIREWALL = {"peer_cidrs": ["10.99.0.0/16"], "ssh_from": ["10.98.0.0/16"]}


def program(world: World, machine: dict[str, Any], *, admin: int, member: bool = True) -> Callable[[], None]:
    """A network and one machine that is there already, with rules for its tag and for the nodes'."""

    def run() -> None:
        network = gcp.compute.Network("network", auto_create_subnetworks=False)
        expansion, on = world.mesh()
        if member:
            rules = {"network": network.id, "target_tag": "ratings", "nodes_tag": "nodes", "peer_tag": "nodes"}
            world.args = {"gcp": rules, "firewall": FIREWALL, "ports": [http_port(), http_port(admin, "admin")]}
            args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
            meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)
        pulumi.export("network", network.id)

    return run


def test_its_rules_come_first_change_alone_and_leave_with_it(world: World) -> None:
    machine = world.boot()
    made = world.made(program(world, machine, admin=9090)).order()
    assert made.index("create vm-ssh-10-98-0-0-16") < made.index("create vm-host")
    rules = {one["urn"].rpartition("::")[2] for one in world.stack.state() if one["type"] == RULE}
    assert rules == {
        "vm-ssh-10-98-0-0-16",
        "vm-istiod",
        "vm-istiod-load-balancer",
        *(f"vm-port-{port}-{peer}" for port in ("http", "admin") for peer in ("10-99-0-0-16", "peers", "nodes")),
    }

    changed = world.made(program(world, machine, admin=9091))
    moved = {f"{operation} {name}" for operation, name, type_ in changed.steps if type_ == RULE}
    assert moved == {f"update vm-port-admin-{peer}" for peer in ("10-99-0-0-16", "peers", "nodes")}

    gone = world.made(program(world, machine, admin=9091, member=False)).order()
    others = rules - {"vm-ssh-10-98-0-0-16"}
    early = [name for name in others if gone.index(f"delete {name}") < gone.index("delete vm-drain")]
    assert early == []
    assert gone.index("delete vm-host") < gone.index("delete vm-ssh-10-98-0-0-16")
    network = world.stack.outputs()["network"]
    assert [one.id for one in all_objects(world.lab.folder).values() if one.get("networkPath") == network] == []
