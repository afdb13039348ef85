"""What do a correct mesh map, a correct endpoint and correct arguments look like? Tests change one thing in them."""

from collections.abc import Mapping
from typing import Any, Final, cast

import pulumi

from meshvm.args import MeshVmArgs, Protocol
from meshvm.istio.settings import Setting, needs
from meshvm.testing import ROOT_CERTIFICATE

HOST_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEtVdXJ4dHhHV2p0c3R0c3R0c3R0c3R0c3R0c3R0c3R0"
SHA256: Final = "0123456789abcdef" * 4

ENDPOINT: Final[Mapping[str, str]] = {
    "version": "1",
    "address": "192.0.2.10",
    "addresses": "192.0.2.10",
    "addressKind": "ip",
    "istiodPort": "15012",
    "networkPort": "15443",
    "service": "istio-system/istio-eastwestgateway",
}

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
    "rootCertificate": ROOT_CERTIFICATE,
    "defaultConfig": "{}",
    "groups": "{}",
    "gatewayAddress": "192.0.2.10",
    "gatewayAddresses": "192.0.2.10",
    "gatewayAddressKind": "ip",
    "gatewayPort": "15012",
    "gatewayNetworkPort": "15443",
}


def mesh(**changes: str) -> dict[str, str]:
    """The map `mesh` with some keys changed."""
    return {**MESH, **changes}


def http_port(number: int = 9080, name: str = "http") -> dict[str, Any]:
    """One declared HTTP port."""
    return {"name": name, "number": number, "protocol": Protocol.HTTP}


def vm_args(**changes: Any) -> MeshVmArgs:
    """Arguments of a MeshVm that calls and is called; a change of None takes an argument out."""
    args: dict[str, Any] = {
        "mesh": dict(MESH),
        "machine_id": "i-1",
        "address": "10.0.0.7",
        "ssh": {"host": "203.0.113.7", "user": "admin", "private_key": "the-private-key", "host_key": HOST_KEY},
        "service_account": "bookinfo-ratings",
        "labels": {"app": "ratings", "version": "v3"},
        "ports": [http_port()],
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "proxy": {"package": "https://packages.example/istio-sidecar.deb", "sha256": SHA256},
        **changes,
    }
    return cast("MeshVmArgs", {key: value for key, value in args.items() if value is not None})


def ssh(**changes: Any) -> dict[str, Any]:
    """The argument `ssh` with some keys changed; a change of None takes one out."""
    given: dict[str, Any] = {**vm_args()["ssh"], **changes}
    return {key: value for key, value in given.items() if value is not None}


def proxy(**changes: Any) -> dict[str, Any]:
    """The argument `proxy` with some keys changed; a change of None takes one out."""
    given: dict[str, Any] = {**vm_args()["proxy"], **changes}
    return {key: value for key, value in given.items() if value is not None}


class Machine(pulumi.CustomResource):
    """Stands for the cloud's instance: only its id and its address matter."""

    address: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Machine", name, {"address": None}, opts)


def resolve(settings: Mapping[str, Setting], inputs: Mapping[str, Any]) -> dict[str, str]:
    """All settings from known inputs."""
    return {name: setting(*(inputs[need] for need in needs(setting))) for name, setting in settings.items()}
