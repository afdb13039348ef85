"""Does examples/gcp do in the lab what it says: one `up`, nothing to change after it, nothing left at the end?

With Google's SDK where it is installed (pip install 'meshvm[gcp]'), else with a stand-in of it: it is as large as all
the rest, and not in the lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab import example
from lab.cloud.objects import all_objects
from lab.lab import Lab, healthy
from lab.stack import Outcome, Stack
from tests import google_sdk
from tests.life.examples import Calls, block, golden, tree

pytestmark = [
    pytest.mark.lab,
    # pulumi_gcp announces its own old resources whenever gcp.compute is imported.
    pytest.mark.filterwarnings("ignore:gcp[.]:DeprecationWarning"),
]

README = example.GCP / "README.md"
INSTANCE = "gcp:compute/instance:Instance"
FIREWALL = "gcp:compute/firewall:Firewall"
PEER = {f"{example.GCP_PROJECT}:clusterNetwork": "projects/lab-project/global/networks/default"}

State = Sequence[Mapping[str, Any]]


@contextmanager
def deployed(lab: Lab) -> Iterator[Stack]:
    """A stack of the example; gone in the end."""
    with nullcontext() if google_sdk.INSTALLED else google_sdk.stand_in():
        stack = example.gcp_bookinfo(lab, "gcp")
        try:
            yield stack
        finally:
            stack.destroy()


@dataclass
class Life:
    """What one life of the example left to look at, from the first preview to the end.

    :param said: what the preview said besides what it showed.
    :param machines_of_preview: how many machines the previews made.
    :param mark: what the machine has been told that it is.
    :param left: what was there in the end and not before: resources, entries, machines, objects of the cloud.
    """

    preview: list[str]
    said: list[str]
    machines_of_preview: int
    up: Outcome
    made: list[str]
    state: State
    in_rotation: list[bool]
    mark: str
    again: Outcome
    destroy: Outcome
    gone: list[str]
    left: list[Any]

    @property
    def rules(self) -> list[str]:
        """The names of all rules."""
        return [one["urn"].rpartition("::")[2] for one in self.state if one["type"] == FIREWALL]

    @property
    def ssh(self) -> str:
        """The name of SSH's rule, which has the runner's address, another one in each lab."""
        (name,) = (rule for rule in self.rules if rule.startswith("ratings-ssh-"))
        return name


@pytest.fixture(scope="module")
def life(lab: Lab) -> Life:
    """One run for all tests, with a peering; it takes a machine and a minute."""
    with deployed(lab) as stack:
        return run(lab, stack)


def run(lab: Lab, stack: Stack) -> Life:
    machines, said = set(lab.cloud.instances), list[str]()
    preview = as_in_dev(stack, said, str(lab.cluster.kubeconfig))
    previewed = len(set(lab.cloud.instances) - machines)
    stack.set_config(PEER)
    start = len(lab.cloud.calls.entries())
    up, calls, state = succeeded(stack.up()), lab.cloud.calls.entries()[start:], stack.state()
    (machine,) = set(lab.cloud.instances) - machines
    mark = lab.cloud.machine(machine).path("/var/lib/meshvm/mark").read_text()
    in_rotation, again = list(entries(lab).values()), succeeded(stack.up())
    end = len(lab.cloud.calls.entries())
    destroy, last = succeeded(stack.destroy()), lab.cloud.calls.entries()[end:]
    objects = [one for one in all_objects(lab.folder).values() if one.kind.startswith("gcp:")]
    left = [*stack.state(), *entries(lab), *(set(lab.cloud.instances) - machines), *objects]
    order = Calls(state, "gcp:")
    made, gone = (without_the_lab(lab, lines) for lines in (order.up(calls), order.destroy(last)))
    return Life(preview, said, previewed, up, made, state, in_rotation, mark, again, destroy, gone, left)


def as_in_dev(stack: Stack, said: list[str], kubeconfig: str) -> list[str]:
    """The preview with the values of Pulumi.dev.yaml, all but the cluster; `said` gets what it says."""
    now = {key: value for key, value in stack._stack.get_all_config().items() if value.value is not None}
    dev = yaml.safe_load((example.GCP / "Pulumi.dev.yaml").read_text())["config"]
    stack.set_config({**dev, f"{example.GCP_PROJECT}:kubeconfig": kubeconfig})
    succeeded(stack.preview(on_error=said.append))
    shown = [line.replace("meshvm-gcp-bookinfo-gcp", "meshvm-gcp-bookinfo-dev") for line in tree(stack)]
    stack._stack.set_all_config(now)
    return shown


def without_the_lab(lab: Lab, lines: list[str]) -> list[str]:
    """The runner is the lab's host here, and so is the gateway."""
    host = lab.network.host_ip
    return [line.replace(host, "<host>").replace(host.replace(".", "-"), "<host>") for line in lines]


def succeeded(outcome: Outcome) -> Outcome:
    assert not outcome.error, outcome.text
    return outcome


def entries(lab: Lab) -> dict[str, bool]:
    """The entries in the example's namespace, and whether each is in rotation."""
    return {entry["metadata"]["name"]: healthy(entry) for entry in lab.entries()}


def number(state: State) -> str:
    """What Google numbered the machine."""
    machines = [one for one in state if one["type"] == INSTANCE and not one.get("delete")]
    return str(machines[0]["outputs"]["instanceId"])


def test_the_readme_has_what_a_preview_shows_and_says(life: Life) -> None:
    (closed,) = (line.strip().removeprefix("info: ") for line in life.said if "leaves closed" in line)
    told = ["", "Diagnostics:", "  meshvm:index:MeshVm (ratings):", f"    {closed}"]
    assert [*life.preview, *told] == block(README, "## The first preview")


def test_a_preview_makes_no_machine(life: Life) -> None:
    assert life.machines_of_preview == 0


def test_one_up_puts_the_machine_into_rotation_and_the_next_changes_nothing(life: Life) -> None:
    assert life.in_rotation == [True]
    assert life.again.steps == []


def test_the_machine_is_known_by_the_number_that_google_gives_it(life: Life) -> None:
    assert life.mark == number(life.state)


def test_rules_are_there_before_they_are_needed_and_outlive_it(life: Life) -> None:
    made, gone = life.up.order(), life.destroy.order()
    late = [rule for rule in life.rules if made.index(f"create {rule}") > made.index("create ratings-drain")]
    early = [rule for rule in life.rules if gone.index(f"delete {rule}") < gone.index("delete ratings-drain")]
    assert (late, early) == ([], [])
    assert made.index(f"create {life.ssh}") < made.index("create ratings-host")
    assert gone.index(f"delete {life.ssh}") > gone.index("delete ratings-host")


def test_the_calls_to_the_cloud_are_the_golden_s(life: Life) -> None:
    found = ["# up", *life.made, "# destroy", *life.gone]
    assert found == golden("gcp.txt", found)


def test_destroy_leaves_nothing(life: Life) -> None:
    assert life.left == []


def test_a_bigger_machine_is_the_same_one_and_another_image_is_another(lab: Lab) -> None:
    """By the number that Google gives a machine, which is its `machine_id`."""
    with deployed(lab) as stack:
        succeeded(stack.up())
        first, entry = number(stack.state()), entries(lab)

        stack.set_config({f"{example.GCP_PROJECT}:machineType": "e2-medium"})
        bigger = succeeded(stack.up())
        assert [one for one in bigger.steps if one[2] != INSTANCE] == []
        assert (number(stack.state()), entries(lab)) == (first, entry)

        stack.set_config({f"{example.GCP_PROJECT}:image": "ubuntu-os-cloud/ubuntu-2404-lts-next"})
        replaced = succeeded(stack.up())
        order, second = replaced.order(), number(stack.state())
        assert second != first
        assert [(name.split("-")[1], known) for name, known in entries(lab).items()] == [(second, True)]
        assert order.index("create-replacement ratings-gate") < order.index("delete-replaced ratings-entry")
        assert [name for _, name, type_ in replaced.steps if type_ == FIREWALL] == [], "the rules are the account's"
