"""`make demo`: preview, apply, verify, change nothing, change one setting, destroy; and what each step found."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab import example
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.cloud.objects import all_objects
from lab.lab import Lab, healthy, prepare_engine
from lab.stack import Stack, environment


def demo() -> int:
    """Run the demo; the exit code."""
    steps = Steps()
    missing = cannot_host()
    try:
        if missing:
            return _preview_only(steps, missing)
        with Lab(steps) as lab:
            _whole(lab)
    except LabError as error:
        steps.say(f"the demo ends here: {error}")
        return 1
    except KeyboardInterrupt:
        steps.say("stopped; everything that was started is gone")
        return 130
    return 0


def cannot_host() -> list[str]:
    """What this machine lacks for the lab, each with the remedy; empty when it can host it."""
    missing = []
    if not sys.platform.startswith("linux"):
        missing.append("Linux: the lab's machines are Linux containers")
    elif os.geteuid() != 0:
        missing.append("root: the lab's machines have network namespaces of their own; run `sudo make demo`")
    elif not shutil.which("apt-get"):
        missing.append("Debian or Ubuntu: the lab's machines are made from the host's own release")
    return missing


def _whole(lab: Lab) -> None:
    steps = lab.steps
    for part, kind in sorted(lab.parts.items()):
        steps.say(f"{part}: {kind}")
    stack = example.aws_bookinfo(lab, "demo")
    with steps.step("pulumi preview --diff"):
        stack.preview(print).succeeded()
    with steps.step("pulumi up") as found:
        done = stack.up(print).succeeded()
        found(f"{len(done.names('create'))} resources made")
    _verify(lab, stack)
    with steps.step("pulumi up again") as found:
        again = stack.up().succeeded()
        if again.steps:
            raise LabError(f"the second up was to change nothing, and did {again.order()}")
        found("nothing to change")
    with steps.step("one changed setting (rejoin), as a preview shows it"):
        stack.set_config({f"{example.PROJECT}:rejoin": "2"})
        stack.preview(print).succeeded()
    with steps.step("pulumi destroy") as found:
        stack.destroy(print).succeeded()
        left = [*(one["urn"] for one in stack.state()), *lab.entries(), *lab.cloud.instances, *all_objects(lab.folder)]
        if left:
            raise LabError(f"destroy left {left}")
        found("nothing is left, in the stack, in the cluster and in the cloud")


def _verify(lab: Lab, stack: Stack) -> None:
    with lab.steps.step("verify") as found:
        status = stack.outputs()["status"]
        for entry in lab.entries():
            lab.steps.say(f"  WorkloadEntry {entry['metadata']['name']}: Healthy={healthy(entry)}")
            if not healthy(entry):
                raise LabError("the machine is not in rotation", lab.istiod.log)
        for key, value in sorted(status.items()):
            lab.steps.say(f"  {key}: {value}")
        found(f"{status['spiffeId']} is in the mesh")


def _preview_only(steps: Steps, missing: list[str]) -> int:
    """Without the lab there is still an engine, and a preview that reaches neither cluster nor machine."""
    folder = Path(tempfile.mkdtemp(prefix="meshvm-preview-"))
    try:
        prepare_engine(folder, steps, {})
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(example.NOWHERE)
        values = example.config(
            kubeconfig=str(kubeconfig), package="https://packages.example/istio-sidecar.deb", sha256="0" * 64,
            runner="198.51.100.7/32",
        )  # fmt: skip
        env = environment(folder, MESHVM_LAB=str(folder))
        stack = Stack(folder, "demo", example.program(example.AWS), config=values, env=env, project=example.PROJECT)
        with steps.step("pulumi preview --diff, with no cluster in reach"):
            stack.preview(print).succeeded()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for one in missing:
        steps.say(f"left out: up, verify and destroy, because this machine lacks {one}")
    return 0
