"""What does istiod do to workload entries when an agent connects, reports health and goes away?"""

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightkube
from lightkube.core.exceptions import ApiError
from lightkube.types import PatchType

from lab.istio.ca import Identity
from lab.istio.objects import WorkloadEntry, WorkloadGroup, conflict, missing, plain

HEALTH_CHECKED = "proxy.istio.io/health-checks-enabled"
GROUP = "istio.io/autoRegistrationGroup"
CONTROLLER = "istio.io/workloadController"
CONNECTED = "istio.io/connectedAt"
DISCONNECTED = "istio.io/disconnectedAt"


class Refused(Exception):
    """istiod ends the agent's call.

    :param code: name of the gRPC status that the original answers with.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Node:
    """What an agent says of itself: its id, its addresses, and the metadata of the original's names."""

    id: str
    addresses: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def namespace(self) -> str:
        """The workload's namespace."""
        return str(self.metadata.get("NAMESPACE", ""))

    @property
    def labels(self) -> dict[str, str]:
        """The workload's labels."""
        return dict(self.metadata.get("LABELS") or {})

    @property
    def group(self) -> str:
        """The WorkloadGroup that it wants to be registered by; empty for none."""
        return str(self.metadata.get("AUTO_REGISTER_GROUP", ""))

    @property
    def network(self) -> str:
        """The network that it says it is in."""
        return str(self.metadata.get("NETWORK", ""))

    def entry_name(self) -> str:
        """The name that istiod gives to the entry it makes: group, address, network; the last 253 letters of it."""
        parts = [self.group, self.addresses[0].replace(":", "-"), self.network]
        return "-".join(part for part in parts if part)[-253:]


def verify(identity: Identity, node: Node, trust_domain: str) -> None:
    """Refuse an agent that says it is someone else than its certificate or token proves."""
    account = str(node.metadata.get("SERVICE_ACCOUNT", ""))
    if node.namespace not in {"", identity.namespace} or account not in {"", identity.account}:
        proven = identity.spiffe(trust_domain)
        message = f"authorization failed: no identities ([{proven}]) matched {node.namespace}/{account}"
        raise Refused("PermissionDenied", message)


def _check_control(identity: Identity, entry: Mapping[str, Any]) -> None:
    namespace = entry["metadata"]["namespace"]
    if identity.namespace != namespace:
        message = f'registration of WorkloadEntry namespace mismatch: "{identity.namespace}" vs "{namespace}"'
        raise Refused("Unknown", message)
    account = entry["spec"].get("serviceAccount", "")
    if account and identity.account != account:
        message = f'registration of WorkloadEntry service account mismatch: "{identity.account}" vs "{account}"'
        raise Refused("Unknown", message)


def entry_from_group(node: Node, group: Mapping[str, Any]) -> dict[str, Any]:
    """The entry that istiod makes for an agent of this WorkloadGroup."""
    spec = group["spec"]
    metadata = spec.get("metadata") or {}
    template = dict(spec.get("template") or {})
    labels = {**(template.get("labels") or {}), **(metadata.get("labels") or {}), **node.labels}
    labels.pop("istio-locality", None)
    template.update({"address": node.addresses[0], "labels": labels})
    if node.network:
        template["network"] = node.network
    annotations = {GROUP: group["metadata"]["name"], **(metadata.get("annotations") or {})}
    if node.metadata.get("HAS_PROBE"):
        annotations[HEALTH_CHECKED] = "true"
    owner = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadGroup",
        "name": group["metadata"]["name"],
        "uid": group["metadata"]["uid"],
        "controller": True,
    }
    return {
        "metadata": {
            "name": node.entry_name(),
            "namespace": node.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": template,
    }


class Registry:
    """The workload entries of connected agents.

    :param api: client of the API server.
    :param instance: name of this istiod, written on the entries that it looks after.
    :param grace: seconds that an entry outlives its agent's last call.
    :param say: where what was done is told.
    """

    def __init__(self, api: lightkube.Client, instance: str, grace: float, say: Callable[[str], None]) -> None:
        self._api = api
        self._instance = instance
        self._grace = grace
        self._say = say

    def connect(self, node: Node, identity: Identity, at: dt.datetime) -> str | None:
        """Take an agent's call; the name of the entry that its health goes to, None when there is none.

        :raises Refused: when its entry or group does not exist or belongs to another account.
        """
        if node.group and node.addresses and node.namespace:
            return self._register(node, identity, at)
        name = str(node.metadata.get("WORKLOAD_ENTRY", ""))
        if not name:
            return None
        entry = self._get(node.namespace, name)
        if entry is None:
            raise Refused(
                "Unknown",
                "proxy metadata indicates that it must correspond to an existing WorkloadEntry, "
                f"however WorkloadEntry {node.namespace}/{name} is not found",
            )
        if HEALTH_CHECKED not in (entry["metadata"].get("annotations") or {}):
            return None
        _check_control(identity, entry)
        self._mark(node.namespace, name, {CONTROLLER: self._instance, CONNECTED: _text(at), DISCONNECTED: None})
        self._say(f"updated health-checked WorkloadEntry {node.namespace}/{name}")
        return name

    def disconnect(self, node: Node, name: str, connected: dt.datetime) -> None:
        """The last call of an agent has ended: after the grace period its entry, or its health, goes."""
        entry = self._get(node.namespace, name)
        annotations = {} if entry is None else entry["metadata"].get("annotations") or {}
        if annotations.get(CONTROLLER) != self._instance or annotations.get(CONNECTED) != _text(connected):
            return  # gone, or connected again, here or elsewhere
        self._mark(node.namespace, name, {CONNECTED: None, DISCONNECTED: _text(now())})
        self._say(f"updated WorkloadEntry {node.namespace}/{name} as disconnected")
        later = threading.Timer(self._grace, self._clean, (node.namespace, name))
        later.daemon = True
        later.start()

    def report(self, namespace: str, name: str, *, healthy: bool, message: str) -> None:
        """Write the application's health into the entry's status, if this istiod still looks after it."""
        entry = self._get(namespace, name)
        if entry is None or (entry["metadata"].get("annotations") or {}).get(CONTROLLER) != self._instance:
            return
        condition = {
            "type": "Healthy",
            "status": "True" if healthy else "False",
            "lastProbeTime": _text(now()),
            "lastTransitionTime": _text(now()),
        }
        if message:
            condition["message"] = message
        self._set_health(entry, [condition])
        self._say(f"health of WorkloadEntry {namespace}/{name}: {'True' if healthy else 'False ' + message}")

    def sweep(self) -> None:
        """Clean up entries whose agents went away while no istiod was there to wait for them."""
        for entry in self._api.list(WorkloadEntry, namespace="*"):
            if entry.metadata and entry.metadata.namespace and entry.metadata.name:
                self._clean(entry.metadata.namespace, entry.metadata.name)

    def _register(self, node: Node, identity: Identity, at: dt.datetime) -> str:
        name = node.entry_name()
        existing = self._get(node.namespace, name)
        if existing is not None:
            _check_control(identity, existing)
            self._mark(node.namespace, name, {CONTROLLER: self._instance, CONNECTED: _text(at), DISCONNECTED: None})
            self._say(f"updated auto-registered WorkloadEntry {node.namespace}/{name} as connected")
            return name
        try:
            group = plain(self._api.get(WorkloadGroup, node.group, namespace=node.namespace))
        except ApiError as error:
            if not missing(error):
                raise
            what = f"cannot find WorkloadGroup {node.namespace}/{node.group}"
            raise Refused(
                "FailedPrecondition", f"auto-registration WorkloadEntry of {node.id} failed: {what}"
            ) from error
        entry = entry_from_group(node, group)
        _check_control(identity, entry)
        entry["metadata"]["annotations"].update({CONTROLLER: self._instance, CONNECTED: _text(at)})
        self._api.create(WorkloadEntry.from_dict(entry))
        checked = " with health checking enabled" if HEALTH_CHECKED in entry["metadata"]["annotations"] else ""
        self._say(f"auto-registered WorkloadEntry {node.namespace}/{name}{checked}")
        return name

    def _clean(self, namespace: str, name: str) -> None:
        entry = self._get(namespace, name)
        annotations = {} if entry is None else entry["metadata"].get("annotations") or {}
        left = annotations.get(DISCONNECTED)
        if entry is None or CONNECTED in annotations or not left:
            return
        if (now() - dt.datetime.fromisoformat(left)).total_seconds() < self._grace:
            return
        if annotations.get(GROUP):
            try:
                self._api.delete(WorkloadEntry, name, namespace=namespace)
            except ApiError as error:
                if not missing(error):
                    raise
            self._say(f"cleaned up auto-registered WorkloadEntry {namespace}/{name}")
        elif annotations.get(CONTROLLER) and _health(entry):
            self._set_health(entry, [])
            self._say(f"cleaned up health-checked WorkloadEntry {namespace}/{name}")

    def _set_health(self, entry: Mapping[str, Any], health: list[dict[str, str]]) -> None:
        conditions = (entry.get("status") or {}).get("conditions") or []
        others = [condition for condition in conditions if condition.get("type") != "Healthy"]
        self._api.patch(
            WorkloadEntry.Status,
            entry["metadata"]["name"],
            {"status": {"conditions": [*others, *health]}},
            namespace=entry["metadata"]["namespace"],
            patch_type=PatchType.MERGE,
        )

    def _get(self, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return plain(self._api.get(WorkloadEntry, name, namespace=namespace))
        except ApiError as error:
            if missing(error):
                return None
            raise

    def _mark(self, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        """Set annotations (None takes one away); a whole update, retried when someone else was faster."""
        for attempt in range(5):
            entry = self._get(namespace, name)
            if entry is None:
                return
            merged = {**(entry["metadata"].get("annotations") or {}), **annotations}
            entry["metadata"]["annotations"] = {key: value for key, value in merged.items() if value is not None}
            try:
                self._api.replace(WorkloadEntry.from_dict(entry))
            except ApiError as error:
                if not conflict(error) or attempt == 4:
                    raise
            else:
                return


def now() -> dt.datetime:
    """The time, with its zone."""
    return dt.datetime.now(dt.UTC)


def _text(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _health(entry: Mapping[str, Any]) -> bool:
    conditions = (entry.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Healthy" for condition in conditions)
