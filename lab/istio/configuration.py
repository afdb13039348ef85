"""What configuration does an agent get: how strict inbound is, and the listeners of a Sidecar without capture?"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightkube

from lab.istio.objects import UNANSWERED, PeerAuthentication, Sidecar, plain
from lab.istio.registry import Node

ROOT_NAMESPACE = "istio-system"


class Mirror:
    """A copy of all objects of one kind, kept up to date by a watch.

    :param changed: called after each change.
    """

    def __init__(self, api: lightkube.Client, kind: Any, changed: Callable[[], None]) -> None:
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
        self._changed()


class Configuration:
    """The mesh's configuration objects, and what they mean for one agent.

    `generation` rises with each change, so that who holds an agent's call knows when to look again.
    """

    def __init__(self, api: lightkube.Client) -> None:
        self.generation = 0
        self._sidecars = Mirror(api, Sidecar, self._changed)
        self._policies = Mirror(api, PeerAuthentication, self._changed)

    def start(self) -> None:
        """Begin to follow the cluster."""
        self._sidecars.start()
        self._policies.start()

    def of(self, node: Node) -> dict[str, Any]:
        """The configuration of this agent."""
        return {"inbound": inbound_mode(self._policies, node), "listeners": ingress_listeners(self._sidecars, node)}

    def _changed(self) -> None:
        self.generation += 1


def inbound_mode(policies: Iterator[dict[str, Any]] | Mirror, node: Node) -> str:
    """PERMISSIVE, STRICT or DISABLE: the workload's own policy before its namespace's before the mesh's."""
    found = {"mesh": "", "namespace": "", "workload": ""}
    for policy in policies:
        mode = (policy["spec"].get("mtls") or {}).get("mode", "UNSET")
        namespace = policy["metadata"]["namespace"]
        selector = (policy["spec"].get("selector") or {}).get("matchLabels")
        if mode == "UNSET" or namespace not in {node.namespace, ROOT_NAMESPACE}:
            continue
        if selector and namespace == node.namespace and _selects(selector, node):
            found["workload"] = mode
        elif not selector:
            found["namespace" if namespace == node.namespace else "mesh"] = mode
    return found["workload"] or found["namespace"] or found["mesh"] or "PERMISSIVE"


def ingress_listeners(sidecars: Iterator[dict[str, Any]] | Mirror, node: Node) -> list[dict[str, str]]:
    """Ingress listeners with an address of their own, from the Sidecar that selects this workload."""
    listeners = []
    for sidecar in sidecars:
        selector = (sidecar["spec"].get("workloadSelector") or {}).get("labels")
        if sidecar["metadata"]["namespace"] != node.namespace or not selector or not _selects(selector, node):
            continue
        for ingress in sidecar["spec"].get("ingress") or []:
            port = ingress["port"]["number"]
            bind, to = ingress.get("bind"), ingress.get("defaultEndpoint") or f"127.0.0.1:{port}"
            if bind and not to.startswith("unix:"):
                host = f"[{bind}]" if ":" in bind else bind
                listeners.append({"bind": f"{host}:{port}", "to": to.replace("0.0.0.0", "127.0.0.1")})
    return listeners


def _selects(selector: Mapping[str, str], node: Node) -> bool:
    return all(node.labels.get(key) == value for key, value in selector.items())
