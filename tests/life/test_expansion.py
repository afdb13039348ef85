"""The cluster's side in a real API server: who may put machines in, which control plane is meant, what is not asked."""

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
import pytest

import meshvm
from lab.istio.install import install_revision
from lab.lab import healthy
from lab.stack import Outcome, Stack
from tests.life.world import World

pytestmark = pytest.mark.lab

Given = dict[str, Any]


def member(world: World, machine: Given) -> Callable[[], None]:
    """A program whose MeshVm asks with the credentials in `world.args`, and all else with the administrator's."""

    def program() -> None:
        expansion, on = world.mesh()
        args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
        meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)

    return program


def shared(world: World) -> Callable[[], None]:
    """A program with the cluster's side alone."""

    def program() -> None:
        expansion, _ = world.mesh()
        pulumi.export("mesh", expansion.mesh)

    return program


def unreachable(world: World) -> str:
    """The administrator's kubeconfig, of a server that is not there."""
    return world.lab.cluster.kubeconfig.read_text().replace(world.lab.cluster.server, "https://127.0.0.1:1")


def refused(world: World, *words: str) -> None:
    """A preview and an `up` that end with one sentence."""
    outcome: Outcome = world.up(shared(world))
    for text in (outcome.text + outcome.error, preview_of(world).error):
        assert "Traceback" not in text
        for word in words:
            assert word in text, text


def preview_of(world: World) -> Outcome:
    world.stack.program = shared(world)
    outcome = world.stack.preview()
    assert outcome.error
    return Outcome(error=outcome.text + outcome.error)


def test_whoever_has_the_role_puts_a_machine_into_the_mesh(world: World) -> None:
    """With a right to this account's tokens and to nothing else of it: no Secret, no other account."""
    user = f"deployer-{world.name}"
    world.mesh_args["token_subjects"] = [{"kind": "User", "name": user}]
    world.args["kubeconfig"] = str(world.lab.cluster.kubeconfig_for(user))
    world.made(member(world, world.boot()))
    assert [healthy(entry) for entry in world.entries()] == [True]
    asked = [one for one in world.lab.cluster.audit() if one["user"]["username"] == user]
    assert {one["responseStatus"]["code"] for one in asked} <= {200, 201}, asked
    reads = {(one["verb"], one["objectRef"]["resource"], one["objectRef"].get("subresource", "")) for one in asked}
    assert ("create", "serviceaccounts", "token") in reads
    assert reads <= {
        ("create", "serviceaccounts", "token"),
        ("get", "workloadentries", ""),
        ("get", "sidecars", ""),
    }


def test_whoever_lacks_the_role_is_told_which_right_it_is_and_joins_once_it_is_given(world: World) -> None:
    user, machine = f"nobody-{world.name}", world.boot()
    world.args["kubeconfig"] = str(world.lab.cluster.kubeconfig_for(user))
    failed = world.up(member(world, machine))
    assert failed.error
    assert f"the API server refuses to give a token of the service account {world.name}/ratings" in failed.text
    assert f'User "{user}" cannot create resource "serviceaccounts/token"' in failed.text

    world.mesh_args["token_subjects"] = [{"kind": "User", "name": user}]
    world.made(member(world, machine))
    assert [healthy(entry) for entry in world.entries()] == [True]


def test_given_facts_preview_without_a_cluster(world: World) -> None:
    """Neither meshvm nor the Kubernetes provider reaches one."""

    def program() -> None:
        on = pulumi.ResourceOptions(providers=[k8s.Provider("cluster", kubeconfig=unreachable(world))])
        gateway = meshvm.VmGateway("gateway", {"mode": meshvm.GatewayMode.EXISTING, "address": "192.0.2.1"}, on)
        args: Any = {"namespace": world.name, "gateway": gateway.endpoint, "kubeconfig": unreachable(world)}
        args |= {"mesh_config": "trustDomain: given.example\n", "cluster_id": "one", "proxy_version": "1.30.3"}
        args |= {"root_certificate": "-----BEGIN CERTIFICATE-----\nZm9yIHRlc3Rz\n-----END CERTIFICATE-----\n"}
        args |= {"network": "k8s", "create_namespace": True}
        expansion = meshvm.MeshExpansion("mesh", args, on)
        given = {**world.vm_args("i-1", "10.0.0.7", "192.0.2.7"), "kubeconfig": unreachable(world)}
        meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **given}), on)

    stack = Stack(world.lab.folder, f"{world.name}-offline", program, env=world.lab.env)
    shown = stack.preview().succeeded()
    assert {"mesh-namespace", "mesh-network", "vm-join"} <= set(shown.names("create"))
    assert "given.example" in shown.text


def test_a_namespace_is_made_with_its_root_certificate_and_goes_again(world: World) -> None:
    fresh = f"{world.name}-new"
    world.mesh_args |= {"namespace": fresh, "create_namespace": True}
    world.stack.program = shared(world)
    shown = world.stack.preview()
    assert "mesh-namespace" in shown.names("create")
    assert "BEGIN CERTIFICATE" in shown.text, "the preview knows the certificate that istiod will write"

    world.made(shared(world))
    found = world.stack.outputs()["mesh"]
    assert (found["namespace"], "BEGIN CERTIFICATE" in found["rootCertificate"]) == (fresh, True)
    assert world.made(shared(world)).steps == []
    world.destroyed()
    assert world.lab.cluster.admin.ask("GET", f"/api/v1/namespaces/{fresh}").status == 404


def test_a_tag_leads_to_its_revision_and_an_unknown_one_to_the_known(world: World) -> None:
    revision, tag = world.name, f"{world.name}-tag"
    install_revision(world.lab.cluster, revision, [tag], version="1.29.6")
    world.mesh_args["revision"] = tag
    world.made(shared(world))
    found = world.stack.outputs()["mesh"]
    assert found["revision"] == revision
    assert found["discoveryAddress"] == f"istiod-{revision}.istio-system.svc:15012"
    assert found["proxyVersion"] == "1.29.6"

    world.mesh_args["revision"] = "cannary"
    refused(world, "revision: no control plane in the namespace istio-system", "'cannary'", revision, tag)


def test_facts_that_contradict_each_other_are_refused(world: World) -> None:
    world.mesh_args["cluster_id"] = "elsewhere"
    refused(world, "cluster_id: istiod knows this cluster as 'Kubernetes'")
    world.mesh_args["cluster_id"] = "Kubernetes"

    world.mesh_args["mesh_config"] = "defaultConfig: {discoveryAddress: 'istiod-old.istio-system.svc:15012'}"
    refused(world, "mesh_config: the mesh config sends machines to istiod-old.istio-system.svc:15012")
    del world.mesh_args["mesh_config"]

    world.mesh_args["proxy_version"] = "1.20.0"
    refused(world, "proxy_version: the control plane is Istio 1.20.0")
    world.mesh_args["proxy_version"] = "1.25.1"
    warned = world.made(shared(world))
    told = warned.text.split("Diagnostics:")[1]
    assert told.count("the control plane is Istio 1.25.1") == 1, warned.text


def test_groups_are_made_as_istiod_takes_them(world: World) -> None:
    group = {"name": "shop", "service_account": "ratings", "labels": {"app": "shop"}}
    ports = [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}]
    world.mesh_args["groups"] = [{**group, "ports": ports}]
    world.made(shared(world))
    path = f"/apis/networking.istio.io/v1/namespaces/{world.name}/workloadgroups/shop"
    spec = world.lab.cluster.admin.ask("GET", path).body["spec"]
    assert spec["template"]["serviceAccount"] == "ratings"
    assert world.stack.outputs()["mesh"]["groups"] == '{"shop":{"network":"","serviceAccount":"ratings"}}'
    assert world.made(shared(world)).steps == []
