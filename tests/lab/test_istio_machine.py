"""The stand-in of the sidecar package on a machine: installed, started, capturing, stopped and purged."""

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.install import install, serve_package
from lab.istio.istiod import Istiod
from lab.istio.package import package
from lab.machines.cloud_init import Seed
from lab.machines.machine import Machine
from lab.machines.network import Network
from lab.machines.root import Root
from tests.lab.istio_rig import HEALTH_CHECKED, Rig

pytestmark = pytest.mark.lab

APPLICATION = """\
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalPort => 9080, Listen => 20, ReuseAddr => 1) or die $!;
while (my $client = $listener->accept) {
    while (my $line = <$client>) { last if $line =~ /^\\r?\\n$/ }
    my $peer = $client->peerhost;
    print $client "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: " . length($peer) . "\\r\\n\\r\\n$peer";
    close $client;
}
"""
"""An application that answers with the address of its caller; perl is part of every Debian."""

CLUSTER_ENV = """\
CANONICAL_SERVICE='ratings'
CLOUD_PLATFORM='none'
ISTIO_INBOUND_PORTS='*'
ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020'
ISTIO_META_CLUSTER_ID='Kubernetes'
ISTIO_META_WORKLOAD_ENTRY='vm'
ISTIO_NAMESPACE='{namespace}'
ISTIO_SERVICE='ratings.{namespace}'
ISTIO_SERVICE_CIDR='*'
ISTIO_SVC_IP='{address}'
SERVICE_ACCOUNT='app'
TRUST_DOMAIN='cluster.local'
"""
MESH = """\
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  proxyMetadata:
    CANONICAL_SERVICE: ratings
  readinessProbe:
    httpGet:
      path: /
      port: 9080
    periodSeconds: 1
"""


class Mesh:
    """A machine beside a cluster with istiod, and what lies on the machine before the sidecar starts."""

    def __init__(self, rig: Rig, machine: Machine, url: str) -> None:
        self.rig = rig
        self.machine = machine
        self.namespace = rig.namespace()
        rig.entry(self.namespace, "vm", HEALTH_CHECKED, address=machine.private_ip)
        self._put("/srv/answer.pl", APPLICATION)
        machine.run("systemd-run", "--unit=application", "perl", "/srv/answer.pl")
        machine.run("curl", "--fail", "--silent", "--output", "/root/istio-sidecar.deb", url)
        machine.run("dpkg", "-i", "/root/istio-sidecar.deb")
        self._put(
            "/var/lib/istio/envoy/cluster.env", CLUSTER_ENV.format(namespace=self.namespace, address=self.address)
        )
        self._put("/etc/certs/root-cert.pem", rig.istiod.issue("x", "x")[1])
        machine.run("mkdir", "-p", "/var/run/secrets/tokens")
        self._put("/etc/istio/config/mesh", MESH)
        self._put("/var/run/secrets/tokens/istio-token", rig.token(self.namespace))
        machine.run("chown", "-R", "istio-proxy", "/etc/certs", "/var/run/secrets", "/var/lib/istio")
        hosts = machine.path("/etc/hosts")
        hosts.write_text(f"{hosts.read_text()}127.0.1.1 {machine.name}\n{rig.istiod.address} istiod.istio-system.svc\n")

    @property
    def address(self) -> str:
        return self.machine.private_ip

    def _put(self, path: str, text: str) -> None:
        self.machine.run("tee", path, stdin=text)

    def ready(self) -> bool:
        command = ("curl", "--silent", "--fail", "http://127.0.0.1:15021/healthz/ready")
        return self.machine.run(*command, check=False).returncode == 0

    def rules(self) -> str:
        """The rules of both variants of iptables."""
        saves = ("iptables-nft-save", "iptables-legacy-save")
        return "".join(self.machine.run(save, check=False).stdout for save in saves)

    def forwarded(self) -> int:
        """Connections that the proxy has taken so far."""
        stats = self.machine.run("pilot-agent", "request", "GET", "stats?filter=downstream_cx_total").stdout
        return int(stats.split()[-1])

    def call(self, tls: ssl.SSLContext | None = None) -> str:
        """The application's answer to a caller outside the machine; empty when the connection is closed on it."""
        with ExitStack() as open_ones, suppress(ConnectionResetError):
            connection = open_ones.enter_context(socket.create_connection((self.address, 9080), 5))
            if tls:
                connection = open_ones.enter_context(tls.wrap_socket(connection))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ratings\r\n\r\n")
            answer = b""
            while received := connection.recv(4096):
                answer += received
            return answer.decode().rpartition("\r\n")[2]
        return ""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, root: Root, network: Network) -> Iterator[Mesh]:
    run = tmp_path_factory.mktemp("run")
    cluster = Cluster(run, Steps())
    istiod = Istiod(run, cluster, network.host_ip, grace=1)
    machine = Machine("sidecar", root, network, run / "logs", Seed())
    built = package(Steps())
    with ExitStack() as undo:
        packages = serve_package(built.deb, run / "packages", network.host_ip)
        for piece in (packages, cluster, istiod, machine):
            undo.callback(piece.stop)
        cluster.start()
        machine.start()
        cluster.ready()
        machine.ready()
        install(cluster, network.host_ip)
        istiod.start()
        istiod.ready()
        rig = Rig(cluster, istiod, Path(), run)
        undo.callback(rig.api.close)
        mesh = Mesh(rig, machine, packages.url)
        machine.run("systemctl", "start", "istio")
        assert wait_until(mesh.ready, 60), machine.path("/var/log/istio/istio.log").read_text()
        yield mesh


def test_the_applications_probe_makes_the_entry_healthy(mesh: Mesh) -> None:
    assert mesh.rig.becomes_healthy(mesh.namespace, "vm", "True")


def test_a_call_from_outside_passes_the_proxy_and_meets_the_application(mesh: Mesh) -> None:
    before = mesh.forwarded()
    assert mesh.call() == "127.0.0.6"
    assert mesh.forwarded() == before + 1


def test_a_call_of_the_application_passes_the_proxy(mesh: Mesh) -> None:
    server = http.server.ThreadingHTTPServer((mesh.rig.istiod.address, 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        before = mesh.forwarded()
        mesh.machine.run(
            "curl", "--silent", "--fail", "--head", f"http://{mesh.rig.istiod.address}:{server.server_port}/"
        )
        assert mesh.forwarded() == before + 1
    finally:
        server.shutdown()
        server.server_close()


def test_ssh_is_not_captured(mesh: Mesh) -> None:
    before = mesh.forwarded()
    with socket.create_connection((mesh.address, 22), 5) as ssh:
        assert ssh.recv(7) == b"SSH-2.0"
    assert mesh.forwarded() == before


def test_strict_mutual_tls_lets_in_the_mesh_and_no_one_else(mesh: Mesh, tmp_path: Path) -> None:
    issued, root = mesh.rig.istiod.issue("other", "client")
    pair = tmp_path / "pair.pem"
    pair.write_text(issued.certificate + issued.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.load_verify_locations(cadata=root)
    tls.load_cert_chain(pair)
    tls.set_alpn_protocols(["istio"])
    policy = {"metadata": {"name": "strict", "namespace": mesh.namespace}, "spec": {"mtls": {"mode": "STRICT"}}}
    assert mesh.call(tls) == "127.0.0.6"
    mesh.rig.api.create(objects.PeerAuthentication.from_dict(policy))
    assert wait_until(lambda: mesh.call() == "", 60)
    assert mesh.call(tls) == "127.0.0.6"
    mesh.rig.api.delete(objects.PeerAuthentication, "strict", namespace=mesh.namespace)
    assert wait_until(lambda: mesh.call() != "", 60)


def test_files_belong_to_the_proxy_and_secrets_to_it_alone(mesh: Mesh) -> None:
    told = mesh.machine.run("stat", "-c", "%n %U %a", "/etc/certs/key.pem", "/usr/local/bin/pilot-agent").stdout
    assert told.splitlines() == ["/etc/certs/key.pem istio-proxy 600", "/usr/local/bin/pilot-agent root 2755"]


def test_stopping_the_unit_takes_the_rules_back_and_purging_leaves_the_keys(mesh: Mesh) -> None:
    assert "ISTIO_OUTPUT" in mesh.rules()
    mesh.machine.run("systemctl", "stop", "istio")
    assert "ISTIO" not in mesh.rules()
    assert mesh.call() == mesh.rig.istiod.address
    mesh.machine.run("systemctl", "start", "istio")
    assert wait_until(mesh.ready, 60)
    mesh.machine.run("systemctl", "stop", "istio")
    mesh.machine.run("dpkg", "-P", "istio-sidecar")
    assert mesh.machine.path("/etc/certs/key.pem").exists()
    assert mesh.machine.run("getent", "passwd", "istio-proxy").stdout
    mesh.machine.run("dpkg", "-i", "/root/istio-sidecar.deb")  # what was not the package's is still there
    mesh.machine.run("systemctl", "start", "istio")
    assert wait_until(mesh.ready, 60)
