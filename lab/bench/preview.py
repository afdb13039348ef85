"""What does a preview of one program take, on the real engine, in a process of its own, with no cluster in reach?"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.lab import prepare_engine
from lab.stack import Stack, environment

# Nobody listens there.
_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:9"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {token: none}}]
current-context: none
"""

PASSES: Final = "the time that passes"
NAMES: Final = {"seconds": PASSES, "own": "processor time of the program"}


@contextmanager
def engine(steps: Steps) -> Iterator[Path]:
    """A folder with an engine, and a kubeconfig that leads nowhere."""
    folder = Path(tempfile.mkdtemp(prefix="meshvm-bench-"))
    try:
        (folder / "logs").mkdir()
        (folder / "kubeconfig").write_text(_KUBECONFIG)
        prepare_engine(folder, steps, {})
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alone(steps: Steps, module: str, folder: Path, way: str, machines: int) -> dict[str, float]:
    """What the preview of a module's program takes: `seconds` that pass, `own` processor time, number of `resources`.

    :param module: calls `measure` when it is run, with folder, way and number of machines as its arguments.
    :param way: which of its programs.
    """
    run = [sys.executable, "-m", module, str(folder), way, str(machines)]
    with steps.step(f"preview of {machines:,} machines, {way}") as said:
        done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise LabError(f"the preview of {machines:,} machines, {way}, failed")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        said(f"{found['resources']:,} resources")
    return found


def say(steps: Steps, what: str, name: str, times: tuple[float, float], ways: tuple[str, str], limit: float) -> None:
    """Two times and their ratio; only of the time that passes is there a limit."""
    told = ", ".join(f"{time:.1f} {unit}" for time, unit in zip(times, ways, strict=True))
    steps.say(f"{what}, {name}: {told}")
    steps.say(f"  ratio: {times[0] / times[1]:.2f}" + (f" (at most {limit})" if name == PASSES else ""))


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


def measure(program: Callable[[str, int], Callable[[], None]]) -> None:
    """Preview the program that the command line names; what it took is the last line of the output."""
    folder, way, machines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    env = environment(folder, MESHVM_LAB=str(folder), KUBECONFIG=str(folder / "kubeconfig"))
    config = {"aws:region": "eu-central-1"}
    stack = _Unwatched(folder, way.replace(" ", "-"), program(way, machines), config=config, env=env)
    print(json.dumps(stack.measured()))
