"""What does a VmGateway make, and where does it say that VMs connect to?"""

from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.testing import UNKNOWN, FakeCluster, Recording, record
from tests.samples import ENDPOINT, vm_args

NOBODY = FakeCluster(error=AssertionError("asked"))
PREVIEW_AND_UP = pytest.mark.parametrize("preview", [False, True])
POINTS = [{"hostname": "lb.example"}, {"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]


def made(
    *, preview: bool = False, ingress: list[dict[str, str]] | None = None, answers: FakeCluster = NOBODY, **create: Any
) -> Recording:
    """A created gateway whose load balancer got these points."""
    args: Any = {"mode": meshvm.GatewayMode.CREATE, **({"create": create} if create else {})}
    status = {"status": {"loadBalancer": {"ingress": POINTS if ingress is None else ingress}}}
    return record(
        lambda: meshvm.VmGateway("gw", args), preview=preview, cluster_answers=answers, outputs={"gw-service": status}
    )


def found(*, preview: bool = False, answers: FakeCluster) -> dict[str, str]:
    args: Any = {"mode": meshvm.GatewayMode.EXISTING, "service": "istio-system/gw"}
    recording = record(lambda: meshvm.VmGateway("gw", args), preview=preview, cluster_answers=answers)
    return dict(recording.outputs["gw"]["endpoint"])


def pod(recording: Recording) -> dict[str, Any]:
    return dict(recording["gw-deployment"].inputs["spec"]["template"])


@PREVIEW_AND_UP
def test_all_addresses_of_a_dual_stack_load_balancer_are_in_the_endpoint(preview: bool) -> None:
    answers = FakeCluster(addresses=[("ip", "192.0.2.1"), ("ip", "2001:db8::1"), ("host", "lb.example")])
    endpoint = found(preview=preview, answers=answers)
    assert endpoint["address"] == "192.0.2.1"
    assert endpoint["addresses"] == "192.0.2.1 2001:db8::1"
    assert endpoint["addressKind"] == "ip"


@PREVIEW_AND_UP
def test_istiods_own_load_balancer_is_a_gateway_without_the_port_between_networks(preview: bool) -> None:
    endpoint = found(preview=preview, answers=FakeCluster(ports=[15010, 15012, 443, 15014]))
    assert endpoint["istiodPort"] == "15012"
    assert endpoint["networkPort"] == ""


def test_a_created_gateway_is_where_its_load_balancer_is() -> None:
    endpoint = made().outputs["gw"]["endpoint"]
    assert endpoint == {
        **ENDPOINT,
        "address": "192.0.2.1",
        "addresses": "192.0.2.1 2001:db8::1",
        "networkPort": "",
    }


def test_a_created_gateway_with_a_host_name_alone_is_a_host() -> None:
    endpoint = made(ingress=[{"hostname": "lb.example"}]).outputs["gw"]["endpoint"]
    assert (endpoint["address"], endpoint["addressKind"]) == ("lb.example", "host")


def test_a_preview_of_a_created_gateway_asks_nobody_and_knows_no_address() -> None:
    assert made(preview=True).outputs["gw"]["endpoint"] is UNKNOWN


def test_a_load_balancer_that_got_no_address_ends_the_up_with_one_sentence() -> None:
    with pytest.raises(pulumi.RunError, match="create: the Service istio-system/istio-eastwestgateway has no address"):
        made(ingress=[])


@PREVIEW_AND_UP
def test_a_vm_waits_for_all_that_leads_to_istiod(preview: bool) -> None:
    def run() -> None:
        gateway = meshvm.VmGateway("gw", {"mode": meshvm.GatewayMode.CREATE})
        args: Any = {"namespace": "bookinfo", "gateway": gateway.endpoint}
        meshvm.MeshVm("ratings", vm_args(mesh=meshvm.MeshExpansion("mesh", args).mesh))

    status = {"status": {"loadBalancer": {"ingress": POINTS}}}
    recording = record(run, preview=preview, outputs={"gw-service": status})
    waits = recording["ratings-join"].depends_on
    assert waits >= {"gw-service", "gw-deployment", "gw-istiod", "gw-istiod-route"}


@PREVIEW_AND_UP
def test_without_a_network_only_istiod_is_exposed(preview: bool) -> None:
    recording = made(preview=preview)
    ports = [port["port"] for port in recording["gw-service"].inputs["spec"]["ports"]]
    assert ports == [15021, 15012]
    assert "gw-services" not in recording
    assert "topology.istio.io/network" not in str(list(recording.values()))
    assert pod(recording)["spec"]["containers"][0].get("env") is None


@PREVIEW_AND_UP
def test_a_network_exposes_its_services_and_nothing_without_mutual_tls(preview: bool) -> None:
    recording = made(preview=preview, network="k8s")
    service = recording["gw-service"].inputs
    assert [port["port"] for port in service["spec"]["ports"]] == [15021, 15443, 15012]
    assert service["metadata"]["labels"]["topology.istio.io/network"] == "k8s"
    (server,) = recording["gw-services"].inputs["spec"]["servers"]
    assert (server["port"]["number"], server["tls"]["mode"], server["hosts"]) == (
        15443,
        "AUTO_PASSTHROUGH",
        ["*.local"],
    )
    assert pod(recording)["metadata"]["labels"]["topology.istio.io/network"] == "k8s"
    env = pod(recording)["spec"]["containers"][0]["env"]
    assert env == [{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": "k8s"}]
    assert made(network="k8s").outputs["gw"]["endpoint"]["networkPort"] == "15443"


@PREVIEW_AND_UP
def test_the_webhook_makes_the_pods_container(preview: bool) -> None:
    template = pod(made(preview=preview))
    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert template["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway"
    (container,) = template["spec"]["containers"]
    assert (container["name"], container["image"]) == ("istio-proxy", "auto")
    assert container["resources"]["requests"]["cpu"]
    assert "istio.io/rev" not in template["metadata"]["labels"]


@PREVIEW_AND_UP
def test_each_revision_is_reached_by_its_own_name_and_the_first_injects(preview: bool) -> None:
    recording = made(preview=preview, revisions=["canary", "default"], istio_namespace="mesh", namespace="edge")
    assert pod(recording)["metadata"]["labels"]["istio.io/rev"] == "canary"
    for name, istiod in (("gw-istiod-canary-route", "istiod-canary"), ("gw-istiod-route", "istiod")):
        spec = recording[name].inputs["spec"]
        names = [f"{istiod}.mesh.svc", f"{istiod}.mesh.svc.cluster.local"]
        (route,) = spec["tls"]
        assert spec["hosts"] == route["match"][0]["sniHosts"] == names
        assert route["match"][0]["port"] == 15012
        assert route["route"] == [{"destination": {"host": names[1], "port": {"number": 15012}}}]
        assert spec["gateways"] == [recording["gw-istiod"].inputs["metadata"]["name"]]
    assert {one.inputs["metadata"]["namespace"] for one in recording.values() if one.inputs} == {"edge"}


@PREVIEW_AND_UP
def test_connections_for_istiod_pass_through_unopened(preview: bool) -> None:
    (server,) = made(preview=preview)["gw-istiod"].inputs["spec"]["servers"]
    assert (server["port"]["number"], server["tls"]["mode"]) == (15012, "PASSTHROUGH")


@PREVIEW_AND_UP
def test_everything_selects_this_gateways_pods_and_no_others(preview: bool) -> None:
    recording = made(preview=preview, name="edge", network="k8s")
    selector = {"app": "edge", "istio": "eastwestgateway"}
    spec = {name: one.inputs.get("spec") or {} for name, one in recording.items()}
    assert selector.items() <= pod(recording)["metadata"]["labels"].items()
    assert (
        spec["gw-service"]["selector"] == spec["gw-istiod"]["selector"] == spec["gw-services"]["selector"] == selector
    )
    assert spec["gw-deployment"]["selector"] == spec["gw-disruption"]["selector"] == {"matchLabels": selector}
    assert spec["gw-autoscaler"]["scaleTargetRef"]["name"] == "edge"
    assert recording["gw-deployment"].inputs["metadata"]["name"] == "edge"


@PREVIEW_AND_UP
@pytest.mark.parametrize(("create", "least", "most"), [({}, 2, 5), ({"min_replicas": 1.0, "max_replicas": 3}, 1, 3)])
def test_the_autoscaler_alone_says_how_many_there_are(
    preview: bool, create: dict[str, Any], least: int, most: int
) -> None:
    recording = made(preview=preview, **create)
    spec = recording["gw-autoscaler"].inputs["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (least, most)
    assert "replicas" not in recording["gw-deployment"].inputs["spec"]


@PREVIEW_AND_UP
def test_a_drain_of_nodes_takes_one_replica_at_a_time(preview: bool) -> None:
    assert made(preview=preview)["gw-disruption"].inputs["spec"]["maxUnavailable"] == 1


@PREVIEW_AND_UP
def test_replicas_are_spread_over_the_nodes_that_there_are(preview: bool) -> None:
    (spread,) = pod(made(preview=preview))["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


@PREVIEW_AND_UP
def test_the_load_balancer_is_told_whom_to_let_in_and_what_it_is(preview: bool) -> None:
    annotations = {"cloud.example/kind": "network", "cloud.example/late": pulumi.Output.from_input("known")}
    recording = made(preview=preview, source_ranges=["192.0.2.0/24"], service_annotations=annotations)
    service = recording["gw-service"].inputs
    assert service["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    assert service["metadata"]["annotations"] == {"cloud.example/kind": "network", "cloud.example/late": "known"}


@PREVIEW_AND_UP
def test_nothing_of_a_created_gateway_is_left_unawaited(preview: bool) -> None:
    assert "skipAwait" not in str(list(made(preview=preview, network="k8s").values()))
