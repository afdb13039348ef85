"""A gateway that meshvm makes: is a machine let in by it, and is it gone without a trace afterwards?"""

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
import pytest

import meshvm
from lab.lab import healthy
from lab.stack import Stack
from tests.life.world import World

pytestmark = pytest.mark.lab

# What is left of a gateway would be in one of these.
_KINDS = (
    "api/v1/namespaces/{}/services",
    "api/v1/namespaces/{}/pods",
    "apis/apps/v1/namespaces/{}/deployments",
    "apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "apis/networking.istio.io/v1/namespaces/{}/gateways",
    "apis/networking.istio.io/v1/namespaces/{}/virtualservices",
)


def created(world: World, machine: dict[str, Any] | None = None, **create: Any) -> Callable[[], None]:
    """A program that makes the gateway in the world's namespace, and a MeshVm that comes in by it."""

    def program() -> None:
        kubeconfig = str(world.lab.cluster.kubeconfig)
        on = pulumi.ResourceOptions(providers=[k8s.Provider("cluster", kubeconfig=kubeconfig)])
        mode = meshvm.GatewayMode.CREATE
        place: Any = {"namespace": world.name, "name": "edge", **create}
        gateway = meshvm.VmGateway("gateway", {"mode": mode, "create": place}, on)
        pulumi.export("endpoint", gateway.endpoint)
        if machine is None:
            return
        shared: Any = {"namespace": world.name, "service_accounts": ["ratings"], "kubeconfig": kubeconfig}
        shared["gateway"] = gateway.endpoint
        expansion = meshvm.MeshExpansion("mesh", shared, on)
        args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
        meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)

    return program


def objects(world: World) -> list[str]:
    """What of a gateway the world's namespace has."""
    found = [world.lab.cluster.admin.ask("GET", "/" + kind.format(world.name)).body["items"] for kind in _KINDS]
    return [item["metadata"]["name"] for items in found for item in items]


def test_a_machine_joins_by_the_gateway_that_was_made_and_all_of_it_goes_again(world: World) -> None:
    program = created(world, world.boot())
    world.made(program)
    assert [healthy(entry) for entry in world.entries()] == [True]
    endpoint = world.stack.outputs()["endpoint"]
    assert endpoint["address"] == endpoint["addresses"] == world.lab.network.host_ip
    assert (endpoint["istiodPort"], endpoint["networkPort"]) == ("15012", "")

    assert world.made(program).steps == []
    world.destroyed()
    assert objects(world) == []


def test_a_network_opens_its_port_in_place(world: World) -> None:
    world.made(created(world))
    changed = world.made(created(world, network="k8s", revisions=["default", "canary"]))
    assert set(changed.names("create")) == {"gateway-istiod-canary-route", "gateway-services"}
    assert changed.names("create-replacement", "delete") == []
    assert world.stack.outputs()["endpoint"]["networkPort"] == "15443"


def test_a_preview_needs_no_cluster(world: World) -> None:
    def program() -> None:
        kubeconfig = world.lab.cluster.kubeconfig.read_text().replace(world.lab.cluster.server, "https://127.0.0.1:1")
        on = pulumi.ResourceOptions(providers=[k8s.Provider("cluster", kubeconfig=kubeconfig)])
        meshvm.VmGateway("gateway", {"mode": meshvm.GatewayMode.CREATE}, on)

    shown = Stack(world.lab.folder, f"{world.name}-offline", program, env=world.lab.env).preview().succeeded()
    assert {"gateway-service", "gateway-deployment", "gateway-istiod-route"} <= set(shown.names("create"))
