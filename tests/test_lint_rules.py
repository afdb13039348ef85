"""Does each rule let through what works, and say of the rest where it stands, what is wrong, and what to write?"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from meshvm.errors import ArgumentError
from meshvm.lint import addresses, rules, text, traffic, workload
from meshvm.lint.expansion import network_label, revision
from meshvm.lint.gateway import service_name
from meshvm.testing import ROOT_CERTIFICATE
from tests.samples import HOST_KEY, SHA256

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
        rules.name,
        ["a", "details.bookinfo", "EXAMPLE.org"],
        ["", "10.0.0.7", "fd00::7", "a b", "a..b", "a:80", "*.a", "a" * 254, *NO_STRING],
        "details.bookinfo",
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
        ["", "/a", "a/", "a/b/c", "a b", "-a", "a" * 64, "a..b/c", "A.b/c", f"{'a' * 254}/c", *NO_STRING],
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
    (rules.within(1, 9), [1, 9], [0, 10, "1", 1.5, True, None], "write one in between"),
    (rules.subdomain, ["a", "a.b-c", "a" * 253], ["", "A", "a..b", "-a", "a.", "a" * 254, "a_b", *NO_STRING], "253"),
    (rules.port_name, ["http", "a-1", "a" * 62], ["", "Http", "a" * 63, "a_b", "-a", "a\n", *NO_STRING], "62 at most"),
    (rules.network, ["vm-net", "N_1", "a" * 2048], ["", "a b", "a\n", "a" * 2049, *NO_STRING], "vm-net"),
    (
        rules.locality,
        ["eu", "eu/a", "eu/a/1", "eu-west-1/eu-west-1a/rack-7"],
        ["", "/", "eu/", "/a", "eu//1", "eu/a/1/x", "eu/a b", "eu/*", "eu\n", "a" * 2049, *NO_STRING],
        "region/zone",
    ),
    (
        rules.absolute_path,
        ["/a", "/etc/certs/key.pem", "/a b"],
        ["", "a", "./a", "/", "/a/", "//a", "/a\n", "~/a", *NO_STRING],
        "/etc/certs/key.pem",
    ),
    (
        rules.version,
        ["1.30", "1.30.3", "1.31.0-rc.0", "1.30.3-tetrate-v0", "v1.30.3", "our-build"],
        ["", "-1.30", "1.30.3 ", "1.30.3\n", "a" * 129, *NO_STRING],
        "1.30.3",
    ),
    (
        addresses.reachable,
        ["10.0.0.7", "35.194.38.142", "fd00::7", "2001:db8::1", "240.0.0.1"],
        [
            "",
            "vm.example",
            "10.0.0.7:22",
            "10.0.0.7/32",
            "127.0.0.1",
            "::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "169.254.169.254",
            "fe80::1",
            "fe80::1%eth0",
            "fd00::7%eth0",
            "::ffff:10.0.0.7",
            "::ffff:127.0.0.1",
            *NO_STRING,
        ],
        "10.0.0.7",
    ),
    (addresses.bind, ["127.0.0.1", "0.0.0.0", "::", "10.0.0.7"], ["", "eth0", "fe80::1%eth0", *NO_STRING], "127.0.0.1"),
    (
        addresses.default_endpoint,
        ["127.0.0.1:8080", "[::1]:1", "0.0.0.0:65535", "[::]:80", "unix:///run/a.sock", "unix://@a"],
        [
            "",
            ":80",
            "127.0.0.1",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:http",
            "127.0.0.2:80",
            "10.0.0.7:80",
            "::1:80",
            "localhost:80",
            "unix://a",
            "unix:///a/",
            "unix://",
            "unix:///",
            "127.0.0.1:80\n",
            *NO_STRING,
        ],
        "unix:///PATH",
    ),
    (
        rules.network_range,
        ["10.0.0.0/8", "0.0.0.0/0", "10.0.0.7", "fd00::/8"],
        ["", "*", "10.0.0.7/8", "10.0.0.0/33", "a", "fe80::%eth0/64", *NO_STRING],
        "write",
    ),
    (
        addresses.masked_range,
        ["10.0.0.0/8", "0.0.0.0/0", "10.0.0.7/32", "::/0"],
        ["", "10.0.0.7", "fd00::7", "10.0.0.7/8", "any", *NO_STRING],
        "write",
    ),
    (
        addresses.interface,
        ["docker0", "br-0123456789ab", "eth0.100", "wg0"],
        ["", ".", "..", "a" * 16, "a b", "a,b", "a/b", "a:b", "br-+", "a\n", *NO_STRING],
        "docker0",
    ),
    (
        traffic.egress_host,
        ["./*", "*/*", "~/*", "bookinfo/details.bookinfo.svc.cluster.local", "*/api.example.com", "./*.example.com"],
        [
            "",
            "*",
            "details.bookinfo",
            "/a.b",
            "./",
            "a_b/*",
            "-a/*",
            "./details",
            "./*-a.b",
            "./a*.b",
            "./*.*",
            "./a..b",
            "./10.0.0.7",
            "./a.b/c",
            f"./{'a.' * 128}b",
            "./a.b\n",
            *NO_STRING,
        ],
        "write",
    ),
    (
        text.yaml_map,
        ["{}", "a: 1", "a: {b: [1]}", "# nothing but this\n{}"],
        ["", "a", "- a", "1: a", "a: [", "a: b: c", "\ta: 1", "a: !!int x", *NO_STRING],
        "`key: value`",
    ),
    (
        text.proxy_config,
        ["", "{}", "concurrency: 2", "proxyMetadata: {A: b}", "# nothing"],
        ["a", "- a", "concurrency: [", "1: a", *NO_STRING],
        "",
    ),
    (
        text.certificates,
        [ROOT_CERTIFICATE, ROOT_CERTIFICATE * 2, f"# root\n{ROOT_CERTIFICATE}"],
        [
            "",
            "MIIB",
            "/etc/certs/root-cert.pem",
            ROOT_CERTIFICATE.replace("END", "FIN"),
            ROOT_CERTIFICATE.replace("Zm9y", "Zm9"),
            ROOT_CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"),
            ROOT_CERTIFICATE + ROOT_CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY"),
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
            *NO_STRING,
        ],
        "the",
    ),
    (text.flat, ["", "Kubernetes", "a b"], ["a\n", "a\rb", "\0", *NO_STRING], "write one line"),
    (network_label, ["net-1", "N_1"], ["", "a b", "a" * 64, *NO_STRING], "write"),
    (revision, ["default", "1-30-3", "a" * 56], ["", "1.30", "A", "a" * 57, *NO_STRING], "write"),
    (
        service_name,
        ["a", "istio-eastwestgateway"],
        ["", "1a", "a.b", "A", "a" * 64, "a-", *NO_STRING],
        "a letter first",
    ),
    (
        workload.check_group_network,
        ["vm-net", "vm.net", "1"],
        ["", "VM", "vm_net", "-a", "a-", "a b", "a" * 201, *NO_STRING],
        "write",
    ),
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
SILENT = {rules.host_key, rules.one_line, text.yaml_map, text.proxy_config, text.certificates, text.flat, network_label}


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
        assert (
            rule in SILENT
            or rules.shown(value) in wrong
            or any(rules.shown(part) in wrong for part in value.split("/", 1))
        )
        assert word in instead or word in wrong


def test_every_message_is_one_sentence() -> None:
    for rule, _, bad, _ in RULES:
        for value in bad:
            with pytest.raises(ArgumentError) as caught:
                rule("path", value)
            assert "\n" not in str(caught.value)
            assert not re.search(r"\.$", str(caught.value))


def test_a_host_key_of_rsa_is_told_why_it_cannot_be_pinned() -> None:
    with pytest.raises(ArgumentError, match="SHA-1"):
        rules.host_key("ssh.host_key", "ssh-rsa AAAA")
