"""The stand-ins of the sidecar package and of istiod, against each other and the lab's API server."""

import http.server
import json
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from lightkube.resources.core_v1 import ConfigMap

from lab.base.ports import free_port
from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.ca import Identity, MeshCA
from lab.istio.install import install
from lab.istio.istiod import Istiod
from lab.istio.package import package
from tests.lab.istio_rig import HEALTH_CHECKED, Agent, Rig, ask, run_agent


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent of the package."""
    folder = tmp_path_factory.mktemp("package")
    built = package(Steps())
    subprocess.run(["dpkg-deb", "-x", built.deb, folder], check=True)
    return folder / "usr/local/bin/pilot-agent"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, binary: Path) -> Iterator[Rig]:
    run = tmp_path_factory.mktemp("run")
    cluster = Cluster(run, Steps())
    istiod = Istiod(run, cluster, "127.0.0.1", port=free_port(), grace=6)
    with ExitStack() as undo:
        undo.callback(cluster.stop)
        undo.callback(istiod.stop)
        cluster.start()
        cluster.ready()
        install(cluster, "127.0.0.1")
        istiod.start()
        istiod.ready()
        rig = Rig(cluster, istiod, binary, tmp_path_factory.mktemp("agents"))
        undo.callback(rig.api.close)
        yield rig


class Application:
    """An application that answers its probe with `status`."""

    def __init__(self) -> None:
        self.status = 200
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def application() -> Iterator[Application]:
    application = Application()
    yield application
    application.stop()


def probe(application: Application) -> dict[str, object]:
    return {"readinessProbe": {"httpGet": {"path": "/health", "port": application.port}, "periodSeconds": 1}}


@pytest.mark.lab
class TestCertificates:
    def test_a_token_becomes_a_certificate_for_the_tokens_account(self, rig: Rig) -> None:
        namespace = rig.namespace()
        with rig.agent(namespace) as agent:
            assert agent.becomes_ready(), agent.log
            uris = [name["uri"] for name in agent.certificate()["subject_alt_names"]]
            assert uris == [f"spiffe://cluster.local/ns/{namespace}/sa/app"]
            written = {file.name: stat.S_IMODE(file.stat().st_mode) for file in agent.certs.iterdir()}
            assert written == dict.fromkeys(("key.pem", "cert-chain.pem", "root-cert.pem"), 0o600)

    def test_a_certificate_of_another_mesh_is_shown_refused_and_never_replaced_by_the_token(self, rig: Rig) -> None:
        namespace = rig.namespace()
        agent = rig.make_agent(namespace)
        foreign = MeshCA.create().issue(Identity(namespace, "app"))
        (agent.certs / "cert-chain.pem").write_text(foreign.certificate)
        (agent.certs / "key.pem").write_text(foreign.key)
        agent.start()
        try:
            assert agent.says("code = Unavailable", times=6)
            assert not agent.ready()
            assert (agent.certs / "cert-chain.pem").read_text() == foreign.certificate
        finally:
            agent.stop()

    def test_with_a_valid_certificate_no_token_is_needed(self, rig: Rig) -> None:
        namespace = rig.namespace()
        with rig.agent(namespace) as agent:
            assert agent.becomes_ready()
            agent.stop()
            agent.token.unlink()
            agent.start()
            assert agent.becomes_ready(), agent.log

    def test_a_refused_token_is_healed_by_a_fresh_file_without_a_restart(self, rig: Rig) -> None:
        namespace = rig.namespace()
        with rig.agent(namespace, rig.token(namespace, audience="https://elsewhere")) as agent:
            assert agent.says("code = Unauthenticated desc = request authenticate failure")
            assert not agent.ready()
            agent.token.write_text(rig.token(namespace))
            assert agent.becomes_ready(), agent.log

    def test_a_token_of_a_cluster_that_istiod_does_not_know_is_refused(self, rig: Rig) -> None:
        with rig.agent(rig.namespace(), ISTIO_META_CLUSTER_ID="another") as agent:
            assert agent.says("code = Unauthenticated")
            assert not agent.ready()

    def test_istiod_is_not_believed_without_the_root_that_lies_on_the_machine(self, rig: Rig) -> None:
        agent = rig.make_agent(rig.namespace())
        (agent.certs / "root-cert.pem").write_text(MeshCA.create().root)
        agent.start()
        try:
            assert agent.says("certificate signed by unknown authority")
            assert not agent.ready()
        finally:
            agent.stop()

    def test_a_certificate_is_renewed_at_half_of_its_life(self, rig: Rig) -> None:
        with rig.agent(rig.namespace(), SECRET_TTL="4s") as agent:
            assert agent.becomes_ready()
            first = agent.certificate()["serial_number"]
            assert wait_until(lambda: agent.certificate()["serial_number"] != first, 60)

    def test_an_account_may_not_speak_for_another(self, rig: Rig) -> None:
        with rig.agent(rig.namespace(), SERVICE_ACCOUNT="someone-else") as agent:
            assert agent.says("code = PermissionDenied desc = authorization failed")
            assert not agent.ready()


@pytest.mark.lab
class TestEntries:
    def test_an_agent_is_refused_until_the_entry_that_it_names_exists(self, rig: Rig) -> None:
        namespace = rig.namespace()
        with rig.agent(namespace, ISTIO_META_WORKLOAD_ENTRY="vm") as agent:
            assert agent.says(f"however WorkloadEntry {namespace}/vm is not found")
            assert not agent.ready()
            rig.entry(namespace, "vm", HEALTH_CHECKED)
            assert agent.becomes_ready(), agent.log

    def test_an_entry_of_another_account_is_refused(self, rig: Rig) -> None:
        namespace = rig.namespace()
        rig.entry(namespace, "vm", HEALTH_CHECKED, serviceAccount="other")
        with rig.agent(namespace, ISTIO_META_WORKLOAD_ENTRY="vm") as agent:
            assert agent.says('service account mismatch: "app" vs "other"')
            assert not agent.ready()

    def test_the_applications_probe_sets_the_condition_both_ways(self, rig: Rig, application: Application) -> None:
        namespace = rig.namespace()
        rig.entry(namespace, "vm", HEALTH_CHECKED)
        with rig.agent(namespace, config=probe(application), ISTIO_META_WORKLOAD_ENTRY="vm"):
            assert rig.becomes_healthy(namespace, "vm", "True")
            assert "message" not in rig.health(namespace, "vm")
            application.status = 500
            assert rig.becomes_healthy(namespace, "vm", "False")
            assert rig.health(namespace, "vm")["message"] == "status code was not from [200,400), bad code 500"

    def test_the_health_of_an_entry_without_the_annotation_is_ignored(self, rig: Rig, application: Application) -> None:
        namespace = rig.namespace()
        rig.entry(namespace, "vm", {})
        with rig.agent(namespace, config=probe(application), ISTIO_META_WORKLOAD_ENTRY="vm") as agent:
            assert agent.says("success threshold hit, marking as healthy")
            assert rig.health(namespace, "vm") == {}

    def test_the_condition_goes_when_the_agent_stays_away(self, rig: Rig, application: Application) -> None:
        namespace = rig.namespace()
        rig.entry(namespace, "vm", HEALTH_CHECKED)
        with rig.agent(namespace, config=probe(application), ISTIO_META_WORKLOAD_ENTRY="vm"):
            assert rig.becomes_healthy(namespace, "vm", "True")
        assert wait_until(lambda: rig.health(namespace, "vm") == {}, 60)

    def test_a_restart_of_istiod_is_survived(self, rig: Rig, application: Application) -> None:
        namespace = rig.namespace()
        rig.entry(namespace, "vm", HEALTH_CHECKED)
        with rig.agent(namespace, config=probe(application), ISTIO_META_WORKLOAD_ENTRY="vm") as agent:
            assert rig.becomes_healthy(namespace, "vm", "True")
            rig.istiod.stop()
            assert agent.ready()
            rig.istiod.start()
            rig.istiod.ready()
            application.status = 500
            assert rig.becomes_healthy(namespace, "vm", "False")


@pytest.mark.lab
class TestAutoRegistration:
    GROUP: ClassVar[dict[str, object]] = {
        "metadata": {"labels": {"app": "ratings"}, "annotations": {"owner": "team"}},
        "template": {"serviceAccount": "app", "network": "from-group", "labels": {"tier": "db"}},
    }

    def group(self, rig: Rig, namespace: str) -> None:
        body = {"metadata": {"name": "ratings", "namespace": namespace}, "spec": self.GROUP}
        rig.api.create(objects.WorkloadGroup.from_dict(body))

    def test_without_its_group_an_agent_is_refused(self, rig: Rig) -> None:
        with rig.agent(rig.namespace(), ISTIO_META_AUTO_REGISTER_GROUP="ratings") as agent:
            assert agent.says("code = FailedPrecondition")
            assert not agent.ready()

    def test_an_entry_is_made_of_group_and_node_and_goes_after_the_grace_period(
        self, rig: Rig, application: Application
    ) -> None:
        namespace = rig.namespace()
        self.group(rig, namespace)
        labels = json.dumps({"version": "v3", "istio-locality": "a.b"})
        names = {"ISTIO_META_AUTO_REGISTER_GROUP": "ratings", "ISTIO_META_NETWORK": "vm-net"}
        with rig.agent(namespace, config=probe(application), ISTIO_METAJSON_LABELS=labels, **names) as agent:
            assert agent.becomes_ready(), agent.log
            (entry,) = rig.entries(namespace)
            assert entry["metadata"]["name"] == "ratings-127.0.0.1-vm-net"
            assert entry["spec"] == {
                "address": "127.0.0.1",
                "labels": {"app": "ratings", "tier": "db", "version": "v3"},
                "locality": "a/b",
                "network": "vm-net",
                "serviceAccount": "app",
            }
            annotations = entry["metadata"]["annotations"]
            assert annotations["istio.io/autoRegistrationGroup"] == "ratings"
            assert annotations["owner"] == "team"
            assert annotations["proxy.istio.io/health-checks-enabled"] == "true"
            assert "istio.io/connectedAt" in annotations
            owner = entry["metadata"]["ownerReferences"][0]
            assert (owner["kind"], owner["name"], owner["controller"]) == ("WorkloadGroup", "ratings", True)
            assert rig.becomes_healthy(namespace, "ratings-127.0.0.1-vm-net", "True")
        assert wait_until(lambda: rig.entries(namespace) == [], 60)

    def test_an_agent_that_comes_back_in_time_keeps_its_entry(self, rig: Rig) -> None:
        namespace = rig.namespace()
        self.group(rig, namespace)
        with rig.agent(namespace, ISTIO_META_AUTO_REGISTER_GROUP="ratings") as agent:
            assert agent.becomes_ready()
            made = rig.entries(namespace)[0]["metadata"]["uid"]
            agent.stop()
            agent.start()
            assert agent.becomes_ready()
            assert [entry["metadata"]["uid"] for entry in rig.entries(namespace)] == [made]


@pytest.mark.lab
class TestInstallation:
    def test_a_new_namespace_gets_the_meshs_root(self, rig: Rig) -> None:
        namespace = rig.namespace()

        def there() -> bool:
            return any(
                found.metadata and found.metadata.name == "istio-ca-root-cert"
                for found in rig.api.list(ConfigMap, namespace=namespace)
            )

        assert wait_until(there, 60)

    def test_the_agent_answers_like_envoy_and_the_agent(self, rig: Rig) -> None:
        with rig.agent(rig.namespace()) as agent:
            assert agent.becomes_ready()
            port = ("--debug-port", str(agent.ports["admin"]))
            certs = run_agent(agent.binary, "request", "GET", "certs", *port)
            assert json.loads(certs.stdout)["certificates"][0]["ca_cert"]
            assert (
                json.loads(run_agent(agent.binary, "request", *port, "GET", "/server_info").stdout)["state"] == "LIVE"
            )
            assert (
                ask(agent.ports["admin"], "stats?filter=workers_started").text
                == "listener_manager.workers_started: 1\n"
            )
            assert ask(agent.ports["prometheus"], "stats/prometheus").status == 200
            assert ask(agent.ports["status"], "healthz/ready").status == 200
            ready = f"--url=http://127.0.0.1:{agent.ports['ready']}/healthz/ready"
            assert run_agent(agent.binary, "wait", ready, "--periodMillis", "10").returncode == 0

    def test_before_the_configuration_came_the_agent_says_so_and_envoy_refuses(self, rig: Rig) -> None:
        with rig.agent(rig.namespace(), "no token") as agent:
            reply = ask(agent.ports["status"], "healthz/ready")
            assert reply.status == 503
            assert "config not received from XDS server" in reply.text
            assert ask(agent.ports["ready"], "healthz/ready").status == 0


@pytest.mark.lab
class TestPackage:
    def test_the_package_holds_the_files_modes_and_dependencies_of_the_original(self, tmp_path: Path) -> None:
        built = package(Steps())
        subprocess.run(["dpkg-deb", "-R", built.deb, tmp_path], check=True)
        files = {
            str(file.relative_to(tmp_path)): stat.S_IMODE(file.stat().st_mode)
            for file in tmp_path.rglob("*")
            if file.is_file()
        }
        assert files == {
            "DEBIAN/control": 0o644,
            "DEBIAN/conffiles": 0o644,
            "DEBIAN/postinst": 0o755,
            "lib/systemd/system/istio.service": 0o644,
            "usr/local/bin/envoy": 0o755,
            "usr/local/bin/istio-start.sh": 0o755,
            "usr/local/bin/pilot-agent": 0o755,
            "var/lib/istio/envoy/envoy_bootstrap_tmpl.json": 0o644,
            "var/lib/istio/envoy/sidecar.env": 0o644,
        }
        assert "Depends: iproute2, iptables, sudo, hostname" in (tmp_path / "DEBIAN/control").read_text()

    def test_another_version_says_that_it_is_another(self, tmp_path: Path) -> None:
        built = package(Steps(), "1.30.4")
        subprocess.run(["dpkg-deb", "-x", built.deb, tmp_path], check=True)
        told = run_agent(tmp_path / "usr/local/bin/pilot-agent", "version", "-s").stdout
        assert told == "client version: 1.30.4\n"
        assert package(Steps(), "1.30.4").built is False

    def test_the_broken_agent_runs_and_never_becomes_ready(self, rig: Rig, tmp_path: Path) -> None:
        subprocess.run(["dpkg-deb", "-x", package(Steps(), broken=True).deb, tmp_path], check=True)
        agent: Agent = rig.make_agent(rig.namespace())
        agent.binary = tmp_path / "usr/local/bin/pilot-agent"
        agent.start()
        try:
            assert agent.says("generated new workload certificate")
            assert ask(agent.ports["status"], "healthz/ready").status == 503
        finally:
            agent.stop()
