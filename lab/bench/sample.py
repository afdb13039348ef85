"""What is the machine that the numbers without a lab are of: a mesh, and the arguments of one MeshVm in it?"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.args import MeshVmArgs, Protocol

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\n" + f"{'Q' * 64}\n" * 17 + "-----END CERTIFICATE-----\n"

MESH: Final[Mapping[str, str]] = {
    "version": "1",
    "flavor": "ISTIO",
    "namespace": "bookinfo",
    "istioNamespace": "istio-system",
    "revision": "",
    "discoveryAddress": "istiod.istio-system.svc:15012",
    "trustDomain": "cluster.local",
    "meshId": "mesh1",
    "clusterId": "Kubernetes",
    "clusterNetwork": "",
    "proxyVersion": "1.30.3",
    "rootCertificate": _CERTIFICATE,
    "defaultConfig": '{"meshId":"mesh1","tracing":{"zipkin":{"address":"zipkin.istio-system:9411"}}}',
    "groups": "{}",
    "gatewayAddress": "192.0.2.10",
    "gatewayAddresses": "192.0.2.10",
    "gatewayAddressKind": "ip",
    "gatewayPort": "15012",
    "gatewayNetworkPort": "15443",
}
"""The facts of the mesh."""


def meshvm_args(machine: str, address: str, mesh: Any = MESH) -> MeshVmArgs:
    """Arguments of a MeshVm that is called and calls; each machine has labels of its own.

    :param mesh: the facts, or an Output of them.
    """
    return {
        "mesh": mesh,
        "machine_id": machine,
        "address": address,
        "ssh": {"host": address, "user": "admin", "private_key": "key", "insecure_ignore_host_key": True},
        "service_account": "bookinfo-ratings",
        "labels": {"app": "ratings", "version": "v3", "machine": machine},
        "ports": [{"name": "http", "number": 9080, "protocol": Protocol.HTTP}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 5},
        "calls": [{"host": "details.bookinfo", "port": 9080}, {"host": "reviews.bookinfo", "port": 9080}],
        "proxy": {"package": "https://packages.example/istio-sidecar.deb", "sha256": "0123456789abcdef" * 4},
    }
