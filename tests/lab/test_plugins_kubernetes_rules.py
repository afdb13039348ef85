"""What the stand-in of the Kubernetes plugin decides without a cluster, as the original does."""

from typing import Any
from unittest.mock import Mock

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes import Kubernetes
from lab.plugins.kubernetes_api import Unreachable, load
from lab.plugins.kubernetes_await import expressions, limit, propagation
from lab.plugins.kubernetes_check import checked, compared
from lab.plugins.kubernetes_config import Settings
from lab.plugins.kubernetes_diff import differences, replaced_by, replacing
from lab.plugins.kubernetes_managers import handed_over, without_ignored
from lab.plugins.kubernetes_write import refusal
from lab.plugins.values import UNKNOWN, Secret

Kinds = provider_pb2.PropertyDiff.Kind
ENTRY = "urn:pulumi:dev::shop::kubernetes:networking.istio.io/v1:WorkloadEntry::ratings"
CONFIG_MAP = "urn:pulumi:dev::shop::kubernetes:core/v1:ConfigMap::facts"
PATCH = "urn:pulumi:dev::shop::kubernetes:core/v1:ConfigMapPatch::facts"


@pytest.fixture
def settings() -> Settings:
    return Settings({"kubernetes:config:kubeconfig": "no kubeconfig", "kubernetes:config:namespace": "shop"})


def config_map(name: Any = "facts", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, **more}


def state(item: dict[str, Any], **live: Any) -> dict[str, Any]:
    return objects.state_of(item, {**item, **live}, item, "v1", "manager")


def test_a_plugin_that_was_never_configured_can_be_cancelled() -> None:
    """The engine cancels a plugin at its end, also one that it only asked for its version."""
    assert Kubernetes().Cancel(empty_pb2.Empty(), Mock()) == empty_pb2.Empty()


def test_a_type_token_names_version_and_kind() -> None:
    assert objects.kind_of_urn(ENTRY) == objects.Kind("networking.istio.io/v1", "WorkloadEntry")
    assert objects.kind_of_urn(CONFIG_MAP) == objects.Kind("v1", "ConfigMap")


def test_a_given_name_stays(settings: Settings) -> None:
    item = checked(settings, CONFIG_MAP, config_map(), {})
    assert item["metadata"] == {"name": "facts", "namespace": "shop"}


def test_a_missing_name_is_generated_and_marked(settings: Settings) -> None:
    item = checked(settings, CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, {})
    assert item["metadata"]["name"].startswith("facts-")
    assert item["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}


def test_a_generated_name_is_kept(settings: Settings) -> None:
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    first = checked(settings, CONFIG_MAP, bare, {})
    assert checked(settings, CONFIG_MAP, bare, first)["metadata"]["name"] == first["metadata"]["name"]


def test_an_unknown_name_is_not_replaced_by_a_generated_one(settings: Settings) -> None:
    assert checked(settings, CONFIG_MAP, config_map(UNKNOWN), {})["metadata"]["name"] is UNKNOWN


def test_the_namespace_of_the_provider_is_for_namespaced_kinds_alone(settings: Settings) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    urn = "urn:pulumi:dev::shop::kubernetes:rbac.authorization.k8s.io/v1:ClusterRole::r"
    entry = {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "e"}}
    assert "namespace" not in checked(settings, urn, role, {})["metadata"]
    assert checked(settings, ENTRY, entry, {})["metadata"]["namespace"] == "shop"


def test_no_label_is_put_on_objects_that_are_applied_by_the_server(settings: Settings) -> None:
    assert "labels" not in checked(settings, CONFIG_MAP, config_map(), {})["metadata"]


@pytest.mark.parametrize("name", [None, UNKNOWN])
def test_a_patch_without_a_known_name_is_refused_in_a_preview_too(settings: Settings, name: Any) -> None:
    with pytest.raises(Exception, match=r"patch resources require the `\.metadata\.name` field to be set"):
        checked(settings, PATCH, config_map(name), {})


def test_without_server_side_apply_there_are_no_patches() -> None:
    plain = Settings({"kubernetes:config:kubeconfig": "none", "kubernetes:config:enableServerSideApply": "false"})
    with pytest.raises(Exception, match="patch resources require Server-Side Apply mode"):
        checked(plain, PATCH, config_map(), {})


def test_a_renamed_object_is_created_before_the_old_one_goes(settings: Settings) -> None:
    answer = compared(settings, CONFIG_MAP, state(config_map("one")), config_map("two"), [])
    assert list(answer.replaces) == ["metadata.name"]
    assert not answer.deleteBeforeReplace


def test_an_object_of_the_same_name_goes_before_it_is_replaced(settings: Settings) -> None:
    answer = compared(settings, CONFIG_MAP, state(config_map(data={"a": "1"})), config_map(data={"a": "2"}), [])
    assert list(answer.replaces) == ["data.a"]
    assert answer.deleteBeforeReplace


def test_what_the_cluster_added_is_no_difference(settings: Settings) -> None:
    live = state(config_map(), status={"phase": "Active"}, spec={"added": True})
    assert compared(settings, CONFIG_MAP, live, config_map(), []).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_an_ignored_change_is_no_difference(settings: Settings) -> None:
    old, new = config_map(data={"a": "1"}), config_map(data={"a": "2"})
    assert not compared(settings, CONFIG_MAP, state(old), new, ["data"]).detailedDiff


def test_each_kind_of_change_is_told() -> None:
    old = {"spec": {"same": 1, "gone": 1, "list": [1, 2, 3], "other": "a"}}
    new = {"spec": {"same": 1, "fresh": {"x": 1}, "list": [1, 5], "other": UNKNOWN}}
    assert {path: change.kind for path, change in differences(old, new, ()).items()} == {
        "spec.gone": Kinds.DELETE,
        "spec.fresh": Kinds.ADD,
        "spec.list[1]": Kinds.UPDATE,
        "spec.list[2]": Kinds.DELETE,
        "spec.other": Kinds.UPDATE,
    }


def test_unknown_metadata_replaces_and_an_unknown_spec_does_not(settings: Settings) -> None:
    """The engine asks so for what depends on an object that is deleted before it is replaced."""
    item = {**config_map(), "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "spec": {"address": "a"}}
    renamed = compared(settings, ENTRY, state(item), {**item, "metadata": UNKNOWN}, [])
    assert set(renamed.replaces) == {"metadata.name", "metadata.namespace"}
    assert not compared(settings, ENTRY, state(item), {**item, "spec": UNKNOWN}, []).replaces


@pytest.mark.parametrize(
    ("version", "kind", "old", "new"),
    [
        ("v1", "Service", {"spec": {"clusterIP": "None"}}, {"spec": {"clusterIP": "10.0.0.1"}}),
        ("apps/v1", "Deployment", {"spec": {"selector": {"a": 1}}}, {"spec": {"selector": {"a": 2}}}),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}),
        ("v1", "Secret", {"data": {"a": "MQ=="}}, {"data": {"a": "Mg=="}}),
        ("v1", "ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}),
    ],
)
def test_what_cannot_be_changed_in_place_replaces(
    version: str, kind: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    fixed = replacing({"apiVersion": version, "kind": kind}, {})
    assert replaced_by(differences(old, new, fixed))


def test_a_configuration_may_let_config_maps_and_secrets_be_changed_in_place() -> None:
    spared = {"enableConfigMapMutable": "true", "enableSecretMutable": "true"}
    assert "data" not in replacing(config_map(), spared)
    assert "data" in replacing(config_map(immutable=True), spared)
    assert "data" not in replacing({"apiVersion": "v1", "kind": "Secret"}, spared)


def test_the_spec_of_a_custom_resource_is_changed_in_place() -> None:
    fixed = replacing({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry"}, {})
    assert not replaced_by(differences({"spec": {"address": "a"}}, {"spec": {"address": "b"}}, fixed))


def test_the_data_of_a_secret_is_secret_wherever_it_came_from() -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}}
    kept = state(item)
    assert isinstance(kept["data"], Secret)
    assert isinstance(kept["__inputs"]["data"], Secret)


def test_what_the_program_marked_secret_is_secret_in_the_live_object() -> None:
    given = config_map(data={"open": "1", "hidden": Secret("2")})
    kept = objects.state_of(objects.dashed(given), objects.dashed(given), given, "v1", "m")
    assert kept["data"] == {"open": "1", "hidden": Secret("2")}
    assert kept["__inputs"]["data"] == kept["data"]


def test_texts_of_a_secret_become_its_data() -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": {"a": "1"}}
    assert objects.normalised(item) == {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"a": "MQ=="}}


def test_the_first_update_takes_the_fields_of_the_creation() -> None:
    live = {"metadata": {"managedFields": [{"manager": "pulumi-kubernetes", "operation": "Update", "fieldsV1": {}}]}}
    assert handed_over(live, "mine") == [{"manager": "mine", "operation": "Apply", "fieldsV1": {}}]
    assert handed_over({"metadata": {"managedFields": handed_over(live, "mine")}}, "mine") is None


def test_the_fields_of_others_stay_theirs() -> None:
    entry = {"manager": "istiod", "operation": "Update", "fieldsV1": {"f:status": {}}, "subresource": "status"}
    assert handed_over({"metadata": {"managedFields": [entry]}}, "mine") is None


def test_an_ignored_field_of_another_manager_is_left_to_it() -> None:
    owned = [{"manager": "other", "operation": "Apply", "fieldsV1": {"f:spec": {"f:weight": {}}}}]
    live = {"metadata": {"managedFields": owned}, "spec": {"weight": 9}}
    assert without_ignored({"spec": {"weight": 1, "a": 2}}, live, "mine", ["spec.weight"]) == {"spec": {"a": 2}}


def test_an_ignored_field_of_our_own_keeps_its_live_value() -> None:
    owned = [{"manager": "mine", "operation": "Apply", "fieldsV1": {"f:spec": {"f:weight": {}}}}]
    live = {"metadata": {"managedFields": owned}, "spec": {"weight": 9}}
    assert without_ignored({"spec": {"weight": 1}}, live, "mine", ["spec.weight"]) == {"spec": {"weight": 9}}


@pytest.mark.parametrize(
    ("noted", "ready"),
    [
        ("condition=Healthy", True),
        ("condition=healthy=true", True),
        ("condition=Healthy=False", False),
        ("condition=Ready", False),
        ("jsonpath={.status.conditions[0].type}=Healthy", True),
        ("jsonpath={.status.conditions[0].type}=Other", False),
        ("jsonpath={.status.conditions}", True),
        ("jsonpath={.status.absent}", False),
    ],
)
def test_an_expression_is_read_as_it_is_written(noted: str, ready: bool) -> None:
    live = {"metadata": {}, "status": {"conditions": [{"type": "Healthy", "status": "True"}]}}
    assert [expression(live) for expression in expressions(noted)] == [ready]


def test_several_expressions_are_all_waited_for() -> None:
    assert len(expressions('["condition=A", "jsonpath={.spec}"]')) == 2


@pytest.mark.parametrize(
    ("noted", "message"),
    [
        ("Healthy", 'expected a "jsonpath=" or "condition=" prefix, got "Healthy"'),
        ("jsonpath=.status.x=y", r".status.x should be wrapped in brackets { ... }"),
        ("[]", "at least one condition must be specified"),
    ],
)
def test_a_malformed_expression_says_what_is_wrong_with_it(noted: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as raised:
        expressions(noted)
    assert str(raised.value) == message


def test_the_resource_option_limits_the_wait_before_the_annotation_does() -> None:
    item = {"metadata": {"annotations": {"pulumi.com/timeoutSeconds": "7"}}}
    assert (limit(item, 3), limit(item, 0), limit({}, 0)) == (3, 7, 600)


def test_deletion_waits_for_what_the_object_owns_unless_told_otherwise() -> None:
    background = {"metadata": {"annotations": {"pulumi.com/deletionPropagationPolicy": "background"}}}
    assert (propagation({}), propagation(background)) == ("Foreground", "Background")


def test_a_kubeconfig_that_is_none_does_not_print_itself() -> None:
    with pytest.raises(Unreachable) as raised:
        load("token: very-secret")
    assert "very-secret" not in str(raised.value)


def test_a_refusal_that_is_no_conflict_is_passed_on_word_by_word() -> None:
    assert refusal(ValueError("nonsense")) == "nonsense"
