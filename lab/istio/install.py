"""What does a cluster hold once Istio is installed and ready for machines?"""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightkube
from lightkube.core.exceptions import ApiError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import (
    Container,
    PodSpec,
    PodTemplateSpec,
    ServicePort,
    ServiceSpec,
)
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Service
from lightkube.types import PatchType

from lab.cluster.cluster import Cluster
from lab.istio import objects
from lab.istio.package import VERSION

SYSTEM = "istio-system"
GATEWAY = "istio-eastwestgateway"
HUB = "docker.io/istio"
ISTIOD_PORTS = {"grpc-xds": 15010, "https-dns": 15012, "https-webhook": 443, "http-monitoring": 15014}
GATEWAY_PORTS = {"status-port": 15021, "tls": 15443, "tls-istiod": 15012, "tls-webhook": 15017}


def install(
    cluster: Cluster,
    gateway_address: str | None,
    gateway_hostname: str | None = None,
    network: str = "",
    cluster_name: str = "Kubernetes",
    version: str = VERSION,
) -> None:
    """Make the objects that Istio's charts would have made; may be done again.

    :param gateway_address: the address that the load balancer of the east-west gateway got.
    :param gateway_hostname: its host name instead, as some clouds give.
    :param network: network of the cluster; empty in a mesh of one network.
    :param version: of the control plane: the tag of istiod's image.
    """
    with objects.connected(cluster.kubeconfig) as api:
        labels = {"topology.istio.io/network": network} if network else {}
        objects.ensure_namespace(api, SYSTEM, labels)
        _control_plane(api, "", version, network, cluster_name)
        gateway = {"app": GATEWAY, "istio": "eastwestgateway"}
        _service(api, GATEWAY, GATEWAY_PORTS, {**gateway, **labels}, kind="LoadBalancer")
    ingress: dict[str, str | None] = {"hostname": gateway_hostname} if gateway_hostname else {"ip": gateway_address}
    set_load_balancer(cluster, SYSTEM, GATEWAY, [ingress] if any(ingress.values()) else [])


def install_revision(
    cluster: Cluster, revision: str, tags: Sequence[str] = (), network: str = "", version: str = VERSION
) -> None:
    """Make the objects of one more control plane, beside the one without a name; may be done again.

    :param revision: its name.
    :param tags: revision tags that name it.
    """
    with objects.connected(cluster.kubeconfig) as api:
        _control_plane(api, revision, version, network, "Kubernetes")
        for tag in tags:
            metadata = ObjectMeta(
                name=f"istio-revision-tag-{tag}", labels={"istio.io/rev": revision, "istio.io/tag": tag}
            )
            objects.ensure(api, MutatingWebhookConfiguration(metadata=metadata))


def _control_plane(api: lightkube.Client, revision: str, version: str, network: str, cluster_name: str) -> None:
    suffix = f"-{revision}" if revision else ""
    labels = {"istio.io/rev": revision} if revision else {}
    objects.ensure(api, ConfigMap(metadata=_named(f"istio{suffix}", labels), data={"mesh": _mesh(suffix)}))
    values = {"values": _values(version, network, cluster_name)}
    objects.ensure(api, ConfigMap(metadata=_named(f"istio-sidecar-injector{suffix}", labels), data=values))
    objects.ensure(api, _istiod(f"istiod{suffix}", version, labels))
    selector = {"app": "istiod", **(labels or {"istio": "pilot"})}
    _service(api, f"istiod{suffix}", ISTIOD_PORTS, labels, selector=selector)


def set_load_balancer(cluster: Cluster, namespace: str, service: str, ingress: list[dict[str, str | None]]) -> None:
    """Play the cloud that gives a LoadBalancer Service its address or host name."""
    status = {"status": {"loadBalancer": {"ingress": ingress}}}
    with objects.connected(cluster.kubeconfig) as api:
        api.patch(Service.Status, service, status, namespace=namespace, patch_type=PatchType.MERGE)


def injected_cluster(api: lightkube.Client) -> str:
    """The cluster's name in the injector's values."""
    data = api.get(ConfigMap, "istio-sidecar-injector", namespace=SYSTEM).data or {}
    return str(json.loads(data["values"])["global"]["multiCluster"]["clusterName"])


class PackageServer:
    """The folder of a package over HTTP, on the address that machines reach.

    :param package: the file; `url` is where a machine gets it.
    """

    def __init__(self, package: Path, address: str, port: int = 0) -> None:
        handler = functools.partial(_Quiet, directory=str(package.parent))
        self._server = http.server.ThreadingHTTPServer((address, port), handler)
        self.url = f"http://{address}:{self._server.server_address[1]}/{package.name}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


def serve_package(package: Path, folder: Path, address: str) -> PackageServer:
    """Serve a copy of the package alone; the cache beside it stays private."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package, folder / package.name)
    return PackageServer(folder / package.name, address)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the library's)
        """Say nothing: who fetched what is in the machine's own log."""


def _mesh(suffix: str) -> str:
    return f"""\
defaultConfig:
  discoveryAddress: istiod{suffix}.{SYSTEM}.svc:15012
  meshId: mesh1
defaultProviders:
  metrics:
  - prometheus
enablePrometheusMerge: true
rootNamespace: {SYSTEM}
trustDomain: cluster.local
"""


def _values(version: str, network: str, cluster_name: str) -> str:
    settings = {
        "hub": HUB,
        "tag": version,
        "network": network,
        "meshID": "mesh1",
        "istioNamespace": SYSTEM,
        "multiCluster": {"clusterName": cluster_name},
    }
    return json.dumps({"global": settings}, indent=2)


def _named(name: str, labels: dict[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=SYSTEM, labels={"istio.io/rev": "default", **(labels or {})})


def _istiod(name: str, version: str, revision: dict[str, str]) -> Deployment:
    """The Deployment that tells which version runs; it has no pods, because istiod runs beside the cluster."""
    labels = {"app": "istiod", "istio": "pilot", **revision}
    pod = PodSpec(containers=[Container(name="discovery", image=f"{HUB}/pilot:{version}")])
    template = PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=pod)
    spec = DeploymentSpec(selector=LabelSelector(matchLabels=labels), template=template, replicas=0)
    return Deployment(metadata=_named(name, {**labels, "operator.istio.io/version": version}), spec=spec)


def _service(
    api: lightkube.Client,
    name: str,
    ports: dict[str, int],
    labels: dict[str, str],
    kind: str = "ClusterIP",
    selector: dict[str, str] | None = None,
) -> None:
    selector = selector or labels
    spec = ServiceSpec(type=kind, selector=selector, ports=[ServicePort(name=n, port=p) for n, p in ports.items()])
    try:
        api.create(Service(metadata=_named(name, labels), spec=spec))
    except ApiError as error:
        if not objects.conflict(error):
            raise
