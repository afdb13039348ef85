"""Does each rule let through what works, and say of the rest where it stands, what is wrong, and what to write?"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, cast

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshvm.args import MeshExpansionArgs, MeshVmArgs, SshArgs, VmGatewayArgs
from meshvm.errors import ArgumentError, MeshvmError
from meshvm.istio.objects import VM_LABEL
from meshvm.lint import rules
from meshvm.lint import vm as lint
from meshvm.lint.shape import check_shape
from meshvm.outputs import checked
from tests.samples import HOST_KEY, SHA256, http_port, proxy, ssh, vm_args

Rule = Callable[[str, Any], None]
NO_STRING = [None, 1, 1.5, True, ["a"], {"a": "b"}]

# A rule, what it lets through, what it refuses, and a word of the remedy.
RULES: list[tuple[Rule, list[Any], list[Any], str]] = [
    (rules.port, [1, 22, 65535], [0, -1, 65536, "80", 80.5, True, None], "from 1 to 65535"),
    (rules.at_least(600), [600, 10**9], [599, "600", 600.5, True, None], "from 600 up"),
    (
        rules.dns_label,
        ["a", "bookinfo", "a-b", "0", "a" * 63],
        ["", "A", "a_b", "a.b", "-a", "a-", "a" * 64, "a\n", "ä", *NO_STRING],
        "lower case",
    ),
    (
        rules.host,
        ["10.0.0.7", "fd00::7", "details.bookinfo", "EXAMPLE.org", "localhost"],
        [
            "",
            "a b",
            "10.0.0.7:22",
            "[fd00::7]",
            "http://example.org",
            "-a.example",
            "a..b",
            "a" * 254,
            "a\n",
            *NO_STRING,
        ],
        "without a port",
    ),
    (
        rules.ip,
        ["10.0.0.7", "fd00::7"],
        ["", "10.0.0", "10.0.0.7/32", "vm.example", "10.0.0.7\n", *NO_STRING],
        "10.0.0.7",
    ),
    (
        rules.cidr,
        ["10.0.0.0/16", "192.0.2.1/32", "fd00::/8", "192.0.2.1"],
        ["", "10.0.0.1/16", "0.0.0.0/0", "::/0", "all", "10.0.0.0/33", *NO_STRING],
        "write",
    ),
    (
        rules.service,
        ["istio-system/istio-eastwestgateway", "a/b"],
        ["", "a", "a/", "/b", "a/b/c", "A/b", "a.b", *NO_STRING],
        "istio-system/istio-eastwestgateway",
    ),
    (
        rules.label_value,
        ["", "v3", "a.b_c-d", "A" * 63],
        ["a b", "-a", "a-", "A" * 64, "a\n", "ä", *NO_STRING],
        "63 at most",
    ),
    (
        rules.label_key,
        ["app", "app.kubernetes.io/name", "A_b.c", "a" * 63],
        ["", "/a", "a/", "a/b/c", "a b", "-a", "a" * 64, *NO_STRING],
        "prefix.example/name",
    ),
    (
        rules.sha256,
        [SHA256],
        ["", SHA256[1:], SHA256 + "0", SHA256.upper(), SHA256 + "\n", "g" * 64, *NO_STRING],
        "sha256sum",
    ),
    (
        rules.package,
        ["https://packages.example/a.deb", "http://10.0.0.1:80/a.deb?x=1", "/tmp/a.deb"],
        [
            "",
            "a.deb",
            "./a.deb",
            "ftp://a.example/b",
            "https://a.example",
            "https:///a",
            "/tmp/a b",
            "/a\n",
            *NO_STRING,
        ],
        "absolute path",
    ),
    (
        rules.host_key,
        [HOST_KEY, f"{HOST_KEY} root@vm", f"{HOST_KEY}\n", "ecdsa-sha2-nistp256 AAAA"],
        ["", "ssh-rsa AAAA", "AAAA", "ssh-ed25519", f"{HOST_KEY}\n{HOST_KEY}", f"10.0.0.7 {HOST_KEY}", *NO_STRING],
        "/etc/ssh/ssh_host_ed25519_key.pub",
    ),
    (rules.one_line, ["a", "a b"], ["", "a\n", "a\rb", "a\0", *NO_STRING], "write one line"),
]
GOOD = [
    pytest.param(rule, value, id=f"{rule.__qualname__}-{value!r:.30}") for rule, good, _, _ in RULES for value in good
]
BAD = [
    pytest.param(rule, value, word, id=f"{rule.__qualname__}-{value!r:.30}")
    for rule, _, bad, word in RULES
    for value in bad
    if isinstance(value, str) or rule is not rules.host_key
]
# Rules that keep the value to themselves: it may be a key that was put into the wrong place.
SILENT = {rules.host_key, rules.one_line}


@pytest.mark.parametrize(("rule", "value"), GOOD)
def test_a_rule_lets_through_what_works(rule: Rule, value: object) -> None:
    rule("path", value)


@pytest.mark.parametrize(("rule", "value", "word"), BAD)
def test_a_rule_says_where_what_and_what_instead(rule: Rule, value: object, word: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        rule("ports[0].name", value)
    error = caught.value
    assert error.path == "ports[0].name"
    assert str(error) == f"ports[0].name: {error.reason}"
    wrong, _, instead = error.reason.rpartition("; ")
    assert wrong
    if isinstance(value, str):
        assert rule in SILENT or repr(value) in wrong
        assert word in instead or word in wrong


def failing(**changes: Any) -> ArgumentError:
    """The error of the arguments with some of them changed."""
    args = vm_args(**changes)
    with pytest.raises(ArgumentError) as caught:
        judge(args)
    return caught.value


def judge(args: MeshVmArgs) -> None:
    """Every rule over plain values, as MeshVm asks them."""
    check_shape(args, MeshVmArgs)
    lint.check(args, VM_LABEL)
    for path, value, rule in lint.leaves(args):
        checked("MeshVm", path, value, rule) if isinstance(value, pulumi.Output) else rule(path, value)


def complaint(args: MeshVmArgs) -> str:
    """The error of the arguments; empty when they have none."""
    try:
        judge(args)
    except MeshvmError as error:
        return str(error)
    return ""


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


def test_every_message_is_one_sentence() -> None:
    for rule, _, bad, _ in RULES:
        for value in bad:
            with pytest.raises(ArgumentError) as caught:
                rule("path", value)
            assert "\n" not in str(caught.value)
            assert not re.search(r"\.$", str(caught.value))
