"""Are the arguments of a MeshVm judged whole: every key, every string, and no secret in what is said?"""

from collections.abc import Mapping
from typing import Any, TypedDict, cast

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshvm.args import MeshExpansionArgs, MeshVmArgs, SshArgs, VmGatewayArgs
from meshvm.errors import ArgumentError
from meshvm.istio.objects import VM_LABEL
from meshvm.lint import vm as lint
from meshvm.lint.shape import check_shape
from tests.judged import complaint, failing, judge
from tests.samples import HOST_KEY, http_port, proxy, ssh, vm_args

BASTION = {"host": "198.51.100.1", "host_key": HOST_KEY}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ports": None, "calls": None, "labels": None},
        {"ports": [http_port(), http_port(9090, "admin")]},
        {"ssh": ssh(host_key=None, insecure_ignore_host_key=True)},
        {"ssh": ssh(bastion=BASTION, port=2222, dial_attempts=3)},
        {"probe": {"http": {"port": 9080, "path": "/health", "scheme": "HTTPS", "headers": {"A": "b"}}}},
        {"probe": {"tcp": {"port": 9080}, "period_seconds": 2, "initial_delay_seconds": 0}},
        {"probe": {"exec": {"command": ["true"]}}},
        {"drain_seconds": 0, "healthy_seconds": 1, "token_seconds": 600, "weight": 0},
        {"locality": "eu/a/1", "network": "vm-net", "rejoin": "2", "platform": "gcp"},
        {"aws": {"security_group_id": "sg-1", "peer_cidrs": ["10.0.0.0/16"], "ssh_from": [], "gateway_cidrs": []}},
        {"address": "fd00::7"},
    ],
)
def test_arguments_that_work_are_let_through(changes: Mapping[str, Any]) -> None:
    judge(vm_args(**changes))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"machine_id": ""}, "machine_id"),
        ({"machine_id": "a\nb"}, "machine_id"),
        ({"address": "vm.example"}, "address"),
        ({"service_account": "Ratings"}, "service_account"),
        ({"labels": {"a b": "c"}}, "labels['a b']"),
        ({"labels": {"app": "a b"}}, "labels['app']"),
        ({"labels": {"meshvm": "mine"}}, "labels['meshvm']"),
        ({"ports": [http_port(), http_port(9090)]}, "ports[1].name"),
        ({"ports": [http_port(), http_port(9080, "b")]}, "ports[1].number"),
        ({"ports": [http_port(0)]}, "ports[0].number"),
        ({"ports": [http_port(80, "Web")]}, "ports[0].name"),
        ({"calls": [{"host": "a b", "port": 80}]}, "calls[0].host"),
        ({"calls": [{"host": "a", "port": 0}]}, "calls[0].port"),
        ({"probe": {}}, "probe"),
        ({"probe": {"tcp": {"port": 1}, "http": {"port": 1}}}, "probe"),
        ({"probe": {"tcp": {"port": 0}}}, "probe.tcp.port"),
        ({"probe": {"exec": {"command": []}}}, "probe.exec.command"),
        ({"probe": {"tcp": {"port": 1}, "period_seconds": 0}}, "probe.period_seconds"),
        ({"probe": {"tcp": {"port": 1}}, "ports": None}, "probe"),
        ({"ssh": ssh(host_key=None)}, "ssh.host_key"),
        ({"ssh": ssh(host_key=None, insecure_ignore_host_key=False)}, "ssh.host_key"),
        ({"ssh": ssh(port=0)}, "ssh.port"),
        ({"ssh": ssh(host="a b")}, "ssh.host"),
        ({"ssh": ssh(user="a\nb")}, "ssh.user"),
        ({"ssh": ssh(host_key="ssh-rsa AAAA")}, "ssh.host_key"),
        ({"ssh": ssh(bastion={"host": "198.51.100.1"})}, "ssh.bastion.host_key"),
        ({"ssh": ssh(bastion={**BASTION, "host": "a b"})}, "ssh.bastion.host"),
        ({"ssh": ssh(bastion={**BASTION, "port": 0})}, "ssh.bastion.port"),
        ({"proxy": proxy(package="a.deb")}, "proxy.package"),
        ({"proxy": proxy(sha256="0")}, "proxy.sha256"),
        ({"proxy": proxy(version="")}, "proxy.version"),
        ({"drain_seconds": -1}, "drain_seconds"),
        ({"healthy_seconds": 0}, "healthy_seconds"),
        ({"token_seconds": 599}, "token_seconds"),
        ({"weight": -1}, "weight"),
        ({"network": ""}, "network"),
        ({"locality": "a\nb"}, "locality"),
        ({"rejoin": ""}, "rejoin"),
        ({"aws": {"security_group_id": "sg-1", "ssh_from": ["0.0.0.0/0"]}}, "aws.ssh_from[0]"),
        ({"aws": {"security_group_id": "sg-1", "peer_cidrs": ["10.0.0.0/8", "x"]}}, "aws.peer_cidrs[1]"),
        ({"aws": {"security_group_id": "sg-1", "gateway_cidrs": ["::/0"]}}, "aws.gateway_cidrs[0]"),
        ({"aws": {"security_group_id": "sg-1", "ssh_from": ["10.0.0.0/8"] * 2}}, "aws.ssh_from[1]"),
        ({"labels": ["app"]}, "labels"),
        ({"labels": {1: "app"}}, "labels"),
        ({"annotations": "a: b"}, "annotations"),
    ],
)
def test_an_argument_that_cannot_work_is_named_by_its_path(changes: Mapping[str, Any], path: str) -> None:
    assert failing(**changes).path == path


@pytest.mark.parametrize(
    ("changes", "path", "instead"),
    [
        ({"adress": "10.0.0.7"}, "adress", "did you mean address?"),
        ({"ssh": ssh(hostkey=HOST_KEY)}, "ssh.hostkey", "did you mean host_key?"),
        ({"ssh": ssh(bastion={**BASTION, "prot": 1})}, "ssh.bastion.prot", "did you mean port?"),
        ({"ports": [{**http_port(), "nmber": 1}]}, "ports[0].nmber", "did you mean number?"),
        ({"probe": {"http": {"port": 80, "pth": "/"}}}, "probe.http.pth", "did you mean path?"),
        ({"proxy": proxy(xyzzy="1")}, "proxy.xyzzy", "known are package, runtime, sha256, version"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    changes: Mapping[str, Any], path: str, instead: str
) -> None:
    error = failing(**changes)
    assert error.path == path
    assert instead in str(error)


@pytest.mark.parametrize(
    "key",
    ["address", "machine_id", "mesh", "proxy", "service_account", "ssh", "proxy.package", "proxy.sha256", "ssh.host"],
)
def test_what_is_required_is_asked_for(key: str) -> None:
    part, _, inner = key.partition(".")
    changes = {part: {"ssh": ssh, "proxy": proxy}[part](**{inner: None})} if inner else {part: None}
    error = failing(**changes)
    assert (error.path, "it is required" in str(error)) == (key, True)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"ssh": "root@vm"}, "ssh"),
        ({"ports": http_port()}, "ports"),
        ({"ports": ["http"]}, "ports[0]"),
        ({"aws": {"security_group_id": "sg-1", "ssh_from": "10.0.0.0/8"}}, "aws.ssh_from"),
    ],
)
def test_a_map_or_a_list_in_the_place_of_another_is_refused(changes: Mapping[str, Any], path: str) -> None:
    assert failing(**changes).path == path


@pytest.mark.parametrize("shape", [MeshVmArgs, MeshExpansionArgs, VmGatewayArgs, SshArgs])
@pytest.mark.parametrize("value", [None, "text", 1, ["list"]])
def test_arguments_that_are_no_map_are_refused(shape: type, value: object) -> None:
    with pytest.raises(ArgumentError, match="is not a map"):
        check_shape(value, shape)


def test_a_key_of_none_counts_as_not_given() -> None:
    class Shape(TypedDict, total=False):
        nested: SshArgs

    check_shape({"nested": None}, Shape)


@pytest.mark.parametrize("known", [True, False])
def test_outputs_are_not_looked_at_before_they_are_known(known: bool) -> None:
    """No rule runs over them, nor over what is in a list or a map of them."""
    output: Any = (
        pulumi.Output.from_input("anything") if known else pulumi.Output.from_input(cast("str", pulumi.UNKNOWN))
    )
    strings = dict.fromkeys(("machine_id", "address", "service_account", "network", "locality", "rejoin"), output)
    changes: dict[str, Any] = {**strings, "mesh": output, "labels": {"app": output}}
    changes["ssh"] = ssh(host=output, user=output, host_key=output, private_key=output)
    changes["proxy"] = proxy(package=output, sha256=output, version=output)
    args = vm_args(**changes)
    check_shape(args, MeshVmArgs)
    lint.check(args, VM_LABEL)


def test_every_string_that_may_be_an_output_has_its_rule() -> None:
    changes: dict[str, Any] = {
        "network": "n",
        "locality": "l",
        "rejoin": "2",
        "ssh": ssh(bastion={**BASTION, "user": "u"}),
    }
    paths = {path for path, _, _ in lint.leaves(vm_args(**changes, proxy=proxy(version="1")))}
    assert paths == {
        "machine_id",
        "address",
        "service_account",
        "proxy.package",
        "proxy.sha256",
        "proxy.version",
        "labels['app']",
        "labels['version']",
        "ssh.host",
        "ssh.user",
        "ssh.host_key",
        "ssh.bastion.host",
        "ssh.bastion.user",
        "ssh.bastion.host_key",
        "network",
        "locality",
        "rejoin",
    }


WRONG = st.sampled_from([None, "", "a b", 0, -1, True, "x\n", ["x"], {"x": "y"}, 1.5])
SECRETS = st.text(st.characters(categories=("L", "N")), min_size=12, max_size=40).map("SECRET{}".format)


@settings(max_examples=300, deadline=None)
@given(
    secret=SECRETS,
    where=st.sampled_from(["password", "private_key", "private_key_password"]),
    login=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["host", "port", "user", "host_key", "bastion", "hst"], WRONG)
    ),
    rest=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["address", "ports", "labels", "probe", "proxy", "addres"], WRONG)
    ),
)
def test_a_secret_is_in_no_error(secret: str, where: str, login: dict[str, Any], rest: dict[str, Any]) -> None:
    """Whatever else is wrong beside it."""
    both = {**login, where: secret}
    args = vm_args(ssh={**ssh(), **both, "bastion": {**BASTION, **both}}, **rest)
    assert secret not in complaint(args)


@given(secret=SECRETS, where=st.sampled_from(["host_key", "user"]))
def test_a_private_key_in_the_wrong_place_is_in_no_error(secret: str, where: str) -> None:
    key = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{secret}\n-----END OPENSSH PRIVATE KEY-----\n"
    assert secret not in str(failing(ssh=ssh(**{where: key})))
