"""What istiod and the agent do, said once of the stand-ins and once of Istio's own programs where these are present."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.istio import objects
from lab.istio.ca import Identity, Issued
from lab.istio.install import install_revision
from lab.istio.options import Options
from lab.istio.real import find_real
from lab.istio.tokens import MetadataServer
from lab.machines.network import Network
from tests.lab.istio_rig import HEALTH_CHECKED
from tests.lab.istio_site import Host, Site, site

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=["stand-in", "real"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Site]:
    run = tmp_path_factory.mktemp("site")
    real = find_real(Steps(), run)[0] if request.param == "real" else None
    if request.param == "real" and real is None:
        pytest.skip("neither a real istiod nor a real sidecar package is named")
    with site(run, network, real) as made:
        yield made


def group(place: Site, namespace: str, **spec: Any) -> None:
    body = {"metadata": {"name": "ratings", "namespace": namespace}, "spec": {"template": {}, **spec}}
    place.api.create(objects.WorkloadGroup.from_dict(body))


def put(place: Site, kind: Any, namespace: str, name: str, **spec: Any) -> None:
    place.api.create(kind.from_dict({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))


def labels(app: str) -> str:
    return json.dumps({"app": app})


class TestRegistration:
    def test_a_groups_entry_has_the_agents_network_and_locality_and_never_the_groups_locality(
        self, place: Site
    ) -> None:
        namespace = place.namespace()
        template = {"serviceAccount": "app", "network": "group", "locality": "t/u", "weight": 7, "ports": {"http": 80}}
        group(place, namespace, template=template, metadata={"annotations": {"owner": "team"}})
        label = json.dumps({"version": "v3", "istio-locality": "a.b.c"})
        names = {"ISTIO_META_AUTO_REGISTER_GROUP": "ratings", "ISTIO_META_NETWORK": "vm-net"}
        with (
            place.host(namespace, ISTIO_METAJSON_LABELS=label, **names) as told,
            place.host(namespace, ISTIO_META_AUTO_REGISTER_GROUP="ratings") as silent,
        ):
            told.start()
            silent.start()
            assert told.becomes_ready(), told.log
            assert silent.becomes_ready(), silent.log
            entries = {entry["metadata"]["name"]: entry for entry in place.entries(namespace)}
        assert set(entries) == {f"ratings-{told.address}-vm-net", f"ratings-{silent.address}"}
        of_group = {"serviceAccount": "app", "weight": 7, "ports": {"http": 80}}
        full = {"network": "vm-net", "locality": "a/b/c", "labels": {"version": "v3"}}
        first, second = entries[f"ratings-{told.address}-vm-net"], entries[f"ratings-{silent.address}"]
        assert first["spec"] == {**of_group, **full, "address": told.address}
        assert second["spec"] == {**of_group, "network": "group", "address": silent.address}
        own = {"owner", "istio.io/autoRegistrationGroup", "istio.io/connectedAt", "istio.io/workloadController"}
        assert set(first["metadata"]["annotations"]) == own
        owner = first["metadata"]["ownerReferences"][0]
        assert (owner["apiVersion"], owner["controller"]) == ("networking.istio.io/v1", True)

    def test_a_connected_agent_gets_its_entry_again_with_a_new_group_and_it_goes_after_the_agent(
        self, place: Site
    ) -> None:
        namespace = place.namespace()
        group(place, namespace, template={"serviceAccount": "app"})
        with place.host(namespace, ISTIO_META_AUTO_REGISTER_GROUP="ratings") as host:
            host.start()
            assert host.becomes_ready(), host.log
            made = place.entries(namespace)[0]["metadata"]["uid"]
            place.api.delete(objects.WorkloadGroup, "ratings", namespace=namespace)
            assert wait_until(lambda: place.entries(namespace) == [], 60)
            group(place, namespace, template={"serviceAccount": "app", "weight": 3})
            assert wait_until(lambda: place.entries(namespace) != [], 60)
            (entry,) = place.entries(namespace)
            assert (entry["spec"]["weight"], entry["metadata"]["uid"] != made) == (3, True)
        assert wait_until(lambda: place.entries(namespace) == [], 60)

    def test_an_existing_entry_is_not_made_anew_from_a_changed_group(self, place: Site) -> None:
        namespace = place.namespace()
        group(place, namespace, template={"serviceAccount": "app", "weight": 1})
        with place.host(namespace, ISTIO_META_AUTO_REGISTER_GROUP="ratings") as host:
            host.start()
            assert host.becomes_ready(), host.log
            changed = objects.plain(place.api.get(objects.WorkloadGroup, "ratings", namespace=namespace))
            changed["spec"]["template"]["weight"] = 2
            place.api.replace(objects.WorkloadGroup.from_dict(changed))
            host.stop()
            host.start()
            assert host.becomes_ready(), host.log
            assert [entry["spec"]["weight"] for entry in place.entries(namespace)] == [1]

    def test_a_missing_group_and_another_account_are_refused_until_they_are_mended(self, place: Site) -> None:
        namespace = place.namespace()
        with place.host(namespace, ISTIO_META_AUTO_REGISTER_GROUP="ratings") as host:
            host.start()
            name = f"{host.variables['POD_NAME']}.{namespace}"
            refused = f"code = FailedPrecondition desc = auto-registration WorkloadEntry of {name} failed: "
            assert host.says(f"{refused}cannot find WorkloadGroup {namespace}/ratings"), host.log
            group(place, namespace, template={"serviceAccount": "other"})
            assert host.says('registration of WorkloadEntry service account mismatch: "app" vs "other"')
            group_now = objects.plain(place.api.get(objects.WorkloadGroup, "ratings", namespace=namespace))
            group_now["spec"]["template"] = {}
            place.api.replace(objects.WorkloadGroup.from_dict(group_now))
            assert host.becomes_ready(), host.log


class TestNames:
    def test_istiod_may_have_another_address_when_its_name_is_given_and_the_authority_has_none_of_its_own(
        self, place: Site
    ) -> None:
        namespace, direct = place.namespace(), f"{place.istiod.address}:{place.istiod.port}"
        with place.host(namespace) as host:
            host.start()
            assert host.becomes_ready(), host.log
        with place.host(namespace, CA_ADDR=direct) as host:  # ISTIOD_SAN does not count for an authority that is named
            host.start()
            assert host.says("cannot validate certificate for"), host.log
            assert not host.ready()

    def test_a_revisions_istiod_has_both_names_and_answers_by_ipv6(self, place: Site) -> None:
        address = place.network.host_ipv6
        if not address:
            pytest.skip("this kernel has no IPv6")
        install_revision(place.cluster, "blue")
        namespace, config = place.namespace(), {"discoveryAddress": f"[{address}]:15112"}
        with place.another(15112, Options(revision="blue", also=(address,))):
            with place.host(namespace, ISTIOD_SAN="istiod-blue.istio-system.svc", config=config) as host:
                host.start()
                assert host.becomes_ready(), host.log
            with place.host(namespace, ISTIOD_SAN="istiod-green.istio-system.svc", config=config) as host:
                host.start()
                assert host.says("not istiod-green.istio-system.svc"), host.log


class TestIdentity:
    def test_an_intermediate_authority_is_part_of_the_chain_and_the_root_stands_alone(self, place: Site) -> None:
        with place.host(place.namespace()) as host:
            host.start()
            assert host.becomes_ready(), host.log
            # the workload's, the intermediate's, and the root's, which the agent keeps here too
            assert (host.certs / "cert-chain.pem").read_text().count("BEGIN CERTIFICATE") == 3
            assert (host.certs / "root-cert.pem").read_text().count("BEGIN CERTIFICATE") == 1
            host.stop()
            host.token.unlink()
            host.start()
            assert host.becomes_ready(), host.log

    def test_certificates_from_files_are_used_without_an_authority_and_taken_anew(self, place: Site) -> None:
        namespace = place.namespace()
        with place.host(namespace, "", "", FILE_MOUNTED_CERTS="true", PROV_CERT="", OUTPUT_CERTS="") as host:
            host.token.unlink()
            self.give(host, place.istiod.issue(namespace, "app")[0])
            for side in ("CLIENT", "SERVER"):
                for what, file in (("CERT_CHAIN", "chain"), ("KEY", "key"), ("ROOT_CERT", "etc/certs/root-cert.pem")):
                    host.variables[f"ISTIO_META_TLS_{side}_{what}"] = str(host.folder / file)
            host.config["proxyMetadata"] = {k: v for k, v in host.variables.items() if k.startswith("ISTIO_META_TLS")}
            host.start()
            assert host.becomes_ready(), host.log
            assert "Skipping connecting to CA" in host.log
            before = self.serials(host)
            self.give(host, place.istiod.issue(namespace, "app")[0])
            assert wait_until(lambda: self.serials(host) != before, 60)
            assert [file.name for file in host.certs.iterdir()] == ["root-cert.pem"]

    def test_a_metadata_servers_token_is_asked_for_the_trust_domain_and_kept(self, place: Site) -> None:
        namespace = place.namespace()
        metadata = MetadataServer(place.network.host_ip, Identity(namespace, "app"))
        settings = {"CREDENTIAL_FETCHER_TYPE": "GoogleComputeEngine", "GCE_METADATA_HOST": metadata.host}
        config = {"discoveryAddress": f"{place.istiod.address}:15113"}
        try:
            with (
                place.another(15113, Options(jwt_rule=metadata.rule)),
                place.host(namespace, "", "", config=config, **settings) as host,
            ):
                host.token.unlink()
                host.start()
                assert host.becomes_ready(), host.log
                assert set(metadata.asked) == {"cluster.local"}
                assert host.token.stat().st_mode & 0o777 == 0o640
        finally:
            metadata.stop()

    @staticmethod
    def give(host: Host, issued: Issued) -> None:
        for name, text in (("key", issued.key), ("chain", issued.certificate)):
            (host.folder / f"{name}.new").write_text(text)
            (host.folder / f"{name}.new").rename(host.folder / name)

    @staticmethod
    def serials(host: Host) -> set[str]:
        told = host.curl("http://127.0.0.1:15000/certs").json()["certificates"]
        return {one["cert_chain"][0]["serial_number"] for one in told if one["cert_chain"]}


class TestProbes:
    """An application that answers the health check of gRPC with what the test says."""

    APPLICATION = """\
import sys, time
from concurrent import futures
import grpc
def check(request, context):
    return bytes([8, int(sys.argv[1])]) if request == b"\\n\\x05app.A" else bytes([8, 3])
rpc = grpc.unary_unary_rpc_method_handler(check)
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(sys.argv[2], {"Check": rpc}),))
server.add_insecure_port("0.0.0.0:9090")
server.start()
server.wait_for_termination()
"""

    @contextmanager
    def probed(self, place: Site, status: int = 1, service: str = "grpc.health.v1.Health") -> Iterator[Host]:
        namespace = place.namespace()
        once = {"periodSeconds": 1, "initialDelaySeconds": 2}
        probe = {"readinessProbe": {"grpc": {"port": 9090, "service": "app.A"}, **once}}
        with place.host(namespace, config=probe, ISTIO_META_WORKLOAD_ENTRY="vm") as host:
            place.entry(namespace, "vm", HEALTH_CHECKED, address=host.address)
            words = (sys.executable, "-c", self.APPLICATION, str(status), service)
            host.alongside(*words)
            assert wait_until(lambda: "9090" in host.run("ss", "-ltn").stdout, 60)
            host.start()
            yield host

    def test_a_serving_application_is_healthy_and_one_without_the_check_is_told_so(self, place: Site) -> None:
        with self.probed(place) as host:
            assert host.says("success threshold hit, marking as healthy"), host.log
        with self.probed(place, service="other.Service") as host:
            assert host.says("service on port 9090 doesn't implement the grpc health protocol"), host.log

    def test_the_agent_falls_over_an_application_that_is_not_serving(self, place: Site) -> None:
        with self.probed(place, status=2) as host:
            assert host.says("panic: runtime error: invalid memory address or nil pointer dereference"), host.log
            assert wait_until(lambda: not host.ready(), 60)

    def test_http_asks_the_instances_address_and_localhost_when_told_so(self, place: Site) -> None:
        probe = {"readinessProbe": {"httpGet": {"port": 9080}, "periodSeconds": 1}}
        legacy = {"REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION": "true"}
        for variables, bind in (({}, ""), (legacy, "127.0.0.1")):
            with place.host(place.namespace(), config=probe, **variables) as host:
                host.answers(bind or host.address, 9080, "the vm")
                host.start()
                assert host.says("success threshold hit, marking as healthy"), host.log


class TestWithoutCapture:
    PORT: Any = {"number": 9080, "protocol": "HTTP", "name": "http"}  # noqa: RUF012 (nobody changes it)

    def ingress(self, host: Host) -> dict[str, Any]:
        one = {"port": self.PORT, "bind": host.address, "defaultEndpoint": "127.0.0.1:9080"}
        return {"workloadSelector": {"labels": {"app": "details"}}, "ingress": [one], "egress": [{"hosts": ["~/*"]}]}

    def test_a_call_goes_by_the_listeners_of_two_sidecars_with_mutual_tls_and_is_written_down(
        self, place: Site
    ) -> None:
        namespace = place.namespace()
        none = {"ISTIO_META_INTERCEPTION_MODE": "NONE"}
        probe = {"readinessProbe": {"httpGet": {"port": 9080, "host": "127.0.0.1"}, "periodSeconds": 1}}
        port = {"name": "http", "port": 9080}
        body = {"metadata": {"name": "details"}, "spec": {"selector": {"app": "details"}, "ports": [port]}}
        place.cluster.admin.ask("POST", f"/api/v1/namespaces/{namespace}/services", json.dumps(body).encode())
        named = {**none, "ISTIO_META_WORKLOAD_ENTRY": "vm", "ISTIO_METAJSON_LABELS": labels("details")}
        with (
            place.host(namespace, config=probe, **named) as vm,
            place.host(namespace, **none, ISTIO_METAJSON_LABELS=labels("client")) as client,
        ):
            place.entry(namespace, "vm", HEALTH_CHECKED, address=vm.address, labels={"app": "details"})
            put(place, objects.Sidecar, namespace, "vm", **self.ingress(vm))
            out = {"bind": "127.0.0.2", "port": self.PORT, "hosts": ["./*"]}
            selector = {"workloadSelector": {"labels": {"app": "client"}}}
            put(place, objects.Sidecar, namespace, "client", **selector, egress=[out])
            log = {"providers": [{"name": "envoy"}]}
            put(
                place,
                objects.Telemetry,
                namespace,
                "vm",
                selector={"matchLabels": {"app": "details"}},
                accessLogging=[log],
            )
            put(place, objects.PeerAuthentication, namespace, "strict", mtls={"mode": "STRICT"})
            vm.answers("127.0.0.1", 9080, "the vm")
            vm.start()
            client.start()
            assert place.becomes_healthy(namespace, "vm", "True"), vm.log
            called = ("-H", f"Host: details.{namespace}:9080", "http://127.0.0.2:9080/greeting")
            assert wait_until(lambda: client.curl(*called).text.startswith("the vm 127.0.0.1"), 60), client.log
            assert wait_until(lambda: client.curl(f"http://{vm.address}:9080/").status == 0, 60)
            other = client.curl("-H", "Host: www.example", "http://127.0.0.2:9080/")
            assert (other.status, other.text) == (503, "no healthy upstream")
            assert client.curl("http://127.0.0.3:9080/").status == 0
            assert vm.says('"GET /greeting HTTP/1.1" 200 - via_upstream')

    def test_a_probe_of_the_instances_address_meets_the_sidecars_own_listener(self, place: Site) -> None:
        namespace = place.namespace()
        probe = {"readinessProbe": {"httpGet": {"port": 9080}, "periodSeconds": 1, "initialDelaySeconds": 2}}
        put(place, objects.PeerAuthentication, namespace, "strict", mtls={"mode": "STRICT"})
        with place.host(
            namespace,
            config=probe,
            ISTIO_META_INTERCEPTION_MODE="NONE",
            ISTIO_META_WORKLOAD_ENTRY="vm",
            ISTIO_METAJSON_LABELS=labels("details"),
        ) as vm:
            place.entry(namespace, "vm", HEALTH_CHECKED, address=vm.address, labels={"app": "details"})
            put(place, objects.Sidecar, namespace, "vm", **self.ingress(vm))
            vm.answers("127.0.0.1", 9080, "the vm")
            vm.start()
            assert vm.says("marking as unhealthy"), vm.log
            assert place.becomes_healthy(namespace, "vm", "False")
            assert "reset by peer" in place.health(namespace, "vm")["message"]
