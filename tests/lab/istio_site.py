"""istiod and its agents on the lab's network, each agent in a network namespace of its own: Istio's own programs or the
stand-ins, so that one test says of both what they do."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.base.process import Process, wait_until
from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.ca import MeshCA
from lab.istio.install import install
from lab.istio.istiod import Istiod
from lab.istio.mesh_root import plug_in
from lab.istio.options import Options
from lab.istio.package import package
from lab.istio.real import Real
from lab.istio.real_istiod import RealIstiod
from lab.machines.network import Network
from tests.lab.istio_rig import Agent, Reply, Rig

NAME = "istiod.istio-system.svc"


@dataclass
class Host(Agent):
    """An agent with a network of its own.

    :param netns: the name of its network namespace.
    :param address: where others reach it.
    """

    netns: str = ""
    address: str = ""
    beside: list[Process] = field(default_factory=list)

    def start(self) -> None:
        self.write()
        self.process = Process(
            "agent",
            ["ip", "netns", "exec", self.netns, str(self.binary), "proxy"],
            self.folder / "agent.log",
            env=self.variables,
            cwd=self.folder,
        )
        self.process.start()
        self.process.ready()

    def stop(self) -> None:
        super().stop()
        for process in self.beside:
            process.stop()
        self.beside.clear()

    def ready(self) -> bool:
        return self.curl("http://127.0.0.1:15021/healthz/ready").status == 200

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command with this host's network."""
        return subprocess.run(
            ["ip", "netns", "exec", self.netns, *words],
            capture_output=True,
            text=True,
            check=False,
            env=variables or None,
        )

    def curl(self, *words: str) -> Reply:
        """One request from this host; status 0 when nobody answers."""
        done = self.run("curl", "--silent", "--max-time", "5", "--write-out", "\n%{http_code}", *words)
        text, _, status = done.stdout.rpartition("\n")
        return Reply(int(status or 0), text)

    def alongside(self, *words: str) -> None:
        """A program that runs on this host until the host stops."""
        command = ["ip", "netns", "exec", self.netns, *words]
        self.beside.append(Process("application", command, self.folder / "application.log"))
        self.beside[-1].start()

    def answers(self, bind: str, port: int, text: str) -> None:
        """An application on this host that answers each GET with `text`, its caller and what it was called."""
        program = (
            "import http.server,sys\n"
            "class A(http.server.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n"
            f"        b=('{text} '+self.client_address[0]+' '+str(self.headers['Host'])).encode()\n"
            "        self.send_response(200); self.send_header('Content-Length',str(len(b))); self.end_headers()\n"
            "        self.wfile.write(b)\n"
            "    def log_message(self,*a): pass\n"
            f"http.server.ThreadingHTTPServer(('{bind}',{port}),A).serve_forever()\n"
        )
        self.alongside("python3", "-c", program)
        target = f"http://{bind if bind != '0.0.0.0' else '127.0.0.1'}:{port}/"
        assert wait_until(lambda: self.curl(target).status == 200, 20)


class Site(Rig):
    """One cluster, one istiod, and the network.

    :param kind: what programs these are, for messages.
    """

    def __init__(
        self, cluster: Cluster, istiod: Istiod | RealIstiod, tree: Path, folder: Path, network: Network
    ) -> None:
        super().__init__(cluster, istiod, tree / "usr/local/bin/pilot-agent", folder)
        self.network = network
        self.tree = tree
        self.real = isinstance(istiod, RealIstiod)
        self.kind = "real" if self.real else "stand-in"

    @contextmanager
    def host(self, namespace: str, name: str = "", token: str | None = None, **options: Any) -> Iterator[Host]:
        """An agent that is not started yet, in a network namespace that goes with it."""
        name = name or f"vm{self._count}"
        attachment = self.network.attach(name)
        try:
            host = self.make_host(namespace, attachment.netns.name, attachment.private_ip, token, **options)
            try:
                yield host
            finally:
                host.stop()
        finally:
            self.network.detach(name)

    def make_host(
        self,
        namespace: str,
        netns: str,
        address: str,
        token: str | None,
        config: dict[str, Any] | None = None,
        **variables: str,
    ) -> Host:
        place = {"discoveryAddress": f"{self.istiod.address}:{self.istiod.port}", **(config or {})}
        if self.real:
            place["binaryPath"] = str(self.tree / "usr/local/bin/envoy")
        agent = self.make_agent(
            namespace, token, config=place, **{"INSTANCE_IP": address, "ISTIOD_SAN": NAME, "CA_ADDR": "", **variables}
        )
        for name in [name for name, value in agent.variables.items() if value == "" and name == "CA_ADDR"]:
            del agent.variables[name]
        template = agent.folder / "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"
        template.parent.mkdir(parents=True)
        shutil.copyfile(self.tree / "var/lib/istio/envoy/envoy_bootstrap_tmpl.json", template)
        return Host(agent.binary, agent.folder, agent.variables, agent.config, netns=netns, address=address)

    @contextmanager
    def another(self, port: int, options: Options) -> Iterator[Istiod | RealIstiod]:
        """One more istiod of the same kind, beside the first."""
        place = (self.folder.parent, self.cluster, self.network.host_ip)
        istiod: Istiod | RealIstiod
        if isinstance(self.istiod, RealIstiod):
            istiod = RealIstiod(*place, self.istiod.program, port=port, grace=6, options=options)
        else:
            istiod = Istiod(*place, port=port, grace=6, options=options)
        try:
            istiod.start()
            istiod.ready()
            yield istiod
        finally:
            istiod.stop()


@contextmanager
def site(run: Path, network: Network, real: Real | None) -> Iterator[Site]:
    """Everything started, and stopped at the end; istiod signs with an authority below a root that it does not have.

    :param real: Istio's own programs; the stand-ins when there are none.
    """
    cluster = Cluster(run, Steps())
    with ExitStack() as undo:
        undo.callback(cluster.stop)
        cluster.start()
        cluster.ready()
        install(cluster, network.host_ip)
        with objects.connected(cluster.kubeconfig) as api:
            plug_in(api, MeshCA.create().intermediate())
        place = (run, cluster, network.host_ip)
        istiod = RealIstiod(*place, real.discovery, grace=6) if real else Istiod(*place, grace=6)
        undo.callback(istiod.stop)
        istiod.start()
        istiod.ready()
        tree = run / "package"
        subprocess.run(["dpkg-deb", "-x", real.deb if real else package(Steps()).deb, tree], check=True)
        made = Site(cluster, istiod, tree, run / "agents", network)
        undo.callback(made.api.close)
        yield made
