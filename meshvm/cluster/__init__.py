"""What is asked of the API server: facts of the mesh, a token for an account, the health of an entry."""

import time

from meshvm.cluster.mesh import ISTIODS_CLUSTER_ID, NOTHING_GIVEN, Given, MeshFacts, mesh_facts, read_mesh
from meshvm.cluster.revisions import DEFAULT as DEFAULT_REVISION
from meshvm.cluster.revisions import unknown_revision
from meshvm.cluster.workloads import TOKEN_AUDIENCE, Token, Workloads
from meshvm.errors import ClusterError

__all__ = [
    "DEFAULT_REVISION",
    "ISTIODS_CLUSTER_ID",
    "NOTHING_GIVEN",
    "TOKEN_AUDIENCE",
    "Cluster",
    "Given",
    "Token",
    "connect",
    "mesh_facts",
    "read_mesh",
    "unknown_revision",
    "wait_healthy",
]


class Cluster(MeshFacts, Workloads):
    """One API server, asked with one set of credentials: see Client."""


def connect(kubeconfig: str | None, context: str | None) -> Cluster:
    """A Cluster to be closed; the one place where meshvm opens a connection, so that tests can stand in for it."""
    return Cluster(kubeconfig or None, context or None)


def wait_healthy(cluster: Cluster, namespace: str, name: str, seconds: float) -> str:
    """Ask until the entry is in rotation; the empty string then, else why it is not after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            healthy, reason = cluster.entry_health(namespace, name)
        except ClusterError as error:
            healthy, reason = False, str(error)
        if healthy:
            return ""
        if time.monotonic() >= end:
            return reason
        time.sleep(0.5)
