"""Does each variable of cluster.env have the value that istioctl gives it, and need only its own inputs?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.istio.files import cluster_env
from meshvm.istio.settings import cluster_env_settings, go_json, needs, present
from tests.samples import http_port, mesh, resolve

INPUTS: dict[str, Any] = {
    "address": "10.0.0.1",
    "entry": "ratings-i-1-10-0-0-1",
    "labels": {"app": "w", "version": "v3"},
    "mesh": mesh(),
    "name": "ratings",
    "network": "",
    "platform": "none",
    "ports": [http_port(9090, "grpc"), http_port(70, "admin"), http_port(8080, "http")],
    "service_account": "bookinfo-ratings",
}


def variables(**changes: Any) -> dict[str, str]:
    return present(resolve(cluster_env_settings(), {**INPUTS, **changes}))


def test_the_whole_file_is_the_one_that_istioctl_writes_with_the_documented_additions() -> None:
    """Added are CLOUD_PLATFORM and ISTIO_META_WORKLOAD_ENTRY; ports are in order, which istioctl's are not."""
    assert cluster_env(variables()) == (
        "CANONICAL_REVISION='v3'\n"
        "CANONICAL_SERVICE=w\n"
        "CLOUD_PLATFORM='none'\n"
        "ISTIO_INBOUND_PORTS='70,8080,9090'\n"
        "ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020'\n"
        """ISTIO_METAJSON_LABELS='{"app":"w","service.istio.io/canonical-name":"w","""
        """"service.istio.io/canonical-revision":"v3","version":"v3"}'\n"""
        "ISTIO_META_CLUSTER_ID='Kubernetes'\n"
        "ISTIO_META_DNS_CAPTURE='true'\n"
        "ISTIO_META_MESH_ID='mesh1'\n"
        "ISTIO_META_NETWORK=''\n"
        """ISTIO_META_POD_PORTS='[{"name":"admin","containerPort":70,"protocol":""},"""
        """{"name":"grpc","containerPort":9090,"protocol":""},{"name":"http","containerPort":8080,"protocol":""}]'\n"""
        "ISTIO_META_WORKLOAD_ENTRY='ratings-i-1-10-0-0-1'\n"
        "ISTIO_META_WORKLOAD_NAME='ratings'\n"
        "ISTIO_NAMESPACE='bookinfo'\n"
        "ISTIO_SERVICE='ratings.bookinfo'\n"
        "ISTIO_SERVICE_CIDR='*'\n"
        "ISTIO_SVC_IP='10.0.0.1'\n"
        "POD_NAMESPACE='bookinfo'\n"
        "SERVICE_ACCOUNT='bookinfo-ratings'\n"
        "TRUST_DOMAIN='cluster.local'\n"
    )


def test_without_ports_every_port_is_inbound_and_none_is_told() -> None:
    found = variables(ports=[])
    assert found["ISTIO_INBOUND_PORTS"] == "*"
    assert "ISTIO_META_POD_PORTS" not in found


@pytest.mark.parametrize(
    ("default_config", "expected"),
    [
        ({}, "22,15090,15021,15020"),
        ({"statusPort": 0}, "22,15090,15021,15020"),
        ({"statusPort": 16000}, "22,15090,15021,16000"),
        ({"statusPort": 15090}, "22,15090,15021"),
        ({"statusPort": 15021}, "22,15090,15021"),
    ],
)
def test_the_status_port_is_never_captured(default_config: dict[str, int], expected: str) -> None:
    found = variables(mesh=mesh(defaultConfig=json.dumps(default_config)))
    assert found["ISTIO_LOCAL_EXCLUDE_PORTS"] == expected


@pytest.mark.parametrize("revision", ["", "default"])
def test_the_default_revision_has_no_ca_address(revision: str) -> None:
    assert "CA_ADDR" not in variables(mesh=mesh(revision=revision))


def test_a_revision_is_where_the_certificate_comes_from() -> None:
    found = variables(mesh=mesh(revision="canary", discoveryAddress="istiod-canary.istio-system.svc:15012"))
    assert found["CA_ADDR"] == "istiod-canary.istio-system.svc:15012"


def test_empty_values_are_written_except_the_two_optional_ones() -> None:
    empty = {"CA_ADDR": "", "ISTIO_META_POD_PORTS": "", "ISTIO_META_NETWORK": "", "ISTIO_META_MESH_ID": ""}
    assert present(empty) == {"ISTIO_META_NETWORK": "", "ISTIO_META_MESH_ID": ""}


def test_labels_are_compact_json_sorted_by_bytes_with_gos_escapes() -> None:
    labels = {"zone": "a<b>&c", "Zone": "é", "app": "ratings"}
    assert variables(labels=labels)["ISTIO_METAJSON_LABELS"] == (
        '{"Zone":"é","app":"ratings","service.istio.io/canonical-name":"ratings",'
        '"service.istio.io/canonical-revision":"latest","zone":"a\\u003cb\\u003e\\u0026c"}'
    )


def test_an_empty_app_label_is_the_canonical_service() -> None:
    """Its presence decides, as in Istio, and not whether it has a value."""
    found = variables(labels={"app": "", "version": ""})
    assert (found["CANONICAL_SERVICE"], found["CANONICAL_REVISION"]) == ("", "")


@given(st.dictionaries(st.text(), st.text()))
def test_gos_json_is_the_same_json(value: dict[str, str]) -> None:
    text = go_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_the_address_hides_one_variable_alone_while_it_is_unknown() -> None:
    assert [name for name, setting in cluster_env_settings().items() if "address" in needs(setting)] == ["ISTIO_SVC_IP"]


def test_the_machine_hides_nothing_but_the_entrys_name() -> None:
    """The entry's name is made of machine and address."""
    of_entry = [name for name, setting in cluster_env_settings().items() if "entry" in needs(setting)]
    assert of_entry == ["ISTIO_META_WORKLOAD_ENTRY"]
    assert not [name for name, setting in cluster_env_settings().items() if "machine" in needs(setting)]


def test_every_setting_asks_for_inputs_that_there_are() -> None:
    assert {need for setting in cluster_env_settings().values() for need in needs(setting)} == set(INPUTS)
