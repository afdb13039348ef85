"""What becomes of the graph when the cluster answers well, badly, or not at all?"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest

import meshvm
from meshvm import vm
from meshvm.errors import ArgumentError, ClusterError
from meshvm.testing import UNKNOWN, FakeCluster, Recording, record
from tests.samples import ENDPOINT, MESH, Machine, mesh, vm_args

RUN = "this-run"
UNREACHABLE = ClusterError("the API server does not answer when asked for x; check kubeconfig", unreachable=True)
REFUSED = ClusterError("the API server refuses to give x; give these credentials the right to it")


@pytest.fixture(autouse=True)
def word_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Words:
        @staticmethod
        def token_hex(_: int) -> str:
            return RUN

    monkeypatch.setattr(vm, "secrets", Words)


def one_vm(answers: FakeCluster, run: str = RUN, **changes: Any) -> Recording:
    """An `up` whose join printed a status of the run `run`."""
    status = {"proxyVersion": "1.30.3", "ready": "true", "run": run}
    return record(
        lambda: meshvm.MeshVm("ratings", vm_args(**changes)),
        cluster_answers=answers,
        outputs={"ratings-join": {"stdout": json.dumps(status)}},
    )


def expansion(**changes: Any) -> Callable[[], object]:
    args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), **changes}

    def run() -> None:
        made = meshvm.MeshExpansion("shop", args)
        meshvm.MeshVm("ratings", vm_args(mesh=made.mesh))

    return run


def gateway(**changes: Any) -> Callable[[], object]:
    given = {"mode": meshvm.GatewayMode.EXISTING, "service": "istio-system/gw", **changes}
    args: Any = {key: one for key, one in given.items() if one is not None}
    return lambda: meshvm.VmGateway("gw", args)


def failure(program: Callable[[], object], *, preview: bool = False, answers: FakeCluster | None = None) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 which it is, is what the tests ask
        record(program, preview=preview, cluster_answers=answers)
    return caught.value


def gate(recording: Recording) -> tuple[str, str]:
    """What the gate is told, and its trigger."""
    inputs = recording["ratings-gate"].inputs
    return inputs["environment"]["MESHVM_UNHEALTHY"], inputs["triggers"][0]["unhealthy"]


def test_a_healthy_application_leaves_the_gate_open() -> None:
    assert gate(one_vm(FakeCluster())) == ("", "")


def test_an_unhealthy_application_closes_the_gate_of_a_join_of_this_run() -> None:
    told, trigger = gate(one_vm(FakeCluster(unhealthy="Get http://10.0.0.7:9080: refused"), healthy_seconds=7))
    assert told == trigger
    for part in (
        'MeshVm "ratings"',
        "within 7 s",
        "Get http://10.0.0.7:9080: refused",
        "bookinfo/ratings-i-1-10-0-0-7",
    ):
        assert part in told


def test_an_application_that_is_down_while_nothing_changes_replaces_no_gate() -> None:
    told, trigger = gate(one_vm(FakeCluster(unhealthy="down"), run="an earlier run"))
    assert "down" in told
    assert trigger == ""


def test_a_join_that_printed_no_status_replaces_no_gate() -> None:
    recording = record(
        lambda: meshvm.MeshVm("ratings", vm_args()),
        cluster_answers=FakeCluster(unhealthy="down"),
        outputs={"ratings-join": {"stdout": "no JSON"}},
    )
    assert gate(recording)[1] == ""


def test_the_gate_is_asked_until_its_time_has_passed() -> None:
    answers = FakeCluster(unhealthy="down")
    one_vm(answers, healthy_seconds=30)
    assert 30 <= answers.waited <= 31


def test_the_word_of_the_run_reaches_the_machine_and_no_output() -> None:
    recording = one_vm(FakeCluster())
    assert f"MESHVM_RUN='{RUN}'\n" in recording["ratings-join"].inputs["stdin"]
    assert recording.outputs["ratings"]["status"] == {"proxyVersion": "1.30.3", "ready": "true"}


def test_a_refused_token_travels_to_the_machine_and_does_not_end_the_program() -> None:
    """Other machines go on; the join says it before it touches anything."""
    recording = one_vm(FakeCluster(error=REFUSED), healthy_seconds=1)
    stdin = recording["ratings-join"].inputs["stdin"]
    assert f"MESHVM_TOKEN_ERROR='{REFUSED}'\n" in stdin
    assert "MESHVM_TOKEN=''\n" in stdin


def test_an_unreachable_cluster_hides_the_mesh_in_a_preview_and_nothing_else() -> None:
    shown = record(
        expansion(service_accounts=["ratings"], network="k8s"),
        preview=True,
        cluster_answers=FakeCluster(error=UNREACHABLE),
    )
    done = record(expansion(service_accounts=["ratings"], network="k8s"))
    assert set(shown) == set(done)
    assert shown.outputs["shop"]["mesh"] is UNKNOWN


def test_an_unreachable_cluster_hides_no_endpoint_that_was_given() -> None:
    recording = record(
        gateway(service=None, address="192.0.2.1"), preview=True, cluster_answers=FakeCluster(error=UNREACHABLE)
    )
    assert recording.outputs["gw"]["endpoint"]["address"] == "192.0.2.1"


def test_an_unreachable_cluster_hides_the_endpoint_of_a_service_in_a_preview() -> None:
    recording = record(gateway(), preview=True, cluster_answers=FakeCluster(error=UNREACHABLE))
    assert recording.outputs["gw"]["endpoint"] is UNKNOWN


@pytest.mark.parametrize("program", [expansion(), expansion(network="k8s"), gateway()])
def test_an_unreachable_cluster_ends_an_up_with_one_sentence(program: Callable[[], object]) -> None:
    error = failure(program, answers=FakeCluster(error=UNREACHABLE))
    assert isinstance(error, pulumi.RunError)
    assert str(UNREACHABLE) in str(error)
    assert str(error).startswith(("MeshExpansion", "VmGateway"))
    assert "\n" not in str(error)


@pytest.mark.parametrize("program", [expansion(), expansion(network="k8s"), gateway()])
def test_a_refusal_ends_a_preview_too(program: Callable[[], object]) -> None:
    """It will not be better at the `up`."""
    error = failure(program, preview=True, answers=FakeCluster(error=REFUSED))
    assert isinstance(error, pulumi.RunError)
    assert str(REFUSED) in str(error)


@pytest.mark.parametrize("preview", [False, True])
def test_the_mesh_holds_what_the_cluster_the_gateway_and_the_arguments_say(preview: bool) -> None:
    recording = record(expansion(network="k8s", revision="canary"), preview=preview)
    found = recording.outputs["shop"]["mesh"]
    config = '{"discoveryAddress":"istiod-canary.istio-system.svc:15012","meshId":"mesh1"}'
    canary = {"revision": "canary", "discoveryAddress": "istiod-canary.istio-system.svc:15012", "defaultConfig": config}
    assert found == {**MESH, "clusterNetwork": "k8s", **canary}


@pytest.mark.parametrize("preview", [False, True])
def test_an_account_that_is_yet_to_be_made_hides_no_fact(preview: bool) -> None:
    recording = record(expansion(service_accounts=["ratings"]), preview=preview)
    (triggers,) = recording["ratings-join"].inputs["triggers"]
    assert UNKNOWN not in triggers.values()


@pytest.mark.parametrize("preview", [False, True])
def test_a_vm_waits_for_the_accounts_and_the_network_of_its_mesh(preview: bool) -> None:
    recording = record(expansion(service_accounts=["ratings"], network="k8s"), preview=preview)
    assert recording["ratings-join"].depends_on >= {"shop-ratings", "shop-network"}


@pytest.mark.parametrize("preview", [False, True])
def test_the_network_is_a_label_of_istiods_namespace(preview: bool) -> None:
    metadata = record(expansion(network="k8s"), preview=preview)["shop-network"].inputs["metadata"]
    assert metadata["name"] == "istio-system"
    assert metadata["labels"] == {"topology.istio.io/network": "k8s"}


@pytest.mark.parametrize("preview", [False, True])
def test_a_gateway_gives_an_ip_address_before_a_host_name(preview: bool) -> None:
    answers = FakeCluster(addresses=[("ip", "192.0.2.1"), ("host", "lb.example")])
    endpoint = record(gateway(), preview=preview, cluster_answers=answers).outputs["gw"]["endpoint"]
    assert endpoint == {**ENDPOINT, "address": "192.0.2.1", "addresses": "192.0.2.1", "service": "istio-system/gw"}


def test_a_gateway_without_the_port_between_networks_says_so() -> None:
    endpoint = record(gateway(), cluster_answers=FakeCluster(ports=[15012])).outputs["gw"]["endpoint"]
    assert endpoint["networkPort"] == ""


@pytest.mark.parametrize("preview", [False, True])
def test_a_gateway_that_does_not_lead_to_istiod_is_refused(preview: bool) -> None:
    error = failure(gateway(), preview=preview, answers=FakeCluster(ports=[80]))
    assert "no port 15012" in str(error)


def test_a_load_balancer_without_an_address_yet_is_waited_for_by_the_next_run() -> None:
    answers = FakeCluster(addresses=[])
    assert record(gateway(), preview=True, cluster_answers=answers).outputs["gw"]["endpoint"] is UNKNOWN
    assert "has no address yet" in str(failure(gateway(), answers=answers))


@pytest.mark.parametrize("option", [{"deleted_with": True}, {"retain_on_delete": True}])
@pytest.mark.parametrize("preview", [False, True])
def test_options_that_would_leave_a_ghost_entry_are_refused(option: Mapping[str, Any], preview: bool) -> None:
    """The engine hands them to the children."""

    def run() -> None:
        given = {"deleted_with": Machine("vm")} if "deleted_with" in option else option
        meshvm.MeshVm("ratings", vm_args(), pulumi.ResourceOptions(**given))

    error = failure(run, preview=preview)
    assert f"opts.{next(iter(option))}" in str(error)


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"address": "not-an-address"}, "address"),
        ({"ports": [{"name": "http", "number": 0, "protocol": meshvm.Protocol.HTTP}]}, "ports[0].number"),
        ({"adress": "10.0.0.7"}, "adress"),
        ({"mesh": mesh(version="2")}, "mesh"),
    ],
)
def test_an_error_says_component_and_property(changes: Mapping[str, Any], path: str, preview: bool) -> None:
    error = failure(lambda: meshvm.MeshVm("ratings", vm_args(**changes)), preview=preview)
    assert isinstance(error, pulumi.RunError)
    assert isinstance(error, pulumi.InputPropertyError)
    assert error.property_path == path
    assert str(error).startswith(f'MeshVm "ratings": {path}: ')


@pytest.mark.parametrize("preview", [False, True])
def test_an_output_is_judged_as_soon_as_it_is_known(preview: bool) -> None:
    wrong = pulumi.Output.from_input("not-an-address")
    error = failure(lambda: meshvm.MeshVm("ratings", vm_args(address=wrong)), preview=preview)
    assert isinstance(error, pulumi.InputPropertyError)
    assert error.property_path == "address"


def test_a_plain_mistake_registers_nothing() -> None:
    with pytest.raises(ArgumentError):
        vm._check(vm_args(address=None), None)


def test_a_gateway_with_a_host_name_needs_address_ranges_for_a_rule() -> None:
    answers = mesh(gatewayAddress="lb.example", gatewayAddressKind="host")
    error = failure(lambda: meshvm.MeshVm("ratings", vm_args(mesh=answers, aws={"security_group_id": "sg-1"})))
    assert "aws.gateway_cidrs" in str(error)
    given = {"security_group_id": "sg-1", "gateway_cidrs": ["192.0.2.0/24", "198.51.100.0/24"]}
    recording = record(lambda: meshvm.MeshVm("ratings", vm_args(mesh=answers, aws=given)))
    names = ("ratings-istiod-192-0-2-0-24", "ratings-istiod-198-51-100-0-24")
    assert [recording[name].inputs["cidrIpv4"] for name in names] == given["gateway_cidrs"]


@pytest.mark.parametrize("preview", [False, True])
def test_secret_credentials_make_no_secret_of_the_mesh(preview: bool) -> None:
    """A preview of what hangs on the mesh would print `[secret]` for every variable."""
    recording = record(expansion(kubeconfig=pulumi.Output.secret("the-kubeconfig"), network="k8s"), preview=preview)
    assert "triggers" not in recording["ratings-join"].secrets
    assert recording["shop-network"].secrets == set()
    assert "the-kubeconfig" not in str(list(recording.values()))


def test_an_application_that_is_down_while_nothing_changes_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, **_: said.append(text))
    one_vm(FakeCluster(unhealthy="down"), run="an earlier run", healthy_seconds=1)
    assert ["down" in text for text in said] == [True]
