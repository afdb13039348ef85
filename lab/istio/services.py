"""Which services does the mesh have, on which ports, and which endpoints are behind each?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.istio.proxy import HEALTH_CHECKED

_SUFFIX = "svc.cluster.local"
_MODE = "security.istio.io/tlsMode"
_HTTP = ("http", "http2", "grpc", "grpc-web")


@dataclass(frozen=True)
class Endpoint:
    """Where a connection may go.

    :param address: `host:port`.
    :param mesh: whether it takes mutual TLS of the mesh.
    """

    address: str
    mesh: bool = False


@dataclass(frozen=True)
class Port:
    """A port of a service.

    :param protocol: `http`, `tcp`, or empty when nothing says what it is.
    """

    number: int
    protocol: str
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Service:
    """A host of the mesh.

    :param kubernetes: whether it is a Service of the cluster, which has shorter names too.
    :param addresses: its own, none for a headless one.
    """

    namespace: str
    host: str
    kubernetes: bool
    addresses: tuple[str, ...]
    ports: tuple[Port, ...] = field(default=())

    def names(self, namespace: str) -> list[str]:
        """The names that a client of `namespace` may call it by, and its addresses."""
        if not self.kubernetes:
            return [self.host, *self.addresses]
        name = self.host.split(".")[0]
        full = f"{name}.{self.namespace}"
        short = [name] if namespace == self.namespace else []
        return [self.host, f"{full}.svc", full, *short, *self.addresses]


Objects = Iterable[Mapping[str, Any]]


def of_cluster(services: Objects, slices: Objects, pods: Objects, entries: Objects) -> list[Service]:
    """The cluster's Services, with ready pods and with the workload entries that they select."""
    slices, entries = list(slices), list(entries)
    labels = {_key(pod): pod["metadata"].get("labels") or {} for pod in pods}
    found = []
    for service in services:
        namespace, name = _key(service)
        spec = service["spec"]
        selected = _selected(entries, namespace, spec.get("selector"))
        ports = []
        for port in spec.get("ports") or []:
            behind = [
                *_pods(slices, labels, namespace, name, str(port.get("name", ""))),
                *(_of_entry(entry["spec"], port, "port") for entry in selected),
            ]
            protocol = port.get("appProtocol") or port.get("name", "")
            ports.append(Port(port["port"], _protocol(protocol), tuple(behind)))
        addresses = tuple(ip for ip in spec.get("clusterIPs") or [] if ip != "None")
        found.append(Service(namespace, f"{name}.{namespace}.{_SUFFIX}", True, addresses, tuple(ports)))
    return found


def of_entries(service_entries: Objects, entries: Objects) -> list[Service]:
    """The hosts of ServiceEntries: with endpoints of their own, selected ones, or the host itself by its DNS name."""
    entries = list(entries)
    found = []
    for one in service_entries:
        namespace, spec = one["metadata"]["namespace"], one["spec"]
        given = spec.get("endpoints") or []
        selected = _selected(entries, namespace, (spec.get("workloadSelector") or {}).get("labels"))
        behind = [*given, *(entry["spec"] for entry in selected)]
        allocated = [one["value"] for one in (one.get("status") or {}).get("addresses") or []]
        for host in spec.get("hosts") or []:
            own = [{"address": host}] if not behind and str(spec.get("resolution", "")).startswith("DNS") else []
            ports = tuple(
                Port(
                    port["number"],
                    _protocol(port.get("protocol") or port["name"]),
                    tuple(_of_entry(endpoint, port, "number") for endpoint in [*behind, *own]),
                )
                for port in spec.get("ports") or []
            )
            addresses = tuple(spec.get("addresses") or allocated)
            found.append(Service(namespace, host, False, addresses, ports))
    return found


def healthy(entry: Mapping[str, Any]) -> bool:
    """Whether clients hear of a workload entry: with the annotation only while it is found healthy."""
    if HEALTH_CHECKED not in (entry["metadata"].get("annotations") or {}):
        return True
    conditions = (entry.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Healthy" and one.get("status") == "True" for one in conditions)


def join(address: str, port: int) -> str:
    """`address:port`, in brackets for IPv6."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all of the selector's labels are there."""
    return all(labels.get(key) == value for key, value in selector.items())


def _key(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]


def _selected(entries: Objects, namespace: str, selector: Mapping[str, str] | None) -> list[Mapping[str, Any]]:
    if not selector:
        return []
    return [
        entry
        for entry in entries
        if entry["metadata"]["namespace"] == namespace
        and selects(selector, entry["spec"].get("labels") or {})
        and healthy(entry)
    ]


def _of_entry(endpoint: Mapping[str, Any], port: Mapping[str, Any], number: str) -> Endpoint:
    """A workload entry's end of a port: its own port of that name, else the service's target, else the same number."""
    target = port.get("targetPort") or port[number]
    own = endpoint.get("ports") or {}
    chosen = own.get(port.get("name", "")) or (own.get(target, port[number]) if isinstance(target, str) else target)
    labels = endpoint.get("labels") or {}
    mesh = _has_sidecar(labels) if _MODE in labels else bool(endpoint.get("serviceAccount"))
    return Endpoint(join(endpoint["address"], chosen), mesh)


def _pods(
    slices: Objects, labels: Mapping[tuple[str, str], Mapping[str, str]], namespace: str, name: str, port: str
) -> list[Endpoint]:
    found = []
    for one in slices:
        owner = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        numbers = [p["port"] for p in one.get("ports") or [] if (p.get("name") or "") == port]
        if owner != name or one["metadata"]["namespace"] != namespace or not numbers:
            continue
        for endpoint in one.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            pod = labels.get((namespace, (endpoint.get("targetRef") or {}).get("name", "")), {})
            found += [Endpoint(join(address, numbers[0]), _has_sidecar(pod)) for address in endpoint["addresses"]]
    return found


def _has_sidecar(labels: Mapping[str, str]) -> bool:
    return labels.get(_MODE) == "istio"


def _protocol(name: str) -> str:
    """By the name's first part, as the original tells it: `http-web` is HTTP, `tcp` and what else it knows is not."""
    word = name.lower()
    if word in _HTTP or word.split("-")[0] in _HTTP:
        return "http"
    known = word.split("-")[0] in {"tcp", "tls", "https", "mongo", "mysql", "redis", "udp"}
    return "tcp" if known else ""
