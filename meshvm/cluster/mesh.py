"""What are the facts of the mesh: who is istiod, what does it trust, and by which names does it know things?"""

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Service

from meshvm.cluster.client import asked, yaml_map
from meshvm.cluster.revisions import Revisions, suffix
from meshvm.errors import ArgumentError, ClusterError, MeshvmError

# istiod's own id when nobody gave it one (istio: pilot-discovery's --clusterID).
ISTIODS_CLUSTER_ID: Final = "Kubernetes"

_MESH_CONFIG: Final = "istio"
_INJECTOR: Final = "istio-sidecar-injector"


class Given(NamedTuple):
    """What is not to be asked, because the user gave it; None is asked."""

    mesh_config: str | None = None
    root_certificate: str | None = None
    cluster_id: str | None = None
    proxy_version: str | None = None


NOTHING_GIVEN: Final = Given()


def mesh_facts(*, namespace: str, istio_namespace: str, revision: str, given: Given) -> dict[str, str]:
    """The facts of the mesh out of what is known, as in the map `mesh`, without the gateway's. Asks nobody.

    :param given: all four of its parts.
    """
    config = yaml_map(
        given.mesh_config or "", "the mesh config", "give the text of the key `mesh` of istiod's ConfigMap"
    )
    default_config = config.get("defaultConfig") or {}
    istiod = f"istiod{suffix(revision)}.{istio_namespace}.svc:15012"
    return {
        "namespace": namespace,
        "istioNamespace": istio_namespace,
        "revision": revision,
        "discoveryAddress": default_config.get("discoveryAddress") or istiod,
        "trustDomain": config.get("trustDomain") or "cluster.local",
        "meshId": default_config.get("meshId") or "",
        "clusterId": given.cluster_id or ISTIODS_CLUSTER_ID,
        "proxyVersion": given.proxy_version or "",
        "rootCertificate": given.root_certificate or "",
        "defaultConfig": json.dumps(default_config, sort_keys=True, separators=(",", ":")),
    }


class Answers(Protocol):
    """Whoever answers for a cluster: the real one, or one for tests."""

    def revision(self, istio_namespace: str, revision: str) -> str:
        """See Revisions."""

    def mesh_config_text(self, istio_namespace: str, revision: str) -> str:
        """See MeshFacts."""

    def cluster_id(self, istio_namespace: str, revision: str) -> str:
        """See MeshFacts."""

    def proxy_version(self, istio_namespace: str, revision: str) -> str:
        """See MeshFacts."""

    def root_certificate(self, namespace: str, patience: float = 0) -> str:
        """See MeshFacts."""


def read_mesh(
    asking: Answers, namespace: str, istio_namespace: str, revision: str, patience: float, given: Given
) -> dict[str, str]:
    """The facts of the mesh that a VM in `namespace` needs, as in the map `mesh`, without the gateway's.

    :param revision: a revision or a revision tag; "" takes the cluster's default one.
    :param patience: seconds that istiod may take to write its root certificate into a namespace that is new.
    :param given: what is not asked.
    """
    if None in {given.mesh_config, given.cluster_id, given.proxy_version}:
        revision = asking.revision(istio_namespace, revision)
        given = _of_istiod(asking, istio_namespace, revision, given)
    if given.root_certificate is None:
        given = given._replace(root_certificate=asking.root_certificate(namespace, patience))
    return mesh_facts(namespace=namespace, istio_namespace=istio_namespace, revision=revision, given=given)


def _of_istiod(asking: Answers, istio_namespace: str, revision: str, given: Given) -> Given:
    """`given`, with what only the control plane's own objects tell."""
    if given.mesh_config is None:
        given = given._replace(mesh_config=asking.mesh_config_text(istio_namespace, revision))
    if given.cluster_id is None:
        given = given._replace(cluster_id=asking.cluster_id(istio_namespace, revision))
    else:
        _require_known_id(asking, istio_namespace, revision, given.cluster_id)
    if given.proxy_version is None:
        given = given._replace(proxy_version=asking.proxy_version(istio_namespace, revision))
    return given


def _require_known_id(asking: Answers, istio_namespace: str, revision: str, cluster_id: str) -> None:
    """An error when istiod would refuse machines that claim to be in the cluster of this id."""
    try:
        known = asking.cluster_id(istio_namespace, revision) or ISTIODS_CLUSTER_ID
    except ClusterError as error:
        if error.missing or error.refused:
            return
        raise
    if (cluster_id or ISTIODS_CLUSTER_ID) != known:
        wrong = f"istiod knows this cluster as {known!r} and refuses machines that claim to be in {cluster_id!r}"
        raise ArgumentError("cluster_id", wrong, f"write {known}, or leave it out")


class MeshFacts(Revisions):
    """The mesh as its control plane's own objects describe it."""

    def mesh(
        self, namespace: str, istio_namespace: str, revision: str, patience: float = 0, given: Given = NOTHING_GIVEN
    ) -> dict[str, str]:
        """See read_mesh."""
        return read_mesh(self, namespace, istio_namespace, revision, patience, given)

    def mesh_config_text(self, istio_namespace: str, revision: str) -> str:
        """The mesh config of a revision, YAML."""
        name = f"{_MESH_CONFIG}{suffix(revision)}"
        text = self._data(istio_namespace, name, "mesh")
        yaml_map(text, f"the key 'mesh' of the ConfigMap {istio_namespace}/{name}", "repair the ConfigMap")
        return text

    def cluster_id(self, istio_namespace: str, revision: str) -> str:
        """The id by which istiod knows this cluster, as the injector gives it to pods; "" when it has none."""
        return str(_at(self._injector(istio_namespace, revision), "global", "multiCluster", "clusterName") or "")

    def proxy_version(self, istio_namespace: str, revision: str) -> str:
        """The version of the control plane: the tag of istiod's image, else what its chart was told."""
        name = f"istiod{suffix(revision)}"
        try:
            with asked(f"the Deployment {istio_namespace}/{name}", "check istio_namespace and revision"):
                deployment = self._client.get(Deployment, name, namespace=istio_namespace)
        except ClusterError as error:
            tag = None if error.unreachable else _at(self._injector(istio_namespace, revision), "global", "tag")
            if not tag:
                raise
            return str(tag)
        pod = deployment.spec.template.spec if deployment.spec else None
        image = pod.containers[0].image or "" if pod and pod.containers else ""
        return image.rpartition("@")[0].rpartition(":")[2] if "@" in image else image.rpartition(":")[2]

    def root_certificate(self, namespace: str, patience: float = 0) -> str:
        """The root certificate that istiod wrote into a namespace.

        :param patience: seconds that it may take, in a namespace that is new.
        """
        end = time.monotonic() + patience
        while True:
            try:
                return self._data(namespace, "istio-ca-root-cert", "root-cert.pem")
            except ClusterError as error:
                if error.unreachable or error.refused or time.monotonic() >= end:
                    raise self._why_no_root(namespace, error) from None
                time.sleep(0.5)

    def gateway(self, namespace: str, name: str) -> tuple[list[tuple[str, str]], list[int]]:
        """Addresses of a Service's load balancer as (kind, address), IP addresses first; and the Service's ports."""
        with asked(f"the Service {namespace}/{name}", "check `service`, as namespace/name"):
            service = self._client.get(Service, name, namespace=namespace)
        balancer = service.status.loadBalancer if service.status else None
        ingress = (balancer.ingress if balancer else None) or []
        external = (service.spec.externalIPs if service.spec else None) or []
        addresses = [("ip", point.ip) for point in ingress if point.ip] + [("ip", ip) for ip in external]
        addresses += [("host", point.hostname) for point in ingress if point.hostname]
        ports = (service.spec.ports if service.spec else None) or []
        return list(dict.fromkeys(addresses)), [port.port for port in ports]

    def _injector(self, istio_namespace: str, revision: str) -> dict[str, Any]:
        name = f"{_INJECTOR}{suffix(revision)}"
        text = self._data(istio_namespace, name, "values")
        return yaml_map(text, f"the key 'values' of the ConfigMap {istio_namespace}/{name}", "repair the ConfigMap")

    def _why_no_root(self, namespace: str, error: ClusterError) -> MeshvmError:
        """What to mend: the namespace that is not there, istiod that does not see it, or what the answer says."""
        if not error.missing:
            return error
        try:
            self.require_namespace(namespace)
        except ClusterError as absent:
            if absent.missing:
                return ArgumentError("namespace", *str(absent).split("; ", 1))
        wrong = f"istiod wrote no root certificate into {namespace} (the ConfigMap istio-ca-root-cert is not there)"
        remedy = "let the mesh config's discoverySelectors select the namespace, and see that istiod runs"
        return ArgumentError("namespace", wrong, remedy)


def _at(value: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401 a chart's values can be anything
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)  # type: ignore[assignment]
    return value
