"""The whole lab: every piece, started in order, stopped in reverse, whatever happens in between."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lab import engine
from lab.base.debian import LAB, need
from lab.base.steps import Steps
from lab.cloud.host import CloudHost
from lab.cluster.cluster import Cluster
from lab.cluster.stand_ins import NodesAndCloud
from lab.istio import objects
from lab.istio.install import install, serve_package
from lab.istio.istiod import Istiod
from lab.istio.options import Options
from lab.istio.package import VERSION, package
from lab.istio.real import find_real
from lab.istio.real_istiod import RealIstiod
from lab.machines.network import Network
from lab.machines.root import Root
from lab.stack import environment

CHECKOUT: Final = Path(__file__).parents[1]
# The plugins that have a stand-in; a real one on PATH or in Pulumi's home replaces it, but for the clouds': a user's
# installed plugin would make instances in the user's account, and no lab machine.
_PLUGINS: Final = ("aws", "command", "gcp", "kubernetes", "tls")
_CLOUDS: Final = ("aws", "gcp")
NAMESPACE: Final = "bookinfo"


class Lab:
    """Engine, API server, cloud, machines, istiod and the sidecar's package, in one folder.

    :param steps: what the run says.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.folder = Path(tempfile.mkdtemp(prefix="meshvm-lab-"))
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.network = Network(self.logs)
        self.root = Root(self.logs)
        self.cluster = Cluster(self.folder, steps)
        self.parts: dict[str, str] = {}
        self.package_url = ""
        self.package_sha256 = ""
        self.keep = False
        """Keep the logs although nothing is raised: a test that failed needs them."""
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start everything; what was started is stopped again when a later piece does not start."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; the logs stay when something went wrong."""
        self.stop()
        if error is None and not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.steps.say(f"the logs of this run are in {self.logs}")

    def start(self) -> None:
        """Start the pieces in order, with the host's packages first."""
        need(self.steps, *LAB)
        prepare_engine(self.folder, self.steps, self.parts)
        with self.steps.step("machines' root") as found:
            self.root.start()
            self.root.ready()
            found(f"{self.root.release}")
        with self.steps.step("network") as found:
            self.network.start()
            self._running.callback(self.network.stop)
            self.network.ready()
            found(f"machines at 198.18.{self.network.index}.0/24")
        self._running.callback(self.cluster.stop)
        self.cluster.start()
        self.cluster.ready()
        self.parts["API server"] = "real"
        self.cloud = CloudHost(self.folder, self.network, self.root)
        self._running.callback(self.cloud.stop)
        self.cloud.start()
        self.cloud.ready()
        self._start_mesh()

    def _start_mesh(self) -> None:
        real, why_not = find_real(self.steps, self.folder / "fetched")
        sidecar = real or package(self.steps)
        server = serve_package(sidecar.deb, self.folder / "packages", self.network.host_ip)
        self._running.callback(server.stop)
        self.package_url, self.package_sha256 = server.url, sidecar.sha256
        kind = f"real ({real.version})" if real else f"stand-in{why_not and f' ({why_not})'}"
        with self.steps.step("istiod") as found:
            install(self.cluster, self.network.host_ip, version=real.version if real else VERSION)
            self.namespace(NAMESPACE)
            place = (self.folder, self.cluster, self.network.host_ip)
            options = Options(also=(self.network.host_ipv6,) if self.network.host_ipv6 else ())
            self.istiod: Istiod | RealIstiod = (
                RealIstiod(*place, real.discovery, options=options) if real else Istiod(*place, options=options)
            )
            self._running.callback(self.istiod.stop)
            self.istiod.start()
            self.istiod.ready()
            found(f"{kind}, answers at {self.network.host_ip}:15012")
        # Load balancers and pods that a program makes get the address that istiod answers at.
        played = NodesAndCloud(self.cluster.admin, self.network.host_ip)
        self._running.callback(played.stop)
        played.start()
        self.parts["nodes and cloud load balancer"] = "stand-in"
        self.parts["istiod"] = kind
        self.parts["sidecar package"] = f"real ({real.deb.name})" if real else kind

    def namespace(self, name: str) -> None:
        """Make a namespace."""
        with objects.client(self.cluster.kubeconfig) as api:
            objects.ensure_namespace(api, name)

    def entries(self, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The WorkloadEntries that the API server has now."""
        path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/workloadentries"
        return list(self.cluster.admin.ask("GET", path).body["items"])

    def stop(self) -> None:
        """Stop what runs, last first."""
        self._running.close()

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of an engine that works in this lab."""
        return environment(self.folder, MESHVM_LAB=str(self.folder), MESHVM_CLOUD=str(self.cloud.socket))


def healthy(entry: Mapping[str, Any]) -> bool:
    """Whether istiod has this WorkloadEntry in rotation."""
    conditions = entry.get("status", {}).get("conditions", [])
    return any(one["type"] == "Healthy" and one["status"] == "True" for one in conditions)


def prepare_engine(folder: Path, steps: Steps, parts: dict[str, str]) -> None:
    """Find or build the engine, put it and the plugins into `folder/bin`, and note in `parts` what is real."""
    found = engine.find_or_build(steps)
    parts["engine"] = "real"
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "pulumi").symlink_to(found.binary)
    for name in _PLUGINS:
        real = None if name in _CLOUDS else _real_plugin(name)
        parts[f"plugin {name}"] = "real" if real else "stand-in"
        target = folder / "bin" / f"pulumi-resource-{name}"
        if real:
            target.symlink_to(real)
        else:
            _script(target, f"lab.plugins.{name}")
    _script(folder / "bin" / "pulumi-resource-meshvm", "pulumi.run.plugin meshvm")


def _script(target: Path, module: str) -> None:
    target.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec "{sys.executable}" -m {module} "$@"\n')
    target.chmod(target.stat().st_mode | stat.S_IXUSR)


def _real_plugin(name: str) -> Path | None:
    on_path = shutil.which(f"pulumi-resource-{name}")
    if on_path:
        return Path(on_path)
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    installed = sorted(home.glob(f"plugins/resource-{name}-v*/pulumi-resource-{name}"))
    return installed[-1] if installed else None
