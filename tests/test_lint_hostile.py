"""Does lint answer whatever is thrown at it with its own error, and never with a traceback of Python's?"""

import copy
import typing
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshvm.args import MeshExpansionArgs, MeshVmArgs, VmGatewayArgs
from meshvm.errors import ArgumentError
from meshvm.lint import expansion, gateway
from meshvm.lint.shape import check_shape, whole_numbers
from meshvm.testing import ROOT_CERTIFICATE
from tests.judged import judge
from tests.samples import ENDPOINT, HOST_KEY, http_port, ssh, vm_args

PORT = http_port(8443, "https")
PROBE = {"http": {"port": 9080, "host": "10.0.0.7", "path": "/", "scheme": "HTTP", "headers": {"A": "b"}}}
# Every key of every shape is given once, so that each is replaced by something hostile now and then.
VM: dict[str, Any] = {
    **vm_args(),
    "instance_address": "10.0.0.7",
    "dual_stack": True,
    "ssh": {**ssh(), "port": 22, "bastion": {"host": "198.51.100.1", "host_key": HOST_KEY, "port": 22}},
    "registration": "AUTO",
    "group": "ratings",
    "identity": {"kind": "FILES", "certificate": "/a", "private_key": "/b"},
    "annotations": {"proxy.istio.io/config": "concurrency: 2"},
    "probe": PROBE,
    "egress_hosts": ["./*"],
    "capture": {
        "mode": "IPTABLES",
        "include_ranges": ["10.0.0.0/8"],
        "exclude_inbound_ports": [1],
        "virtual_interfaces": ["docker0"],
    },
    "listeners": [{"port": PORT, "bind": "10.0.0.7", "default_endpoint": "127.0.0.1:80"}],
    "access_log": {"provider": "envoy", "filter": "a == b", "keep": 1},
    "network": "vm-net",
    "locality": "eu/a",
    "firewall": {
        "peer_cidrs": ["10.0.0.0/16"],
        "ssh_from": ["10.1.0.0/16"],
        "gateway_ports": [15012],
        "scrape_from": ["10.2.0.0/16"],
        "scrape_ports": [15020],
        "everybody": ["ssh"],
    },
    "aws": {"security_group_id": "sg-1", "peer_cidrs": ["10.3.0.0/16"], "tags": {"a": "b"}, "rules_per_group": 60},
}
EXPANSION: dict[str, Any] = {
    "namespace": "bookinfo",
    "gateway": dict(ENDPOINT),
    "service_accounts": ["ratings"],
    "groups": [
        {
            "name": "ratings",
            "service_account": "a",
            "labels": {"app": "a"},
            "annotations": {"a": "b"},
            "ports": [http_port()],
            "probe": PROBE,
            "network": "n",
            "locality": "eu",
            "weight": 1,
        }
    ],
    "token_subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
    "shared_rules": [
        {
            "name": "fleet",
            "ports": [http_port()],
            "calls": [{"host": "a", "port": 1, "target_port": 2}],
            "network": "n",
            "ssh_port": 22,
            "firewall": {"peer_cidrs": ["10.0.0.0/8"]},
            "gcp": {"network": "n", "target_tag": "t", "peer_tag": "p", "priority": 1},
        }
    ],
    "mesh_config": "{}",
    "root_certificate": ROOT_CERTIFICATE,
    "cluster_id": "a",
    "proxy_version": "1.30.3",
    "network": "n",
    "revision": "a",
}
GATEWAY: dict[str, Any] = {
    "mode": "CREATE",
    "create": {
        "name": "a",
        "revisions": ["a"],
        "min_replicas": 1,
        "max_replicas": 2,
        "service_annotations": {"a": "b"},
        "source_ranges": ["10.0.0.0/8"],
    },
}

ALPHABET = st.characters()  # lone surrogates among them
TEXT = st.text(ALPHABET, max_size=20) | st.sampled_from(
    [
        "",
        "\0",
        "\n",
        "a" * 5000,
        "🦊",
        "\ud800",
        "::1%",
        "0.0.0.0",
        "-----BEGIN",
        "[[[[",
        "{{{{",
        "'",
        '"',
        "//",
        "*",
        "~/*",
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=4) | st.just(object())
HOSTILE = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT | st.integers() | st.none(), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=6,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in `value`, itself left out."""
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in inside for place in [(*here, key), *places(one, (*here, key))]]


def replaced(args: Mapping[str, Any], place: tuple[Any, ...], hostile: Any) -> Any:
    changed = copy.deepcopy(dict(args))
    inside: Any = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = hostile
    return changed


def judge_expansion(args: Any) -> None:
    check_shape(args, MeshExpansionArgs)
    expansion.check_expansion(args)
    for path, value, rule in expansion.leaves(args):
        rule(path, value)


def judge_gateway(args: Any) -> None:
    check_shape(args, VmGatewayArgs)
    gateway.check_gateway(args)
    for path, value, rule in gateway.leaves(args):
        rule(path, value)


def complaint(judged: Callable[[Any], None], args: Any) -> ArgumentError | None:
    """What lint says; whatever else is raised passes through and fails the test."""
    try:
        judged(whole_numbers(args))
    except ArgumentError as error:
        return error
    return None


def answered(judged: Callable[[Any], None], args: Any) -> None:
    error = complaint(judged, args)
    if error:
        assert str(error).splitlines() == [str(error)]
        assert len(error.reason) < 1000


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(places(VM)), hostile=HOSTILE)
def test_no_argument_of_a_machine_breaks_lint(place: tuple[Any, ...], hostile: Any) -> None:
    answered(judge, replaced(VM, place, hostile))


@settings(max_examples=120, deadline=None)
@given(place=st.sampled_from(places(EXPANSION)), hostile=HOSTILE)
@example(place=("mesh_config",), hostile="[" * 1200)
@example(place=("mesh_config",), hostile="a: !!timestamp x")
@example(place=("mesh_config",), hostile="? {a: b}\n: c")
def test_no_argument_of_an_expansion_breaks_lint(place: tuple[Any, ...], hostile: Any) -> None:
    answered(judge_expansion, replaced(EXPANSION, place, hostile))


@settings(max_examples=120, deadline=None)
@given(place=st.sampled_from(places(GATEWAY)), hostile=HOSTILE)
def test_no_argument_of_a_gateway_breaks_lint(place: tuple[Any, ...], hostile: Any) -> None:
    answered(judge_gateway, replaced(GATEWAY, place, hostile))


@settings(max_examples=200, deadline=None)
@given(hostile=HOSTILE, shape=st.sampled_from([judge, judge_expansion, judge_gateway]))
def test_nothing_in_the_place_of_all_arguments_breaks_lint(hostile: Any, shape: Callable[[Any], None]) -> None:
    answered(shape, hostile)


@settings(max_examples=20, deadline=None)
@given(key=TEXT | st.integers() | st.none(), value=HOSTILE)
def test_no_further_key_breaks_lint(key: Any, value: Any) -> None:
    for where in places(VM):
        inside: Any = VM
        for step in where:
            inside = inside[step]
        if isinstance(inside, Mapping):
            answered(judge, replaced(VM, (*where, key), value))


def test_the_arguments_that_are_made_hostile_are_good_ones_themselves() -> None:
    """Else an error in one place would hide the others."""
    judge(typing.cast("MeshVmArgs", {**VM, "registration": "AUTO"}))
    judge_expansion(EXPANSION)
    judge_gateway(GATEWAY)
