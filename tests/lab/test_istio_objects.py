"""Does an API server with Istio's definitions take every object that meshvm makes?"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from meshvm.args import Protocol
from meshvm.istio.objects import (
    API_VERSION,
    TELEMETRY_API_VERSION,
    entry_annotations,
    sidecar_spec,
    telemetry_spec,
    workload_entry_spec,
    workload_group_spec,
)
from tests.samples import http_port

pytestmark = pytest.mark.lab

_PLURALS = {
    "Sidecar": "sidecars",
    "Telemetry": "telemetries",
    "WorkloadEntry": "workloadentries",
    "WorkloadGroup": "workloadgroups",
}
_CALLS = [
    {"host": "details.bookinfo", "port": 9080},
    {"host": "reviews", "port": 9080, "protocol": Protocol.GRPC},
    {"host": "db", "port": 5432, "protocol": Protocol.TCP},
    {"host": "api.example.com", "port": 443, "protocol": Protocol.TLS},
]
_LISTENERS = [
    {"port": {"name": "admin", "number": 9443, "protocol": Protocol.HTTPS}, "default_endpoint": "unix:///run/app.sock"},
    {"port": {"name": "tcp", "number": 9444, "protocol": Protocol.TCP}, "bind": "10.0.0.8"},
]
_PROBES: list[Mapping[str, Any] | None] = [
    None,
    {"http": {"port": 9080, "path": "/health", "scheme": "HTTP", "headers": {"Host": "ratings"}}, "period_seconds": 3},
    {"tcp": {"port": 9080, "host": "127.0.0.1"}, "initial_delay_seconds": 0, "failure_threshold": 2},
    {"exec": {"command": ["/bin/true", "--quiet"]}, "timeout_seconds": 2, "success_threshold": 1},
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("run"), Steps())
    try:
        cluster.start()
        cluster.ready()
        yield cluster
    finally:
        cluster.stop()


def refusal(
    cluster: Cluster,
    kind: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
    api_version: str = API_VERSION,
) -> str:
    """What the API server has against it; nothing is stored. A field that the definition does not know is refused."""
    metadata = {"name": "ratings", "namespace": "default", "annotations": dict(annotations or {})}
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
    path = f"/apis/{api_version}/namespaces/default/{_PLURALS[kind]}?dryRun=All&fieldValidation=Strict"
    answer = cluster.admin.ask("POST", path, json.dumps(body).encode())
    return "" if answer.status == 201 else answer.message


def sidecar(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"vm": "ratings", "namespace": "default", "istio_namespace": "istio-system", "calls": []}
    return sidecar_spec(**{**given, **changes})


def test_a_field_that_istio_does_not_know_would_be_refused(cluster: Cluster) -> None:
    assert "unknown field" in refusal(cluster, "Sidecar", {**sidecar(), "outgoing": []})


@pytest.mark.parametrize("ports", [[], [http_port(9080), http_port(9090, "admin")]])
def test_an_entry_is_taken(cluster: Cluster, ports: list[dict[str, Any]]) -> None:
    spec = workload_entry_spec(
        address="10.0.0.7",
        labels={"app": "ratings"},
        service_account="ratings",
        ports=ports,
        network="",
        locality="eu/a/1",
        weight=0,
    )
    assert not refusal(cluster, "WorkloadEntry", spec, entry_annotations(ports, {"team": "web"}))


@pytest.mark.parametrize("probe", _PROBES)
@pytest.mark.parametrize("ports", [[], [http_port(9080)]])
def test_a_group_is_taken(cluster: Cluster, ports: list[dict[str, Any]], probe: Mapping[str, Any] | None) -> None:
    spec = workload_group_spec(
        labels={"app": "ratings"},
        annotations={"team": "web"},
        service_account="ratings",
        ports=ports,
        network="vm-net",
        locality="eu/a/1",
        weight=3,
        probe=probe,
    )
    assert not refusal(cluster, "WorkloadGroup", spec)


@pytest.mark.parametrize("capture", ["IPTABLES", "NONE"])
@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7"])
@pytest.mark.parametrize("listeners", [[], _LISTENERS])
@pytest.mark.parametrize("calls", [[], _CALLS])
def test_a_sidecar_is_taken(
    cluster: Cluster, capture: str, address: str, listeners: list[dict[str, Any]], calls: list[dict[str, Any]]
) -> None:
    hosts = ["./*", "*/*.example.org"] if calls else []
    spec = sidecar(
        calls=calls,
        ports=[http_port(9080)],
        capture=capture,
        address=address,
        listeners=listeners,
        egress_hosts=hosts,
        outbound="REGISTRY_ONLY" if calls else None,
    )
    assert not refusal(cluster, "Sidecar", spec)


@pytest.mark.parametrize("access_log", [{}, {"provider": "otel", "filter": "response.code >= 400"}])
def test_an_access_log_is_taken(cluster: Cluster, access_log: dict[str, Any]) -> None:
    spec = telemetry_spec(vm="ratings", access_log=access_log)
    assert not refusal(cluster, "Telemetry", spec, api_version=TELEMETRY_API_VERSION)
