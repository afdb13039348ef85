"""What does a preview of 1,000 MeshVms cost, beside the same resources declared by hand?

Each program runs in a process of its own, on the real engine, the two in turns; no cluster is in reach. The mesh is an
Output, as it is when it comes from a MeshExpansion or from another stack.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pulumi

import meshvm
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.bench import by_hand
from lab.bench.sample import MESH, meshvm_args
from lab.lab import prepare_engine
from lab.stack import Stack, environment
from meshvm.testing import Recording, record

_MACHINES: Final = 1000
_LIMIT: Final = 1.15
# Once each: a run is minutes long, which is its own mean. A shorter one says less: the SDK's own cost of a resource
# grows with their number.
_TURNS: Final = ("by hand", "MeshVm")
# Nobody listens there.
_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:9"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {token: none}}]
current-context: none
"""
_SAMPLE: Final = ("sample-vm", "i-sample", "10.255.255.254")


def ask(steps: Steps) -> None:
    """Preview both programs in turns and say the ratio."""
    folder = Path(tempfile.mkdtemp(prefix="meshvm-bench-"))
    try:
        (folder / "logs").mkdir()
        (folder / "kubeconfig").write_text(_KUBECONFIG)
        prepare_engine(folder, steps, {})
        differs = difference(number=7)
        if differs:
            raise LabError(f"what is made by hand is not what a MeshVm makes: {differs}; see lab/bench/by_hand.py")
        times: dict[str, list[dict[str, float]]] = {way: [] for way in _TURNS}
        for way in _TURNS:
            with steps.step(f"preview of {_MACHINES:,} machines, {way}") as found:
                times[way].append(_measured(folder, way))
                found(f"{times[way][-1]['resources']:,} resources")
        _say(steps, times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(steps: Steps, times: Mapping[str, list[dict[str, float]]]) -> None:
    def median(way: str, what: str) -> float:
        return statistics.median(one[what] for one in times[way])

    steps.say("")
    for what, name in (("seconds", "the time that passes"), ("own", "processor time of the program")):
        with_meshvm, without = median("MeshVm", what), median("by hand", what)
        steps.say(
            f"a preview of {_MACHINES:,} machines, {name}: {with_meshvm:.1f} s by MeshVm, {without:.1f} s for the same "
            "resources by hand"
        )
        steps.say(f"  ratio: {with_meshvm / without:.2f}" + (f" (at most {_LIMIT})" if what == "seconds" else ""))


def _measured(folder: Path, way: str) -> dict[str, float]:
    run = [sys.executable, "-m", "lab.bench.registration", str(folder), way, str(_MACHINES)]
    done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LabError(f"the preview of what is made {way} failed")
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


def program(way: str, machines: int) -> Callable[[], None]:
    """The program that registers so many machines."""
    if way == "MeshVm":
        return lambda: _meshvms(machines)
    recording = recorded(*_SAMPLE)
    known = [by_hand.machine(recording, _names(number)[0], _words(number)) for number in range(machines)]
    return lambda: by_hand.register(known)


def _meshvms(machines: int) -> None:
    mesh = pulumi.Output.from_input(dict(MESH))
    for number in range(machines):
        name, machine, address = _names(number)
        meshvm.MeshVm(name, meshvm_args(machine, address, mesh))


def recorded(name: str, machine: str, address: str) -> Recording:
    """What one MeshVm registers in a preview."""

    def one() -> None:
        meshvm.MeshVm(name, meshvm_args(machine, address, pulumi.Output.from_input(dict(MESH))))

    return record(one, preview=True)


def difference(number: int) -> str:
    """What a machine by hand has otherwise than the same one by MeshVm; empty when nothing."""
    known = by_hand.machine(recorded(*_SAMPLE), _names(number)[0], _words(number))
    made = record(lambda: by_hand.register([known]), preview=True)
    wanted = recorded(*_names(number))
    if made.keys() != wanted.keys():
        return f"{', '.join(sorted(made.keys() ^ wanted.keys()))} is there once"
    different = [name for name in wanted if made[name] != wanted[name]]
    return different[0] if different else "" if made.outputs == wanted.outputs else "the component's outputs"


def _names(number: int) -> tuple[str, str, str]:
    return f"vm-{number}", f"i-{number}", f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def _words(number: int) -> dict[str, str]:
    words = dict(zip(_SAMPLE, _names(number), strict=True))
    # The name of the entry has the address in it, without dots.
    return {**words, **{old.replace(".", "-"): new.replace(".", "-") for old, new in words.items()}}


def main() -> None:
    """Preview one program; what it took is the last line of the output."""
    folder, way, machines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    env = environment(folder, MESHVM_LAB=str(folder), KUBECONFIG=str(folder / "kubeconfig"))
    stack = _Unwatched(folder, way.replace(" ", "-"), program(way, machines), env=env)
    print(json.dumps(stack.measured()))


if __name__ == "__main__":
    main()
