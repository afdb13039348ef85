"""Where does a sidecar listen that no iptables rule sends anything to, and do names lead there?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshvm.args import Protocol
from meshvm.istio.listeners import (
    CALLS_ADDRESS,
    bound_ports,
    captured_ingress,
    crowded_ports,
    egress,
    host_aliases,
    ingress,
    proxy_port,
    without_covered,
)
from tests.samples import http_port

ADDRESS = "10.0.0.7"

names = st.sampled_from(["a", "b", "c", "a.shop", "b.other", "c.other.svc", "api.example.com", "example.com"])
calls = st.lists(
    st.fixed_dictionaries(
        {"host": names, "port": st.integers(15078, 15083)},
        optional={"protocol": st.sampled_from([protocol.value for protocol in Protocol])},
    ),
    max_size=8,
)


def call(host: str, port: int = 9080, protocol: str | None = None) -> dict[str, Any]:
    return {"host": host, "port": port, **({"protocol": protocol} if protocol else {})}


def listener(number: int, **changes: Any) -> dict[str, Any]:
    return {"port": {"name": "admin", "number": number, "protocol": Protocol.TCP}, **changes}


def outbound(*made: dict[str, Any], namespace: str = "shop") -> list[dict[str, Any]]:
    """The listeners of these calls, without the proxy."""
    return egress(made, namespace, "istio-system")[:-1]


def lines(*hosts: str, namespace: str = "shop") -> list[str]:
    return host_aliases([call(host) for host in hosts], namespace)


class TestInbound:
    def test_each_declared_port_is_on_the_machines_address_and_leads_to_the_application(self) -> None:
        assert ingress([http_port(9080)], ADDRESS) == [
            {
                "port": {"number": 9080, "protocol": "HTTP", "name": "http"},
                "bind": "10.0.0.7",
                "captureMode": "NONE",
                "defaultEndpoint": "127.0.0.1:9080",
            }
        ]

    def test_a_further_listener_may_be_elsewhere_and_lead_elsewhere(self) -> None:
        further = [
            listener(9443, bind="10.0.0.8", default_endpoint="unix:///run/app.sock"),
            listener(9444, default_endpoint="[::1]:8444"),
            listener(9445),
        ]
        made = ingress([], ADDRESS, further)
        assert [(one["port"]["number"], one["bind"], one["defaultEndpoint"]) for one in made] == [
            (9443, "10.0.0.8", "unix:///run/app.sock"),
            (9444, "10.0.0.7", "[::1]:8444"),
            (9445, "10.0.0.7", "127.0.0.1:9445"),
        ]

    def test_an_address_of_ipv6_is_bound_without_brackets(self) -> None:
        assert ingress([http_port()], "fd00::7")[0]["bind"] == "fd00::7"

    def test_nothing_looks_into_an_address(self) -> None:
        """In the graph it is an Output."""
        address, bind = object(), object()
        made = ingress([http_port(9080)], address, [listener(9443, bind=bind)])
        assert [one["bind"] for one in made] == [address, bind]

    def test_the_order_of_the_ports_in_the_program_changes_nothing(self) -> None:
        ports = [http_port(9090, "b"), http_port(9080, "a")]
        assert ingress(ports, ADDRESS) == ingress(ports[::-1], ADDRESS)

    def test_with_iptables_nothing_is_named_unless_there_is_a_further_listener(self) -> None:
        assert captured_ingress([http_port(9080)], []) == []

    def test_with_iptables_a_further_listener_does_not_take_the_declared_ports_away(self) -> None:
        assert captured_ingress([http_port(9080)], [listener(9443)]) == [
            {"port": {"number": 9080, "protocol": "HTTP", "name": "http"}},
            {"port": {"number": 9443, "protocol": "TCP", "name": "admin"}, "defaultEndpoint": "127.0.0.1:9443"},
        ]

    def test_with_iptables_a_listener_is_bound_only_where_the_user_says(self) -> None:
        assert captured_ingress([], [listener(9443, bind="10.0.0.8")])[0]["bind"] == "10.0.0.8"


class TestOutbound:
    def test_a_call_is_listened_for_on_its_port_by_its_protocol(self) -> None:
        assert outbound(call("details.bookinfo"), call("db", 5432, "TCP")) == [
            {
                "port": {"number": 5432, "protocol": "TCP", "name": "tcp-5432"},
                "bind": "127.0.0.2",
                "captureMode": "NONE",
                "hosts": ["shop/db.shop.svc.cluster.local"],
            },
            {
                "port": {"number": 9080, "protocol": "HTTP", "name": "http-9080"},
                "bind": "127.0.0.2",
                "captureMode": "NONE",
                "hosts": ["*/details.bookinfo", "bookinfo/details.bookinfo.svc.cluster.local"],
            },
        ]

    def test_calls_by_http_share_the_listener_of_their_port(self) -> None:
        made = outbound(call("a", 80), call("b", 80))
        assert [one["hosts"] for one in made] == [["shop/a.shop.svc.cluster.local", "shop/b.shop.svc.cluster.local"]]

    @pytest.mark.parametrize(
        ("protocols", "expected"),
        [(("GRPC", "GRPC"), "GRPC"), (("HTTP2",), "HTTP2"), (("GRPC", "HTTP"), "HTTP"), (("HTTP2", "GRPC"), "HTTP")],
    )
    def test_a_listener_of_mixed_kinds_of_http_is_one_of_http(self, protocols: tuple[str, ...], expected: str) -> None:
        made = outbound(*(call(f"s{index}", 80, protocol) for index, protocol in enumerate(protocols)))
        assert [one["port"]["protocol"] for one in made] == [expected]

    def test_what_is_known_beside_the_calls_is_behind_the_proxy(self) -> None:
        made = egress([call("a")], "shop", "mesh", ["*/api.example.com"])
        assert made[-1] == {
            "port": {"number": 15080, "protocol": "HTTP_PROXY", "name": "http-proxy"},
            "bind": "127.0.0.2",
            "captureMode": "NONE",
            "hosts": ["*/api.example.com", "mesh/*"],
        }

    def test_without_calls_the_namespace_is_behind_the_proxy(self) -> None:
        assert [one["hosts"] for one in egress([], "shop", "mesh")] == [["./*", "mesh/*"]]

    @given(calls)
    def test_no_two_listeners_have_one_port(self, made: list[dict[str, Any]]) -> None:
        """The webhook of istiod refuses them, whatever address they are bound to."""
        ports = [one["port"]["number"] for one in egress(made, "shop", "istio-system")]
        assert len(ports) == len(set(ports))

    @given(calls)
    def test_every_call_has_its_listener_and_every_listener_its_address(self, made: list[dict[str, Any]]) -> None:
        found = egress(made, "shop", "istio-system")
        assert {one["port"]["number"] for one in found[:-1]} == {one["port"] for one in made}
        assert {one["bind"] for one in found} == {CALLS_ADDRESS}

    @given(calls, calls)
    def test_a_call_is_not_moved_by_calls_to_other_ports(
        self, made: list[dict[str, Any]], others: list[dict[str, Any]]
    ) -> None:
        ports = {one["port"] for one in made}
        among = outbound(*made, *(other for other in others if other["port"] not in ports))
        assert [one for one in among if one["port"]["number"] in ports] == outbound(*made)

    @given(calls)
    def test_the_order_of_the_calls_in_the_program_changes_nothing(self, made: list[dict[str, Any]]) -> None:
        assert egress(made, "shop", "istio-system") == egress(made[::-1], "shop", "istio-system")
        assert host_aliases(made, "shop") == host_aliases(made[::-1], "shop")

    def test_the_proxy_makes_way_for_a_call(self) -> None:
        assert proxy_port([call("a", 15080), call("b", 15081)]) == 15082
        assert proxy_port([call("a", 15081)]) == 15080

    def test_all_that_the_sidecar_binds_is_known(self) -> None:
        assert bound_ports([http_port(9080)], [listener(9443)], [call("a", 80)]) == [80, 9080, 9443, 15080]


class TestCrowded:
    def test_calls_by_http_are_told_apart_by_their_host(self) -> None:
        made = [call("a", 80, "HTTP"), call("b", 80, "GRPC"), call("c", 80)]
        assert crowded_ports(made, "shop") == {}

    @pytest.mark.parametrize("protocol", ["TCP", "TLS", "HTTPS"])
    def test_two_services_of_another_protocol_are_not(self, protocol: str) -> None:
        made = [call("a", 5432, protocol), call("b", 5432, protocol), call("a", 5433, protocol)]
        assert crowded_ports(made, "shop") == {5432: ["a", "b"]}

    def test_neither_is_http_from_something_else(self) -> None:
        assert crowded_ports([call("a", 80, "HTTP"), call("b", 80, "TCP")], "shop") == {80: ["a", "b"]}
        assert crowded_ports([call("a", 80, "HTTP"), call("a", 80, "TCP")], "shop") == {80: ["a"]}

    def test_one_service_under_two_names_is_one(self) -> None:
        made = [call("db.shop.svc", 5432, "TCP"), call("db", 5432, "TCP")]
        assert crowded_ports(made, "shop") == {}


class TestAliases:
    def test_a_service_has_all_forms_of_its_name(self) -> None:
        assert lines("details.bookinfo") == [
            "127.0.0.2 details.bookinfo.svc.cluster.local details.bookinfo.svc details.bookinfo"
        ]

    @pytest.mark.parametrize("host", ["a", "a.shop", "a.shop.svc", "a.shop.svc.cluster.local"])
    def test_a_service_of_the_machines_own_namespace_has_a_short_name_however_it_is_written(self, host: str) -> None:
        assert lines(host) == ["127.0.0.2 a.shop.svc.cluster.local a.shop.svc a.shop a"]

    def test_an_external_name_is_taken_as_it_is(self) -> None:
        assert lines("api.example.com") == ["127.0.0.2 api.example.com"]

    @pytest.mark.parametrize("host", ["*.example.com", "192.0.2.1", "2001:db8::1"])
    def test_what_is_no_name_has_no_line(self, host: str) -> None:
        assert lines(host) == []

    def test_a_service_that_is_called_twice_has_one_line(self) -> None:
        made = [call("a", 80), call("a.shop", 81), call("b", 80)]
        assert [line.split()[1] for line in host_aliases(made, "shop")] == [
            "a.shop.svc.cluster.local",
            "b.shop.svc.cluster.local",
        ]

    @given(calls)
    def test_every_called_name_is_on_one_line(self, made: list[dict[str, Any]]) -> None:
        led = [name for line in host_aliases(made, "shop") for name in line.split()[1:]]
        assert len(led) == len(set(led))
        assert {one["host"] for one in made} <= set(led)

    @given(calls, calls)
    def test_other_calls_change_no_line(self, made: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
        assert set(host_aliases(made, "shop")) <= set(host_aliases([*made, *others], "shop"))


class TestHosts:
    @pytest.mark.parametrize(
        ("given_hosts", "kept"),
        [
            (["shop/a.b", "./*", "mesh/*"], ["./*", "mesh/*"]),
            (["./*", "shop/*", "mesh/*"], ["./*", "mesh/*"]),
            (["shop/a.b", "*/*", "mesh/*"], ["*/*"]),
            (["*/a.b", "shop/a.b", "shop/a.b"], ["*/a.b", "shop/a.b"]),
            (["./a.b", "shop/a.b"], ["./a.b"]),
        ],
    )
    def test_a_host_that_another_one_covers_is_left_out(self, given_hosts: list[str], kept: list[str]) -> None:
        assert without_covered(given_hosts, "shop") == kept
