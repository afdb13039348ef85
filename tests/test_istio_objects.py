"""Are the WorkloadEntry and the Sidecar of a VM what Istio takes, and its own alone?"""

from typing import Any

from meshvm.istio.objects import entry_annotations, sidecar_spec, workload_entry_spec, workload_labels
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


def test_the_label_that_the_sidecar_selects_by_is_on_the_workload() -> None:
    labels = workload_labels({"app": "ratings"}, "ratings")
    selector = sidecar_spec(vm="ratings", namespace="bookinfo", istio_namespace="istio-system", calls=[])
    assert selector["workloadSelector"]["labels"].items() <= labels.items()
    assert labels["app"] == "ratings"


def test_a_sidecar_configures_no_neighbour() -> None:
    labels = workload_labels({"app": "ratings"}, "other")
    selector = sidecar_spec(vm="ratings", namespace="bookinfo", istio_namespace="istio-system", calls=[])
    assert not selector["workloadSelector"]["labels"].items() <= labels.items()


def test_a_machine_sees_what_it_calls_and_the_meshs_own_namespace() -> None:
    calls = [{"host": "details.bookinfo", "port": 9080}, {"host": "reviews", "port": 9080}]
    calls.append({"host": "details.bookinfo", "port": 9443})
    spec = sidecar_spec(vm="ratings", namespace="shop", istio_namespace="istio-system", calls=calls)
    called = [
        "*/details.bookinfo",
        "bookinfo/details.bookinfo.svc.cluster.local",
        "shop/reviews.shop.svc.cluster.local",
    ]
    assert spec["egress"] == [{"hosts": [*called, "istio-system/*"]}]


def test_without_calls_a_machine_sees_its_own_namespace() -> None:
    spec = sidecar_spec(vm="ratings", namespace="shop", istio_namespace="mesh", calls=[])
    assert spec["egress"] == [{"hosts": ["./*", "mesh/*"]}]
