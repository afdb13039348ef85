"""Which iptables rules does the stand-in make for an environment? Those of Istio's own program, where it is present."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.base.steps import Steps
from lab.istio.package import package
from lab.istio.real import find_real
from lab.machines.network import Network

pytestmark = pytest.mark.lab

USUAL = {
    "ISTIO_SERVICE_CIDR": "*",
    "ISTIO_INBOUND_PORTS": "*",
    "ISTIO_LOCAL_EXCLUDE_PORTS": "22,15020",
    "PROXY_UID": "1337",
}
VARIANTS = ("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy")
CLEAN, APPLY = ("--cleanup-only",), ()

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "usual": {},
    "some inbound ports": {"ISTIO_INBOUND_PORTS": "9080,9081"},
    "no inbound ports": {"ISTIO_INBOUND_PORTS": ""},
    "ranges": {"ISTIO_SERVICE_CIDR": "10.0.0.0/8,fd01::/16"},
    "a range of the loopback": {"ISTIO_SERVICE_CIDR": "127.1.0.0/16"},
    "an address without a mask": {"ISTIO_SERVICE_CIDR": "10.0.0.1"},
    "nothing outbound": {"ISTIO_SERVICE_CIDR": ""},
    "excluded ranges": {"ISTIO_SERVICE_EXCLUDE_CIDR": "10.5.0.0/16,fd02::/16"},
    "everything excluded": {"ISTIO_SERVICE_EXCLUDE_CIDR": "*"},
    "outbound ports": {"ISTIO_SERVICE_CIDR": "", "ISTIO_OUTBOUND_PORTS": "80,443"},
    "excluded outbound ports": {"ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE": "3306"},
    "excluded interfaces": {"ISTIO_EXCLUDE_INTERFACES": "docker0,br-1"},
    "virtual interfaces": {"KUBE_VIRT_INTERFACES": "docker0"},
    "virtual interfaces and ranges": {"KUBE_VIRT_INTERFACES": "docker0,cni0", "ISTIO_SERVICE_CIDR": "10.0.0.0/8"},
    "both families": {"ISTIO_DUAL_STACK": "true", "ISTIO_SERVICE_CIDR": "10.0.0.0/8,fd01::/16"},
    "names": {"ISTIO_META_DNS_CAPTURE": "true"},
    "names of both families": {"ISTIO_META_DNS_CAPTURE": "true", "ISTIO_DUAL_STACK": "true"},
    "all names": {"REDIRECT_DNS": "true", "CAPTURE_ALL_DNS": "true"},
    "groups": {"ISTIO_OUTBOUND_OWNER_GROUPS": "101,202"},
    "invalid packets": {"INVALID_DROP": "true"},
    "a port of Envoy": {"ENVOY_PORT": "25001", "INBOUND_CAPTURE_PORT": "25006"},
}


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(package(Steps()).deb, tmp_path_factory.mktemp("stand-in"))


def unpacked(deb: Path, folder: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    return folder / "usr/local/bin/pilot-agent"


class Host:
    """A network namespace with an address of each family."""

    def __init__(self, netns: str) -> None:
        self.netns = netns

    def run(self, program: Path, environment: dict[str, str], *words: str) -> int:
        """`istio-iptables` there; its exit code."""
        command = ["ip", "netns", "exec", self.netns, str(program), "istio-iptables", *words]
        given = {"PATH": os.environ["PATH"], **USUAL, **environment}
        return subprocess.run(command, env=given, capture_output=True, check=False).returncode

    def rules(self) -> str:
        """What all variants of iptables have."""
        found = []
        for variant in VARIANTS:
            saved = ["ip", "netns", "exec", self.netns, f"{variant}-save"]
            text = subprocess.run(saved, capture_output=True, text=True, check=False).stdout
            found += [f"== {variant}", *(line for line in text.splitlines() if not line.startswith("#"))]
        return re.sub(r"\[\d+:\d+\]", "", "\n".join(found))


@contextmanager
def host(network: Network, name: str) -> Iterator[Host]:
    try:
        yield Host(network.attach(name).netns.name)
    finally:
        network.detach(name)


@pytest.fixture
def one(network: Network) -> Iterator[Host]:
    with host(network, "rules") as made:
        yield made


def of_chain(rules: str, chain: str) -> list[str]:
    return [line.removeprefix(f"-A {chain} ") for line in rules.splitlines() if line.startswith(f"-A {chain} ")]


def test_a_port_is_excluded_inbound_with_the_star_alone(one: Host, standin: Path) -> None:
    one.run(standin, {"ISTIO_INBOUND_PORTS": "80", "ISTIO_LOCAL_EXCLUDE_PORTS": "80"})
    assert of_chain(one.rules(), "ISTIO_INBOUND") == [
        "-p tcp -m tcp --dport 15008 -j RETURN",
        "-p tcp -m tcp --dport 80 -j ISTIO_IN_REDIRECT",
    ]


def test_ipv6_is_captured_with_dual_stack_alone_although_the_machine_has_an_address(one: Host, standin: Path) -> None:
    one.run(standin, {})
    assert "ISTIO" not in one.rules().partition("== ip6tables-nft")[2]
    one.run(standin, {}, *CLEAN)
    one.run(standin, {"ISTIO_DUAL_STACK": "true"})
    if "fd00:" in subprocess.run(["ip", "-n", one.netns, "a"], capture_output=True, text=True, check=True).stdout:
        assert "ISTIO_OUTPUT" in one.rules().partition("== ip6tables-nft")[2]


def test_a_bridge_is_captured_whole_and_a_clean_up_that_does_not_know_of_it_leaves_it(one: Host, standin: Path) -> None:
    virtual = {"KUBE_VIRT_INTERFACES": "docker0"}
    one.run(standin, virtual, *CLEAN)
    one.run(standin, virtual)
    assert of_chain(one.rules(), "PREROUTING")[0] == "-i docker0 -j ISTIO_REDIRECT"
    one.run(standin, {}, *CLEAN)
    assert "-i docker0 -j ISTIO_REDIRECT" in one.rules()
    one.run(standin, virtual, *CLEAN)
    assert "ISTIO" not in one.rules()


def test_a_range_that_is_none_is_an_error_before_any_rule(one: Host, standin: Path) -> None:
    assert one.run(standin, {"ISTIO_SERVICE_CIDR": "10.0.0.1"}) == 1
    assert "ISTIO" not in one.rules()


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_rules_are_those_of_istios_own_program(
    network: Network, standin: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    real = find_real(Steps(), tmp_path)[0]
    if real is None:
        pytest.skip("neither a real istiod nor a real sidecar package is named")
    seen = []
    for program in (standin, unpacked(real.deb, tmp_path / "real")):
        with host(network, "rules") as made:
            codes = [made.run(program, environment, *words) for words in (CLEAN, APPLY, APPLY)]
            put = made.rules()
            codes.append(made.run(program, environment, *CLEAN))
            seen.append((codes, put, made.rules()))
    assert seen[0] == seen[1]
