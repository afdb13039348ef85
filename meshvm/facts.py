"""The maps `mesh` and `endpoint`: which keys they have, and whether a given map is one.

They cross stacks and languages as plain maps of strings, so they carry a version. A platform stack exports `mesh`;
an application stack takes it by StackReference and needs no cluster for a preview.
"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError

VERSION: Final = "1"

ENDPOINT_KEYS: Final = {
    "version": "version of this map",
    "address": "IP address or host name that VMs connect to",
    "addresses": "all its addresses, separated by spaces; `address` is the first of them",
    "addressKind": "`ip` or `host`",
    "istiodPort": "port of the gateway that leads to istiod",
    "networkPort": "port of the gateway for traffic between networks; empty when it has none",
    "service": "`namespace/name` of the gateway's Service; empty when an address was given",
}

MESH_KEYS: Final = {
    "version": "version of this map",
    "flavor": "`ISTIO` or `TSB`",
    "namespace": "namespace of the workloads",
    "istioNamespace": "namespace of istiod",
    "revision": "revision of istiod; empty for the default one",
    "discoveryAddress": "name and port by which a proxy finds istiod; the name is in istiod's certificate",
    "trustDomain": "trust domain of the mesh",
    "meshId": "mesh id",
    "clusterId": "id by which istiod knows this cluster",
    "clusterNetwork": "network of the cluster's pods; empty when there is only one",
    "proxyVersion": "version of the control plane, and so of the proxies",
    "rootCertificate": "root certificate of the mesh, PEM",
    "defaultConfig": "the mesh's default proxy config, JSON",
    "groups": "the WorkloadGroups that MeshExpansion makes, JSON: by name, `serviceAccount` and `network`",
    "gatewayAddress": "`address` of the gateway's endpoint",
    "gatewayAddresses": "`addresses` of the gateway's endpoint",
    "gatewayAddressKind": "`addressKind` of the gateway's endpoint",
    "gatewayPort": "`istiodPort` of the gateway's endpoint",
    "gatewayNetworkPort": "`networkPort` of the gateway's endpoint",
}


def check_endpoint(path: str, value: Any) -> dict[str, str]:  # noqa: ANN401 what a user gives can be anything
    """`value` as the map `endpoint` of a VmGateway, or an error that names what is wrong with it."""
    return _check(path, value, ENDPOINT_KEYS, "give the output `endpoint` of a VmGateway")


def check_mesh(path: str, value: Any) -> dict[str, str]:  # noqa: ANN401 what a user gives can be anything
    """`value` as the map `mesh` of a MeshExpansion, or an error that names what is wrong with it."""
    return _check(path, value, MESH_KEYS, "give the output `mesh` of a MeshExpansion")


def _check(path: str, value: object, keys: Mapping[str, str], instead: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ArgumentError(path, f"a {type(value).__name__} is not a map", instead)
    if value.get("version") != VERSION:
        raise ArgumentError(
            path,
            f"its version is {value.get('version')!r}, and this meshvm reads {VERSION!r}",
            "use the same release of meshvm in both stacks",
        )
    for key, meaning in keys.items():
        if not isinstance(value.get(key), str):
            raise ArgumentError(f"{path}.{key}", f"missing, or not a string ({meaning})", instead)
    return {key: value[key] for key in keys}
