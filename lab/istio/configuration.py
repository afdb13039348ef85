"""What configuration does an agent get: how strict inbound is, its listeners, the mesh's names, its access log?"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lightkube
from lightkube.resources.core_v1 import Pod
from lightkube.resources.core_v1 import Service as ClusterService
from lightkube.resources.discovery_v1 import EndpointSlice

from lab.istio import objects
from lab.istio.listeners import ROOT_NAMESPACE, egress, ingress, selected, virtual
from lab.istio.objects import UNANSWERED, plain
from lab.istio.proxy import Node
from lab.istio.services import Service, of_cluster, of_entries, selects
from lab.istio.telemetry import logged_sides


class Mirror:
    """A copy of all objects of one kind, kept up to date by a watch.

    :param changed: called after each change, with what it is (`ADDED`, `MODIFIED`, `DELETED`) and the object.
    """

    def __init__(self, api: lightkube.Client, kind: Any, changed: Callable[[str, dict[str, Any]], None]) -> None:
        self._api = api
        self._kind = kind
        self._changed = changed
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Watch, in a thread of its own."""
        threading.Thread(target=self._follow, daemon=True).start()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            return iter(list(self._objects.values()))

    def _follow(self) -> None:
        while True:
            try:
                for event, found in self._api.watch(self._kind, namespace="*"):
                    self._take(event, plain(found))
            except UNANSWERED:
                time.sleep(1)

    def _take(self, event: str, found: dict[str, Any]) -> None:
        key = (found["metadata"].get("namespace", ""), found["metadata"]["name"])
        with self._lock:
            if event == "DELETED":
                self._objects.pop(key, None)
            else:
                self._objects[key] = found
        self._changed(event, found)


class Configuration:
    """The mesh's configuration objects, and what they mean for one agent.

    `generation` rises with each change, so that who holds an agent's call knows when to look again.
    """

    def __init__(self, api: lightkube.Client) -> None:
        self.generation = 0
        kinds = {
            "sidecars": objects.Sidecar,
            "policies": objects.PeerAuthentication,
            "telemetries": objects.Telemetry,
            "entries": objects.WorkloadEntry,
            "service entries": objects.ServiceEntry,
            "services": ClusterService,
            "slices": EndpointSlice,
            "pods": Pod,
        }
        self._mirrors = {name: Mirror(api, kind, self._changed) for name, kind in kinds.items()}

    def start(self) -> None:
        """Begin to follow the cluster."""
        for mirror in self._mirrors.values():
            mirror.start()

    def of(self, node: Node) -> dict[str, Any]:
        """The configuration of this agent."""
        services = self._services()
        sidecar = selected(self._mirrors["sidecars"], node, "workloadSelector", "labels")
        return {
            "inbound": inbound_mode(self._mirrors["policies"], node),
            **ingress(sidecar, node),
            "outbound": egress(sidecar, services, node),
            "virtual": virtual(services),
            "names": names(services, node),
            "logged": logged_sides(self._mirrors["telemetries"], node),
        }

    def _services(self) -> list[Service]:
        found = self._mirrors
        entries = list(found["entries"])
        cluster = of_cluster(found["services"], found["slices"], found["pods"], entries)
        return [*cluster, *of_entries(found["service entries"], entries)]

    def _changed(self, _event: str, _object: dict[str, Any]) -> None:
        self.generation += 1


def names(services: Iterable[Service], node: Node) -> dict[str, list[str]]:
    """The table by which the agent answers questions for names."""
    return {
        name.lower(): [address for address in service.addresses if "/" not in address]
        for service in services
        if service.addresses
        for name in service.names(node.namespace)
        if name not in service.addresses
    }


def inbound_mode(policies: Iterable[dict[str, Any]], node: Node) -> str:
    """PERMISSIVE, STRICT or DISABLE: the workload's own policy before its namespace's before the mesh's."""
    found = {"mesh": "", "namespace": "", "workload": ""}
    for policy in policies:
        mode = (policy["spec"].get("mtls") or {}).get("mode", "UNSET")
        namespace = policy["metadata"]["namespace"]
        selector = (policy["spec"].get("selector") or {}).get("matchLabels")
        if mode == "UNSET" or namespace not in {node.namespace, ROOT_NAMESPACE}:
            continue
        if selector and namespace == node.namespace and selects(selector, node.labels):
            found["workload"] = mode
        elif not selector:
            found["namespace" if namespace == node.namespace else "mesh"] = mode
    return found["workload"] or found["namespace"] or found["mesh"] or "PERMISSIVE"
