"""What istiod's stand-in makes of objects, without a cluster: names, entries, policies, listeners, services, logs."""

import uuid
from typing import Any

from lab.istio.configuration import inbound_mode, names
from lab.istio.listeners import egress, ingress, selected, virtual
from lab.istio.proxy import Node, entry_from_group
from lab.istio.services import of_cluster, of_entries
from lab.istio.telemetry import logged_sides

NONE = {"INTERCEPTION_MODE": "NONE"}


def node(*addresses: str, **metadata: object) -> Node:
    given = addresses or ("10.0.0.7",)
    return Node(f"sidecar~{given[0]}~vm.team", given, {"NAMESPACE": "team", **metadata})


def named(name: str, namespace: str = "team", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **more.pop("metadata", {})}, **more}


class TestRegistrationRules:
    def test_a_name_that_is_too_long_keeps_its_end(self) -> None:
        name = node(AUTO_REGISTER_GROUP="g" * 300, NETWORK="n").entry_name()
        assert len(name) == 253
        assert name.endswith("g-10.0.0.7-n")

    def test_an_address_of_ipv6_is_written_with_dashes(self) -> None:
        assert node("fd00::7", AUTO_REGISTER_GROUP="g").entry_name() == "g-fd00--7"

    def test_the_nodes_labels_win_over_the_groups_and_those_over_the_templates(self) -> None:
        spec = {"metadata": {"labels": {"a": "group", "b": "group"}}, "template": {"labels": {"a": "t", "c": "t"}}}
        group = {"metadata": {"name": "g", "uid": str(uuid.uuid4())}, "spec": spec}
        entry = entry_from_group(node(AUTO_REGISTER_GROUP="g", LABELS={"b": "node"}), group)
        assert entry["spec"]["labels"] == entry["metadata"]["labels"] == {"a": "group", "b": "node", "c": "t"}


class TestPolicies:
    @staticmethod
    def policy(namespace: str, mode: str, selector: dict[str, str] | None = None) -> dict[str, Any]:
        spec: dict[str, object] = {"mtls": {"mode": mode}}
        if selector:
            spec["selector"] = {"matchLabels": selector}
        return named("p", namespace, spec=spec)

    def test_the_workloads_own_policy_wins_over_its_namespaces_and_that_over_the_meshs(self) -> None:
        vm = node(LABELS={"app": "ratings"})
        mesh, own = self.policy("istio-system", "STRICT"), self.policy("team", "DISABLE", {"app": "ratings"})
        space, other = self.policy("team", "PERMISSIVE"), self.policy("team", "STRICT", {"app": "other"})
        assert inbound_mode([other], vm) == "PERMISSIVE"
        assert inbound_mode([mesh, other], vm) == "STRICT"
        assert inbound_mode([space, mesh], vm) == "PERMISSIVE"
        assert inbound_mode([own, mesh, space], vm) == "DISABLE"

    def test_requests_are_written_down_where_a_telemetry_of_the_workload_says_so(self) -> None:
        vm = node(LABELS={"app": "ratings"})
        wanted = {"accessLogging": [{"providers": [{"name": "envoy"}]}]}
        own = named("t", spec={"selector": {"matchLabels": {"app": "ratings"}}, **wanted})
        other = named("t", spec={"selector": {"matchLabels": {"app": "other"}}, **wanted})
        off = named("t", spec={"accessLogging": [{"disabled": True}]})
        elsewhere = named("t", spec={"accessLogging": [{"providers": [{"name": "otel"}]}]})
        server = named("t", spec={"accessLogging": [{"match": {"mode": "SERVER"}, "providers": [{"name": "envoy"}]}]})
        assert logged_sides([other], vm) == logged_sides([elsewhere], vm) == []
        assert logged_sides([own, off], vm) == ["CLIENT", "SERVER"]
        assert logged_sides([server], vm) == ["SERVER"]


class TestListeners:
    def sidecar(self, **spec: object) -> dict[str, Any]:
        return named("s", spec={"workloadSelector": {"labels": {"app": "ratings"}}, **spec})

    def test_the_workloads_own_sidecar_wins_over_its_namespaces(self) -> None:
        own, space = self.sidecar(), named("all", spec={})
        vm, other = node(LABELS={"app": "ratings"}), node(LABELS={"app": "other"})
        assert selected([own, space], vm, "workloadSelector", "labels") == own
        assert selected([own, space], other, "workloadSelector", "labels") == space
        assert selected([own], other, "workloadSelector", "labels") is None

    def test_without_capture_an_ingress_listener_has_an_address_and_with_it_only_a_port(self) -> None:
        one = {"port": {"number": 9080}, "defaultEndpoint": "127.0.0.1:8080"}
        sidecar = self.sidecar(ingress=[one, {"port": {"number": 1}, "captureMode": "NONE", "bind": "10.0.0.8"}])
        own = {"bind": "10.0.0.8:1", "to": "10.0.0.8:1"}
        assert ingress(sidecar, node(**NONE))["listeners"] == [{"bind": "10.0.0.7:9080", "to": "127.0.0.1:8080"}, own]
        assert ingress(sidecar, node()) == {"listeners": [own], "ports": {"9080": "127.0.0.1:8080"}}

    def test_an_endpoint_of_every_address_is_the_workloads_first_one_of_that_family(self) -> None:
        both = [{"port": {"number": p}, "defaultEndpoint": f"{h}:80"} for p, h in ((1, "0.0.0.0"), (2, "[::]"))]
        ports = ingress(self.sidecar(ingress=both), node("10.0.0.7", "fd00::7"))["ports"]
        assert ports == {"1": "10.0.0.7:80", "2": "[fd00::7]:80"}

    def test_an_egress_listener_leads_to_the_hosts_that_it_imports(self) -> None:
        services = of_entries([named(host, spec=self.service(host)) for host in ("a.example", "b.example")], [])
        one = {"port": {"number": 9080, "protocol": "HTTP"}, "bind": "127.0.0.2", "hosts": ["./a.example"]}
        (listener,) = egress(self.sidecar(egress=[one]), services, node(**NONE))
        assert (listener["bind"], listener["http"]) == ("127.0.0.2:9080", True)
        assert [route["hosts"] for route in listener["routes"]] == [["a.example"]]
        assert listener["routes"][0]["endpoints"] == [{"address": "10.1.1.1:80", "mesh": False}]

    def test_without_a_sidecar_and_without_capture_every_service_is_on_the_loopback(self) -> None:
        services = of_entries([named(host, spec=self.service(host)) for host in ("a.example", "b.example")], [])
        (listener,) = egress(None, services, node(**NONE))
        assert listener["bind"] == "127.0.0.1:80"
        assert [route["hosts"][0] for route in listener["routes"]] == ["a.example", "b.example"]
        assert egress(None, services, node()) == []

    def test_a_listener_for_everything_adds_nothing_to_one_that_names_its_port(self) -> None:
        services = of_entries([named(host, spec=self.service(host)) for host in ("a.example", "b.example")], [])
        one = {"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["./a.example"]}
        (listener,) = egress(self.sidecar(egress=[one, {"hosts": ["*/*"]}]), services, node(**NONE))
        assert [route["hosts"][0] for route in listener["routes"]] == ["a.example"]

    @staticmethod
    def service(host: str) -> dict[str, Any]:
        ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
        return {"hosts": [host], "ports": ports, "resolution": "STATIC", "endpoints": [{"address": "10.1.1.1"}]}


class TestServices:
    SERVICE = named(
        "details",
        spec={
            "selector": {"app": "details"},
            "clusterIPs": ["10.0.0.20"],
            "ports": [{"name": "http", "port": 9080, "targetPort": 8080}],
        },
    )

    @staticmethod
    def entry(name: str, healthy: bool | None = None, **spec: Any) -> dict[str, Any]:
        checked = {"proxy.istio.io/health-checks-enabled": "true"} if healthy is not None else {}
        conditions = [{"type": "Healthy", "status": "True"}] if healthy else []
        body = {"address": f"vm-{name}", "labels": {"app": "details"}, **spec}
        return named(name, metadata={"annotations": checked}, spec=body, status={"conditions": conditions})

    def ends(self, *entries: dict[str, Any]) -> list[tuple[str, bool]]:
        (service,) = of_cluster([self.SERVICE], [], [], entries)
        return [(end.address, end.mesh) for end in service.ports[0].endpoints]

    def test_a_service_selects_workload_entries_with_their_own_ports_and_in_the_mesh_when_they_have_an_account(
        self,
    ) -> None:
        own, other = self.entry("own", ports={"http": 81}), self.entry("other", labels={"app": "other"})
        assert self.ends(own, other, self.entry("vm", serviceAccount="app")) == [
            ("vm-own:81", False),
            ("vm-vm:8080", True),
        ]

    def test_an_entry_with_the_annotation_takes_part_only_while_it_is_healthy(self) -> None:
        assert self.ends(self.entry("new", healthy=False), self.entry("good", healthy=True)) == [
            ("vm-good:8080", False)
        ]

    def test_ready_pods_take_part_and_are_of_the_mesh_when_they_have_a_sidecar(self) -> None:
        slice_ = named(
            "details-1",
            metadata={"labels": {"kubernetes.io/service-name": "details"}},
            ports=[{"name": "http", "port": 8080}],
            endpoints=[
                {"addresses": ["10.2.0.1"], "targetRef": {"name": "p"}, "conditions": {"ready": True}},
                {"addresses": ["10.2.0.2"], "conditions": {"ready": False}},
            ],
        )
        pod = named("p", metadata={"labels": {"security.istio.io/tlsMode": "istio"}})
        (service,) = of_cluster([self.SERVICE], [slice_], [pod], [])
        assert [(end.address, end.mesh) for end in service.ports[0].endpoints] == [("10.2.0.1:8080", True)]

    def test_a_services_names_are_shorter_in_its_own_namespace_and_its_address_leads_to_its_endpoints(self) -> None:
        services = of_cluster([self.SERVICE], [], [], [self.entry("vm")])
        full = ["details.team.svc.cluster.local", "details.team.svc", "details.team"]
        assert names(services, node()) == {name: ["10.0.0.20"] for name in [*full, "details"]}
        elsewhere = Node("", ("10.0.0.7",), {"NAMESPACE": "elsewhere"})
        assert list(names(services, elsewhere)) == full
        assert virtual(services) == {"10.0.0.20:9080": [{"address": "vm-vm:8080", "mesh": False}]}
