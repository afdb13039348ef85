"""Are entries, identities, canonical services and hosts called as Istio calls them?"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.istio.names import (
    ENTRY_NAME_LIMIT,
    called_hosts,
    canonical_name,
    canonical_revision,
    entry_name,
    registered_name,
    spiffe_id,
)

WORD = st.from_regex(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", fullmatch=True)


@given(WORD, st.text(min_size=1, max_size=400), st.ip_addresses().map(str))
def test_an_entrys_name_is_a_name_of_a_kubernetes_object(name: str, machine: str, address: str) -> None:
    found = entry_name(name, machine, address)
    assert len(found) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", found)


def test_another_machine_or_another_address_has_another_entry() -> None:
    names = {
        entry_name("ratings", machine, address) for machine in ("i-1", "i-2") for address in ("10.0.0.7", "10.0.0.8")
    }
    assert len(names) == 4


def test_two_long_machine_ids_have_two_names() -> None:
    """Ids of Azure are paths of several hundred characters that differ at their end."""
    start = "/subscriptions/" + "x" * 300
    one, other = (entry_name("ratings", f"{start}/{end}", "10.0.0.7") for end in ("a", "b"))
    assert one != other


def test_the_name_says_machine_and_address() -> None:
    assert entry_name("ratings", "i-0AB", "10.0.0.7") == "ratings-i-0ab-10-0-0-7"


def test_an_identity_is_made_of_trust_domain_namespace_and_account() -> None:
    assert spiffe_id("mesh.example", "bookinfo", "ratings") == "spiffe://mesh.example/ns/bookinfo/sa/ratings"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "ratings"),
        ({"app": "a"}, "a"),
        ({"app": ""}, ""),
        ({"app": "a", "app.kubernetes.io/name": "b"}, "b"),
        ({"app": "a", "app.kubernetes.io/name": "b", "service.istio.io/canonical-name": "c"}, "c"),
        ({"app": "a", "service.istio.io/canonical-name": ""}, ""),
    ],
)
def test_the_first_label_that_is_present_is_the_canonical_service(labels: dict[str, str], expected: str) -> None:
    assert canonical_name(labels, "ratings") == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "latest"),
        ({"version": "v1"}, "v1"),
        ({"version": ""}, ""),
        ({"version": "v1", "app.kubernetes.io/version": "v2"}, "v2"),
        ({"version": "v1", "app.kubernetes.io/version": "v2", "service.istio.io/canonical-revision": "v3"}, "v3"),
    ],
)
def test_the_first_label_that_is_present_is_the_canonical_revision(labels: dict[str, str], expected: str) -> None:
    assert canonical_revision(labels) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("details", ["shop/details.shop.svc.cluster.local"]),
        ("details.bookinfo", ["bookinfo/details.bookinfo.svc.cluster.local", "*/details.bookinfo"]),
        ("details.bookinfo.svc", ["bookinfo/details.bookinfo.svc.cluster.local"]),
        ("details.bookinfo.svc.cluster.local", ["bookinfo/details.bookinfo.svc.cluster.local"]),
        ("api.example.com", ["*/api.example.com"]),
    ],
)
def test_a_called_host_is_read_as_istio_reads_it(host: str, expected: list[str]) -> None:
    assert called_hosts(host, "shop") == expected


@pytest.mark.parametrize(
    ("group", "address", "network", "expected"),
    [
        ("ratings", "10.0.0.7", "", "ratings-10.0.0.7"),
        ("ratings", "10.0.0.7", "vm-net", "ratings-10.0.0.7-vm-net"),
        ("ratings", "fd00::7", "", "ratings-fd00--7"),
        ("r" * 253, "10.0.0.7", "vm-net", "r" * 237 + "-10.0.0.7-vm-net"),
    ],
)
def test_a_registered_entry_has_the_name_that_istiod_gives_it(
    group: str, address: str, network: str, expected: str
) -> None:
    """Of one that is too long the end stays."""
    name = registered_name(group, address, network)
    assert name == expected
    assert len(name) <= ENTRY_NAME_LIMIT
