"""How does a kube-apiserver run on the loopback address, with RBAC, service account tokens and an audit log?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.base.ports import free_port
from lab.base.process import Process
from lab.cluster.binaries import Binary
from lab.cluster.certificates import Authority, signing_keys
from lab.cluster.ports import ready_or_once_more

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Issuer of the service accounts' tokens, and their default audience."""

# Tokens and secrets travel in bodies: nothing gets its body logged but the entries, whose writes tests follow.
# What the cluster's own parts read, and what the API server asks itself, would be nine lines of ten.
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: ["system:apiserver"]
  - level: None
    users: ["system:kube-controller-manager"]
    verbs: [get, list, watch]
  - level: RequestResponse
    resources:
      - group: networking.istio.io
        resources: [workloadentries, workloadentries/status]
  - level: Metadata
"""


@dataclass(frozen=True)
class _Files:
    certificate: Path
    key: Path
    signing_key: Path
    signing_key_public: Path
    policy: Path


class ApiServer:
    """A kube-apiserver for one run.

    :param binary: the `kube-apiserver` to run.
    :param authority: vouches for its certificate and for its users.
    :param ca: the authority's certificate; its own certificates and keys are written beside it.
    :param etcd: the address of etcd.
    :param healthy: tells whether the API answers.
    :param log: file that gets its output.
    :param audit_log: file that gets a line of JSON for every request.
    """

    name = "kube-apiserver"

    def __init__(
        self,
        binary: Binary,
        authority: Authority,
        ca: Path,
        etcd: str,
        healthy: Callable[[], bool],
        log: Path,
        audit_log: Path,
    ) -> None:
        self.log = log
        self.audit_log = audit_log
        self._binary = binary
        self._authority = authority
        self._ca = ca
        self._folder = ca.parent
        self._files: _Files | None = None
        self._etcd = etcd
        self._healthy = healthy
        self._port = 0
        self._process: Process | None = None

    @property
    def server(self) -> str:
        """Its address; final when `ready` has returned."""
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it on a port that is free now."""
        self._files = self._files or self._write()
        self._port = free_port()
        command = [str(self._binary.path), *self._flags(self._files)]
        self._process = Process(self.name, command, self.log, self._healthy, within=60)
        self._process.start()

    def ready(self) -> None:
        """Return when it answers; when its port was taken meanwhile, try once with another."""
        ready_or_once_more(self._wait, self.start, self.log)

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.stop()
        self._process = None

    def _wait(self) -> None:
        if self._process:
            self._process.ready()

    def _write(self) -> _Files:
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", "10.96.0.1"]
        certificate, key = self._authority.server(names).write(self._folder, "apiserver")
        policy = self._folder / "audit-policy.yaml"
        policy.write_text(_AUDIT_POLICY)
        return _Files(certificate, key, *signing_keys(self._folder), policy)

    def _flags(self, files: _Files) -> list[str]:
        return [
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--tls-cert-file={files.certificate}",
            f"--tls-private-key-file={files.key}",
            f"--client-ca-file={self._ca}",
            "--authorization-mode=RBAC",
            # The cache of a kind that nobody writes falls behind with an etcd older than 3.4.25, which Debian 12 has:
            # a watch from where a list ended is refused then as "Too large resource version".
            "--watch-cache=false",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-signing-key-file={files.signing_key}",
            f"--service-account-key-file={files.signing_key_public}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--audit-policy-file={files.policy}",
            f"--audit-log-path={self.audit_log}",
            # One server: nobody reads who serves `kubernetes.default`, and queues by priority delay its start.
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
            "--profiling=false",
        ]
