"""Does a machine find istiod by what `meshvm entry configure` writes, whatever the gateway is known by?"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshvm.errors import ClusterError
from meshvm.testing import FakeCluster
from tests.cli.conftest import Configure


def addresses_of(*addresses: str) -> Callable[..., list[Any]]:
    def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        assert host == "lb.example.org"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def test_a_gateway_with_a_host_name_has_all_its_addresses_in_hosts(
    fake: FakeCluster, configure: Configure, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Istioctl leaves the file empty."""
    fake.addresses = [("host", "lb.example.org")]
    monkeypatch.setattr(socket, "getaddrinfo", addresses_of("192.0.2.1", "192.0.2.2", "192.0.2.1"))
    result = configure()
    assert (out / "hosts").read_text() == "192.0.2.1 istiod.istio-system.svc\n192.0.2.2 istiod.istio-system.svc\n"
    assert "lb.example.org" in result.stderr


def test_a_host_name_that_does_not_resolve_is_an_error(
    fake: FakeCluster, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    result = configure("--ingressIP", "lb.example.org")
    assert result.exit_code == 1
    assert "'lb.example.org' does not resolve" in result.stderr
    assert fake.tokens == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"addresses": []}, "has no address yet"),
        (
            {"errors": {"gateway": ClusterError("the Service a/b is not in the cluster", missing=True)}},
            "not in the cluster",
        ),
    ],
)
def test_a_gateway_without_an_address_leaves_hosts_empty_and_says_so(
    fake: FakeCluster, configure: Configure, out: Path, change: dict[str, Any], said: str
) -> None:
    vars(fake).update(change)
    result = configure()
    assert result.exit_code == 0
    assert (out / "hosts").read_bytes() == b""
    assert said in result.stderr


def test_a_service_that_does_not_lead_to_istiod_is_told(fake: FakeCluster, configure: Configure) -> None:
    fake.ports = [15443]
    assert "15012" in configure().stderr


@pytest.mark.parametrize(("service", "asked"), [("gw", ("istio-system", "gw")), ("gw.mesh", ("mesh", "gw"))])
def test_the_ingress_service_may_name_its_namespace(
    fake: FakeCluster, configure: Configure, monkeypatch: pytest.MonkeyPatch, service: str, asked: tuple[str, str]
) -> None:
    seen: list[tuple[str, ...]] = []

    def gateway(*names: str) -> tuple[list[tuple[str, str]], list[int]]:
        seen.append(names)
        return [("ip", "192.0.2.1")], [15012]

    monkeypatch.setattr(fake, "gateway", gateway)
    configure("--ingressService", service)
    assert seen == [asked]
