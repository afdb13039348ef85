"""What do the files of one machine need, and who is asked for each part: the flags, a file, or the cluster?"""

import ipaddress
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from meshvm import cluster as api
from meshvm.cli.folder import write
from meshvm.errors import ArgumentError, ClusterError
from meshvm.istio import workload

TOKEN_FILE: Final = "istio-token"  # the name that Istio's documentation copies it by
_ISTIODS_CLUSTER_ID: Final = "Kubernetes"

Note = Callable[[str], None]


class Flags(NamedTuple):
    """What was typed; see the help of `meshvm entry configure`."""

    output: Path
    file: Path | None = None
    name: str = ""
    namespace: str = ""
    cluster_id: str | None = None
    token_duration: int = 3600
    ingress_service: str = "istio-eastwestgateway"
    ingress_ip: str = ""
    autoregister: bool = False
    capture_dns: bool = True
    internal_ip: str = ""
    external_ip: str = ""
    revision: str = ""
    istio_namespace: str = "istio-system"
    kubeconfig: str = ""
    context: str = ""
    mesh_config: Path | None = None
    root_cert: Path | None = None
    no_token: bool = False


def configure(flags: Flags, note: Note) -> None:
    """Write the files; nothing is written, and no token is minted, before everything else is at hand."""
    # What was typed is looked at before anybody is asked.
    given = _given_group(flags)
    with ExitStack() as stack:
        cluster = None
        if not (flags.file and flags.mesh_config and flags.root_cert and flags.no_token):
            cluster = stack.enter_context(api.connect(flags.kubeconfig or None, flags.context or None))
        group = given or workload.group_of(_asked(cluster).workload_group(flags.namespace, flags.name))
        for text in group.notes:
            note(text)
        files = _files(flags, group, cluster, note)
        if not flags.no_token:
            files[TOKEN_FILE] = _token(flags, group, _asked(cluster), note)
    write(flags.output, files)


def _files(flags: Flags, group: workload.Group, cluster: api.Cluster | None, note: Note) -> dict[str, str]:
    revision = _revision(flags, cluster)
    text = _text(flags.mesh_config) or _asked(cluster).mesh_config_text(flags.istio_namespace, revision)
    mesh = workload.read_mesh(text)
    options = workload.Options(
        cluster_id=_cluster_id(flags, cluster, revision, note),
        capture_dns=flags.capture_dns,
        auto_register=flags.autoregister,
        internal_ip=flags.internal_ip,
        external_ip=flags.external_ip,
        revision=revision,
        istio_namespace=flags.istio_namespace,
    )
    for name in workload.not_in_cluster_env(group, mesh):
        note(f"proxyMetadata {name} is in mesh.yaml alone: a shell has no variable of that name")
    root = _text(flags.root_cert) or _asked(cluster).root_certificate(group.namespace)
    return workload.files(group, mesh, options, root, _addresses(flags, cluster, note))


def _revision(flags: Flags, cluster: api.Cluster | None) -> str:
    """A tag stands for its revision; whoever gives the mesh config too knows what is there."""
    if cluster is None or (flags.revision and flags.mesh_config):
        return flags.revision
    return cluster.revision(flags.istio_namespace, flags.revision)


def _asked(cluster: api.Cluster | None) -> api.Cluster:
    if cluster is None:  # pragma: no cover there is one unless every part was given
        raise ArgumentError("--mesh-config", "a part is neither given nor can it be asked for", "give all of them")
    return cluster


def _text(path: Path | None) -> str:
    """The content of a file, byte for byte."""
    if path is None:
        return ""
    try:
        text = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode()
    except UnicodeDecodeError:
        raise ArgumentError(str(path), "it is not text in UTF-8", "give another file") from None
    if not text.strip():
        raise ArgumentError(str(path), "it is empty", "give another file")
    return text


def _given_group(flags: Flags) -> workload.Group | None:
    """The WorkloadGroup of a file; None when it is one of the cluster."""
    if flags.file is None:
        return None
    return workload.read_group(_text(flags.file), name=flags.name, namespace=flags.namespace)


def _cluster_id(flags: Flags, cluster: api.Cluster | None, revision: str, note: Note) -> str:
    if flags.cluster_id is not None:
        return flags.cluster_id
    if cluster is None:
        note(f"no --clusterID: {_ISTIODS_CLUSTER_ID} it is, the name that istiod has for a cluster nobody named")
        return _ISTIODS_CLUSTER_ID
    try:
        return cluster.cluster_id(flags.istio_namespace, revision)
    except ClusterError as error:
        raise ClusterError(f"{error}, or give --clusterID") from None


def _addresses(flags: Flags, cluster: api.Cluster | None, note: Note) -> Sequence[str]:
    """Where the machine finds istiod's name: the gateway's addresses."""
    if flags.ingress_ip:
        return [flags.ingress_ip] if _is_address(flags.ingress_ip) else _resolved(flags.ingress_ip, note)
    if cluster is None:
        note("no --ingressIP: hosts is empty, and the machine has to find istiod's name by itself")
        return []
    service, _, namespace = flags.ingress_service.partition(".")
    try:
        addresses, ports = cluster.gateway(namespace or flags.istio_namespace, service)
    except ClusterError as error:
        if error.unreachable:
            raise
        note(f"hosts is empty: {error}, or give --ingressIP")
        return []
    if not addresses:
        note(f"hosts is empty: the Service {flags.ingress_service} has no address yet; give --ingressIP")
        return []
    if workload.ISTIOD_PORT not in ports:
        note(f"the Service {flags.ingress_service} has no port {workload.ISTIOD_PORT}: it does not lead to istiod")
    kind, address = addresses[0]
    return [address] if kind == "ip" else _resolved(address, note)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _resolved(host: str, note: Note) -> list[str]:
    try:
        found = socket.getaddrinfo(host, workload.ISTIOD_PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        wrong = f"the gateway's host name {host!r} does not resolve here ({error})"
        raise ArgumentError("--ingressIP", wrong, "give the gateway's IP address") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    note(f"hosts has the addresses that {host} has now ({', '.join(addresses)}): write it again when they change")
    return addresses


def _token(flags: Flags, group: workload.Group, cluster: api.Cluster, note: Note) -> str:
    token = cluster.token(group.namespace, group.service_account, flags.token_duration)
    if token.seconds < flags.token_duration:
        note(f"the API server gave a token for {token.seconds} s and not for {flags.token_duration} s")
    account = f"{group.namespace}/{group.service_account}"
    note(f"{flags.output / TOKEN_FILE} is a token of the service account {account}: keep it secret")
    return token.text
