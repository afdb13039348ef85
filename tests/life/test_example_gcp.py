"""Does examples/gcp do in the lab what it says: one `up`, nothing to change after it, nothing left at the end?"""

from collections.abc import Iterator

import pytest

from lab import example
from lab.cloud.objects import all_objects
from lab.lab import Lab, healthy
from lab.stack import Outcome, Stack

pytest.importorskip(
    "pulumi_gcp",
    reason="the extra gcp is not in the lock, because it is as large as all the rest: pip install 'meshvm[gcp]'",
)

pytestmark = [
    pytest.mark.lab,
    # pulumi_gcp announces its own old resources whenever gcp.compute is imported.
    pytest.mark.filterwarnings("ignore:gcp[.]:DeprecationWarning"),
]

RULES = [f"bookinfo-{name}" for name in ("ssh", "http", "gateway", "packages", "nothing-else")]
MEMBERSHIP = ["ratings-host", "ratings-drain", "ratings-entry", "ratings-join", "ratings-gate"]


INSTANCE = "gcp:compute/instance:Instance"


@pytest.fixture
def stack(lab: Lab) -> Iterator[Stack]:
    made = example.gcp_bookinfo(lab, "gcp-bookinfo")
    yield made
    made.destroy()


def succeeded(outcome: Outcome) -> Outcome:
    assert not outcome.error, outcome.text
    return outcome


def number(stack: Stack) -> str:
    """What Google numbered the machine."""
    machines = [one for one in stack.state() if one["type"] == INSTANCE and not one.get("delete")]
    return str(machines[0]["outputs"]["instanceId"])


def entries(lab: Lab) -> dict[str, bool]:
    """The entries in the example's namespace, and whether each is in rotation."""
    return {entry["metadata"]["name"]: healthy(entry) for entry in lab.entries()}


def test_the_example_comes_stays_and_goes(lab: Lab, stack: Stack) -> None:
    before = set(lab.cloud.instances)
    preview = succeeded(stack.preview())
    assert {*RULES, *MEMBERSHIP} <= set(preview.names("create"))
    assert set(lab.cloud.instances) == before, "a preview makes no machine"

    made = succeeded(stack.up()).order()
    assert list(entries(lab).values()) == [True]
    late = [rule for rule in RULES if made.index(f"create {rule}") > made.index("create ratings-host")]
    assert late == [], "a rule came after the first session"
    (machine,) = set(lab.cloud.instances) - before
    assert lab.cloud.machine(machine).path("/var/lib/meshvm/mark").read_text() == number(stack)
    # Which order the engine happens to take is one thing; that it may take no other is in the state.
    (member,) = (one for one in stack.state() if one["type"] == "meshvm:index:MeshVm")
    assert {urn.rpartition("::")[2] for urn in member.get("dependencies", [])} == set(RULES)
    assert succeeded(stack.up()).steps == []

    gone = succeeded(stack.destroy()).order()
    early = [rule for rule in RULES if gone.index(f"delete {rule}") < gone.index("delete ratings-host")]
    assert early == [], "a rule went before the last session"
    left = [one for one in all_objects(lab.folder).values() if one.kind.startswith("gcp:")]
    assert [stack.state(), entries(lab), set(lab.cloud.instances) - before, left] == [[], {}, set(), []]


def test_a_bigger_machine_is_the_same_one_and_another_image_is_another(lab: Lab, stack: Stack) -> None:
    """By the number that Google gives a machine, which is its `machine_id`."""
    succeeded(stack.up())
    first, entry = number(stack), entries(lab)

    stack.set_config({f"{example.GCP_PROJECT}:machineType": "e2-medium"})
    bigger = succeeded(stack.up())
    assert [one for one in bigger.steps if one[2] != INSTANCE] == []
    assert (number(stack), entries(lab)) == (first, entry)

    stack.set_config({f"{example.GCP_PROJECT}:image": "ubuntu-os-cloud/ubuntu-2404-lts-next"})
    order = succeeded(stack.up()).order()
    assert number(stack) != first
    assert [(name.split("-")[1], in_rotation) for name, in_rotation in entries(lab).items()] == [(number(stack), True)]
    assert order.index("create-replacement ratings-gate") < order.index("delete-replaced ratings-entry")
