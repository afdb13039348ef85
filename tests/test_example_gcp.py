"""Is what examples/gcp says of itself true: the preview in its README, its requirements, whom its rules let in?"""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
import pytest

from lab import example
from meshvm import testing
from meshvm.testing import Recorded, Recording, record
from tests import google_sdk
from tests.imports import CHECKOUT, imports

# pulumi_gcp announces its own old resources whenever gcp.compute is imported.
pytestmark = pytest.mark.filterwarnings("ignore:gcp[.]:DeprecationWarning")

FOLDER = CHECKOUT / "examples" / "gcp"
# As Pulumi.dev.yaml has them; the recorder's project is called `project`.
CONFIG = {
    "kubeconfig": "~/.kube/config",
    "runnerRange": "198.51.100.7/32",
    "package": "https://packages.example/istio-sidecar.deb",
    "sha256": "0" * 64,
}
STACK = "pulumi:pulumi:Stack"
FIREWALL = "gcp:compute/firewall:Firewall"


@pytest.fixture(params=["stand-in", "sdk"])
def sdk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test that asks for it holds with Google's real SDK too, where that is installed."""
    monkeypatch.setattr(testing._Mocks, "new_resource", with_unknown_interfaces(testing._Mocks.new_resource))
    if request.param == "sdk" and not google_sdk.INSTALLED:
        pytest.skip("the extra gcp is not in the lock, as it is as large as all the rest: pip install 'meshvm[gcp]'")
    with google_sdk.stand_in() if request.param == "stand-in" else nullcontext():
        yield
    pulumi.runtime.set_all_config({})


def with_unknown_interfaces(answer: Callable[..., Any]) -> Callable[..., Any]:
    """A preview knows no address of a machine, which the recorder would show without one."""

    def answered(mocks: Any, args: Any) -> Any:
        id_, state = answer(mocks, args)
        return id_, {key: value for key, value in state.items() if key != "networkInterfaces"}

    return answered


def previewed(**more: str) -> Recording:
    """What the example registers in a first preview."""
    values = {f"project:{key}": value for key, value in {**CONFIG, **more}.items()}
    pulumi.runtime.set_all_config(values)
    return record(example.program(FOLDER), preview=True)


def shown(recording: Recording) -> str:
    """The tree of resources as the CLI draws it, siblings by type and name."""
    by_parent: dict[str, list[Recorded]] = {}
    for one in recording.values():
        if one.type != STACK:  # it is there in a process's first recording alone
            by_parent.setdefault(one.parent, []).append(one)
    rows = [("Type", "Name"), (STACK, "meshvm-gcp-bookinfo-dev"), *branches(by_parent, "project-stack", "")]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{type_:{first}}  {name:{second}}" for type_, name in rows]
    return "\n".join([f"     {lines[0]}  Plan", *(f" +   {line}  create" for line in lines[1:])])


def branches(by_parent: dict[str, list[Recorded]], parent: str, indent: str) -> Iterator[tuple[str, str]]:
    children = sorted(by_parent.get(parent, []), key=lambda one: (short(one.type), one.name))
    for child in children:
        last = child is children[-1]
        yield f"{indent}{'└─ ' if last else '├─ '}{short(child.type)}", child.name
        if child.type.split(":")[1] == "index":  # a component, which may have the name of a resource
            yield from branches(by_parent, child.name, indent + ("   " if last else "│  "))


def short(token: str) -> str:
    """A type as the CLI writes it: `gcp:compute:Firewall` for `gcp:compute/firewall:Firewall`."""
    package, module, name = token.split(":")
    base, _, file = module.rpartition("/")
    return f"{package}:{base if base and file.lower() == name.lower() else module}:{name}"


def blocks(readme: Path) -> list[str]:
    """The README's blocks of code."""
    return [block.partition("\n")[2].rstrip() for block in readme.read_text().split("```")[1::2]]


def rules(recording: Recording) -> dict[str, Any]:
    return {one.name: one.inputs for one in recording.of_type(FIREWALL)}


def test_the_readme_shows_what_a_first_preview_makes_and_says(sdk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, **_: said.append(text))
    tree = shown(previewed())
    text = "\n".join([tree, "", "Diagnostics:", "  meshvm:index:MeshVm (ratings):", *(f"    {one}" for one in said)])
    assert text in blocks(FOLDER / "README.md"), f"write this block to examples/gcp/README.md:\n{text}"


def test_nobody_but_the_runner_and_the_mesh_comes_in(sdk: None) -> None:
    inbound = [one for one in rules(previewed()).values() if one["direction"] == "INGRESS"]
    assert {(one["sourceRanges"][0], one["allows"][0]["ports"][0]) for one in inbound} == {
        ("198.51.100.7/32", "22"),
        ("10.0.0.0/16", "9080"),
    }


def test_what_no_other_rule_allows_does_not_go_out(sdk: None) -> None:
    """Google lets a machine connect to everywhere unless a rule denies it."""
    outbound = {name: one for name, one in rules(previewed()).items() if one["direction"] == "EGRESS"}
    last = outbound.pop("vm-net-nothing-else")
    assert (last["denies"], last["destinationRanges"]) == ([{"protocol": "all"}], ["0.0.0.0/0"])
    assert max(one.get("priority", 1000) for one in outbound.values()) < last["priority"]
    open_ports = {port for one in outbound.values() for port in one["allows"][0]["ports"]}
    assert open_ports == {"80", "443", "15012", "15443"}


def test_a_gateway_with_a_host_name_is_reached_by_its_ranges(sdk: None) -> None:
    found = rules(previewed(gatewayRanges='["203.0.113.0/24"]'))
    to_gateway = {name for name, one in found.items() if one.get("destinationRanges") == ["203.0.113.0/24"]}
    assert to_gateway == {"ratings-istiod-203-0-113-0-24", "ratings-network-203-0-113-0-24"}


def test_the_machine_may_do_nothing_at_google_but_write_logs(sdk: None) -> None:
    found = previewed()
    (machine,) = found.of_type("gcp:compute/instance:Instance")
    assert machine.inputs["serviceAccount"]["scopes"] == ["https://www.googleapis.com/auth/logging.write"]
    assert [one.type for one in found.values() if "iam" in one.type.lower()] == [], "the account has no role"


def test_a_cluster_s_network_is_peered_with_in_both_directions(sdk: None) -> None:
    peer = "projects/other/global/networks/cluster"
    halves = previewed(clusterNetwork=peer).of_type("gcp:compute/networkPeering:NetworkPeering")
    ends = {one.name: [one.inputs.get(end) == peer for end in ("network", "peerNetwork")] for one in halves}
    assert ends == {"vm-net-to-cluster": [False, True], "vm-net-from-cluster": [True, False]}
    assert previewed().of_type("gcp:compute/networkPeering:NetworkPeering") == []


def test_the_requirements_have_all_that_the_example_imports() -> None:
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    direct = (FOLDER / "requirements.txt").read_text().split()
    assert direct[0] == "meshvm[gcp]"
    asked = [*direct, *pyproject["dependencies"], *pyproject["optional-dependencies"]["gcp"]]
    names = {re.split(r"[^\w-]", line)[0] for line in asked}
    imported = {name.split(".")[0] for file in FOLDER.glob("*.py") for name in imports(file)}
    third_party = {name for name in imported if name == "meshvm" or name.startswith("pulumi")}
    assert {name.replace("_", "-") for name in third_party} <= names
