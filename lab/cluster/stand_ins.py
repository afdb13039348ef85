"""What a cloud and the kubelets of nodes would have done: an address for each load balancer, and pods that are ready.

A stand-in. Nothing runs in the pods, they are on no node and have no address, so a Service's endpoints stay empty; and
the load balancers' address is one that the lab has given to something else.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from lab.cluster.admin import Admin, Watch

_MERGE: Final = "application/merge-patch+json"
_CONDITIONS: Final = ("PodScheduled", "Initialized", "ContainersReady", "Ready")

Play = Callable[[Mapping[str, Any]], dict[str, Any] | None]


class NodesAndCloud:
    """Writes the status of LoadBalancer Services and of Deployments' pods, and nothing else.

    :param admin: asks the API server.
    :param address: what load balancers get.
    """

    name = "nodes and cloud (stand-in)"

    def __init__(self, admin: Admin, address: str) -> None:
        self._admin = admin
        self._address = address
        self._watches: dict[str, Watch] = {}
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._play, args=played, daemon=True)
            for played in (("services", self._service), ("pods", self._pod))
        ]

    def start(self) -> None:
        """Begin; what is there already gets its status too."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, before the API server does."""
        self._stopped.set()
        for watch in list(self._watches.values()):
            watch.stop()
        for thread in self._threads:
            thread.join(10)

    def _play(self, kind: str, status_of: Play) -> None:
        # The API server ends a watch after a while.
        while not self._stopped.is_set():
            self._watches[kind] = watch = self._admin.watch(f"/api/v1/{kind}")
            for event in watch:
                if self._stopped.is_set():
                    return
                self._write(kind, event.get("object") or {}, status_of)
            self._stopped.wait(0.2)

    def _write(self, kind: str, found: Mapping[str, Any], status_of: Play) -> None:
        metadata = found.get("metadata") or {}
        status = None if metadata.get("deletionTimestamp") else status_of(found)
        if status is not None:
            path = f"/api/v1/namespaces/{metadata['namespace']}/{kind}/{metadata['name']}/status"
            # Refused when the object has gone meanwhile.
            self._admin.ask("PATCH", path, json.dumps({"status": status}).encode(), _MERGE)

    def _service(self, found: Mapping[str, Any]) -> dict[str, Any] | None:
        status = found.get("status") or {}
        if (found.get("spec") or {}).get("type") != "LoadBalancer" or (status.get("loadBalancer") or {}).get("ingress"):
            return None
        return {"loadBalancer": {"ingress": [{"ip": self._address}]}}

    def _pod(self, found: Mapping[str, Any]) -> dict[str, Any] | None:
        owners = (found.get("metadata") or {}).get("ownerReferences") or []
        of_deployment = any(owner.get("kind") == "ReplicaSet" for owner in owners)
        if not of_deployment or (found.get("status") or {}).get("phase") == "Running":
            return None
        return {"phase": "Running", "conditions": [{"type": one, "status": "True"} for one in _CONDITIONS]}
