"""What does a cluster answer in a test, where there is none?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from meshvm.cluster.mesh import NOTHING_GIVEN, Given, read_mesh
from meshvm.cluster.revisions import DEFAULT, unknown_revision
from meshvm.cluster.workloads import Token
from meshvm.errors import ClusterError

ROOT_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nZm9yIHRlc3Rz\n-----END CERTIFICATE-----\n"


@dataclass
class FakeCluster:
    """Answers what meshvm asks of an API server; counts the tokens it gives and the seconds it was waited for.

    :param facts: overrides of the mesh's facts, by the keys of `meshvm.facts.MESH_KEYS`.
    :param revisions: its control planes and tags, and the revision that each name stands for; `default` is the one
        without a name. None: there is one of every name.
    :param addresses: addresses of the gateway's Service as (kind, address); kinds are `ip` and `host`.
    :param ports: ports of the gateway's Service.
    :param groups: its WorkloadGroups by name, whole objects.
    :param uids: uids of its WorkloadEntries and Sidecars by name; any other has one made of its kind and name.
    :param granted: the longest time in seconds that it gives a token for; None gives what is asked.
    :param unhealthy: why a WorkloadEntry is not in rotation; empty when it is.
    :param error: raised instead of any answer.
    :param errors: raised instead of the answer of one method, by its name.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, str] | None = None
    addresses: list[tuple[str, str]] = field(default_factory=lambda: [("ip", "192.0.2.10")])
    ports: list[int] = field(default_factory=lambda: [15021, 15443, 15012, 15017])
    groups: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    uids: Mapping[str, str] = field(default_factory=dict)
    granted: int | None = None
    unhealthy: str = ""
    error: Exception | None = None
    errors: Mapping[str, Exception] = field(default_factory=dict)
    tokens: int = 0
    waited: float = 0

    def __enter__(self) -> Self:
        """See Cluster."""
        return self

    def __exit__(self, *_: object) -> None:
        """See Cluster."""

    def mesh(
        self,
        namespace: str,
        istio_namespace: str,
        revision: str,
        patience: float = 0,
        given: Given = NOTHING_GIVEN,
    ) -> dict[str, str]:
        """See Cluster."""
        self._maybe_raise("mesh")
        found = read_mesh(self, namespace, istio_namespace, revision, patience, given)
        return {**found, **self.facts} if given == NOTHING_GIVEN else found

    def mesh_config_text(self, istio_namespace: str, revision: str) -> str:
        """See Cluster."""
        self._maybe_raise("mesh_config_text")
        suffix = f"-{revision}" if revision else ""
        istiod = self.facts.get("discoveryAddress") or f"istiod{suffix}.{istio_namespace}.svc:15012"
        default = {"discoveryAddress": istiod, "meshId": self.facts.get("meshId", "mesh1")}
        return json.dumps({"trustDomain": self.facts.get("trustDomain", "cluster.local"), "defaultConfig": default})

    def root_certificate(self, namespace: str, patience: float = 0) -> str:  # noqa: ARG002 the real one waits
        """See Cluster."""
        self._maybe_raise("root_certificate")
        return self.facts.get("rootCertificate", ROOT_CERTIFICATE)

    def cluster_id(self, istio_namespace: str, revision: str) -> str:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("cluster_id")
        return self.facts.get("clusterId", "Kubernetes")

    def proxy_version(self, istio_namespace: str, revision: str) -> str:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("proxy_version")
        return self.facts.get("proxyVersion", "1.30.3")

    def default_revision(self, istio_namespace: str) -> str:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("default_revision")
        return (self.revisions or {}).get(DEFAULT, DEFAULT)

    def revision(self, istio_namespace: str, revision: str) -> str:
        """See Cluster."""
        self._maybe_raise("revision")
        name = revision or DEFAULT
        if self.revisions is not None and name not in {DEFAULT, *self.revisions}:
            raise unknown_revision(istio_namespace, revision, sorted(self.revisions))
        found = (self.revisions or {}).get(name, name)
        return "" if found == DEFAULT else found

    def gateway(self, namespace: str, name: str) -> tuple[list[tuple[str, str]], list[int]]:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("gateway")
        return self.addresses, self.ports

    def require_namespace(self, name: str) -> None:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("require_namespace")

    def token(self, namespace: str, account: str, seconds: int) -> Token:
        """See Cluster."""
        self._maybe_raise("token")
        self.tokens += 1
        granted = seconds if self.granted is None else min(seconds, self.granted)
        return Token(f"token-{self.tokens}-{namespace}-{account}-{seconds}", granted)

    def workload_group(self, namespace: str, name: str) -> dict[str, Any]:
        """See Cluster."""
        self._maybe_raise("workload_group")
        if name not in self.groups:
            raise ClusterError(f"the WorkloadGroup {namespace}/{name} is not in the cluster; create it", missing=True)
        return self.groups[name]

    def uid(self, kind: str, namespace: str, name: str) -> str:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("uid")
        return self.uids.get(name, f"{kind}-{name}")

    def entry_health(self, namespace: str, name: str) -> tuple[bool, str]:  # noqa: ARG002 the real one asks
        """See Cluster."""
        self._maybe_raise("entry_health")
        return not self.unhealthy, self.unhealthy

    def _maybe_raise(self, method: str) -> None:
        error = self.error or self.errors.get(method)
        if error:
            raise error
