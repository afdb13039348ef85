"""Are registration, addresses, probe, capture, listeners, log and identity of a MeshVm judged together?"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from meshvm.errors import ArgumentError
from meshvm.lint import addresses
from tests.judged import failing, judge
from tests.samples import http_port, proxy, vm_args

LONG = "a" * 64
NONE = {"mode": "NONE"}
LISTENER = {"port": http_port(8443, "https")}
FILES = {"kind": "FILES", "certificate": "/etc/vm/chain.pem", "private_key": "/etc/vm/key.pem"}


def listener(**changes: Any) -> dict[str, Any]:
    return {**LISTENER, **changes}


def call(host: str, port: int, protocol: str = "HTTP") -> dict[str, Any]:
    return {"host": host, "port": port, "protocol": protocol}


def http(**changes: Any) -> dict[str, Any]:
    return {"http": {"port": 9080, **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        # registration
        {"registration": "AUTO"},
        {"registration": "AUTO", "group": "ratings", "network": "vm-net"},
        {"registration": "AUTO", "group": LONG, "labels": {"app": "ratings"}},
        {"registration": "AUTO", "weight": 1},
        {"network": "VM_net"},
        # addresses
        {"address": "35.194.38.142", "instance_address": "10.128.0.2"},
        {"address": "10.0.0.7", "instance_address": "10.0.0.7"},
        {"address": "10.0.0.7", "instance_address": "192.168.0.7"},
        {"address": "35.194.38.142", "instance_address": "35.194.38.143"},
        {"address": "fd00::7", "instance_address": "fd00::8", "dual_stack": True},
        {"address": "fd00::7", "instance_address": "10.0.0.7"},
        {"address": "fd00::7", "instance_address": "35.194.38.142"},
        # probe
        {"probe": http(host="10.0.0.7", path="/health?a=b", scheme="HTTPS", headers={"X-A1": "b\tc", "Host": ""})},
        {"probe": {"tcp": {"port": 9080, "host": "127.0.0.1"}, "failure_threshold": 3}},
        {"probe": {"tcp": {"port": 9080, "host": "10.0.0.8"}}},
        {"probe": {"exec": {"command": ["/bin/sh", "-c", "true"]}, "initial_delay_seconds": 0}},
        # capture
        {"capture": {"mode": "IPTABLES", "dns": False}},
        {"capture": {"include_ranges": ["10.0.0.0/8", "0.0.0.0/0"], "exclude_ranges": ["10.1.0.0/16"]}},
        {"capture": {"exclude_inbound_ports": [9081], "exclude_outbound_ports": [1], "include_outbound_ports": [2]}},
        {"capture": {"exclude_interfaces": ["eth1"], "virtual_interfaces": ["docker0"]}},
        {"capture": NONE},
        {"capture": NONE, "probe": http()},
        {"capture": NONE, "probe": http(host="127.0.0.1")},
        {"capture": NONE, "probe": http(host="localhost")},
        {"capture": NONE, "probe": {"tcp": {"port": 9080}}},
        {"capture": NONE, "probe": {"exec": {"command": ["true"]}}},
        {"capture": NONE, "calls": [call("a.b", 80, "GRPC"), call("c.b", 80), call("c.b", 5432, "TCP")]},
        {"calls": [call("a.b", 22, "TCP"), call("a.b", 15021)]},
        {"calls": [call("a.b", 5432, "TCP"), call("c.b", 5432, "TCP"), call("a.5.svc.cluster.local", 80)]},
        # listeners
        {"listeners": [LISTENER, listener(port=http_port(8081, "b"), bind="10.0.0.7")]},
        {"listeners": [listener(default_endpoint="127.0.0.1:80")]},
        {"listeners": [listener(default_endpoint="0.0.0.0:8443")]},
        {"listeners": [listener(default_endpoint="unix:///run/app.sock", bind="127.0.0.1")], "capture": NONE},
        {"listeners": [listener(default_endpoint="0.0.0.0:80")], "capture": NONE},
        {"listeners": [listener(bind="127.0.0.1", default_endpoint="127.0.0.1:80")], "capture": NONE},
        # hosts
        {"egress_hosts": ["./*", "*/api.example.com", "~/*"], "outbound": "REGISTRY_ONLY"},
        # log
        {"access_log": {}},
        {"access_log": {"provider": "otel-1", "max_megabytes": 1, "keep": 1}},
        {"access_log": {"filter": "response.code >= 400 && request.path.startsWith('/a(') || x in [1, {'a': 2}]"}},
        # identity
        {"identity": {"kind": "TOKEN"}, "token_seconds": 3600},
        {"identity": {"kind": "GCE"}},
        {"identity": {"kind": "GCE"}, "platform": "gcp"},
        {"identity": FILES},
        # annotations
        {"annotations": {"proxy.istio.io/config": "concurrency: 2", "example.org/note": "", "Upper.example/Case": "a"}},
        # names as Kubernetes has them
        {"service_account": "bookinfo.ratings"},
        {"ports": [http_port(9080 + n, f"p{n}") for n in range(128)]},
        {"labels": {f"l{n}": "v" for n in range(253)}},
    ],
)
def test_arguments_that_work_are_let_through(changes: Mapping[str, Any]) -> None:
    judge(vm_args(**changes))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        # registration
        ({"group": "ratings"}, "group"),
        ({"group": "ratings", "registration": "ENTRY"}, "group"),
        ({"group": "Ratings", "registration": "AUTO"}, "group"),
        ({"group": LONG, "registration": "AUTO", "labels": None}, "group"),
        ({"group": "ratings", "registration": "AUTO", "weight": 1}, "weight"),
        ({"registration": "AUTO", "network": "VM_net"}, "network"),
        ({"registration": "auto"}, "registration"),
        # addresses
        ({"address": "127.0.0.1"}, "address"),
        ({"address": "169.254.1.1"}, "address"),
        ({"instance_address": "vm.example"}, "instance_address"),
        ({"instance_address": "::"}, "instance_address"),
        ({"address": "35.194.38.142", "instance_address": "fd00::7"}, "instance_address"),
        ({"address": "10.128.0.2", "instance_address": "35.194.38.142"}, "address"),
        ({"address": "fd00::7", "instance_address": "2001:db8::7"}, "address"),
        ({"dual_stack": "yes"}, "dual_stack"),
        # probe
        ({"probe": http(path="health")}, "probe.http.path"),
        ({"probe": http(path="/a b")}, "probe.http.path"),
        ({"probe": {"http": {"port": 15021}}}, "probe.http.port"),
        ({"probe": http(scheme="http")}, "probe.http.scheme"),
        ({"probe": http(host="a b")}, "probe.http.host"),
        ({"probe": http(headers={"a b": "c"})}, "probe.http.headers['a b']"),
        ({"probe": http(headers={"a_b": "c"})}, "probe.http.headers['a_b']"),
        ({"probe": http(headers={"": "c"})}, "probe.http.headers['']"),
        ({"probe": http(headers={"A": "b\r\nC: d"})}, "probe.http.headers['A']"),
        ({"probe": http(headers={"A": 1})}, "probe.http.headers['A']"),
        ({"probe": {"tcp": {"port": 9080, "host": "a:b"}}}, "probe.tcp.host"),
        ({"probe": {"tcp": {"port": 9080, "host": "10.0.0.7"}}}, "probe.tcp.host"),
        ({"probe": {"tcp": {"port": 1, "host": "10.0.0.9"}}, "instance_address": "10.0.0.9"}, "probe.tcp.host"),
        ({"probe": {"exec": {"command": ["a", ""]}}}, "probe.exec.command[1]"),
        ({"probe": {"exec": {"command": "true"}}}, "probe.exec.command"),
        ({"probe": {"tcp": {"port": 1}, "timeout_seconds": 2**31}}, "probe.timeout_seconds"),
        ({"probe": {"tcp": {"port": 1}, "initial_delay_seconds": -1}}, "probe.initial_delay_seconds"),
        # capture
        ({"capture": {**NONE, "dns": True}}, "capture.dns"),
        ({"capture": {**NONE, "include_ranges": []}}, "capture.include_ranges"),
        ({"capture": {**NONE, "exclude_ranges": ["10.0.0.0/8"]}}, "capture.exclude_ranges"),
        ({"capture": {**NONE, "exclude_inbound_ports": [1]}}, "capture.exclude_inbound_ports"),
        ({"capture": {**NONE, "include_outbound_ports": [1]}}, "capture.include_outbound_ports"),
        ({"capture": {**NONE, "exclude_outbound_ports": [1]}}, "capture.exclude_outbound_ports"),
        ({"capture": {**NONE, "exclude_interfaces": ["a"]}}, "capture.exclude_interfaces"),
        ({"capture": {**NONE, "virtual_interfaces": ["a"]}}, "capture.virtual_interfaces"),
        ({"capture": {"include_ranges": ["*"]}}, "capture.include_ranges[0]"),
        ({"capture": {"include_ranges": ["10.0.0.0/8", "10.0.0.1/8"]}}, "capture.include_ranges[1]"),
        ({"capture": {"exclude_ranges": ["0.0.0.0/0"]}}, "capture.exclude_ranges[0]"),
        ({"capture": {"exclude_ranges": ["10.0.0.7"]}}, "capture.exclude_ranges[0]"),
        ({"capture": {"include_ranges": ["fd00::7"]}}, "capture.include_ranges[0]"),
        ({"capture": {"exclude_ranges": ["10.0.0.0/8"] * 2}}, "capture.exclude_ranges[1]"),
        (
            {"capture": {"include_ranges": ["10.0.0.0/8"], "exclude_ranges": ["10.0.0.0/8"]}},
            "capture.exclude_ranges[0]",
        ),
        ({"capture": {"exclude_inbound_ports": [8080, 9080]}}, "capture.exclude_inbound_ports[1]"),
        ({"capture": {"exclude_inbound_ports": [0]}}, "capture.exclude_inbound_ports[0]"),
        ({"capture": {"exclude_outbound_ports": [True]}}, "capture.exclude_outbound_ports[0]"),
        (
            {"capture": {"exclude_outbound_ports": [80], "include_outbound_ports": [80]}},
            "capture.exclude_outbound_ports[0]",
        ),
        ({"capture": {"include_outbound_ports": [65536]}}, "capture.include_outbound_ports[0]"),
        ({"capture": {"exclude_interfaces": ["eth0,eth1"]}}, "capture.exclude_interfaces[0]"),
        ({"capture": {"virtual_interfaces": ["a" * 16]}}, "capture.virtual_interfaces[0]"),
        (
            {"capture": {"virtual_interfaces": ["docker0"], "exclude_interfaces": ["docker0"]}},
            "capture.exclude_interfaces[0]",
        ),
        ({"capture": NONE, "probe": http(host="10.0.0.7")}, "probe.http.host"),
        ({"capture": NONE, "probe": {"tcp": {"port": 1, "host": "10.0.0.8"}}}, "probe.tcp.host"),
        # calls
        ({"capture": NONE, "calls": [call("a.b", 80), call("c.b", 1), call("d.b", 80, "TCP")]}, "calls[2].port"),
        ({"capture": NONE, "calls": [call("a.b", 443, "TLS"), call("c.b", 443, "TLS")]}, "calls[1].port"),
        ({"calls": [{"host": "a.b", "port": 80}, {"host": "a.b", "port": 80, "protocol": "TCP"}]}, "calls[1]"),
        ({"capture": NONE, "calls": [call("a.b", 15021)]}, "calls[0].port"),
        ({"capture": NONE, "calls": [call("a.b", 22, "TCP")]}, "calls[0].port"),
        ({"calls": [call("A.b", 80)]}, "calls[0].host"),
        ({"calls": [call("a.5", 80)]}, "calls[0].host"),
        ({"calls": [call(f"{'a' * 64}.b", 80)]}, "calls[0].host"),
        ({"calls": [{"host": "a.b", "port": 80, "protocol": "UDP"}]}, "calls[0].protocol"),
        # listeners
        ({"listeners": [listener(port=http_port(9080, "b"))]}, "listeners[0].port.number"),
        ({"listeners": [listener(port=http_port(80, "http"))]}, "listeners[0].port.name"),
        ({"listeners": [LISTENER, listener(port=http_port(8443, "b"))]}, "listeners[1].port.number"),
        ({"listeners": [listener(port=http_port(15006, "b"))]}, "listeners[0].port.number"),
        ({"listeners": [listener(port=http_port(80, "B"))]}, "listeners[0].port.name"),
        ({"listeners": [listener(default_endpoint="10.0.0.7:80")]}, "listeners[0].default_endpoint"),
        ({"listeners": [listener(default_endpoint=":80")]}, "listeners[0].default_endpoint"),
        ({"listeners": [listener(bind="eth0")]}, "listeners[0].bind"),
        ({"listeners": [listener(bind=80)]}, "listeners[0].bind"),
        (
            {"listeners": [listener(default_endpoint="0.0.0.0:8443")], "capture": NONE},
            "listeners[0].default_endpoint",
        ),
        ({"listeners": [listener(bind="127.0.0.1")], "capture": NONE}, "listeners[0].bind"),
        ({"listeners": [listener(bind="0.0.0.0")], "capture": NONE}, "listeners[0].bind"),
        # hosts
        ({"egress_hosts": ["*"]}, "egress_hosts[0]"),
        ({"egress_hosts": ["./*", "./*"]}, "egress_hosts[1]"),
        ({"egress_hosts": "./*"}, "egress_hosts"),
        ({"outbound": "DENY"}, "outbound"),
        # log
        ({"access_log": {"max_megabytes": 0}}, "access_log.max_megabytes"),
        ({"access_log": {"keep": 0}}, "access_log.keep"),
        ({"access_log": {"provider": ""}}, "access_log.provider"),
        ({"access_log": {"provider": "a b"}}, "access_log.provider"),
        ({"access_log": {"filter": ""}}, "access_log.filter"),
        ({"access_log": {"filter": " "}}, "access_log.filter"),
        ({"access_log": {"filter": "a == (b"}}, "access_log.filter"),
        ({"access_log": {"filter": "a == b)"}}, "access_log.filter"),
        ({"access_log": {"filter": "a == 'b"}}, "access_log.filter"),
        # identity
        ({"identity": {"kind": "FILES"}}, "identity.certificate"),
        ({"identity": {**FILES, "private_key": None}}, "identity.private_key"),
        ({"identity": {**FILES, "private_key": "key.pem"}}, "identity.private_key"),
        ({"identity": {**FILES, "private_key": FILES["certificate"]}}, "identity.private_key"),
        ({"identity": {"kind": "TOKEN", "certificate": "/a"}}, "identity.certificate"),
        ({"identity": {"kind": "GCE", "private_key": "/a"}}, "identity.private_key"),
        ({"identity": {"kind": "GCE"}, "token_seconds": 600}, "token_seconds"),
        ({"identity": FILES, "token_seconds": 600}, "token_seconds"),
        ({"identity": {"kind": "GCE"}, "platform": "azure"}, "identity.kind"),
        ({"identity": {"kind": "GCE"}, "aws": {"security_group_id": "sg-1"}}, "identity.kind"),
        ({"identity": {}}, "identity.kind"),
        # annotations
        ({"annotations": {"a b": "c"}}, "annotations['a b']"),
        ({"annotations": {"a": 1}}, "annotations['a']"),
        (
            {"annotations": {"proxy.istio.io/health-checks-enabled": "false"}},
            "annotations['proxy.istio.io/health-checks-enabled']",
        ),
        ({"annotations": {"istio.io/autoRegistrationGroup": "a"}}, "annotations['istio.io/autoRegistrationGroup']"),
        ({"annotations": {"istio.io/dry-run": "true"}}, "annotations['istio.io/dry-run']"),
        ({"annotations": {"pulumi.com/waitFor": "a"}}, "annotations['pulumi.com/waitFor']"),
        ({"annotations": {"proxy.istio.io/config": "- a"}}, "annotations['proxy.istio.io/config']"),
        ({"annotations": {"proxy.istio.io/config": "a: ["}}, "annotations['proxy.istio.io/config']"),
        (
            {"annotations": {"proxy.istio.io/config": "concurrency: many"}},
            "annotations['proxy.istio.io/config'].concurrency",
        ),
        ({"annotations": {"a": "b" * 262144}}, "annotations"),
        ({"annotations": {f"a{n}": "" for n in range(251)}}, "annotations"),
        # what the API server would refuse
        ({"ports": [http_port(9080, "a" * 63)]}, "ports[0].name"),
        ({"ports": [http_port(9080 + n, f"p{n}") for n in range(129)]}, "ports"),
        ({"labels": {f"l{n}": "v" for n in range(254)}}, "labels"),
        ({"network": "a" * 2049}, "network"),
        ({"locality": "a/b/c/d"}, "locality"),
        ({"service_account": "a" * 254}, "service_account"),
        ({"weight": 2**32}, "weight"),
        ({"token_seconds": 2**32 + 1}, "token_seconds"),
        # what the sidecar has itself
        ({"proxy": proxy(version="1.23.4")}, "proxy.version"),
        ({"ports": [http_port(15021)]}, "ports[0].number"),
        ({"ports": [http_port(22)]}, "ports[0].number"),
    ],
)
def test_an_argument_that_cannot_work_is_named_by_its_path(changes: Mapping[str, Any], path: str) -> None:
    assert failing(**changes).path == path


def test_swapped_addresses_are_told_which_goes_where() -> None:
    """The addresses of Tetrate's guide for virtual machines, and the order in which it gives them."""
    told = str(failing(address="10.128.0.2", instance_address="35.194.38.142"))
    assert "10.128.0.2 is private and `instance_address` 35.194.38.142 is public" in told
    assert "write address: 35.194.38.142 and instance_address: 10.128.0.2" in told


def test_a_pair_is_looked_at_when_both_are_known_and_no_earlier() -> None:
    output = pulumi.Output.from_input("35.194.38.142")
    judge(vm_args(address="10.128.0.2", instance_address=output))
    with pytest.raises(ArgumentError, match="in each other's place"):
        addresses.pair("10.128.0.2", "35.194.38.142")


def test_a_probe_by_grpc_is_refused_with_the_reason_and_a_way_out() -> None:
    told = failing(probe={"grpc": {"port": 9080}})
    assert told.path == "probe.grpc"
    assert "webhook refuses" in told.reason
    assert "probe by tcp" in told.reason


def test_a_probe_without_rules_on_the_machine_is_told_whom_to_ask() -> None:
    assert "write 127.0.0.1" in failing(capture=NONE, probe=http(host="10.0.0.8")).reason


def test_a_long_group_may_have_its_service_named_by_an_output() -> None:
    output: Any = pulumi.Output.from_input("ratings")
    judge(vm_args(registration="AUTO", group=LONG, labels={"app": output}))


@pytest.mark.parametrize("key", ["instance_address", "group", "network", "locality"])
def test_a_string_that_is_not_known_yet_is_not_looked_at(key: str) -> None:
    judge(vm_args(**{key: pulumi.Output.from_input("?"), "registration": "AUTO"}))


def test_a_bind_that_is_not_known_yet_is_not_looked_at() -> None:
    judge(vm_args(listeners=[listener(bind=pulumi.Output.from_input("10.0.0.7"))], capture=NONE))


def test_the_key_that_is_meshvms_own_is_the_one_that_is_told() -> None:
    assert failing(labels={"meshvm": "mine"}).path == "labels['meshvm']"
