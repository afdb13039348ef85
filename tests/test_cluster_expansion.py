"""What does a MeshExpansion make and ask, and which contradictions does it refuse?"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.errors import ClusterError
from meshvm.istio import objects
from meshvm.testing import ROOT_CERTIFICATE, UNKNOWN, FakeCluster, Recording, record
from tests.samples import ENDPOINT, MESH, http_port, vm_args

UNREACHABLE = ClusterError("the API server does not answer when asked for x; check kubeconfig", unreachable=True)
NOBODY = FakeCluster(error=AssertionError("asked"))
MESH_CONFIG = """
trustDomain: cluster.local
defaultConfig: {discoveryAddress: "istiod.istio-system.svc:15012", meshId: mesh1}
"""
GIVEN: dict[str, Any] = {
    "mesh_config": MESH_CONFIG,
    "root_certificate": ROOT_CERTIFICATE,
    "cluster_id": "Kubernetes",
    "proxy_version": "1.30.3",
}
GROUP = {"name": "shop", "service_account": "shop-vm", "ports": [http_port()], "labels": {"app": "shop"}}
# The Role and its binding have one name.
BINDING = "mesh-tokens (kubernetes:rbac.authorization.k8s.io/v1:RoleBinding)"
PREVIEW_AND_UP = pytest.mark.parametrize("preview", [False, True])


def program(**changes: Any) -> Callable[[], object]:
    args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), **changes}
    return lambda: meshvm.MeshExpansion("mesh", args)


def made(*, preview: bool = False, answers: FakeCluster | None = None, **changes: Any) -> Recording:
    return record(program(**changes), preview=preview, cluster_answers=answers)


def mesh(recording: Recording) -> Any:
    return recording.outputs["mesh"]["mesh"]


def refused(path: str, *, preview: bool, answers: FakeCluster | None = None, **changes: Any) -> str:
    """The sentence of a refusal at this property."""
    with pytest.raises(pulumi.RunError) as caught:
        made(preview=preview, answers=answers, **changes)
    assert isinstance(caught.value, pulumi.InputPropertyError)
    assert caught.value.property_path == path
    assert str(caught.value).startswith(f'MeshExpansion "mesh": {path}: ')
    assert "\n" not in str(caught.value)
    return str(caught.value)


@PREVIEW_AND_UP
def test_all_facts_given_asks_no_cluster(preview: bool) -> None:
    recording = made(preview=preview, answers=NOBODY, **GIVEN)
    config = '{"discoveryAddress":"istiod.istio-system.svc:15012","meshId":"mesh1"}'
    assert mesh(recording) == {**MESH, "defaultConfig": config}


def test_all_facts_given_asks_no_cluster_in_a_preview_that_labels_the_network() -> None:
    recording = made(preview=True, answers=NOBODY, network="k8s", **GIVEN)
    assert recording["mesh-network"].inputs["metadata"]["name"] == "istio-system"


def test_the_namespace_to_label_is_looked_for_at_an_up_whatever_is_given() -> None:
    """The provider would make one that is not there."""
    answers = FakeCluster(errors={"require_namespace": ClusterError("no such namespace", missing=True)})
    with pytest.raises(pulumi.RunError, match="no such namespace"):
        made(answers=answers, network="k8s", **GIVEN)


@PREVIEW_AND_UP
@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("mesh_config", "mesh_config_text"),
        ("root_certificate", "root_certificate"),
        ("proxy_version", "proxy_version"),
    ],
)
def test_a_given_fact_may_be_an_output_and_is_not_asked(preview: bool, part: str, method: str) -> None:
    given: Any = {part: pulumi.Output.from_input(GIVEN[part])}
    answers = FakeCluster(errors={method: ClusterError("asked")})
    assert mesh(made(preview=preview, answers=answers, **given))["trustDomain"] == "cluster.local"


@PREVIEW_AND_UP
def test_the_map_has_the_resolved_revision(preview: bool) -> None:
    answers = FakeCluster(revisions={"default": "default", "prod": "canary", "canary": "canary"})
    found = mesh(made(preview=preview, answers=answers, revision="prod"))
    assert (found["revision"], found["discoveryAddress"]) == ("canary", "istiod-canary.istio-system.svc:15012")


@PREVIEW_AND_UP
def test_an_unknown_revision_is_refused_naming_the_known(preview: bool) -> None:
    answers = FakeCluster(revisions={"default": "default", "canary": "canary"})
    said = refused("revision", preview=preview, answers=answers, revision="cannary")
    assert "'cannary'; write one of canary, default" in said


@PREVIEW_AND_UP
def test_a_cluster_id_that_istiod_does_not_know_is_refused(preview: bool) -> None:
    answers = FakeCluster(facts={"clusterId": "one"})
    said = refused("cluster_id", preview=preview, answers=answers, cluster_id="two")
    assert "knows this cluster as 'one'" in said


@PREVIEW_AND_UP
def test_a_network_of_its_own_without_its_port_is_refused(preview: bool) -> None:
    gateway = {**ENDPOINT, "networkPort": ""}
    said = refused("network", preview=preview, network="k8s", gateway=gateway)
    assert "has no port 15443" in said


@PREVIEW_AND_UP
def test_a_gateway_that_does_not_lead_to_istiod_is_refused(preview: bool) -> None:
    said = refused("gateway.istiodPort", preview=preview, gateway={**ENDPOINT, "istiodPort": ""})
    assert "no machine reaches istiod" in said


@PREVIEW_AND_UP
@pytest.mark.parametrize(
    ("address", "revision", "path", "remedy"),
    [
        ("istiod-old.istio-system.svc:15012", None, "mesh_config", "`revision`: 'old'"),
        ("istiod.istio-system.svc:15012", "canary", "mesh_config", "`revision`: 'default'"),
        ("istiod-old.istio-system.svc.cluster.local:15012", "canary", "mesh_config", "`revision`: 'old'"),
    ],
)
def test_a_mesh_config_that_sends_machines_to_another_revision_is_refused(
    preview: bool, address: str, revision: str | None, path: str, remedy: str
) -> None:
    config = json.dumps({"defaultConfig": {"discoveryAddress": address}})
    changes = {**GIVEN, "mesh_config": config, **({"revision": revision} if revision else {})}
    assert remedy in refused(path, preview=preview, **changes)


def test_a_mesh_config_that_was_read_is_refused_by_the_revision() -> None:
    answers = FakeCluster(facts={"discoveryAddress": "istiod-old.istio-system.svc:15012"})
    assert "istiod-old" in refused("revision", preview=False, answers=answers)


def test_a_discovery_address_of_ones_own_names_no_revision() -> None:
    config = json.dumps({"defaultConfig": {"discoveryAddress": "istiod.example.com:443"}})
    assert mesh(made(**{**GIVEN, "mesh_config": config}))["discoveryAddress"] == "istiod.example.com:443"


@PREVIEW_AND_UP
def test_a_control_plane_that_is_too_old_is_refused(preview: bool) -> None:
    answers = FakeCluster(facts={"proxyVersion": "1.23.6"})
    assert "1.27 to 1.31" in refused("proxy_version", preview=preview, answers=answers)


@PREVIEW_AND_UP
@pytest.mark.parametrize(("version", "warnings"), [("1.26.8", 1), ("1.30.3", 0), ("1.32.0", 1), ("ours", 1)])
def test_a_control_plane_that_meshvm_is_not_tested_with_is_warned_of_once(
    preview: bool, version: str, warnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, **_: said.append(text))
    answers = FakeCluster(facts={"proxyVersion": version})
    assert mesh(made(preview=preview, answers=answers))["proxyVersion"] == version
    assert [version in text for text in said] == [True] * warnings


@PREVIEW_AND_UP
def test_everything_in_a_created_namespace_comes_after_it(preview: bool) -> None:
    recording = made(
        preview=preview,
        create_namespace=True,
        service_accounts=["ratings"],
        groups=[GROUP],
        token_subjects=[{"kind": "User", "name": "ci"}],
    )
    inside = {
        "mesh-ratings",
        "mesh-shop-group",
        "mesh-tokens",
        "mesh-tokens (kubernetes:rbac.authorization.k8s.io/v1:RoleBinding)",
    }
    assert recording["mesh-namespace"].inputs["metadata"] == {"name": "bookinfo"}
    assert inside <= set(recording)
    assert {name for name in inside if "mesh-namespace" not in recording[name].depends_on} == set()
    assert {recording[name].inputs["metadata"]["namespace"] for name in inside} == {"bookinfo"}


@PREVIEW_AND_UP
def test_a_namespace_that_is_yet_to_be_made_hides_no_fact(preview: bool) -> None:
    """Its root certificate is the one of istiod's own namespace."""
    asked: list[str] = []

    class Asked(FakeCluster):
        def root_certificate(self, namespace: str, patience: float = 0) -> str:
            asked.append(namespace)
            return super().root_certificate(namespace, patience)

    found = mesh(made(preview=preview, answers=Asked(), create_namespace=True))
    assert (found["namespace"], found["rootCertificate"]) == ("bookinfo", ROOT_CERTIFICATE)
    assert asked == ["istio-system" if preview else "bookinfo"]


@PREVIEW_AND_UP
def test_no_namespace_is_made_unasked(preview: bool) -> None:
    assert set(made(preview=preview)) == {"mesh"}


@PREVIEW_AND_UP
def test_a_group_is_one_object_and_in_the_map(preview: bool) -> None:
    far = {"name": "far", "service_account": "far-vm", "network": "vm-net", "weight": 3, "locality": "r/z/s"}
    recording = made(preview=preview, groups=[GROUP, far], network="k8s")
    group = recording["mesh-shop-group"].inputs
    assert (group["apiVersion"], group["kind"]) == (objects.API_VERSION, "WorkloadGroup")
    assert group["spec"]["template"] == {"serviceAccount": "shop-vm", "ports": {"http": 9080}, "network": "k8s"}
    assert group["spec"]["metadata"]["labels"] == {"app": "shop"}
    assert group["spec"]["probe"]["tcpSocket"]["port"] == 9080
    template = recording["mesh-far-group"].inputs["spec"]["template"]
    assert template == {"serviceAccount": "far-vm", "network": "vm-net", "locality": "r/z/s", "weight": 3}
    assert json.loads(mesh(recording)["groups"]) == {
        "shop": {"serviceAccount": "shop-vm", "network": "k8s"},
        "far": {"serviceAccount": "far-vm", "network": "vm-net"},
    }


@PREVIEW_AND_UP
def test_the_role_is_for_the_named_accounts_and_for_nothing_else(preview: bool) -> None:
    subjects = [
        {"kind": "User", "name": "ci@example.com"},
        {"kind": "ServiceAccount", "name": "deployer"},
        {"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"},
    ]
    recording = made(preview=preview, service_accounts=["ratings"], groups=[GROUP], token_subjects=subjects)
    rules = recording["mesh-tokens"].inputs["rules"]
    assert rules[0]["resources"] == ["serviceaccounts/token"]
    assert rules[0]["resourceNames"] == ["ratings", "shop-vm"]
    assert rules[0]["verbs"] == ["create"]
    assert rules[1]["resources"] == ["workloadentries", "sidecars"]
    assert rules[1]["verbs"] == ["get"]
    assert len(rules) == 2
    binding = recording[BINDING]
    assert binding.inputs["roleRef"]["name"] == "mesh-tokens"
    assert [one.get("namespace") for one in binding.inputs["subjects"]] == [None, "bookinfo", "ci"]
    assert "mesh-tokens" in binding.depends_on


@PREVIEW_AND_UP
def test_a_vm_that_takes_the_map_waits_for_the_right_to_its_token(preview: bool) -> None:
    def run() -> None:
        args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), "service_accounts": ["ratings"]}
        args["token_subjects"] = [{"kind": "User", "name": "ci"}]
        expansion = meshvm.MeshExpansion("mesh", args)
        meshvm.MeshVm("ratings", vm_args(mesh=expansion.mesh))

    waits = record(run, preview=preview)["ratings-join"].depends_on
    assert waits >= {"mesh-ratings", "mesh-tokens"}


def test_an_unreachable_cluster_hides_the_map_in_a_preview_and_ends_an_up() -> None:
    answers = FakeCluster(error=UNREACHABLE)
    assert mesh(made(preview=True, answers=answers, mesh_config=MESH_CONFIG)) is UNKNOWN
    with pytest.raises(pulumi.RunError, match="does not answer"):
        made(answers=answers, mesh_config=MESH_CONFIG)


@PREVIEW_AND_UP
def test_all_addresses_of_the_gateway_are_in_the_map(preview: bool) -> None:
    gateway = {**ENDPOINT, "addresses": "192.0.2.10 2001:db8::10"}
    assert mesh(made(preview=preview, gateway=gateway))["gatewayAddresses"] == "192.0.2.10 2001:db8::10"
