"""What does a preview of 1,000 MeshVms with firewall rules cost for each resource, beside one without rules?

Each program runs in a process of its own, on the real engine; no cluster is in reach. Every machine
has a security group of its own, rules for all that it declares, and the other end's rules on two groups of the cluster.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pulumi

import meshvm
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.bench.sample import MESH, meshvm_args
from lab.lab import prepare_engine
from lab.stack import Stack, environment

_MACHINES: Final = 1000
_LIMIT: Final = 1.2
# Once each: a run is minutes long, which is its own mean.
_TURNS: Final = ("without", "with")
# Nobody listens there.
_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:9"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {token: none}}]
current-context: none
"""
_FIREWALL: Final = {"ssh_from": ["10.254.0.0/16"], "peer_cidrs": ["10.253.0.0/16"], "scrape_from": ["10.252.0.0/16"]}


def ask(steps: Steps, machines: int = _MACHINES) -> None:
    """Preview both programs and say the ratio of their times for each resource."""
    folder = Path(tempfile.mkdtemp(prefix="meshvm-bench-"))
    try:
        (folder / "logs").mkdir()
        (folder / "kubeconfig").write_text(_KUBECONFIG)
        prepare_engine(folder, steps, {})
        found: dict[str, dict[str, float]] = {}
        for way in _TURNS:
            with steps.step(f"preview of {machines:,} machines {way} rules") as said:
                found[way] = _measured(folder, way, machines)
                said(f"{found[way]['resources']:,} resources")
        _say(steps, found, machines)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(steps: Steps, found: Mapping[str, Mapping[str, float]], machines: int) -> None:
    def of_each(way: str, what: str) -> float:
        return 1000 * found[way][what] / found[way]["resources"]

    steps.say("")
    for what, name in (("seconds", "the time that passes"), ("own", "processor time of the program")):
        ratio = of_each("with", what) / of_each("without", what)
        steps.say(
            f"a preview of {machines:,} machines, {name} for each resource: {of_each('with', what):.1f} ms with rules, "
            f"{of_each('without', what):.1f} ms without"
        )
        steps.say(f"  ratio: {ratio:.2f}" + (f" (at most {_LIMIT})" if what == "seconds" else ""))


def _measured(folder: Path, way: str, machines: int) -> dict[str, float]:
    run = [sys.executable, "-m", "lab.bench.rules", str(folder), way, str(machines)]
    done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LabError(f"the preview {way} rules failed")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class _Unwatched(Stack):
    """A stack whose events nobody keeps: with thousands of resources keeping them takes longer than the program."""

    def measured(self) -> dict[str, float]:
        """What a preview takes."""
        began, own = time.monotonic(), time.process_time()
        done = self._stack.preview(color="never", suppress_outputs=True)
        return {
            "seconds": time.monotonic() - began,
            "own": time.process_time() - own,
            "resources": sum(done.change_summary.values()),
        }


def program(*, rules: bool, machines: int) -> Callable[[], None]:
    """The program that registers so many machines; the mesh is an Output, as it is from a MeshExpansion."""

    def run() -> None:
        mesh = pulumi.Output.from_input(dict(MESH))
        for number in range(machines):
            address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
            args: dict[str, Any] = {**meshvm_args(f"i-{number}", address, mesh)}
            if rules:
                # A raised quota: the other end's groups have rules of every machine.
                far = {"nodes_security_group_id": "sg-nodes", "load_balancer_security_group_id": "sg-balancer"}
                args["aws"] = {"security_group_id": f"sg-{number}", "rules_per_group": 10 * machines, **far}
                args["firewall"] = _FIREWALL
            meshvm.MeshVm(f"vm-{number}", cast("meshvm.MeshVmArgs", args))

    return run


def main() -> None:
    """Preview one program; what it took is the last line of the output."""
    folder, way, machines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    env = environment(folder, MESHVM_LAB=str(folder), KUBECONFIG=str(folder / "kubeconfig"))
    run = program(rules=way == "with", machines=machines)
    stack = _Unwatched(folder, way, run, config={"aws:region": "eu-central-1"}, env=env)
    print(json.dumps(stack.measured()))


if __name__ == "__main__":
    main()
