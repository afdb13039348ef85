"""What does a preview of 1,000 MeshVms with firewall rules cost for each resource, beside one without rules?

Each program runs in a process of its own, on the real engine; no cluster is in reach. Every machine
has a security group of its own, rules for all that it declares, and the other end's rules on two groups of the cluster.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

import meshvm
from lab.base.steps import Steps
from lab.bench import preview
from lab.bench.sample import MESH, meshvm_args

_MACHINES: Final = 1000
_LIMIT: Final = 1.2
# Once each: a run is minutes long, which is its own mean.
_TURNS: Final = ("without rules", "with rules")
_FIREWALL: Final = {"ssh_from": ["10.254.0.0/16"], "peer_cidrs": ["10.253.0.0/16"], "scrape_from": ["10.252.0.0/16"]}


def ask(steps: Steps, machines: int = _MACHINES) -> None:
    """Preview both programs and say the ratio of their times for each resource."""
    with preview.engine(steps) as folder:
        found = {way: preview.alone(steps, "lab.bench.rules", folder, way, machines) for way in _TURNS}
    steps.say("")
    for what, name in preview.NAMES.items():
        each = [1000 * found[way][what] / found[way]["resources"] for way in reversed(_TURNS)]
        ways = "ms for each resource with rules", "ms without"
        preview.say(steps, f"a preview of {machines:,} machines", name, (each[0], each[1]), ways, _LIMIT)


def program(way: str, machines: int) -> Callable[[], None]:
    """The program that registers so many machines; the mesh is an Output, as it is from a MeshExpansion."""

    def run() -> None:
        mesh = pulumi.Output.from_input(dict(MESH))
        for number in range(machines):
            address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
            args: dict[str, Any] = {**meshvm_args(f"i-{number}", address, mesh)}
            if way == "with rules":
                # A raised quota: the other end's groups have rules of every machine.
                far = {"nodes_security_group_id": "sg-nodes", "load_balancer_security_group_id": "sg-balancer"}
                args["aws"] = {"security_group_id": f"sg-{number}", "rules_per_group": 10 * machines, **far}
                args["firewall"] = _FIREWALL
            meshvm.MeshVm(f"vm-{number}", cast("meshvm.MeshVmArgs", args))

    return run


if __name__ == "__main__":
    preview.measure(program)
