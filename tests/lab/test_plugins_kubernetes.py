"""Does the stand-in treat objects at a real API server as the original plugin was seen to treat them?"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from lab.base.ports import free_port
from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.plugins import kubernetes_write
from lab.plugins.values import UNKNOWN, Secret
from tests.lab.kubernetes_plugin import Failed, Resource, Run

pytestmark = pytest.mark.lab

PREFIX = "urn:pulumi:dev::shop::kubernetes:"
ENTRY = f"{PREFIX}networking.istio.io/v1:WorkloadEntry::ratings"
CONFIG_MAP = f"{PREFIX}core/v1:ConfigMap::facts"
ENTRIES = "/apis/networking.istio.io/v1/namespaces/shop/workloadentries"
MAPS = "/api/v1/namespaces/shop/configmaps"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("run"), Steps())
    try:
        cluster.start()
        cluster.ready()
        cluster.admin.ask("POST", "/api/v1/namespaces", b'{"metadata": {"name": "shop"}}')
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def run(cluster: Cluster) -> Iterator[Run]:
    run = Run(kubeconfig=str(cluster.kubeconfig))
    yield run
    run.end()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_write, "WAITS", (0, 0, 0, 0, 0, 0))


def entry(name: str, notes: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", **({"annotations": notes} if notes else {})}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": meta,
        "spec": {"address": "10.0.0.1", **spec},
    }


def config_map(name: Any, data: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", **meta},
        "data": data or {"a": "1"},
    }


def live(cluster: Cluster, path: str) -> dict[str, Any]:
    return cluster.admin.ask("GET", path).body


def managers(item: dict[str, Any]) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in item["metadata"]["managedFields"]}


def failure(call: Callable[[], object]) -> Failed:
    with pytest.raises(Failed) as raised:
        call()
    return raised.value


def _writes(run: Run, made: Resource) -> list[Callable[[], object]]:
    return [lambda: run.create(ENTRY, entry("new")), lambda: run.update(made, entry("afar", weight=2))]


def _looks(run: Run, made: Resource) -> list[Callable[[], object]]:
    return [lambda: run.read(ENTRY, made.id, made), lambda: run.delete(made)]


class TestLifecycle:
    def test_the_state_is_the_live_object_and_the_inputs(self, run: Run, cluster: Cluster) -> None:
        made = run.create(ENTRY, entry("state"))
        known = live(cluster, f"{ENTRIES}/state")
        assert made.id == "shop/state"
        assert {key: made.state[key] for key in known} == known
        assert made.state["__inputs"] == entry("state")
        assert made.state["__initialApiVersion"] == "networking.istio.io/v1"

    def test_a_creation_is_held_by_one_manager_and_handed_over_by_the_first_update(
        self, run: Run, cluster: Cluster
    ) -> None:
        made = run.create(ENTRY, entry("managed"))
        assert managers(live(cluster, f"{ENTRIES}/managed")) == {("pulumi-kubernetes", "Update")}
        run.update(made, entry("managed", address="10.0.0.2"))
        assert managers(live(cluster, f"{ENTRIES}/managed")) == {(made.state["__fieldManager"], "Apply")}

    def test_a_field_that_is_dropped_is_gone(self, run: Run, cluster: Cluster) -> None:
        made = run.update(run.create(ENTRY, entry("drop", weight=1)), entry("drop", weight=2))
        run.update(made, entry("drop"))
        assert live(cluster, f"{ENTRIES}/drop")["spec"] == {"address": "10.0.0.1"}

    def test_a_preview_changes_nothing(self, run: Run, cluster: Cluster) -> None:
        assert run.create(ENTRY, entry("dry"), preview=True).id == ""
        assert live(cluster, f"{ENTRIES}/dry")["code"] == 404
        made = run.create(ENTRY, entry("dry"))
        assert run.update(made, entry("dry", weight=5), preview=True).state["spec"]["weight"] == 5
        assert "weight" not in live(cluster, f"{ENTRIES}/dry")["spec"]

    def test_unknown_values_are_passed_on_by_a_preview(self, run: Run) -> None:
        assert run.create(CONFIG_MAP, config_map(UNKNOWN), preview=True).state["metadata"]["name"] is UNKNOWN

    def test_secrets_stay_secret(self, run: Run) -> None:
        made = run.create(CONFIG_MAP, config_map("hush", {"open": "1", "hidden": Secret("2")}))
        assert made.state["data"] == made.state["__inputs"]["data"] == {"open": "1", "hidden": Secret("2")}

    def test_deletion_is_over_when_the_object_is_gone(self, run: Run, cluster: Cluster) -> None:
        made = run.create(CONFIG_MAP, config_map("gone"))
        run.delete(made)
        assert live(cluster, f"{MAPS}/gone")["code"] == 404
        run.delete(made)  # one that is not there is deleted

    def test_a_deletion_that_is_held_back_keeps_the_resource(self, run: Run, cluster: Cluster) -> None:
        notes = {"pulumi.com/timeoutSeconds": "0"}
        made = run.create(CONFIG_MAP, config_map("held", annotations=notes, finalizers=["example.com/hold"]))
        error = failure(lambda: run.delete(made))
        assert (str(error), error.id) == ("timed out waiting for the condition", "shop/held")
        cluster.admin.ask("PATCH", f"{MAPS}/held", b'{"metadata": {"finalizers": null}}', MERGE)

    def test_a_refresh_sees_what_has_changed_and_what_is_gone(self, run: Run, cluster: Cluster) -> None:
        made = run.create(ENTRY, entry("drift"))
        cluster.admin.ask("PATCH", f"{ENTRIES}/drift", b'{"spec": {"address": "10.9.9.9"}}', MERGE)
        found = run.read(ENTRY, made.id, made)
        assert found is not None
        assert found.inputs["spec"] == {"address": "10.9.9.9"}
        cluster.admin.ask("DELETE", f"{ENTRIES}/drift")
        assert run.read(ENTRY, made.id, made) is None

    def test_an_object_of_others_can_be_read(self, run: Run, cluster: Cluster) -> None:
        cluster.admin.ask("POST", MAPS, b'{"metadata": {"name": "theirs"}, "data": {"a": "b"}}')
        found = run.read(CONFIG_MAP, "shop/theirs")
        assert found is not None
        assert found.state["data"] == {"a": "b"}


class TestRefusals:
    def test_an_existing_object_is_not_adopted(self, run: Run) -> None:
        run.create(ENTRY, entry("twice"))
        error = failure(lambda: run.create(ENTRY, entry("twice")))
        assert str(error).startswith(
            f'resource "{ENTRY}" was not successfully created by the Kubernetes API server: '
            'workloadentries.networking.istio.io "twice" already exists\n\nThe resource already exists in the cluster.'
        )

    def test_a_preview_does_not_say_that_the_object_exists(self, run: Run) -> None:
        run.create(ENTRY, entry("there"))
        assert run.create(ENTRY, entry("there"), preview=True).id == ""

    def test_what_the_definition_forbids_is_refused_by_a_preview_too(self, run: Run) -> None:
        bad = entry("bad", weight="heavy")
        for error in (failure(lambda: run.create(ENTRY, bad, preview=True)), failure(lambda: run.create(ENTRY, bad))):
            assert "spec.weight: Invalid value" in str(error)

    def test_an_unknown_field_is_dropped_by_a_creation_and_refused_by_an_update(self, run: Run) -> None:
        made = run.create(ENTRY, entry("odd", nonsense="x"))
        assert "nonsense" not in made.state["spec"]
        error = failure(lambda: run.update(made, entry("odd", nonsense="y")))
        assert ".spec.nonsense: field not declared in schema" in str(error)
        assert error.id == "shop/odd"

    @pytest.mark.usefixtures("impatient")
    def test_a_kind_that_is_not_there_is_tried_again_and_then_refused(self, run: Run) -> None:
        thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "shop"}}
        urn = f"{PREFIX}example.com/v1:Thing::t"
        assert run.create(urn, thing, preview=True).id == ""
        assert str(failure(lambda: run.create(urn, thing))) == (
            f'creation of resource "{urn}" with kind example.com/v1/Thing failed because the Kubernetes API server '
            "reported that the apiVersion for this resource does not exist. Verify that any required CRDs have been "
            'created: no matches for kind "Thing" in version "example.com/v1"'
        )

    @pytest.mark.usefixtures("impatient")
    def test_a_namespace_that_is_not_there_fails_an_up_and_no_preview(self, run: Run) -> None:
        lost = config_map("lost", namespace="nowhere")
        assert run.create(CONFIG_MAP, lost, preview=True).id == ""
        assert 'namespaces "nowhere" not found' in str(failure(lambda: run.create(CONFIG_MAP, lost)))

    def test_a_user_without_a_role_fails_an_up_and_no_preview(self, cluster: Cluster) -> None:
        run = Run(kubeconfig=str(cluster.kubeconfig_for("ci", ["deployers"])))
        assert run.create(ENTRY, entry("mine"), preview=True).id == ""
        assert 'User "ci" cannot create resource "workloadentries"' in str(
            failure(lambda: run.create(ENTRY, entry("mine")))
        )
        run.end()

    def test_an_unreachable_cluster_fails_an_up_and_no_preview(self, cluster: Cluster, run: Run) -> None:
        made = run.create(ENTRY, entry("afar"))
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
        lost = Run(kubeconfig=yaml.safe_dump(config))
        assert lost.create(ENTRY, entry("new"), preview=True).id == ""
        assert lost.diff(made, entry("afar", weight=2)).detailedDiff
        for call in _writes(lost, made):
            assert str(failure(call)).startswith("configured Kubernetes cluster is unreachable: unable to load schema")
        for call in _looks(lost, made):
            assert "PULUMI_K8S_DELETE_UNREACHABLE" in str(failure(call))
        lost.end()


class TestPatches:
    URN = f"{PREFIX}core/v1:ConfigMapPatch::facts"

    def target(self, cluster: Cluster, name: str) -> None:
        body = f'{{"metadata": {{"name": "{name}"}}, "data": {{"a": "theirs"}}}}'
        cluster.admin.ask("POST", f"{MAPS}?fieldManager=other", body.encode())

    def test_a_patch_adds_its_fields_and_takes_them_back(self, run: Run, cluster: Cluster) -> None:
        self.target(cluster, "patched")
        made = run.create(self.URN, config_map("patched", {"b": "ours"}))
        assert live(cluster, f"{MAPS}/patched")["data"] == {"a": "theirs", "b": "ours"}
        run.delete(made)
        assert live(cluster, f"{MAPS}/patched")["data"] == {"a": "theirs"}

    def test_a_field_of_another_manager_is_a_conflict_unless_forced(self, run: Run, cluster: Cluster) -> None:
        self.target(cluster, "fought")
        error = failure(lambda: run.create(self.URN, config_map("fought", {"a": "ours"})))
        assert "server-side apply field conflict detected" in str(error)
        run.create(self.URN, config_map("fought", {"a": "ours"}, annotations={"pulumi.com/patchForce": "true"}))
        assert live(cluster, f"{MAPS}/fought")["data"] == {"a": "ours"}

    def test_a_patch_of_nothing_makes_the_object(self, run: Run, cluster: Cluster) -> None:
        run.create(self.URN, config_map("fresh"))
        assert live(cluster, f"{MAPS}/fresh")["data"] == {"a": "1"}

    def test_a_patch_has_the_manager_that_its_annotation_names(self, run: Run, cluster: Cluster) -> None:
        self.target(cluster, "chosen")
        notes = {"pulumi.com/patchFieldManager": "me", "pulumi.com/patchForce": "true"}
        assert run.create(self.URN, config_map("chosen", annotations=notes)).state["__fieldManager"] == "me"
        assert ("me", "Apply") in managers(live(cluster, f"{MAPS}/chosen"))

    def test_an_unknown_field_of_a_custom_resource_is_refused(self, run: Run) -> None:
        run.create(ENTRY, entry("strict"))
        urn = f"{PREFIX}networking.istio.io/v1:WorkloadEntryPatch::strict"
        wrong = {**entry("strict"), "spec": {"nonsense": "x"}}
        assert ".spec.nonsense: field not declared in schema" in str(failure(lambda: run.create(urn, wrong)))


class TestWaiting:
    def heal(self, cluster: Cluster, name: str) -> threading.Thread:
        status = b'{"status": {"conditions": [{"type": "Healthy", "status": "True"}]}}'

        def work() -> None:
            path = f"{ENTRIES}/{name}"
            wait_until(lambda: cluster.admin.ask("GET", path).status == 200, 30)
            cluster.admin.ask("PATCH", f"{path}/status", status, MERGE)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    @pytest.mark.parametrize("wish", ["condition=Healthy", "jsonpath={.status.conditions[0].status}=True"])
    def test_an_up_ends_when_the_condition_has_come(self, run: Run, cluster: Cluster, wish: str) -> None:
        name = f"wait-{len(wish)}"
        healer = self.heal(cluster, name)
        made = run.create(ENTRY, entry(name, {"pulumi.com/waitFor": wish}))
        healer.join()
        assert made.state["status"]["conditions"][0]["type"] == "Healthy"

    def test_a_condition_that_does_not_come_leaves_the_object_in_the_state(self, run: Run) -> None:
        notes = {"pulumi.com/waitFor": "condition=Healthy", "pulumi.com/timeoutSeconds": "0"}
        error = failure(lambda: run.create(ENTRY, entry("sick", notes)))
        assert str(error) == (
            f'resource "{ENTRY}" was successfully created, but the Kubernetes API server reported that it failed to '
            "fully initialize or become live: timed out waiting for the condition"
        )
        assert (error.id, error.state["metadata"]["name"]) == ("shop/sick", "sick")

    def test_a_malformed_condition_is_refused_and_leaves_the_object_behind(self, run: Run, cluster: Cluster) -> None:
        """So does the original: the state does not know of it."""
        error = failure(lambda: run.create(ENTRY, entry("typo", {"pulumi.com/waitFor": "Healthy"})))
        assert 'expected a "jsonpath=" or "condition=" prefix, got "Healthy"' in str(error)
        assert error.id == ""
        assert live(cluster, f"{ENTRIES}/typo")["metadata"]["name"] == "typo"

    def test_a_custom_resource_is_not_waited_for_unless_asked(self, run: Run) -> None:
        assert "status" not in run.create(ENTRY, entry("quick")).state

    def test_a_load_balancer_waits_for_its_address(self, run: Run) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "lb", "namespace": "shop", "annotations": {"pulumi.com/timeoutSeconds": "0"}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        }
        error = failure(lambda: run.create(f"{PREFIX}core/v1:Service::lb", service))
        assert str(error).endswith("'lb' timed out waiting to be Ready")
        assert error.reasons[-1] == "Service was not allocated an IP address; does your cloud provider support this?"


def test_two_resources_do_not_share_a_manager(run: Run) -> None:
    made: list[Resource] = [run.create(ENTRY, entry(f"solo-{number}")) for number in range(2)]
    assert made[0].state["__fieldManager"] != made[1].state["__fieldManager"]
