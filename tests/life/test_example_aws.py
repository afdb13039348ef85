"""Does examples/aws-bookinfo do in the lab what its README says, directly and by its bastion?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab import example
from lab.cloud.objects import all_objects
from lab.lab import Lab, healthy
from lab.stack import Outcome, Stack
from tests.life.examples import Calls, block, golden, tree, waits_for

pytestmark = pytest.mark.lab

README = example.AWS / "README.md"
WAYS = ("aws:vpc/securityGroup", "aws:ec2/route:", "aws:ec2/routeTableAssociation:")
ENDS = {"nodesGroup": "sg-nodes", "gatewayGroup": "sg-load-balancer", "clusterRanges": "[]"}
OF_WAYS = ("ratings-ssh", "bastion", "bookinfo")
MEMBERSHIP = ["ratings-host", "ratings-drain", "ratings-entry", "ratings-join", "ratings-gate"]


@dataclass
class Life:
    """One stack of the example from its preview to its end."""

    bastion: bool
    preview: list[str]
    preview_with_ends: list[str]
    machines_of_preview: int
    up: Outcome
    in_rotation: list[bool]
    again: Outcome
    state: list[dict[str, Any]]
    made: list[str]
    switched: Outcome | None
    destroy: Outcome
    gone: list[str]
    left: list[str]

    @property
    def name(self) -> str:
        return "aws-bookinfo-bastion" if self.bastion else "aws-bookinfo"


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "bastion"])
def life(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Life]:
    """One run for all tests: it takes a machine, or two of them, and half a minute."""
    bastion = str(request.param).lower()
    stack = example.aws_bookinfo(lab, "bastion" if request.param else "dev", bastion=bastion)
    try:
        yield run(lab, stack, bastion=request.param)
    finally:
        stack.destroy()


def run(lab: Lab, stack: Stack, *, bastion: bool) -> Life:
    before = (set(all_objects(lab.folder)), set(lab.cloud.instances))
    kubeconfig = str(lab.cluster.kubeconfig) if bastion else example.NOWHERE
    preview = as_in_dev(stack, kubeconfig)
    with_ends = [] if bastion else as_in_dev(stack, kubeconfig, **ENDS)
    previewed = len(set(lab.cloud.instances) - before[1])
    started = len(lab.cloud.calls.entries())
    up = stack.up()
    assert not up.error, up.text
    in_rotation = [healthy(entry) for entry in lab.entries()]
    again, state, ended = stack.up(), stack.state(), len(lab.cloud.calls.entries())
    made = without_the_lab(lab, Calls(state, "aws:").up(lab.cloud.calls.entries()[started:ended]))
    switched = without_bastion(stack) if bastion else None
    in_rotation += [healthy(entry) for entry in lab.entries()]
    last, ended = stack.state(), len(lab.cloud.calls.entries())
    destroy = stack.destroy()
    assert not destroy.error, destroy.text
    gone = without_the_lab(lab, Calls(last, "aws:").destroy(lab.cloud.calls.entries()[ended:]))
    left = [*(one["urn"] for one in stack.state()), *(entry["metadata"]["name"] for entry in lab.entries())]
    left += {*all_objects(lab.folder), *lab.cloud.instances} - {*before[0], *before[1]}
    return Life(
        bastion, preview, with_ends, previewed, up, in_rotation, again, state, made, switched, destroy, gone, left
    )


def without_bastion(stack: Stack) -> Outcome:
    stack.set_config({f"{example.PROJECT}:bastion": "false"})
    switched = stack.up()
    assert not switched.error, switched.text
    return switched


def without_the_lab(lab: Lab, lines: list[str]) -> list[str]:
    """The runner is the lab's host here, and so is the gateway."""
    host = lab.network.host_ip
    return [line.replace(host, "<host>").replace(host.replace(".", "-"), "<host>") for line in lines]


def as_in_dev(stack: Stack, kubeconfig: str, **settings: str) -> list[str]:
    """The preview with the values of Pulumi.dev.yaml, all but the cluster."""
    before = stack._stack.get_all_config()
    dev = yaml.safe_load((example.AWS / "Pulumi.dev.yaml").read_text())["config"]
    settings = {"kubeconfig": kubeconfig, **settings}
    stack.set_config({**dev, **{f"{example.PROJECT}:{key}": value for key, value in settings.items()}})
    shown = tree(stack)
    stack._stack.remove_all_config(list(stack._stack.get_all_config()))
    stack._stack.set_all_config(before)
    return shown


def test_the_readme_shows_what_a_preview_shows(life: Life) -> None:
    """Whether a cluster is in reach makes no difference: with the bastion there is one, without it there is none."""
    shown = block(README, "## The first preview")
    if not life.bastion:
        assert life.preview == shown
        return
    plain, other = ([words(line) for line in lines] for lines in (shown, life.preview))
    changes = [f"+ {' '.join(row)}" for row in other if row not in plain and "pulumi:pulumi:Stack" not in row]
    changes += [f"- {' '.join(row)}" for row in plain if row not in other and "pulumi:pulumi:Stack" not in row]
    assert changes == block(README, "### With a bastion")


def words(line: str) -> list[str]:
    """Type and name of a line in the preview's tree."""
    return line.strip(" +│├└─").split()[:2]


@pytest.mark.parametrize("life", [False], ids=["direct"], indirect=True)
def test_groups_of_nodes_and_load_balancer_are_named_and_get_rules_of_their_own(life: Life) -> None:
    names = {words(line)[1] for line in life.preview_with_ends if "SecurityGroup" in line and " ratings-" in line}
    assert names == {
        "ratings-ssh-198-51-100-7-32",
        "ratings-port-http-peers",
        "ratings-port-http-nodes",
        "ratings-istiod-group",
        "ratings-istiod-load-balancer",
        "ratings-network-group",
        "ratings-network-load-balancer",
    }


def test_a_preview_makes_no_machine(life: Life) -> None:
    assert life.machines_of_preview == 0


def test_one_up_puts_the_machine_into_rotation_and_the_next_changes_nothing(life: Life) -> None:
    assert set(MEMBERSHIP) <= set(life.up.names("create"))
    assert life.in_rotation[0] is True
    assert life.again.steps == []


def test_the_calls_to_the_cloud_are_the_golden_s(life: Life) -> None:
    found = ["# up", *life.made, "# destroy", *life.gone]
    assert found == golden(f"{life.name}.txt", found)


def test_the_first_session_waits_for_the_way_in_so_it_outlives_the_last(life: Life) -> None:
    """SSH's rule, the bastion's own, and the machine's way out to packages."""
    ways = {(one["type"], one["urn"].rpartition("::")[2]) for one in life.state if one["type"].startswith(WAYS)}
    ways = {way for way in ways if way[1].startswith(OF_WAYS)}
    # The second subnet is the bastion's.
    ways = {way for way in ways if life.bastion or way[1] != "bookinfo-2"}
    assert len(ways) == (8 if life.bastion else 5)
    assert ways - waits_for(life.state, "ratings-host") == set()


@pytest.mark.parametrize("life", [True], ids=["bastion"], indirect=True)
def test_a_bastion_that_is_switched_off_goes_and_the_machine_stays_in_rotation(life: Life) -> None:
    assert life.switched is not None
    order = life.switched.order()
    assert life.switched.names("update") == ["ratings-host", "ratings-join"]
    (way,) = [one for one in order if one.startswith("create ratings-ssh-")]
    assert order.index(way) < order.index("update ratings-host")
    assert life.switched.names("create") == [way.removeprefix("create ")]
    early = [one for one in order[: order.index("update ratings-join")] if one.startswith("delete ")]
    assert early == []
    assert {one for one in life.switched.names("delete") if not one.startswith("bastion")} == {"ratings-ssh-group"}
    assert life.in_rotation == [True, True]


def test_ssh_is_open_to_the_runner_or_with_a_bastion_to_that_alone(life: Life) -> None:
    rules = [one["inputs"] for one in life.state if "SecurityGroupIngressRule" in one["type"]]
    ids = {one["id"]: one["urn"].rpartition("::")[2] for one in life.state if one["type"].endswith(":SecurityGroup")}
    ssh = sorted(
        (ids[rule["securityGroupId"]], ids.get(rule.get("referencedSecurityGroupId", ""), "a range"))
        for rule in rules
        if rule["fromPort"] == 22
    )
    direct, behind = [("bookinfo", "a range")], [("bastion", "a range"), ("bookinfo", "bastion")]
    assert ssh == (behind if life.bastion else direct)


def test_destroy_leaves_nothing(life: Life) -> None:
    assert life.left == []
