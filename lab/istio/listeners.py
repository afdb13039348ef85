"""Which listeners does a Sidecar give to an agent: inbound ones, and outbound ones with what each leads to?"""

import fnmatch
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from lab.istio.proxy import Node
from lab.istio.services import Port, Service, join, selects

ROOT_NAMESPACE = "istio-system"
_EVERYTHING = {"hosts": ["*/*"]}


def selected(objects: Iterable[Mapping[str, Any]], node: Node, field: str, key: str) -> Mapping[str, Any] | None:
    """The one of the workload itself before its namespace's before the mesh's."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in objects:
        namespace, selector = one["metadata"]["namespace"], (one["spec"].get(field) or {}).get(key)
        if namespace == node.namespace and selector and selects(selector, node.labels):
            found["workload"] = one
        elif namespace in {node.namespace, ROOT_NAMESPACE} and not selector:
            found["namespace" if namespace == node.namespace else "mesh"] = one
    return found.get("workload") or found.get("namespace") or found.get("mesh")


def ingress(sidecar: Mapping[str, Any] | None, node: Node) -> dict[str, Any]:
    """Inbound: `listeners` with an address of their own, and where captured connections to a port go instead.

    A listener without an address gets the workload's first one; an endpoint of 0.0.0.0 is that address too. Without an
    endpoint a connection goes where it was meant to go, which for a listener of its own is itself.
    """
    listeners, ports = [], {}
    for one in (sidecar or {"spec": {}})["spec"].get("ingress") or []:
        number = one["port"]["number"]
        to = _endpoint(one.get("defaultEndpoint", ""), node)
        if to.startswith("unix:"):
            continue
        if _binds(one, node):
            bind = join(one.get("bind") or node.addresses[0], number)
            listeners.append({"bind": bind, "to": to or bind})
        elif to:
            ports[str(number)] = to
    return {"listeners": listeners, "ports": ports}


def egress(sidecar: Mapping[str, Any] | None, services: Iterable[Service], node: Node) -> list[dict[str, Any]]:
    """Outbound listeners with an address of their own; without capture these are all there are."""
    services = list(services)
    listeners: dict[str, dict[str, Any]] = {}
    for one in (sidecar or {"spec": {}})["spec"].get("egress") or [_EVERYTHING]:
        if not _binds(one, node):
            continue
        host = one.get("bind") or ("127.0.0.1" if _has_ipv4(node) else "::1")
        wanted = [service for service in services if _imported(one["hosts"], service, node)]
        before = set(listeners)
        for service in wanted:
            for number, port in _ports(one.get("port"), service):
                bind = join(host, number)
                if bind not in before:  # an earlier listener with this address is complete
                    _put(listeners, bind, service, port, node)
    return list(listeners.values())


def virtual(services: Iterable[Service]) -> dict[str, list[dict[str, Any]]]:
    """Where captured connections to a service's own address go."""
    return {
        join(address, port.number): _endpoints(port)
        for service in services
        for address in service.addresses
        if "/" not in address
        for port in service.ports
    }


def _put(listeners: dict[str, dict[str, Any]], bind: str, service: Service, port: Port, node: Node) -> None:
    route = {"hosts": service.names(node.namespace), "endpoints": _endpoints(port)}
    there = listeners.get(bind)
    if there is None:
        listeners[bind] = {"bind": bind, "http": port.protocol != "tcp", "routes": [route]}
    elif there["http"] and port.protocol != "tcp":
        there["routes"].append(route)  # services of HTTP share a listener; of others the first one has it


def _ports(asked: Mapping[str, Any] | None, service: Service) -> list[tuple[int, Port]]:
    """The numbers to listen on, each with the service's port behind it: of that number, or its only one."""
    if asked is None:
        return [(port.number, port) for port in service.ports]
    number = asked["number"]
    same = [port for port in service.ports if port.number == number] or (
        list(service.ports) if len(service.ports) == 1 else []
    )
    protocol = str(asked.get("protocol", "")).lower()
    kind = "http" if protocol in {"http", "http2", "grpc", "grpc-web"} else "tcp" if protocol else ""
    return [(number, Port(port.number, kind, port.endpoints)) for port in same]


def _endpoints(port: Port) -> list[dict[str, Any]]:
    return [{"address": endpoint.address, "mesh": endpoint.mesh} for endpoint in port.endpoints]


def _binds(listener: Mapping[str, Any], node: Node) -> bool:
    mode = listener.get("captureMode", "DEFAULT")
    return mode == "NONE" or (mode == "DEFAULT" and node.captures_nothing)


def _endpoint(text: str, node: Node) -> str:
    host, _, port = text.rpartition(":")
    if text.startswith("unix:") or not host:
        return text if host else ""
    if host not in {"0.0.0.0", "[::]"}:
        return text
    six = host == "[::]"
    own = [address for address in node.addresses if (":" in address) == six]
    return join(own[0] if own else ("::1" if six else "127.0.0.1"), int(port))


def _imported(hosts: Iterable[str], service: Service, node: Node) -> bool:
    for host in hosts:
        namespace, _, name = host.partition("/")
        own = node.namespace if namespace == "." else namespace
        if own not in {"*", service.namespace}:
            continue
        if name == service.host or (name.startswith("*") and fnmatch.fnmatchcase(service.host, name)):
            return True
    return False


def _has_ipv4(node: Node) -> bool:
    return any(ipaddress.ip_address(address).version == 4 for address in node.addresses)
