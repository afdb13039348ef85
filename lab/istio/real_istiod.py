"""A real `pilot-discovery` as a piece of the lab: what does it need when there are no pods around it?"""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import yaml
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import ConfigMap

from lab.base.errors import LabError
from lab.base.ports import answers
from lab.base.process import Process, wait_until
from lab.cluster.certificates import write_private
from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.ca import Identity, Issued
from lab.istio.install import SYSTEM, injected_cluster
from lab.istio.mesh_root import PLUGGED, issue, read
from lab.istio.options import Options

_STARTS_WITHIN: Final = 60.0
_OFF: Final = (
    # One process: nobody to elect a leader among, and a killed one would hold the lock for 30 s.
    "ENABLE_LEADER_ELECTION",
    # No pods to inject, and no CRDs of the Gateway API.
    "INJECT_ENABLED",
    "PILOT_ENABLE_GATEWAY_API",
    "PILOT_ENABLE_GATEWAY_API_STATUS",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER",
    "PILOT_ENABLE_GATEWAY_API_GATEWAYCLASS_CONTROLLER",
    "PILOT_ENABLE_ANALYSIS",
    "PILOT_ENABLE_IP_AUTOALLOCATE",
    # Filters that only Istio's own build of Envoy has: with these off, any Envoy takes the configuration.
    "PILOT_ENABLE_ALPN_FILTER",
    "PILOT_ENABLE_METADATA_EXCHANGE",
)


class RealIstiod:
    """Istio's own istiod, with the lab's API server and for the lab's machines.

    :param run: folder of the lab's run; the log is `logs/istiod.log` in it.
    :param cluster: where `install` has been done.
    :param address: the address that machines reach istiod by; everything else listens on the loopback alone.
    :param program: `pilot-discovery`.
    :param port: 15012, unless two run on one address.
    :param grace: seconds that an entry, or its health, outlives its agent.
    :param options: what is not plain about it.
    """

    name = "istiod"

    def __init__(
        self,
        run: Path,
        cluster: Cluster,
        address: str,
        program: Path,
        port: int = 15012,
        grace: float = 10.0,
        options: Options = Options(),  # noqa: B008 (it cannot change)
    ) -> None:
        self.log = run / "logs" / f"{options.file}.log"
        self.address = address
        self.port = port
        self._folder = run / options.file
        self._options = options
        self._relays = ExitStack()
        self._kubeconfig = cluster.kubeconfig
        self.program = program
        self._grace = grace
        self._process: Process | None = None

    def start(self) -> None:
        """Start the process, or start it again after `stop`: it keeps its root in the cluster."""
        with objects.connected(self._kubeconfig) as api:
            cluster_id = injected_cluster(api)
            name = f"istio-{self._options.revision}" if self._options.revision else "istio"
            mesh = yaml.safe_load((api.get(ConfigMap, name, namespace=SYSTEM).data or {})["mesh"])
            # The charts' default provider of metrics is one more filter of Istio's own Envoy.
            if mesh.pop("defaultProviders", None):
                api.patch(ConfigMap, name, {"data": {"mesh": yaml.safe_dump(mesh)}}, namespace=SYSTEM)
            plugged = read(api, PLUGGED)
        self._folder.mkdir(parents=True, exist_ok=True)
        for file, text in plugged.items():  # what Kubernetes would have mounted
            place = self._folder / "etc/cacerts" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            write_private(place, text.encode())
        self._process = Process(
            self.name,
            self._command(),
            self.log,
            answers=lambda: answers(self.address, self.port),
            within=_STARTS_WITHIN,
            env=self._variables(cluster_id),
            # Paths in its defaults are relative to where it runs.
            cwd=self._folder,
        )
        self._process.start()

    def ready(self) -> None:
        """Return when it accepts connections and has published the root certificate."""
        if self._process is None:
            raise LabError("istiod has not been started")
        self._process.ready()
        if not wait_until(self._published, _STARTS_WITHIN, every=0.2):
            raise LabError(f"istiod has not published its root certificate in {_STARTS_WITHIN:.0f} s", self.log)
        self._relays = self._options.relays(self.address, self.port)

    def stop(self) -> None:
        """End it; it is given one second for its connections."""
        self._relays.close()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def issue(self, namespace: str, account: str, seconds: int = 3600) -> tuple[Issued, str]:
        """A certificate of the mesh for a client that plays a pod, and the root certificate."""
        return issue(self._kubeconfig, Identity(namespace, account), seconds)

    def _command(self) -> list[str]:
        settings = {
            "--kubeconfig": self._kubeconfig,
            "--secureGRPCAddr": f"{self.address}:{self.port}",
            "--shutdownDuration": "1s",
            "--ctrlz_port": 0,
            **dict.fromkeys(("--grpcAddr", "--httpAddr", "--httpsAddr", "--monitoringAddr"), "127.0.0.1:0"),
        }
        return [str(self.program), "discovery", *(f"{flag}={value}" for flag, value in settings.items())]

    def _variables(self, cluster_id: str) -> dict[str, str]:
        return {
            "POD_NAME": "istiod-lab",  # the value of istio.io/workloadController on entries
            "POD_NAMESPACE": SYSTEM,
            "CLUSTER_ID": cluster_id,
            "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": f"{self._grace}s",
            "VALIDATION_WEBHOOK_CONFIG_NAME": "",
            "INJECTION_WEBHOOK_CONFIG_NAME": "",
            **({"REVISION": self._options.revision} if self._options.revision else {}),
            **({"JWT_RULE": self._options.rule} if self._options.rule else {}),
            **dict.fromkeys(_OFF, "false"),
        }

    def _published(self) -> bool:
        try:
            with objects.connected(self._kubeconfig) as api:
                return bool(api.get(ConfigMap, objects.ROOT_CONFIGMAP, namespace=SYSTEM))
        except ApiError as error:
            if objects.missing(error):
                return False
            raise
