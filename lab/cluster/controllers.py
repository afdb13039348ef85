"""Which controllers must run for namespaces to get accounts and for deletions to end?"""

from pathlib import Path

from lab.base.errors import LabError
from lab.base.process import Process, wait_until
from lab.cluster.admin import Admin
from lab.cluster.binaries import Binary

# Foreground deletion (the default of Pulumi's Kubernetes provider) waits for the garbage collector; a deleted
# namespace for the namespace controller; the account `default` of a new namespace comes from the third. The other three
# make pods of a Deployment and endpoints of a Service, which the provider waits for. (Slices of endpoints need nodes.)
_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "deployment-controller",
    "replicaset-controller",
    "endpoints-controller",
)

_PROBES = "/api/v1/namespaces/default/configmaps"


class Controllers:
    """A kube-controller-manager with the few controllers that a mesh without nodes needs.

    Start it when the CRDs are served: the garbage collector asks only every 30 s which new kinds there are.

    :param binary: the `kube-controller-manager` to run.
    :param kubeconfig: what it reaches the API server with.
    :param admin: asks the API server whether deletions end.
    :param log: file that gets its output.
    """

    name = "kube-controller-manager"

    def __init__(self, binary: Binary, kubeconfig: Path, admin: Admin, log: Path) -> None:
        self.log = log
        self._admin = admin
        command = [
            str(binary.path),
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]
        self._process = Process(self.name, command, log)

    def start(self) -> None:
        """Start it."""
        self._process.start()

    def ready(self) -> None:
        """Return when an object deleted in the foreground is gone: the garbage collector works."""
        self._process.ready()
        probe = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"lab-deletion-probe"}}'
        self._admin.ask("POST", _PROBES, probe)
        one = f"{_PROBES}/lab-deletion-probe"
        self._admin.ask("DELETE", f"{one}?propagationPolicy=Foreground")

        def gone() -> bool:
            self._process.ready()  # raises when it has ended meanwhile
            return self._admin.ask("GET", one).status == 404

        if not wait_until(gone, seconds=30):
            raise LabError("the garbage collector does not end a deletion within 30 s", self.log)

    def stop(self) -> None:
        """End it."""
        self._process.stop()
