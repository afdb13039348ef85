"""istiod's stand-in as a piece of the lab: started, watched, killed and started again; and what its root can sign."""

import sys
from contextlib import ExitStack
from pathlib import Path

from lab.base.errors import LabError
from lab.base.process import Process
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.ca import Identity, Issued
from lab.istio.install import injected_cluster
from lab.istio.mesh_root import issue
from lab.istio.options import Options

_LISTENING = "listening on "
CHECKOUT = Path(__file__).parents[2]


class Istiod:
    """istiod's end of the sidecar, as a process of its own.

    :param run: folder of the lab's run; the log is `logs/istiod.log` in it.
    :param cluster: where `install` has been done.
    :param address: the address that machines reach istiod by.
    :param port: 15012, unless two run on one address.
    :param grace: seconds that an entry, or its health, outlives its agent (10 in the original).
    :param lifetime: the longest life of a certificate, in seconds.
    :param options: what is not plain about it.
    """

    name = "istiod (a stand-in)"

    def __init__(
        self,
        run: Path,
        cluster: Cluster,
        address: str,
        port: int = 15012,
        grace: float = 10.0,
        lifetime: int = 86400,
        options: Options = Options(),  # noqa: B008 (it cannot change)
    ) -> None:
        self.log = run / "logs" / f"{options.file}.log"
        self.address = address
        self.port = port
        self._kubeconfig = cluster.kubeconfig
        self._settings = {"--grace": grace, "--lifetime": lifetime, "--folder": run / options.file, "--port": port}
        self._settings |= {"--revision": options.revision, "--jwt-rule": options.rule}
        self._options = options
        self._relays = ExitStack()
        self._process: Process | None = None

    def start(self) -> None:
        """Start the process, or start it again after `stop`: it keeps its root in the cluster."""
        with objects.connected(self._kubeconfig) as api:
            cluster_id = injected_cluster(api)
        settings = {
            **self._settings,
            "--address": self.address,
            "--kubeconfig": self._kubeconfig,
            "--cluster": cluster_id,
        }
        words = [word for pair in settings.items() for word in (pair[0], str(pair[1]))]
        said = len(self.log.read_text(errors="replace")) if self.log.exists() else 0
        self._process = Process(
            self.name,
            [sys.executable, "-m", "lab.istio.server", *words],
            self.log,
            # Its own word that it has the port, and not an answer from whoever has it.
            answers=lambda: _LISTENING in self.log.read_text(errors="replace")[said:],
            cwd=CHECKOUT,
        )
        self._process.start()

    def ready(self) -> None:
        """Return when it accepts connections."""
        if self._process is None:
            raise LabError("istiod has not been started")
        self._process.ready()
        self._relays = self._options.relays(self.address, self.port)

    def stop(self) -> None:
        """End it at once: to agents and entries it is as if it had crashed."""
        self._relays.close()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def issue(self, namespace: str, account: str, seconds: int = 3600) -> tuple[Issued, str]:
        """A certificate of the mesh for a client that plays a pod, and the root certificate."""
        return issue(self._kubeconfig, Identity(namespace, account), seconds)
