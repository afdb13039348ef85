"""Which files does a machine of a WorkloadGroup get: those of `istioctl x workload entry configure`?

    group = read_group(yaml_text)
    mesh = read_mesh(mesh_config_text)  # once for any number of machines
    written = files(group, mesh, Options(cluster_id="Kubernetes", internal_ip="10.0.0.7"), root, ["192.0.2.10"])

Rules, names and bytes are those of istioctl 1.30 (istio: istioctl/pkg/workload); docs/istio.md lists the differences.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from meshvm.errors import ArgumentError
from meshvm.istio import go_yaml
from meshvm.istio.canonical import text as string
from meshvm.istio.files import (
    PROXY_CONFIG_ANNOTATION,
    annotated,
    cluster_env,
    hosts,
    is_variable,
    mesh_config,
    proxy_config,
)
from meshvm.istio.messages import MESH_CONFIG, WORKLOAD_GROUP
from meshvm.istio.settings import cluster_env_settings, needs, present

ISTIOD_PORT: Final = 15012
_NO_REVISION: Final = frozenset({"", "default"})
PORT_NUMBERS: Final = range(1, 65536)

# What istioctl writes; a MeshVm has some more.
_VARIABLES: Final = (
    "CANONICAL_REVISION",
    "CANONICAL_SERVICE",
    "CA_ADDR",
    "ISTIO_INBOUND_PORTS",
    "ISTIO_LOCAL_EXCLUDE_PORTS",
    "ISTIO_METAJSON_LABELS",
    "ISTIO_META_AUTO_REGISTER_GROUP",
    "ISTIO_META_CLUSTER_ID",
    "ISTIO_META_DNS_CAPTURE",
    "ISTIO_META_MESH_ID",
    "ISTIO_META_NETWORK",
    "ISTIO_META_POD_PORTS",
    "ISTIO_META_WORKLOAD_NAME",
    "ISTIO_NAMESPACE",
    "ISTIO_SERVICE",
    "ISTIO_SERVICE_CIDR",
    "POD_NAMESPACE",
    "SERVICE_ACCOUNT",
    "TRUST_DOMAIN",
)
_ADDRESS_VARIABLES: Final = ("ISTIO_SVC_IP", "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION")


class Options(NamedTuple):
    """What istioctl takes as flags."""

    cluster_id: str = ""
    """Id by which istiod knows the cluster."""
    capture_dns: bool = True
    """Let the sidecar answer the machine's DNS questions."""
    auto_register: bool = False
    """Let istiod make the WorkloadEntry."""
    internal_ip: str = ""
    """Address of the machine, by which it can ask itself."""
    external_ip: str = ""
    """Address by which others reach the machine, and it cannot ask itself."""
    revision: str = ""
    """Revision of istiod; "" and `default` are the one without a name."""
    istio_namespace: str = "istio-system"
    """Namespace of istiod."""


class Mesh(NamedTuple):
    """What of a MeshConfig reaches the files."""

    trust_domain: str
    default_config: Mapping[str, Any]
    """In Istio's one form: see meshvm.istio.canonical."""


class Group(NamedTuple):
    """What of a WorkloadGroup reaches the files."""

    name: str
    namespace: str
    service_account: str
    network: str
    labels: Mapping[str, str]
    """Those of the group, with the template's over them."""
    annotations: tuple[Mapping[str, str], ...]
    """Those of the object, and those of its entries, which win."""
    ports: Sequence[Mapping[str, Any]]
    """Each with `name` and `number`."""
    probe: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()
    """What its author should know."""


def read_mesh(text: str) -> Mesh:
    """The text of the key `mesh` of istiod's ConfigMap."""
    try:
        documents = go_yaml.load(text)
    except ValueError as error:
        raise ArgumentError("the mesh config", f"it is not YAML ({error})", "give a MeshConfig as YAML") from None
    config = MESH_CONFIG(documents[0] if documents and documents[0] is not None else {}, "the mesh config")
    return Mesh(config.get("trustDomain", ""), config.get("defaultConfig", {}))


def read_group(text: str, *, name: str = "", namespace: str = "") -> Group:
    """The WorkloadGroup in a YAML file; other objects in it are not looked at.

    :param name: when the file does not say it; so for `namespace`.
    """
    try:
        documents = [document for document in go_yaml.load(text) if document is not None]
    except ValueError as error:
        raise ArgumentError("the file", f"it is not YAML ({error})", "give a WorkloadGroup as YAML") from None
    groups = [one for one in documents if isinstance(one, Mapping) and one.get("kind", _KIND) == _KIND]
    if len(groups) != 1:
        raise ArgumentError("the file", f"it holds {len(groups)} objects of kind {_KIND}", "give a file with one")
    return group_of(groups[0], name=name, namespace=namespace)


_KIND: Final = "WorkloadGroup"


def group_of(document: Mapping[str, Any], *, name: str = "", namespace: str = "") -> Group:
    """The WorkloadGroup as the API server has it."""
    metadata = document.get("metadata") or {}
    spec = WORKLOAD_GROUP(document.get("spec") or {}, "spec")
    template = spec.get("template", {})
    of_entries = spec.get("metadata", {})
    labels = template.get("labels", {})
    notes = (
        [f"spec.template.labels ({', '.join(labels)}) win over spec.metadata.labels; write them there"]
        if labels
        else []
    )
    return Group(
        name=_named(metadata, "name", name),
        namespace=_named(metadata, "namespace", namespace),
        # As Kubernetes has it for pods.
        service_account=template.get("serviceAccount", "default"),
        network=template.get("network", ""),
        labels={**of_entries.get("labels", {}), **labels},
        annotations=(_of_proxy(metadata), of_entries.get("annotations", {})),
        ports=_ports(template.get("ports", {})),
        probe=spec.get("probe"),
        notes=tuple(notes),
    )


def _named(metadata: Mapping[str, Any], key: str, otherwise: str) -> str:
    given = metadata.get(key)
    found = string(given, f"metadata.{key}") if given is not None else otherwise
    if not found:
        raise ArgumentError(f"metadata.{key}", "it is missing", f"write the {key} of the WorkloadGroup")
    return found


def _of_proxy(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The one annotation that counts; the API server takes care of the others."""
    given = (metadata.get("annotations") or {}).get(PROXY_CONFIG_ANNOTATION)
    if given is None:
        return {}
    return {PROXY_CONFIG_ANNOTATION: string(given, f"metadata.annotations[{PROXY_CONFIG_ANNOTATION}]")}


def _ports(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    for name, number in ports.items():
        if number not in PORT_NUMBERS:
            raise ArgumentError(f"spec.template.ports.{name}", f"{number} is no port", "write a number from 1 to 65535")
    return [{"name": name, "number": number} for name, number in ports.items()]


def istiod_host(istio_namespace: str, revision: str) -> str:
    """The name by which a proxy finds istiod, and which is in istiod's certificate."""
    suffix = "" if revision in _NO_REVISION else f"-{revision}"
    return f"istiod{suffix}.{istio_namespace}.svc"


def files(
    group: Group, mesh: Mesh, options: Options, root_certificate: str, addresses: Sequence[str]
) -> dict[str, str]:
    """The files by their names, without the token.

    :param root_certificate: PEM, as it is.
    :param addresses: IP addresses of the gateway to istiod; none leaves `hosts` empty.
    """
    host = istiod_host(options.istio_namespace, options.revision)
    istiod = f"{host}:{ISTIOD_PORT}"
    default_config = dict(mesh.default_config)
    # Where the agent would look by itself, nothing needs to be said.
    if host != istiod_host(Options().istio_namespace, ""):
        default_config.setdefault("discoveryAddress", istiod)
    default_config = annotated(default_config, *group.annotations)
    variables = _variables(group, mesh, options, default_config, istiod)
    config = proxy_config(default_config, variables, group.probe)
    return {
        "mesh.yaml": mesh_config(config),
        "cluster.env": cluster_env({**config["proxyMetadata"], **variables}),
        "root-cert.pem": root_certificate,
        "hosts": hosts(addresses, host),
    }


def not_in_cluster_env(group: Group, mesh: Mesh) -> list[str]:
    """Proxy metadata that is in the mesh config alone, as no shell can have a variable of that name."""
    metadata = annotated(dict(mesh.default_config), *group.annotations).get("proxyMetadata", {})
    return sorted(name for name in metadata if not is_variable(name))


def _variables(
    group: Group, mesh: Mesh, options: Options, default_config: Mapping[str, Any], istiod: str
) -> dict[str, str]:
    """The variables, each by the rule that a MeshVm has for it."""
    address = options.internal_ip or options.external_ip
    inputs = {
        "address": address,
        "behind_nat": bool(options.external_ip) and not options.internal_ip,
        "capture": {"dns": options.capture_dns},
        "default_config": default_config,
        "group": group.name,
        "instance_address": address,
        "labels": group.labels,
        "listener_ports": (),
        "mesh": {
            "clusterId": options.cluster_id,
            "discoveryAddress": istiod,
            "istioNamespace": options.istio_namespace,
            "meshId": default_config.get("meshId", ""),
            "namespace": group.namespace,
            "revision": options.revision,
            "trustDomain": mesh.trust_domain,
        },
        "network": group.network,
        "ports": group.ports,
        "registration": "AUTO" if options.auto_register else "ENTRY",
        "service_account": group.service_account,
        "workload": group.name,
    }
    settings = cluster_env_settings()
    names = (*_VARIABLES, *(_ADDRESS_VARIABLES if address else ()))
    return present({name: settings[name](*(inputs[one] for one in needs(settings[name]))) for name in names})


def group_document(
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    ports: Mapping[str, int],
    service_account: str,
    network: str,
    locality: str,
    weight: int,
) -> str:
    """The text of a WorkloadGroup as `istioctl x workload group create` prints it: what is empty is left out."""
    template = {
        "locality": locality,
        "network": network,
        "ports": ports,
        "serviceAccount": service_account,
        "weight": weight,
    }
    document = {
        "apiVersion": "networking.istio.io/v1",
        "kind": _KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "metadata": _given({"annotations": annotations, "labels": labels}),
            "template": _given(template),
        },
    }
    return go_yaml.dump(document, quoted=False)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
