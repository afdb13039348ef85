"""Is the graph of one VM the one of the design, in a preview as at an `up`?"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.testing import UNKNOWN, FakeCluster, Recording, record
from tests.samples import Machine, ssh, vm_args

CHILDREN = {"ratings-host", "ratings-drain", "ratings-sidecar", "ratings-entry", "ratings-join", "ratings-gate"}
REMOTE = "command:remote:Command"
LOCAL = "command:local:Command"


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Each test that asks for it holds in both."""
    return bool(request.param)


def program(**changes: Any) -> Callable[[], None]:
    """One MeshVm whose machine is made in the same program."""

    def run() -> None:
        machine = Machine("vm")
        given = {"machine_id": machine.id, "address": machine.address, **changes}
        meshvm.MeshVm("ratings", vm_args(**given))

    return run


def graph(*, preview: bool, answers: FakeCluster | None = None, **changes: Any) -> Recording:
    return record(program(**changes), preview=preview, cluster_answers=answers, outputs={"vm": {"address": "10.0.0.7"}})


def children(recording: Recording) -> set[str]:
    return {name for name, one in recording.items() if one.parent == "ratings"}


def test_a_vm_is_host_drain_sidecar_entry_join_and_gate(preview: bool) -> None:
    recording = graph(preview=preview)
    assert children(recording) == CHILDREN
    assert {name: recording[f"ratings-{name}"].type for name in ("host", "drain", "entry", "join", "gate")} == {
        "host": REMOTE,
        "drain": LOCAL,
        "entry": "kubernetes:networking.istio.io/v1:WorkloadEntry",
        "join": REMOTE,
        "gate": LOCAL,
    }


def test_each_step_waits_for_the_one_before(preview: bool) -> None:
    recording = graph(preview=preview)
    waits = {name.removeprefix("ratings-"): recording[name].depends_on for name in CHILDREN}
    assert waits == {
        "host": {"vm"},
        "drain": {"vm", "ratings-host"},
        "sidecar": set(),
        "entry": {"vm", "ratings-drain"},
        "join": {"vm", "ratings-entry", "ratings-sidecar"},
        "gate": {"vm", "ratings-join"},
    }


def test_the_machine_reaches_host_drain_join_and_gate_by_their_triggers(preview: bool) -> None:
    """These property edges decide the order of a replacement."""
    recording = graph(preview=preview)
    for name in ("host", "drain", "join", "gate"):
        command = recording[f"ratings-{name}"]
        assert command.by_property["triggers"] >= {"vm"}
        assert command.inputs["triggers"][0]["machine"] == (UNKNOWN if preview else "vm-id")
        assert command.options["replace_on_changes"] == ["triggers[*]"]


def test_the_machine_is_in_the_entrys_name(preview: bool) -> None:
    metadata = graph(preview=preview)["ratings-entry"]
    assert metadata.by_property["metadata"] == {"vm"}
    assert metadata.inputs["metadata"]["name"] == (UNKNOWN if preview else "ratings-vm-id-10-0-0-7")


def test_only_host_goes_with_the_machine_and_only_the_entry_is_replaced_with_it(preview: bool) -> None:
    recording = graph(preview=preview)
    assert {name for name in CHILDREN if recording[name].options["deleted_with"]} == {"ratings-host"}
    assert {name for name in CHILDREN if recording[name].options["replace_with"]} == {"ratings-entry"}
    assert recording["ratings-host"].options["deleted_with"] == "vm"
    assert recording["ratings-entry"].options["replace_with"] == ["vm"]


def test_a_literal_machine_has_no_owner(preview: bool) -> None:
    recording = graph(preview=preview, machine_id="i-literal", address="10.0.0.7")
    assert {recording[name].options["deleted_with"] for name in CHILDREN} == {""}
    assert [one for name in CHILDREN for one in recording[name].options["replace_with"] if one] == []


def test_a_machine_id_put_together_of_two_has_no_owner(preview: bool) -> None:
    def run() -> None:
        one, other = Machine("one"), Machine("other")
        machine = pulumi.Output.concat(one.id, "/", other.id)
        meshvm.MeshVm("ratings", vm_args(machine_id=machine))

    recording = record(run, preview=preview)
    assert recording["ratings-host"].options["deleted_with"] == ""
    assert [one for one in recording["ratings-entry"].options["replace_with"] if one] == []


def test_join_and_gate_are_gone_from_the_state_before_they_run_again(preview: bool) -> None:
    """A join that failed runs again, also after a revert."""
    recording = graph(preview=preview)
    before = {name for name in CHILDREN if recording[name].options["delete_before_replace"]}
    assert before == {"ratings-join", "ratings-gate"}


def test_the_join_has_no_delete_and_the_host_off_boards(preview: bool) -> None:
    recording = graph(preview=preview)
    assert "delete" not in recording["ratings-join"].inputs
    assert recording["ratings-host"].inputs["delete"].endswith("sh -s offboard")
    assert recording["ratings-host"].inputs["create"].endswith("sh -s prepare")


def test_what_is_another_each_time_is_left_out_of_the_diff(preview: bool) -> None:
    recording = graph(preview=preview)
    ignored = {name: recording[name].options["ignore_changes"] for name in CHILDREN}
    assert {name: one for name, one in ignored.items() if one} == {
        "ratings-join": ["stdin"],
        "ratings-gate": ["environment"],
    }


def test_no_command_gets_its_previous_output_in_its_environment(preview: bool) -> None:
    recording = graph(preview=preview)
    for command in (*recording.of_type(REMOTE), *recording.of_type(LOCAL)):
        assert command.inputs["addPreviousOutputInEnv"] is False


def test_the_drain_waits_as_long_as_declared(preview: bool) -> None:
    assert graph(preview=preview)["ratings-drain"].inputs["delete"] == "sleep 15"
    assert graph(preview=preview, drain_seconds=0)["ratings-drain"].inputs["delete"] == "sleep 0"


def test_triggers_are_one_flat_map_of_strings(preview: bool) -> None:
    """A nested or mixed value hides all the others in a preview while it is unknown."""
    recording = graph(preview=preview)
    for name in ("host", "drain", "join", "gate"):
        triggers = recording[f"ratings-{name}"].inputs["triggers"]
        assert len(triggers) == 1
        assert {type(value) for value in triggers[0].values()} <= {str, type(UNKNOWN)}


def test_an_unknown_machine_hides_only_what_is_made_of_it() -> None:
    (triggers,) = graph(preview=True)["ratings-join"].inputs["triggers"]
    hidden = {name for name, value in triggers.items() if value is UNKNOWN}
    assert hidden == {"machine", "instanceAddress", "ISTIO_SVC_IP", "ISTIO_META_WORKLOAD_ENTRY"}
    entry = graph(preview=True)["ratings-entry"].inputs
    assert {name for name, value in entry["spec"].items() if value is UNKNOWN} == {"address"}
    assert {name for name, value in entry["metadata"].items() if value is UNKNOWN} == {"name"}


def test_an_unknown_address_hides_only_what_is_made_of_it() -> None:
    (triggers,) = graph(preview=True, machine_id="i-literal")["ratings-join"].inputs["triggers"]
    hidden = {name for name, value in triggers.items() if value is UNKNOWN}
    assert hidden == {"instanceAddress", "ISTIO_SVC_IP", "ISTIO_META_WORKLOAD_ENTRY"}


def test_no_secret_is_in_a_trigger_or_in_an_output(preview: bool) -> None:
    recording = graph(preview=preview)
    assert [name for name in CHILDREN if "triggers" in recording[name].secrets] == []
    shown = str([recording[name].inputs.get("triggers") for name in CHILDREN]) + str(recording.outputs)
    assert "the-private-key" not in shown
    assert "token-" not in shown


def test_what_holds_a_secret_is_a_secret(preview: bool) -> None:
    recording = graph(preview=preview)
    assert recording["ratings-join"].secrets == {"stdin", "connection"}
    assert recording["ratings-host"].secrets == {"connection"}


def test_the_token_is_on_the_joins_standard_input_and_nowhere_else() -> None:
    recording = graph(preview=False)
    places = {
        (name, key) for name, one in recording.items() for key, value in one.inputs.items() if "token-1-" in str(value)
    }
    assert places == {("ratings-join", "stdin")}


def test_the_token_is_for_the_declared_account_and_time() -> None:
    stdin = graph(preview=False, token_seconds=900)["ratings-join"].inputs["stdin"]
    assert "MESHVM_TOKEN='token-1-bookinfo-bookinfo-ratings-900'\n" in stdin


def test_a_preview_mints_no_token() -> None:
    answers = FakeCluster()
    graph(preview=True, answers=answers)
    assert answers.tokens == 0


def test_an_up_mints_one_token_for_each_vm() -> None:
    answers = FakeCluster()

    def two() -> None:
        for name, address in (("one", "10.0.0.7"), ("other", "10.0.0.8")):
            meshvm.MeshVm(name, vm_args(machine_id=name, address=address))

    record(two, cluster_answers=answers)
    assert answers.tokens == 2


def test_a_preview_asks_the_cluster_nothing_for_a_vm() -> None:
    """The map `mesh` is enough: a pull request is previewed where there is no cluster in reach."""
    recording = graph(preview=True, answers=FakeCluster(error=AssertionError("asked")))
    assert children(recording) == CHILDREN


def test_a_machine_without_ports_has_no_gate_and_no_health_annotation(preview: bool) -> None:
    recording = graph(preview=preview, ports=None)
    assert children(recording) == CHILDREN - {"ratings-gate"}
    annotations = recording["ratings-entry"].inputs["metadata"]["annotations"]
    assert "proxy.istio.io/health-checks-enabled" not in annotations
    (triggers,) = recording["ratings-join"].inputs["triggers"]
    assert (triggers["ISTIO_INBOUND_PORTS"], triggers["probe"]) == ("*", "null")


def test_a_machine_without_labels_has_the_one_that_its_sidecar_selects_by(preview: bool) -> None:
    assert graph(preview=preview, labels=None)["ratings-entry"].inputs["spec"]["labels"] == {"meshvm": "ratings"}


def test_a_machine_with_ports_gets_no_traffic_before_its_first_good_probe(preview: bool) -> None:
    annotations = graph(preview=preview)["ratings-entry"].inputs["metadata"]["annotations"]
    assert annotations["proxy.istio.io/health-checks-enabled"] == "true"


def test_kubernetes_objects_are_deleted_without_waiting_for_the_garbage_collector(preview: bool) -> None:
    recording = graph(preview=preview)
    for name in ("ratings-entry", "ratings-sidecar"):
        annotations = recording[name].inputs["metadata"]["annotations"]
        assert annotations["pulumi.com/deletionPropagationPolicy"] == "background"


def test_every_name_begins_with_the_components(preview: bool) -> None:
    """So that the children follow when the component is renamed."""
    assert all(name.startswith("ratings-") for name in children(graph(preview=preview)))


def test_with_a_group_of_its_own_istiod_makes_the_entry(preview: bool) -> None:
    recording = graph(preview=preview, registration="AUTO", annotations={"owner": "shop"}, locality="eu/one")
    assert children(recording) == (CHILDREN - {"ratings-entry"}) | {"ratings-group"}
    group = recording["ratings-group"]
    assert group.type == "kubernetes:networking.istio.io/v1:WorkloadGroup"
    assert group.inputs["metadata"]["name"] == "ratings"
    assert group.inputs["spec"] == {
        "metadata": {
            "labels": {"app": "ratings", "version": "v3", "meshvm": "ratings", "istio-locality": "eu.one"},
            "annotations": {"owner": "shop"},
        },
        "template": {"serviceAccount": "bookinfo-ratings", "ports": {"http": 9080}, "locality": "eu/one"},
        "probe": {"tcpSocket": {"host": "127.0.0.1", "port": 9080}},
    }
    assert group.depends_on == {"ratings-drain"}
    assert recording["ratings-join"].depends_on == {"vm", "ratings-group", "ratings-sidecar"}
    assert group.options["replace_with"] == [], "the group is the same for the machine that comes after"
    (triggers,) = recording["ratings-join"].inputs["triggers"]
    assert triggers["ISTIO_META_AUTO_REGISTER_GROUP"] == "ratings"
    assert "ISTIO_META_WORKLOAD_ENTRY" not in triggers
    entry = UNKNOWN if preview else "ratings-10.0.0.7"
    assert recording.outputs["ratings"]["entry_name"] == entry


def test_a_shared_group_is_nobodys_own(preview: bool) -> None:
    """Made by MeshExpansion or somebody else; a machine says of itself what its neighbours need not share."""
    recording = graph(preview=preview, registration="AUTO", group="fleet", locality="eu/one/a")
    assert children(recording) == CHILDREN - {"ratings-entry"}
    assert recording["ratings-join"].depends_on == {"vm", "ratings-drain", "ratings-sidecar"}
    (triggers,) = recording["ratings-join"].inputs["triggers"]
    assert triggers["ISTIO_META_AUTO_REGISTER_GROUP"] == triggers["ISTIO_META_WORKLOAD_NAME"] == "fleet"
    assert '"istio-locality":"eu.one.a"' in triggers["ISTIO_METAJSON_LABELS"]
    assert '"meshvm":"ratings"' in triggers["ISTIO_METAJSON_LABELS"]


def test_each_machines_own_sidecar_selects_it_alone(preview: bool) -> None:
    for registration in ("ENTRY", "AUTO"):
        spec = graph(preview=preview, registration=registration)["ratings-sidecar"].inputs["spec"]
        assert spec["workloadSelector"] == {"labels": {"meshvm": "ratings"}}


def test_without_rules_the_sidecar_is_told_where_to_listen() -> None:
    recording = graph(preview=False, capture={"mode": "NONE"}, instance_address="10.0.0.9", address="203.0.113.7")
    (inbound,) = recording["ratings-sidecar"].inputs["spec"]["ingress"]
    assert (inbound["bind"], inbound["defaultEndpoint"]) == ("10.0.0.9", "127.0.0.1:9080")


def test_an_access_log_is_the_machines_own_telemetry(preview: bool) -> None:
    recording = graph(preview=preview, access_log={"filter": "response.code >= 400"})
    telemetry = recording["ratings-access-log"]
    assert telemetry.type == "kubernetes:telemetry.istio.io/v1:Telemetry"
    assert telemetry.inputs["spec"]["selector"] == {"matchLabels": {"meshvm": "ratings"}}


@pytest.mark.parametrize("kind", ["GCE", "FILES"])
def test_another_identity_needs_no_token(kind: str) -> None:
    answers = FakeCluster()
    identity = {"kind": kind, **({"certificate": "/c.pem", "private_key": "/k.pem"} if kind == "FILES" else {})}
    stdin = graph(preview=False, answers=answers, identity=identity)["ratings-join"].inputs["stdin"]
    assert answers.tokens == 0
    assert "MESHVM_TOKEN=''\n" in stdin
    assert "MESHVM_TOKEN_ERROR=''\n" in stdin


def test_an_annotation_overrides_the_meshs_proxy_config(preview: bool) -> None:
    annotations = {"proxy.istio.io/config": "concurrency: 4\nproxyMetadata: {A: b}"}
    (triggers,) = graph(preview=preview, annotations=annotations)["ratings-join"].inputs["triggers"]
    assert json.loads(triggers["defaultConfig"]) == {"concurrency": 4, "proxyMetadata": {"A": "b"}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ports": None},
        {"machine_id": "i-literal", "address": "10.0.0.7"},
        {"aws": {"security_group_id": "sg-1", "peer_cidrs": ["10.0.0.0/16"], "ssh_from": ["192.0.2.0/24"]}},
        {"registration": "AUTO"},
        {"registration": "AUTO", "group": "fleet"},
        {"capture": {"mode": "NONE"}, "access_log": {}},
        {"identity": {"kind": "GCE"}},
    ],
    ids=["whole", "no ports", "literal", "aws", "own group", "shared group", "without rules", "identity"],
)
def test_a_preview_registers_what_an_up_registers(changes: Mapping[str, Any]) -> None:
    """Nothing is registered in an apply."""
    shown, done = graph(preview=True, **changes), graph(preview=False, **changes)
    assert {(name, one.type) for name, one in shown.items()} == {(name, one.type) for name, one in done.items()}
    assert {name: one.depends_on for name, one in shown.items()} == {name: one.depends_on for name, one in done.items()}
    assert {name: one.options for name, one in shown.items()} == {name: one.options for name, one in done.items()}


def test_ssh_opens_before_the_host_and_the_mesh_before_the_drain(preview: bool) -> None:
    """A machine behind a closed firewall is reached; and its ports close only after it has drained."""
    aws = {"security_group_id": "sg-1", "peer_security_group_id": "sg-2", "ssh_from": ["192.0.2.0/24"]}
    recording = graph(preview=preview, aws=aws)
    assert recording["ratings-host"].depends_on == {"vm", "ratings-ssh-192-0-2-0-24"}
    of_mesh = {"ratings-istiod", "ratings-port-http-peers", "ratings-call-9080-peers"}
    assert recording["ratings-drain"].depends_on == {"vm", "ratings-host", *of_mesh}
    assert {name for name in children(recording) if "aws:" in recording[name].type} == {
        *of_mesh,
        "ratings-ssh-192-0-2-0-24",
    }


def test_rules_are_on_the_machines_own_group_and_from_what_is_declared(preview: bool) -> None:
    aws = {"security_group_id": "sg-1", "peer_security_group_id": "sg-2", "ssh_from": ["192.0.2.0/24", "fd00::/8"]}
    recording = graph(preview=preview, aws=aws)
    rules = [one for one in recording.values() if one.type.startswith("aws:")]
    assert {one.inputs["securityGroupId"] for one in rules} == {"sg-1"}
    peers = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId")
    found = {one.name: {key: one.inputs[key] for key in peers if key in one.inputs} for one in rules}
    assert found == {
        "ratings-ssh-192-0-2-0-24": {"cidrIpv4": "192.0.2.0/24"},
        "ratings-ssh-fd00---8": {"cidrIpv6": "fd00::/8"},
        "ratings-istiod": {"cidrIpv4": "192.0.2.10/32"},
        "ratings-port-http-peers": {"referencedSecurityGroupId": "sg-2"},
        "ratings-call-9080-peers": {"referencedSecurityGroupId": "sg-2"},
    }


def test_each_setting_that_changes_is_the_only_trigger_that_does(preview: bool) -> None:
    """A preview names the variable, and nothing beside it."""
    (before,) = graph(preview=preview)["ratings-join"].inputs["triggers"]
    (after,) = graph(preview=preview, network="vm-net")["ratings-join"].inputs["triggers"]
    assert {name for name in before if before[name] != after[name]} == {"ISTIO_META_NETWORK"}


def test_a_changed_setting_moves_the_join_alone(preview: bool) -> None:
    before, after = graph(preview=preview), graph(preview=preview, rejoin="2")
    moved = {name for name in CHILDREN - {"ratings-join"} if before[name].inputs != after[name].inputs}
    assert moved == set()
    assert before["ratings-join"].inputs["triggers"] != after["ratings-join"].inputs["triggers"]


def test_another_probe_changes_the_join(preview: bool) -> None:
    (triggers,) = graph(preview=preview, probe={"http": {"port": 9080}})["ratings-join"].inputs["triggers"]
    assert triggers["probe"] == '{"httpGet":{"path":"/","port":9080}}'


def test_a_host_key_loses_its_line_break(preview: bool) -> None:
    """tls.PrivateKey ends its line with one."""
    given = ssh(host_key=f"{ssh()['host_key']}\n")
    connection = graph(preview=preview, ssh=given)["ratings-host"].inputs["connection"]
    assert connection["hostKey"] == ssh()["host_key"]


def test_the_bastion_is_on_the_way_with_its_own_key(preview: bool) -> None:
    bastion = {"host": "198.51.100.1", "user": "jump", "password": "the-password", "host_key": ssh()["host_key"]}
    recording = graph(preview=preview, ssh=ssh(bastion=bastion))
    for name in ("ratings-host", "ratings-join"):
        assert recording[name].inputs["connection"]["proxy"] == {
            "host": "198.51.100.1",
            "user": "jump",
            "password": "the-password",
            "hostKey": ssh()["host_key"],
            "port": 22.0,
            "dialErrorLimit": 10.0,
            "perDialTimeout": 15.0,
        }
        assert "connection" in recording[name].secrets
