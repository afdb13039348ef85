"""A Kubernetes API of one's own: etcd, API server and controllers in one object, with Istio's CRDs applied."""

import base64
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.cluster import crds
from lab.cluster.admin import Admin
from lab.cluster.apiserver import ApiServer
from lab.cluster.binaries import Binaries, find_or_build
from lab.cluster.certificates import Authority, write_private
from lab.cluster.controllers import Controllers
from lab.cluster.etcd import Etcd

ADMINISTRATORS = "system:masters"
"""The group that RBAC lets do everything."""


class Cluster:
    """A cluster without nodes, for one run; `ready` returns with Istio's CRDs served and the controllers working.

    :param run: the folder of the run: `kubeconfig` and the folders `cluster` and `logs` are made in it.
    :param steps: is told what is found, built and started.
    :param binaries: the programs to run; found or built by `start` when not given.
    :param more_crds: YAML of further definitions, applied with Istio's; only what is known at the start is also known
        to the garbage collector without a wait of up to 30 s.
    """

    name = "cluster"

    def __init__(
        self, run: Path, steps: Steps, binaries: Binaries | None = None, more_crds: Sequence[str] = ()
    ) -> None:
        self.kubeconfig = run / "kubeconfig"
        """Credentials of the administrator, mode 0600."""
        self.log = run / "logs" / "kube-apiserver.log"
        self.audit_log = run / "logs" / "audit.jsonl"
        """A line of JSON for every request that was answered."""
        self.ca = run / "cluster" / "ca.crt"
        """The certificate that vouches for the API server."""
        self.binaries = binaries
        """What runs, and whether it was found or built; set by `start`."""
        self._folder = run / "cluster"
        self._logs = run / "logs"
        self._steps = steps
        self._more_crds = list(more_crds)
        self._definitions: list[str] = []
        self._authority = Authority("meshvm-lab")
        self._etcd: Etcd | None = None
        self._apiserver: ApiServer | None = None
        self._controllers: Controllers | None = None
        self._admin: Admin | None = None

    @property
    def server(self) -> str:
        """The API server's address, `https://127.0.0.1:PORT`; final when `ready` has returned."""
        if self._apiserver is None:
            raise LabError("the cluster has not been started")
        return self._apiserver.server

    @property
    def admin(self) -> Admin:
        """Plain requests as the administrator."""
        if self._admin is None:
            raise LabError("the cluster has not been started")
        return self._admin

    def start(self) -> None:
        """Find or build the programs, write certificates, and start etcd and the API server."""
        self.binaries = self.binaries or find_or_build(self._steps)
        self._definitions = [crds.istio(self._steps), *self._more_crds]
        if self._folder.exists():
            raise LabError(f"{self._folder} belongs to another cluster: stop that one, or give this one another folder")
        self._folder.mkdir(parents=True, mode=0o700)
        self._logs.mkdir(parents=True, exist_ok=True)
        self.ca.write_bytes(self._authority.certificate)
        self._etcd = Etcd(self.binaries.etcd, self._folder / "etcd", self._logs / "etcd.log")
        self._etcd.start()
        certificate, key = self._authority.client("lab-admin", [ADMINISTRATORS]).write(self._folder, "admin")
        self._admin = Admin(lambda: self.server, self.ca, certificate, key)
        self._etcd.ready()
        self._apiserver = ApiServer(
            self.binaries.apiserver,
            self._authority,
            self.ca,
            self._etcd.url,
            self._admin.alive,
            self.log,
            self.audit_log,
        )
        self._apiserver.start()

    def ready(self) -> None:
        """Return when the API answers, the CRDs are served and the controllers work."""
        if self._apiserver is None or self.binaries is None:
            raise LabError("the cluster has not been started")
        with self._steps.step("API server") as found:
            self._apiserver.ready()
            found(f"answers at {self.server}")
        self._write_kubeconfig(self.kubeconfig, "lab-admin", [ADMINISTRATORS])
        with self._steps.step("CRDs") as found:
            names = [name for text in self._definitions for name in crds.apply(self.admin, text)]
            found(f"{len(names)} served")
        controllers = self._folder / "controllers.kubeconfig"
        self._write_kubeconfig(controllers, "system:kube-controller-manager", [ADMINISTRATORS])
        log = self._logs / "kube-controller-manager.log"
        self._controllers = Controllers(self.binaries.controller_manager, controllers, self.admin, log)
        with self._steps.step("controllers"):
            self._controllers.start()
            self._controllers.ready()

    def stop(self) -> None:
        """End all of it and remove its data and credentials; the logs stay."""
        for piece in (self._controllers, self._apiserver, self._etcd):
            if piece:
                piece.stop()
        if self._etcd:
            shutil.rmtree(self._folder)
            self.kubeconfig.unlink(missing_ok=True)
        self._controllers = self._apiserver = self._etcd = None

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig, mode 0600, with a client certificate that the API server reads as `user` in `groups`."""
        digest = hashlib.sha256("\n".join([user, *groups]).encode()).hexdigest()[:8]
        path = self._folder / f"user-{digest}.kubeconfig"
        self._write_kubeconfig(path, user, groups)
        return path

    def audit(self) -> list[dict[str, Any]]:
        """The audit log's events so far, oldest first; a line that is only half written is left out."""
        if not self.audit_log.is_file():
            return []
        lines = self.audit_log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _write_kubeconfig(self, path: Path, user: str, groups: Sequence[str]) -> None:
        pair = self._authority.client(user, groups)
        cluster = {"server": self.server, "certificate-authority-data": _encoded(self._authority.certificate)}
        credentials = {"client-certificate-data": _encoded(pair.certificate), "client-key-data": _encoded(pair.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        }
        write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
