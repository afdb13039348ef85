"""A cluster, istiod's stand-in and agents in folders of their own, all on the loopback."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccount, ServiceAccountToken

from lab.base.ports import free_port
from lab.base.process import Process, wait_until
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.istiod import Istiod
from lab.istio.mesh_root import load
from lab.istio.real_istiod import RealIstiod

if TYPE_CHECKING:
    import lightkube

HEALTH_CHECKED = {"proxy.istio.io/health-checks-enabled": "true"}


@dataclass
class Reply:
    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def ask(port: int, path: str) -> Reply:
    """One request to an agent on the loopback; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as reply:
            return Reply(reply.status, reply.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read().decode())
    except OSError as error:
        return Reply(0, str(error))


@dataclass
class Agent:
    """`pilot-agent proxy` with a folder of its own for everything that lies in / on a machine."""

    binary: Path
    folder: Path
    variables: dict[str, str]
    config: dict[str, Any]
    ports: dict[str, int] = field(default_factory=dict)
    process: Process | None = None

    @property
    def certs(self) -> Path:
        return self.folder / "etc/certs"

    @property
    def token(self) -> Path:
        return self.folder / "var/run/secrets/tokens/istio-token"

    @property
    def log(self) -> str:
        path = self.folder / "agent.log"
        return path.read_text() if path.exists() else ""

    def write(self, **more: Any) -> None:
        """Write the mesh file, with these settings too."""
        for folder in (self.certs, self.token.parent, self.folder / "etc/istio/config"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "etc/istio/config/mesh").write_text(json.dumps({"defaultConfig": {**more, **self.config}}))

    def start(self) -> None:
        self.ports = self.ports or {n: free_port() for n in ("admin", "status", "ready", "prometheus", "out", "in")}
        self.write(proxyAdminPort=self.ports["admin"], statusPort=self.ports["status"])
        ports = {"ENVOY_STATUS_PORT": "ready", "ENVOY_PROMETHEUS_PORT": "prometheus", "ENVOY_PORT": "out"}
        variables = {name: str(self.ports[port]) for name, port in {**ports, "INBOUND_CAPTURE_PORT": "in"}.items()}
        self.process = Process(
            "agent",
            [str(self.binary), "proxy"],
            self.folder / "agent.log",
            answers=lambda: ask(self.ports["status"], "healthz/ready").status != 0,
            env={**variables, **self.variables},
            cwd=self.folder,
        )
        self.process.start()
        self.process.ready()

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None

    def ready(self) -> bool:
        return ask(self.ports["ready"], "healthz/ready").status == 200

    def says(self, text: str, times: int = 1) -> bool:
        """Whether its log says so, at least that often, within a generous time."""
        return wait_until(lambda: self.log.count(text) >= times, 60)

    def becomes_ready(self) -> bool:
        return wait_until(self.ready, 60)

    def certificate(self) -> dict[str, Any]:
        chain: dict[str, Any] = ask(self.ports["admin"], "certs").json()["certificates"][0]["cert_chain"][0]
        return chain


class Rig:
    def __init__(self, cluster: Cluster, istiod: Istiod | RealIstiod, binary: Path, folder: Path) -> None:
        self.cluster = cluster
        self.istiod = istiod
        self.binary = binary
        self.folder = folder
        self.api: lightkube.Client = objects.client(cluster.kubeconfig)
        self._count = 0

    def namespace(self, account: str = "app") -> str:
        """A new namespace with this service account."""
        self._count += 1
        name = f"team-{self._count}"
        objects.ensure_namespace(self.api, name)
        self.api.create(ServiceAccount(metadata=ObjectMeta(name=account, namespace=name)))
        return name

    def token(self, namespace: str, account: str = "app", audience: str = "istio-ca") -> str:
        spec = TokenRequestSpec(audiences=[audience], expirationSeconds=600)
        made = self.api.create(ServiceAccountToken(metadata=ObjectMeta(), spec=spec), name=account, namespace=namespace)
        assert made.status
        return str(made.status.token)

    @contextmanager
    def agent(self, namespace: str, token: str | None = None, **options: Any) -> Iterator[Agent]:
        """A running agent with the mesh's root and a token of the account `app`."""
        agent = self.make_agent(namespace, token, **options)
        try:
            agent.start()
            yield agent
        finally:
            agent.stop()

    def make_agent(
        self, namespace: str, token: str | None = None, *, config: dict[str, Any] | None = None, **variables: str
    ) -> Agent:
        self._count += 1
        folder = self.folder / f"agent-{self._count}"
        address = f"localhost:{self.istiod.port}"
        given = {
            "PROV_CERT": "./etc/certs",
            "OUTPUT_CERTS": "./etc/certs",
            "CA_ADDR": address,
            "POD_NAMESPACE": namespace,
            "POD_NAME": f"vm-{self._count}",
            "SERVICE_ACCOUNT": "app",
            "INSTANCE_IP": "127.0.0.1",
            "TRUST_DOMAIN": "cluster.local",
            "CLOUD_PLATFORM": "none",
            "ISTIO_META_CLUSTER_ID": "Kubernetes",
            **variables,
        }
        agent = Agent(self.binary, folder, given, {"discoveryAddress": address, **(config or {})})
        agent.certs.mkdir(parents=True)
        agent.token.parent.mkdir(parents=True)
        root = load(self.api)
        assert root
        (agent.certs / "root-cert.pem").write_text(root.root)
        agent.token.write_text(self.token(namespace) if token is None else token)
        return agent

    def entry(self, namespace: str, name: str, annotations: dict[str, str], **spec: Any) -> None:
        body = {
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": {"address": "127.0.0.1", "serviceAccount": "app", **spec},
        }
        self.api.create(objects.WorkloadEntry.from_dict(body))

    def entries(self, namespace: str) -> list[dict[str, Any]]:
        return [objects.plain(entry) for entry in self.api.list(objects.WorkloadEntry, namespace=namespace)]

    def health(self, namespace: str, name: str) -> dict[str, Any]:
        entry = objects.plain(self.api.get(objects.WorkloadEntry, name, namespace=namespace))
        conditions = (entry.get("status") or {}).get("conditions") or []
        return next((c for c in conditions if c["type"] == "Healthy"), {})

    def becomes_healthy(self, namespace: str, name: str, status: str) -> bool:
        return wait_until(lambda: self.health(namespace, name).get("status") == status, 60)


def run_agent(binary: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the agent that ends by itself."""
    return subprocess.run(
        [binary, *words], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
