"""Are the objects of a VM what Istio takes, and its own alone?"""

from typing import Any

import pytest

from meshvm.args import Protocol
from meshvm.istio.objects import (
    entry_annotations,
    sidecar_spec,
    telemetry_spec,
    workload_entry_spec,
    workload_group_spec,
    workload_labels,
)
from tests.samples import http_port


def entry(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "address": "10.0.0.7",
        "labels": {"app": "ratings"},
        "service_account": "bookinfo-ratings",
        "ports": [],
        "network": "",
        "locality": None,
        "weight": None,
    }
    return workload_entry_spec(**{**given, **changes})


def test_an_entry_leaves_out_what_was_not_given() -> None:
    assert entry() == {
        "address": "10.0.0.7",
        "labels": {"app": "ratings"},
        "serviceAccount": "bookinfo-ratings",
        "network": "",
    }


def test_an_entry_has_its_ports_by_name_its_locality_and_its_weight() -> None:
    spec = entry(ports=[http_port(9080), http_port(9090, "admin")], locality="eu/a/1", weight=0, network="vm-net")
    assert spec["ports"] == {"http": 9080, "admin": 9090}
    assert (spec["locality"], spec["weight"], spec["network"]) == ("eu/a/1", 0, "vm-net")


def test_nothing_looks_into_the_parts_of_an_entry() -> None:
    """In the graph they are Outputs, and some are not known yet."""
    parts = {key: object() for key in ("address", "labels", "service_account", "network", "locality")}
    spec = entry(**parts)
    assert [spec[key] for key in ("address", "labels", "serviceAccount", "network", "locality")] == list(parts.values())


def test_only_a_machine_with_ports_waits_for_a_good_probe() -> None:
    assert entry_annotations([http_port()]) == {"proxy.istio.io/health-checks-enabled": "true"}
    assert entry_annotations([]) == {}


def test_an_entry_has_the_users_annotations() -> None:
    assert entry_annotations([http_port()], {"team": "web"}) == {
        "team": "web",
        "proxy.istio.io/health-checks-enabled": "true",
    }
    assert entry_annotations([], {"team": "web"}) == {"team": "web"}


def group(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = dict.fromkeys(("labels", "annotations", "network", "locality", "weight", "probe"))
    return workload_group_spec(**{**given, "service_account": "bookinfo-ratings", "ports": [], **changes})


def test_a_group_leaves_out_what_was_not_given() -> None:
    least = {"template": {"serviceAccount": "bookinfo-ratings"}}
    assert group() == group(labels={}, annotations={}, network="", locality="") == least


def test_a_group_always_has_a_template() -> None:
    """Istio requires it, be it empty."""
    assert group(service_account=None) == {"template": {}}


def test_the_labels_of_a_group_are_in_its_metadata() -> None:
    spec = group(labels={"app": "ratings"}, annotations={"team": "web"})
    assert spec["metadata"] == {"labels": {"app": "ratings"}, "annotations": {"team": "web"}}
    assert "labels" not in spec["template"]


def test_a_group_has_the_template_of_its_entries() -> None:
    spec = group(ports=[http_port(9080)], network="vm-net", locality="eu/a/1", weight=0)
    assert spec["template"] == {
        "serviceAccount": "bookinfo-ratings",
        "ports": {"http": 9080},
        "network": "vm-net",
        "locality": "eu/a/1",
        "weight": 0,
    }


def test_a_group_with_ports_says_how_the_application_is_asked() -> None:
    assert group(ports=[http_port(9080)])["probe"]["tcpSocket"]["port"] == 9080
    asked = {"http": {"port": 9080, "path": "/health"}, "period_seconds": 3}
    assert group(ports=[http_port(9080)], probe=asked)["probe"] == {
        "httpGet": {"port": 9080, "path": "/health"},
        "periodSeconds": 3,
    }
    assert "probe" not in group()


def test_nothing_looks_into_the_parts_of_a_group() -> None:
    class Unknown:
        def __bool__(self) -> bool:
            raise AssertionError("an Output has no truth")

    parts = {key: Unknown() for key in ("labels", "annotations", "service_account", "network", "locality")}
    spec = group(**parts)
    assert [*spec["metadata"].values(), *spec["template"].values()] == list(parts.values())


def sidecar(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"vm": "ratings", "namespace": "shop", "istio_namespace": "istio-system", "calls": []}
    return sidecar_spec(**{**given, **changes})


def test_the_label_that_the_sidecar_selects_by_is_on_the_workload() -> None:
    labels = workload_labels({"app": "ratings"}, "ratings")
    selector = sidecar(namespace="bookinfo")
    assert selector["workloadSelector"]["labels"].items() <= labels.items()
    assert labels["app"] == "ratings"


def test_a_sidecar_configures_no_neighbour() -> None:
    labels = workload_labels({"app": "ratings"}, "other")
    selector = sidecar(namespace="bookinfo")
    assert not selector["workloadSelector"]["labels"].items() <= labels.items()


def test_a_machine_sees_what_it_calls_and_the_meshs_own_namespace() -> None:
    calls = [{"host": "details.bookinfo", "port": 9080}, {"host": "reviews", "port": 9080}]
    calls.append({"host": "details.bookinfo", "port": 9443})
    spec = sidecar(calls=calls)
    called = [
        "*/details.bookinfo",
        "bookinfo/details.bookinfo.svc.cluster.local",
        "shop/reviews.shop.svc.cluster.local",
    ]
    assert spec["egress"] == [{"hosts": [*called, "istio-system/*"]}]


def test_without_calls_a_machine_sees_its_own_namespace() -> None:
    spec = sidecar(istio_namespace="mesh")
    assert spec["egress"] == [{"hosts": ["./*", "mesh/*"]}]


def test_a_machine_also_sees_the_hosts_that_the_user_adds() -> None:
    spec = sidecar(calls=[{"host": "a", "port": 80}], egress_hosts=["*/api.example.com"])
    assert spec["egress"] == [{"hosts": ["shop/a.shop.svc.cluster.local", "*/api.example.com", "istio-system/*"]}]


def test_with_iptables_only_a_further_listener_is_named_and_the_declared_ports_stay() -> None:
    assert "ingress" not in sidecar(ports=[http_port(9080)])
    listener = {"port": {"name": "admin", "number": 9443, "protocol": Protocol.TCP}}
    spec = sidecar(ports=[http_port(9080)], listeners=[listener])
    assert [one["port"]["number"] for one in spec["ingress"]] == [9080, 9443]


@pytest.mark.parametrize("capture", ["IPTABLES", "NONE"])
def test_the_outbound_policy_is_the_meshs_unless_it_is_given(capture: str) -> None:
    assert "outboundTrafficPolicy" not in sidecar(capture=capture)
    spec = sidecar(capture=capture, outbound="REGISTRY_ONLY")
    assert spec["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}


def test_without_capture_every_listener_is_bound_for_real() -> None:
    calls = [{"host": "a", "port": 80}]
    spec = sidecar(capture="NONE", address="10.0.0.7", ports=[http_port(9080)], calls=calls, egress_hosts=["*/x.y.z"])
    listeners = [*spec["ingress"], *spec["egress"]]
    assert [(one["bind"], one["port"]["number"], one["captureMode"]) for one in listeners] == [
        ("10.0.0.7", 9080, "NONE"),
        ("127.0.0.2", 80, "NONE"),
        ("127.0.0.2", 15080, "NONE"),
    ]
    assert spec["egress"][-1]["hosts"] == ["*/x.y.z", "istio-system/*"]


def test_a_machine_without_ports_has_no_inbound_listener() -> None:
    assert "ingress" not in sidecar(capture="NONE", address="10.0.0.7")


def test_an_access_log_is_of_one_machine_alone_and_by_the_provider_that_every_mesh_has() -> None:
    assert telemetry_spec(vm="ratings", access_log={}) == {
        "selector": {"matchLabels": {"meshvm": "ratings"}},
        "accessLogging": [{"providers": [{"name": "envoy"}]}],
    }


def test_an_access_log_may_be_of_some_requests_and_by_another_provider() -> None:
    spec = telemetry_spec(vm="ratings", access_log={"provider": "otel", "filter": "response.code >= 400", "keep": 3})
    assert spec["accessLogging"] == [
        {"providers": [{"name": "otel"}], "filter": {"expression": "response.code >= 400"}}
    ]
