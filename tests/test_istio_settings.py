"""Does each variable of cluster.env have the value that istioctl gives it, and need only its own inputs?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.istio.files import cluster_env
from meshvm.istio.settings import asked_for, cluster_env_settings, discovery_address, go_json, needs, present
from tests.samples import http_port, mesh, resolve

INPUTS: dict[str, Any] = {
    "address": "10.0.0.1",
    "behind_nat": False,
    "capture": {},
    "default_config": {},
    "dual_stack": False,
    "entry": "ratings-i-1-10-0-0-1",
    "group": "ratings",
    "identity": {"kind": "TOKEN"},
    "instance_address": "10.0.0.1",
    "listener_ports": [],
    "labels": {"app": "w", "version": "v3"},
    "mesh": mesh(),
    "network": "",
    "platform": "none",
    "ports": [http_port(9090, "grpc"), http_port(70, "admin"), http_port(8080, "http")],
    "registration": "ENTRY",
    "service_account": "bookinfo-ratings",
    "workload": "ratings",
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


def test_the_ports_of_further_listeners_are_captured_too() -> None:
    assert variables(listener_ports=[8443])["ISTIO_INBOUND_PORTS"] == "70,8080,8443,9090"
    assert variables(ports=[], listener_ports=[8443])["ISTIO_INBOUND_PORTS"] == "*"


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
    found = variables(default_config=default_config)
    assert found["ISTIO_LOCAL_EXCLUDE_PORTS"] == expected


@pytest.mark.parametrize("revision", ["", "default"])
def test_the_default_revision_has_no_ca_address(revision: str) -> None:
    assert "CA_ADDR" not in variables(mesh=mesh(revision=revision))


def test_a_revision_is_where_the_certificate_comes_from() -> None:
    found = variables(mesh=mesh(revision="canary", discoveryAddress="istiod-canary.istio-system.svc:15012"))
    assert found["CA_ADDR"] == "istiod-canary.istio-system.svc:15012"


def test_empty_values_are_written_except_the_optional_ones() -> None:
    empty = {"CA_ADDR": "", "ISTIO_META_POD_PORTS": "", "ISTIO_META_NETWORK": "", "ISTIO_META_MESH_ID": ""}
    assert present(empty) == {"ISTIO_META_NETWORK": "", "ISTIO_META_MESH_ID": ""}


def test_without_a_mode_or_identity_of_its_own_a_machine_is_not_told_of_any() -> None:
    """What nobody asked for is neither in the file nor in a preview."""
    shown = asked_for(cluster_env_settings(), INPUTS)
    for name in ("ISTIO_META_INTERCEPTION_MODE", "FILE_MOUNTED_CERTS", "ISTIO_DUAL_STACK", "KUBE_VIRT_INTERFACES"):
        assert name not in shown
    assert "ISTIO_META_DNS_CAPTURE" in shown
    assert set(variables()) <= set(shown)


def test_capture_by_rules_has_its_exclusions() -> None:
    capture = {
        "dns": False,
        "include_ranges": ["10.0.0.0/8", "fd00::/8"],
        "exclude_ranges": ["10.1.0.0/16"],
        "exclude_inbound_ports": [9100, 22],
        "include_outbound_ports": [443],
        "exclude_outbound_ports": [25, 587],
        "exclude_interfaces": ["tun0"],
        "virtual_interfaces": ["docker0", "br-1"],
    }
    found = variables(capture=capture)
    assert "ISTIO_META_DNS_CAPTURE" not in found
    assert found["ISTIO_SERVICE_CIDR"] == "10.0.0.0/8,fd00::/8"
    assert found["ISTIO_SERVICE_EXCLUDE_CIDR"] == "10.1.0.0/16"
    assert found["ISTIO_LOCAL_EXCLUDE_PORTS"] == "22,15090,15021,15020,9100"
    assert found["ISTIO_OUTBOUND_PORTS"] == "443"
    assert found["ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE"] == "25,587"
    assert found["ISTIO_EXCLUDE_INTERFACES"] == "tun0"
    assert found["KUBE_VIRT_INTERFACES"] == "docker0,br-1"


def test_without_rules_nothing_is_captured_and_the_sidecar_knows() -> None:
    found = variables(capture={"mode": "NONE"})
    assert found["ISTIO_META_INTERCEPTION_MODE"] == "NONE"
    assert found["ISTIO_CUSTOM_IP_TABLES"] == "true"
    assert "ISTIO_META_DNS_CAPTURE" not in found


def test_a_machine_of_a_group_names_the_group_and_no_entry() -> None:
    found = variables(registration="AUTO", group="fleet", workload="fleet", labels={})
    assert found["ISTIO_META_AUTO_REGISTER_GROUP"] == found["ISTIO_META_WORKLOAD_NAME"] == "fleet"
    assert found["CANONICAL_SERVICE"] == "fleet"
    assert "ISTIO_META_WORKLOAD_ENTRY" not in found


def test_behind_a_nat_the_mesh_knows_the_outer_address_and_the_probe_asks_the_machine_itself() -> None:
    found = variables(address="203.0.113.7", instance_address="10.0.0.7", behind_nat=True)
    assert found["ISTIO_SVC_IP"] == "203.0.113.7"
    assert found["REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION"] == "true"
    assert "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION" not in variables()


def test_a_machine_of_both_families_that_is_known_by_ipv6_says_its_ipv4_address() -> None:
    assert variables(address="fd00::7", instance_address="10.0.0.7")["ISTIO_SVC_IP"] == "10.0.0.7"
    assert variables(address="fd00::7", instance_address="fd00::8")["ISTIO_SVC_IP"] == "fd00::7"


def test_a_gateway_with_a_host_name_is_asked_by_that_name_and_answers_with_istiods() -> None:
    by_name = mesh(gatewayAddress="gateway.example", gatewayAddressKind="host")
    assert discovery_address(by_name) == "gateway.example:15012"
    assert variables(mesh=by_name)["ISTIOD_SAN"] == "istiod.istio-system.svc"
    assert discovery_address(mesh()) == "istiod.istio-system.svc:15012"
    assert "ISTIOD_SAN" not in variables()


def test_istiod_in_another_namespace_is_asked_for_certificates_too() -> None:
    """The agent's start script takes istio-system for granted, also where istioctl does not say otherwise."""
    found = variables(mesh=mesh(istioNamespace="mesh-system", discoveryAddress="istiod.mesh-system.svc:15012"))
    assert found["CA_ADDR"] == "istiod.mesh-system.svc:15012"


def test_certificates_from_files_leave_the_agents_own_ways_set_and_empty() -> None:
    """Where they are not set istio-start.sh sets them, and the agent refuses to start with both."""
    files = {"kind": "FILES", "certificate": "/etc/pki/chain.pem", "private_key": "/etc/pki/key.pem"}
    found = variables(identity=files)
    assert (found["FILE_MOUNTED_CERTS"], found["PROV_CERT"], found["OUTPUT_CERTS"]) == ("true", "", "")
    for side in ("CLIENT", "SERVER"):
        assert found[f"ISTIO_META_TLS_{side}_CERT_CHAIN"] == "/etc/pki/chain.pem"
        assert found[f"ISTIO_META_TLS_{side}_KEY"] == "/etc/pki/key.pem"
        assert found[f"ISTIO_META_TLS_{side}_ROOT_CERT"] == "/etc/certs/root-cert.pem"
    assert "PROV_CERT" not in variables()


def test_a_machine_on_compute_engine_shows_the_platforms_token() -> None:
    assert variables(identity={"kind": "GCE"})["CREDENTIAL_FETCHER_TYPE"] == "GoogleComputeEngine"


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
