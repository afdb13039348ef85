"""Which objects make a gateway that VMs reach istiod by, and services in another network?

Its pods get their container from Istio's injection webhook (istio: manifests/charts/gateway and samples/multicluster;
https://istio.io/latest/docs/setup/additional-setup/gateway/). TLS passes through it unopened, so that it needs no
certificate of its own and no right to read Secrets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meshvm.istio.names import CLUSTER_DOMAIN

ISTIOD_PORT: Final = 15012
NETWORK_PORT: Final = 15443
_STATUS_PORT: Final = 15021
_METRICS_PORT: Final = 15090

_NETWORK_LABEL: Final = "topology.istio.io/network"
_REVISION_LABEL: Final = "istio.io/rev"
# As in Istio's chart, in the API server's own words (`2`, not `2000m`): another would be a change at each update. The
# autoscaler compares with the request.
_RESOURCES: Final = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
_BUSY_PERCENT: Final = 80


@dataclass(frozen=True)
class EastWestGateway:
    """A gateway to be made.

    :param revisions: revisions of istiod that it leads to, "" for the one without a name; the first one injects it.
    :param network: network of the pods; empty when only istiod is exposed.
    """

    name: str = "istio-eastwestgateway"
    namespace: str = "istio-system"
    istio_namespace: str = "istio-system"
    revisions: Sequence[str] = ("",)
    network: str = ""
    min_replicas: int = 2
    max_replicas: int = 5

    @property
    def ports(self) -> dict[str, int]:
        """Ports of its Service by name. Not 15017: only another cluster's API server calls istiod's webhooks."""
        between = {"tls": NETWORK_PORT} if self.network else {}
        return {"status-port": _STATUS_PORT, **between, "tls-istiod": ISTIOD_PORT}

    @property
    def selector(self) -> dict[str, str]:
        """Labels of its pods, and of no other gateway's."""
        return {"app": self.name, "istio": "eastwestgateway"}

    def metadata(
        self, suffix: str = "", labels: Mapping[str, str] | None = None, annotations: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Metadata of one of its objects."""
        found = {
            "name": f"{self.name}{suffix}",
            "namespace": self.namespace,
            "labels": {**self.selector, **(labels or {})},
        }
        return {**found, "annotations": dict(annotations)} if annotations else found

    @property
    def _of_network(self) -> dict[str, str]:
        return {_NETWORK_LABEL: self.network} if self.network else {}

    def service(self, annotations: Mapping[str, Any], source_ranges: Sequence[str]) -> dict[str, Any]:
        """Metadata and spec of its Service. By its label pods of other networks find it."""
        ports = [
            {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}
            for name, number in self.ports.items()
        ]
        spec: dict[str, Any] = {"type": "LoadBalancer", "selector": self.selector, "ports": ports}
        if source_ranges:
            spec["loadBalancerSourceRanges"] = list(source_ranges)
        return {"metadata": self.metadata(labels=self._of_network, annotations=annotations), "spec": spec}

    def deployment(self) -> dict[str, Any]:
        """Metadata and spec of its Deployment; how many replicas there are is the autoscaler's to say."""
        labels = {
            **self.selector,
            "sidecar.istio.io/inject": "true",
            # It is a gateway of sidecars: ztunnel is not to take its traffic.
            "istio.io/dataplane-mode": "none",
            **({_REVISION_LABEL: self.revisions[0]} if self.revisions[0] else {}),
            **self._of_network,
        }
        annotations = {
            "inject.istio.io/templates": "gateway",
            "prometheus.io/scrape": "true",
            "prometheus.io/port": "15020",
            "prometheus.io/path": "/stats/prometheus",
        }
        template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": self._pod()}
        return {
            "metadata": self.metadata(labels=self._of_network),
            "spec": {"selector": {"matchLabels": self.selector}, "template": template},
        }

    def _pod(self) -> dict[str, Any]:
        # Routes between networks are seen from inside this one.
        view = [{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": self.network}] if self.network else []
        container = {
            "name": "istio-proxy",
            # The webhook writes the image of its own release.
            "image": "auto",
            **({"env": view} if view else {}),
            "ports": [{"name": "http-envoy-prom", "containerPort": _METRICS_PORT, "protocol": "TCP"}],
            "resources": _RESOURCES,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            },
        }
        # Two replicas on one node would go with it.
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": self.selector},
        }
        return {
            "serviceAccountName": self.name,
            "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
            "topologySpreadConstraints": [spread],
            "containers": [container],
        }

    def disruption_budget(self) -> dict[str, Any]:
        """Metadata and spec of its PodDisruptionBudget: one at a time. As a least number it would stop a node's drain
        for ever where there is only one."""
        spec = {"selector": {"matchLabels": self.selector}, "maxUnavailable": 1}
        return {"metadata": self.metadata(), "spec": spec}

    def autoscaler(self) -> dict[str, Any]:
        """Metadata and spec of its HorizontalPodAutoscaler."""
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _BUSY_PERCENT}}
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "minReplicas": self.min_replicas,
            "maxReplicas": self.max_replicas,
            "metrics": [{"type": "Resource", "resource": cpu}],
        }
        return {"metadata": self.metadata(), "spec": spec}

    def istiod_gateway(self) -> dict[str, Any]:
        """Metadata and spec of the Gateway that takes connections for istiod, by whatever name: the VirtualServices
        choose."""
        port = {"name": "tls-istiod", "number": ISTIOD_PORT, "protocol": "TLS"}
        return {"metadata": self.metadata("-istiod"), "spec": self._gateway(port, "PASSTHROUGH", "*")}

    def services_gateway(self) -> dict[str, Any]:
        """Metadata and spec of the Gateway that takes connections between networks for the services of the mesh."""
        port = {"name": "tls", "number": NETWORK_PORT, "protocol": "TLS"}
        return {"metadata": self.metadata("-services"), "spec": self._gateway(port, "AUTO_PASSTHROUGH", "*.local")}

    def _gateway(self, port: Mapping[str, Any], mode: str, host: str) -> dict[str, Any]:
        return {"selector": self.selector, "servers": [{"port": dict(port), "tls": {"mode": mode}, "hosts": [host]}]}

    def istiod_route(self, revision: str) -> dict[str, Any]:
        """Metadata and spec of the VirtualService that leads connections for one revision's istiod to it."""
        short = f"istiod{named(revision)}.{self.istio_namespace}.svc"
        names = [short, f"{short}.{CLUSTER_DOMAIN}"]
        target = {"host": names[1], "port": {"number": ISTIOD_PORT}}
        route = {"match": [{"port": ISTIOD_PORT, "sniHosts": names}], "route": [{"destination": target}]}
        spec = {"hosts": names, "gateways": [f"{self.name}-istiod"], "tls": [route]}
        return {"metadata": self.metadata(f"-istiod{named(revision)}"), "spec": spec}


def named(revision: str) -> str:
    """What the names of a revision's objects end in."""
    return "" if revision in {"", "default"} else f"-{revision}"
