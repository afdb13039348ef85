"""Do two labs run side by side, and does a lab leave nothing behind, whether it was stopped or killed?"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.base.errors import LabError
from lab.machines import cgroup, leftovers, nspawn
from lab.machines.cloud_init import Seed
from lab.machines.machine import Machine
from lab.machines.network import FOLDER, Network
from lab.machines.root import Root
from tests.lab.keys import PATIENCE, Key, said

pytestmark = pytest.mark.lab


def left_of(network_index: int) -> list[str]:
    """What of that lab is on the host: namespaces, links, mounts, processes, groups, files."""
    prefix, links = f"meshvm{network_index}-", said(["ip", "-brief", "link"]).stdout
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return [
        *(str(place) for place in leftovers.NETNS.glob(f"{prefix}*")),
        *(line for line in links.splitlines() if line.split("@")[0].strip() == f"mv{network_index}"),
        *(line for line in mounts if f"{FOLDER}/{network_index}/" in line),
        *(str(pid) for pid in nspawn.running(prefix)),
        *(str(group) for group in cgroup.leftovers(prefix)),
        *(str(place) for place in leftovers.PROPAGATE.glob(f"{prefix}*")),
        *(str(place) for place in FOLDER.glob(f"{network_index}/*")),
    ]


def test_a_second_lab_runs_beside_the_first(machine: Machine, root: Root, key: Key, tmp_path: Path) -> None:
    second = Network(tmp_path)
    second.start()
    twin = Machine(machine.name, root, second, tmp_path, Seed(authorized_keys=(key.public,)))
    try:
        twin.start()
        twin.ready()
        addresses = [said(key.ssh(each, "hostname -I")).stdout.split()[0] for each in (machine, twin)]
        assert addresses == [machine.private_ip, twin.private_ip]
    finally:
        twin.stop()
        second.stop()
    assert said(key.ssh(machine, "true")).returncode == 0


def test_two_labs_never_share_an_index(network: Network, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"another lab of this host holds index {network.index}"):
        Network(tmp_path, network.index).start()


def test_nothing_is_left_after_stop(root: Root, tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.start()
    index = network.index
    machine = Machine("brief", root, network, tmp_path)
    machine.start()
    machine.ready()
    assert left_of(index) != []
    machine.stop()
    network.stop()
    assert left_of(index) == []
    assert machine.log.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from lab.machines.disk import Disk
from lab.machines.machine import Machine
from lab.machines.network import Network
from lab.machines.root import Root
logs = Path(sys.argv[1])
root, network = Root(logs), Network(logs)
root.start()
network.start()
machine = Machine("orphan", root, network, logs)
machine.start()
machine.ready()
print(network.index, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_lab_left_is_cleaned_when_its_index_is_taken_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 2,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    index = int(done.stdout)
    assert left_of(index) != []
    network = Network(tmp_path, index)
    network.start()
    network.stop()
    assert left_of(index) == []
