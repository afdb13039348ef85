"""Does the machine get what was declared, and does a preview show each thing by itself?"""

from typing import Any

import pytest

from meshvm.bootstrap.quote import quote
from meshvm.bootstrap.values import OPTIONAL, READY_SECONDS, join_settings, join_values, request_to_ask
from meshvm.istio.settings import needs
from tests.samples import SHA256, http_port, mesh, resolve

JOIN = {
    "aliases": "127.0.0.2 details.bookinfo",
    "capture": "NONE",
    "certificate": "/srv/chain.pem",
    "defaultConfig": '{"proxyMetadata":{"THEIRS":"kept","POD_NAMESPACE":"theirs"},"concurrency":2}',
    "discoveryAddress": "istiod-canary.istio-system.svc:15012",
    "dualStack": "true",
    "gateway": "192.0.2.10",
    "gatewayKind": "ip",
    "gatewayPort": "15012",
    "identity": "FILES",
    "instanceAddress": "10.0.0.7",
    "istiod": "istiod-canary.istio-system.svc",
    "logFiles": "5",
    "logMegabytes": "50",
    "logRotation": "required",
    "machine": "i-1",
    "package": "/tmp/istio-sidecar.deb",
    "privateKey": "/srv/key.pem",
    "probe": '{"tcpSocket":{"port":9080}}',
    "proxyVersion": "1.30.3",
    "rejoin": "1",
    "rootCertificate": "digest",
    "script": "digest",
    "sha256": SHA256,
    "sidecarPorts": "9080 15080",
    "spiffeId": "spiffe://cluster.local/ns/bookinfo/sa/ratings",
}
INPUTS: dict[str, Any] = {
    "access_log": None,
    "calls": [],
    "capture": {},
    "default_config": {},
    "dual_stack": False,
    "identity": {"kind": "TOKEN"},
    "instance_address": "10.0.0.7",
    "listener_ports": [],
    "machine": "i-1",
    "mesh": mesh(),
    "package": "/tmp/istio-sidecar.deb",
    "ports": [http_port()],
    "probe": None,
    "rejoin": "1",
    "sha256": SHA256,
    "spiffe": "spiffe://cluster.local/ns/bookinfo/sa/ratings",
    "version": "1.30.3",
}
VARIABLES = {"POD_NAMESPACE": "bookinfo", "CA_ADDR": "", "ISTIO_SERVICE_CIDR": "*", "ISTIO_SVC_IP": "10.0.0.7"}


def values(changes: dict[str, str] | None = None, **variables: str) -> dict[str, str]:
    """What the machine gets, some settings and variables changed."""
    settings = {**JOIN, **(changes or {})}
    once = {"root_certificate": "PEM", "token": "t", "token_error": "", "run": "r", "ask": ""}
    return join_values(settings, {**VARIABLES, **variables}, **once)


def setting(name: str, **changes: Any) -> str:
    """One setting, some inputs changed."""
    return resolve({name: join_settings()[name]}, {**INPUTS, **changes})[name]


def test_the_meshs_own_variables_reach_cluster_env_and_ours_win() -> None:
    written = values()["MESHVM_CLUSTER_ENV"]
    assert written == "ISTIO_SERVICE_CIDR='*'\nISTIO_SVC_IP='10.0.0.7'\nPOD_NAMESPACE='bookinfo'\nTHEIRS='kept'\n"


def test_every_setting_that_reaches_the_machine_is_a_trigger() -> None:
    """Else a change of it would go unseen. The token and the words of a run are others each time, on purpose."""
    others_each_time = {"MESHVM_TOKEN", "MESHVM_TOKEN_ERROR", "MESHVM_RUN"}
    of_triggers = {
        *("MESHVM_ASK", "MESHVM_BRIDGES", "MESHVM_CLUSTER_ENV", "MESHVM_DNS", "MESHVM_FOLLOW", "MESHVM_MESH_CONFIG"),
        *("MESHVM_NAT", "MESHVM_ROOT_CERTIFICATE"),
    }
    constant = {"MESHVM_READY_SECONDS"}
    given = values()
    rest = {value for name, value in given.items() if name not in others_each_time | of_triggers | constant}
    assert rest <= set(JOIN.values())
    assert given["MESHVM_READY_SECONDS"] == str(READY_SECONDS)


def test_every_setting_has_its_own_trigger() -> None:
    assert set(join_settings()) == set(JOIN)


def test_settings_that_nobody_asked_for_may_be_missing() -> None:
    assert {name for name in OPTIONAL if setting(name)} == set()
    settings = {name: value for name, value in JOIN.items() if name not in OPTIONAL}
    assert join_values(settings, VARIABLES, root_certificate="", token="", token_error="", run="", ask="") == values(
        dict.fromkeys(OPTIONAL, "")
    ) | {"MESHVM_ROOT_CERTIFICATE": "", "MESHVM_RUN": "", "MESHVM_TOKEN": ""}


def test_a_gateway_of_several_addresses_is_all_of_them_and_one_with_a_name_the_name() -> None:
    given = mesh(gatewayAddress="192.0.2.1", gatewayAddresses="192.0.2.1 2001:db8::1")
    assert setting("gateway", mesh=given) == "192.0.2.1 2001:db8::1"
    named = mesh(gatewayAddress="gw.example", gatewayAddresses="gw.example", gatewayAddressKind="host")
    assert setting("gateway", mesh=named) == "gw.example"
    assert setting("istiod", mesh=named) == "istiod.istio-system.svc", "the name in istiod's certificate"
    assert setting("discoveryAddress", mesh=named) == "gw.example:15012"


def test_a_gateway_with_a_name_is_followed_by_a_script_that_knows_both_names() -> None:
    script = values({"gatewayKind": "host", "gateway": "gw.example"})["MESHVM_FOLLOW"]
    assert f"MESHVM_GATEWAY={quote('gw.example')}\n" in script
    assert f"MESHVM_ISTIOD={quote('istiod-canary.istio-system.svc')}\n" in script
    assert values()["MESHVM_FOLLOW"] == "", "addresses do not change by themselves"


@pytest.mark.parametrize(
    ("address", "instance", "behind"),
    [("10.0.0.7", "10.0.0.7", ""), ("203.0.113.7", "10.0.0.7", "true"), ("FD00:0::7", "fd00::7", "")],
)
def test_a_nat_is_where_the_two_addresses_differ(address: str, instance: str, behind: str) -> None:
    given = {"instanceAddress": setting("instanceAddress", instance_address=instance)}
    assert values(given, ISTIO_SVC_IP=address)["MESHVM_NAT"] == behind


def test_an_address_is_written_as_the_kernel_prints_it() -> None:
    assert setting("instanceAddress", instance_address="FD00:0:0::07") == "fd00::7"


def test_names_and_ports_of_the_sidecar_itself_are_for_capture_none() -> None:
    calls = [{"host": "details.bookinfo", "port": 9081}]
    none = {"capture": {"mode": "NONE"}, "calls": calls, "listener_ports": [7000]}
    assert setting("aliases", **none).startswith("127.0.0.2 details.bookinfo.svc.cluster.local ")
    assert setting("sidecarPorts", **none).split() == ["7000", "9080", "9081", "15080"]
    captured = {**none, "capture": {"mode": "IPTABLES"}}
    assert (setting("aliases", **captured), setting("sidecarPorts", **captured)) == ("", "")


def test_an_access_log_has_to_be_rotated_and_any_other_log_where_that_is_easy() -> None:
    log = {"max_megabytes": 7, "keep": 2}
    names = ("logRotation", "logMegabytes", "logFiles")
    assert [setting(name, access_log=log) for name in names] == ["required", "7", "2"]
    assert [setting(name) for name in names] == ["where logrotate is", "50", "5"]


def test_bridges_are_those_that_cluster_env_names() -> None:
    assert values(KUBE_VIRT_INTERFACES="docker0,br-1")["MESHVM_BRIDGES"] == "docker0 br-1"


def test_a_setting_waits_for_nothing_but_its_own_inputs() -> None:
    """An address that is not known yet hides one line of a preview and not all of them."""
    waiting = {name for name, setting in join_settings().items() if "instance_address" in needs(setting)}
    assert waiting == {"instanceAddress"}


@pytest.mark.parametrize(
    ("address", "ports", "probe", "expected"),
    [
        ("10.0.0.7", [http_port()], None, "http://10.0.0.7:9080/"),
        ("fd00::7", [http_port()], None, "http://[fd00::7]:9080/"),
        ("10.0.0.7", [http_port()], {"http": {"port": 81, "path": "health"}}, "http://10.0.0.7:81/health"),
        ("10.0.0.7", [http_port()], {"http": {"port": 81, "scheme": "HTTPS"}}, "http://10.0.0.7:9080/"),
        ("10.0.0.7", [{"name": "db", "number": 5432, "protocol": "TCP"}], None, ""),
        ("10.0.0.7", [{"name": "web", "number": 80, "protocol": "HTTP"}], None, "http://10.0.0.7:80/"),
        ("10.0.0.7", [], None, ""),
    ],
)
def test_one_request_asks_what_the_probe_asks_or_the_first_http_port(
    address: str, ports: list[dict[str, object]], probe: dict[str, object] | None, expected: str
) -> None:
    assert request_to_ask(address, ports, probe) == expected
