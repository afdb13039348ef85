"""Are the arguments of MeshExpansion and VmGateway judged before anything is asked of a cluster?"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pulumi
import pytest

from meshvm.args import MeshExpansionArgs, VmGatewayArgs
from meshvm.errors import ArgumentError
from meshvm.lint import expansion, gateway
from meshvm.lint.shape import check_shape
from meshvm.testing import ROOT_CERTIFICATE
from tests.samples import ENDPOINT, http_port

GROUP = {"name": "ratings", "service_account": "bookinfo-ratings"}
SUBJECT = {"kind": "User", "name": "ci"}
ROBOT = {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}
WITH_ACCOUNT = {"service_accounts": ["ratings"]}
LONG = "a" * 64


def judged(args: Mapping[str, Any], leaves: Callable[[Mapping[str, Any]], Iterator[tuple[str, Any, Any]]]) -> None:
    for path, value, rule in leaves(args):
        if not isinstance(value, pulumi.Output):
            rule(path, value)


def judge_expansion(**changes: Any) -> None:
    args = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), **changes}
    check_shape(args, MeshExpansionArgs)
    expansion.check_expansion(args)
    judged(args, expansion.leaves)


def judge_gateway(**args: Any) -> None:
    check_shape(args, VmGatewayArgs)
    gateway.check_gateway(args)
    judged(args, gateway.leaves)


def group(**changes: Any) -> dict[str, Any]:
    return {"groups": [{**GROUP, **changes}]}


def create(**changes: Any) -> dict[str, Any]:
    return {"mode": "CREATE", "create": changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"service_accounts": ["ratings", "a.b"], "create_namespace": True, "network": "net-1"},
        {"istio_namespace": "istio-system", "revision": "1-30-3"},
        {"mesh_config": "trustDomain: cluster.local", "root_certificate": ROOT_CERTIFICATE},
        {"cluster_id": "", "proxy_version": "1.30.3"},
        {"groups": [GROUP, {**GROUP, "name": "reviews.v2"}]},
        group(labels={"app": "ratings", "version": ""}, annotations={"proxy.istio.io/config": "{}"}),
        group(ports=[http_port()], probe={"http": {"port": 9080}}, network="vm-net", locality="eu/a", weight=0),
        group(name=LONG, labels={"app": "ratings"}),
        {**WITH_ACCOUNT, "token_subjects": [SUBJECT, ROBOT, {**ROBOT, "namespace": "cd"}]},
        {**group(), "token_subjects": [{"kind": "Group", "name": "platform team"}]},
        {**WITH_ACCOUNT, "token_subjects": [{"kind": "ServiceAccount", "name": "runner"}]},
    ],
)
def test_arguments_of_an_expansion_that_work_are_let_through(changes: Mapping[str, Any]) -> None:
    judge_expansion(**changes)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"namespace": "Bookinfo"}, "namespace"),
        ({"istio_namespace": "istio.system"}, "istio_namespace"),
        ({"network": ""}, "network"),
        ({"network": "a b"}, "network"),
        ({"revision": "1.30"}, "revision"),
        ({"service_accounts": ["Ratings"]}, "service_accounts[0]"),
        ({"service_accounts": ["a", "a"]}, "service_accounts[1]"),
        ({"service_accounts": "ratings"}, "service_accounts"),
        ({"create_namespace": 1}, "create_namespace"),
        ({"mesh_config": "- a"}, "mesh_config"),
        ({"root_certificate": "MIIB"}, "root_certificate"),
        ({"cluster_id": "a\n"}, "cluster_id"),
        ({"proxy_version": "1.30.3 "}, "proxy_version"),
        ({"groups": [GROUP, GROUP]}, "groups[1].name"),
        (group(name="Ratings"), "groups[0].name"),
        (group(name=LONG), "groups[0].name"),
        (group(name=None), "groups[0].name"),
        (group(service_account="a b"), "groups[0].service_account"),
        (group(labels={"a b": "c"}), "groups[0].labels['a b']"),
        (group(labels={"a": "b c"}), "groups[0].labels['a']"),
        (group(labels={"a": 1}), "groups[0].labels['a']"),
        (group(labels={"meshvm": "a"}), "groups[0].labels['meshvm']"),
        (group(annotations={"istio.io/a": "b"}), "groups[0].annotations['istio.io/a']"),
        (group(annotations={"proxy.istio.io/config": "a"}), "groups[0].annotations['proxy.istio.io/config']"),
        (group(ports=[http_port(0)]), "groups[0].ports[0].number"),
        (group(ports=[http_port(), http_port()]), "groups[0].ports[1].name"),
        (group(probe={"tcp": {"port": 1}}), "groups[0].probe"),
        (group(ports=[http_port()], probe={"grpc": {"port": 1}}), "groups[0].probe.grpc"),
        (group(ports=[http_port()], probe={"exec": {"command": []}}), "groups[0].probe.exec.command"),
        (group(network="VM"), "groups[0].network"),
        (group(locality="/"), "groups[0].locality"),
        (group(weight=-1), "groups[0].weight"),
        ({"token_subjects": [SUBJECT]}, "token_subjects"),
        ({**WITH_ACCOUNT, "token_subjects": [{**SUBJECT, "kind": "user"}]}, "token_subjects[0].kind"),
        ({**WITH_ACCOUNT, "token_subjects": [{**SUBJECT, "name": ""}]}, "token_subjects[0].name"),
        ({**WITH_ACCOUNT, "token_subjects": [{**SUBJECT, "namespace": "a"}]}, "token_subjects[0].namespace"),
        ({**WITH_ACCOUNT, "token_subjects": [{**ROBOT, "namespace": "A"}]}, "token_subjects[0].namespace"),
        ({**WITH_ACCOUNT, "token_subjects": [{**ROBOT, "name": "a b"}]}, "token_subjects[0].name"),
        (
            {**WITH_ACCOUNT, "token_subjects": [{"kind": "Group", "name": "system:authenticated"}]},
            "token_subjects[0].name",
        ),
        ({**WITH_ACCOUNT, "token_subjects": [SUBJECT, SUBJECT]}, "token_subjects[1]"),
    ],
)
def test_an_argument_of_an_expansion_that_cannot_work_is_named_by_its_path(
    changes: Mapping[str, Any], path: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        judge_expansion(**changes)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "args",
    [
        {"mode": "EXISTING", "service": "istio-system/istiod"},
        {"mode": "EXISTING", "host": "gateway.example.com"},
        {"mode": "EXISTING", "address": "192.0.2.10"},
        {"mode": "CREATE"},
        create(),
        create(namespace="gateways", name="vm-gateway", istio_namespace="istio-system", network="net-1"),
        create(revisions=["default", "1-30-3"], min_replicas=1, max_replicas=1),
        create(min_replicas=5),
        create(max_replicas=2),
        create(service_annotations={"a.example/b": pulumi.Output.from_input(1), "c": ""}),
        create(source_ranges=["10.0.0.0/8", "0.0.0.0/0", "fd00::/8"]),
    ],
)
def test_arguments_of_a_gateway_that_work_are_let_through(args: Mapping[str, Any]) -> None:
    judge_gateway(**args)


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"mode": "EXISTING"}, "service, host, address"),
        ({"mode": "EXISTING", "host": "a", "address": "192.0.2.10"}, "service, host, address"),
        ({"mode": "EXISTING", "host": "a", "create": {}}, "create"),
        ({"mode": "EXISTING", "service": "istiod"}, "service"),
        ({"mode": "EXISTING", "host": "a b"}, "host"),
        ({"mode": "EXISTING", "address": "127.0.0.1"}, "address"),
        ({"mode": "existing", "host": "a"}, "mode"),
        ({"mode": "CREATE", "service": "a/b"}, "service"),
        ({"mode": "CREATE", "host": "a"}, "host"),
        ({"mode": "CREATE", "address": "192.0.2.10"}, "address"),
        (create(namespace="A"), "create.namespace"),
        (create(name="1-gateway"), "create.name"),
        (create(istio_namespace="a.b"), "create.istio_namespace"),
        (create(network=""), "create.network"),
        (create(revisions=[]), "create.revisions"),
        (create(revisions=["a", "1.30"]), "create.revisions[1]"),
        (create(revisions=["a", "a"]), "create.revisions[1]"),
        (create(min_replicas=0), "create.min_replicas"),
        (create(min_replicas=6), "create.max_replicas"),
        (create(max_replicas=1), "create.max_replicas"),
        (create(min_replicas=3, max_replicas=2), "create.max_replicas"),
        (create(max_replicas=2**31), "create.max_replicas"),
        (create(service_annotations={"a b": "c"}), "create.service_annotations['a b']"),
        (create(service_annotations={"a": 1}), "create.service_annotations['a']"),
        (create(service_annotations={"a": "b" * 262144}), "create.service_annotations"),
        (create(source_ranges=["10.0.0.7"]), "create.source_ranges[0]"),
        (create(source_ranges=["10.0.0.0/8", "10.0.0.0/8"]), "create.source_ranges[1]"),
        (create(sourceranges=[]), "create.sourceranges"),
    ],
)
def test_an_argument_of_a_gateway_that_cannot_work_is_named_by_its_path(args: Mapping[str, Any], path: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        judge_gateway(**args)
    assert caught.value.path == path


def test_what_a_default_has_to_do_with_too_few_replicas_is_told() -> None:
    for changes, told in (
        ({"min_replicas": 6}, "it is 5 when it is left out"),
        ({"max_replicas": 1}, "which `create.min_replicas` is when it is left out"),
    ):
        with pytest.raises(ArgumentError, match=told):
            judge_gateway(**create(**changes))


@pytest.mark.parametrize("key", ["mesh_config", "root_certificate", "cluster_id", "proxy_version", "namespace"])
def test_a_fact_of_an_expansion_may_be_an_output(key: str) -> None:
    output: Any = pulumi.Output.from_input("?")
    judge_expansion(**{key: output})
    assert key in {path for path, _, _ in expansion.leaves({"namespace": "a", key: output})}


def test_a_private_key_among_the_certificates_is_in_no_error() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ArgumentError) as caught:
        judge_expansion(root_certificate=ROOT_CERTIFICATE + key)
    assert "c2VjcmV0" not in str(caught.value)
    assert "private key" in str(caught.value)
