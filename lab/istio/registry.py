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
from lab.istio.proxy import GROUP, HEALTH_CHECKED, Node, Refused, check_control, entry_from_group

CONTROLLER = "istio.io/workloadController"
CONNECTED = "istio.io/connectedAt"
DISCONNECTED = "istio.io/disconnectedAt"


@dataclass(frozen=True)
class Connection:
    """An agent's open call.

    :param entry: the workload entry that its health goes to; empty for none.
    :param at: when it began.
    """

    node: Node
    identity: Identity
    entry: str
    at: dt.datetime

    @property
    def workload(self) -> tuple[str, str, str, str]:
        """Several calls of one workload count as one."""
        return (self.node.network, self.node.addresses[0], self.node.group, self.node.namespace)


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
        self._open: list[Connection] = []
        self._lock = threading.Lock()

    def connect(self, node: Node, identity: Identity, at: dt.datetime) -> Connection:
        """Take an agent's call.

        :raises Refused: when its entry or group does not exist or belongs to another account.
        """
        if node.group:
            registered = bool(node.addresses and node.namespace)
            call = Connection(node, identity, node.entry_name() if registered else "", at)
            if call.entry:
                self._register(call)
        else:
            call = Connection(node, identity, self._named(node, identity), at)
            if call.entry and self._take(call):
                self._say(f"updated health-checked WorkloadEntry {node.namespace}/{call.entry}")
        if call.entry:
            with self._lock:
                self._open.append(call)
        return call

    def disconnect(self, call: Connection) -> None:
        """A call of an agent has ended: with the last one its entry, or its health, goes after the grace period."""
        with self._lock:
            if call not in self._open:
                return
            self._open.remove(call)
            if any(other.workload == call.workload for other in self._open):
                return
        namespace, name = call.node.namespace, call.entry
        entry = self._get(namespace, name)
        annotations = {} if entry is None else entry["metadata"].get("annotations") or {}
        if annotations.get(CONTROLLER) != self._instance or _time(annotations.get(CONNECTED)) > call.at:
            return  # gone, or connected again, here or elsewhere
        self._mark(namespace, name, {CONNECTED: None, DISCONNECTED: _text(now())})
        self._say(f"updated auto-registered WorkloadEntry {namespace}/{name} as disconnected")
        later = threading.Timer(self._grace, self._clean, (namespace, name))
        later.daemon = True
        later.start()

    def group_added(self, group: Mapping[str, Any]) -> None:
        """A WorkloadGroup is there, perhaps again: who is connected and has lost its entry gets one."""
        name, namespace = group["metadata"]["name"], group["metadata"]["namespace"]
        with self._lock:
            calls = [call for call in self._open if (call.node.group, call.node.namespace) == (name, namespace)]
        for call in calls:
            try:
                self._register(call)
            except Refused as error:
                self._say(f"{call.node.id}: {error}")

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

    def _named(self, node: Node, identity: Identity) -> str:
        """The entry that an agent without a group names, when its health counts."""
        name = str(node.metadata.get("WORKLOAD_ENTRY", ""))
        if not name:
            return ""
        entry = self._get(node.namespace, name)
        if entry is None:
            raise Refused(
                "Unknown",
                "proxy metadata indicates that it must correspond to an existing WorkloadEntry, "
                f"however WorkloadEntry {node.namespace}/{name} is not found",
            )
        if HEALTH_CHECKED not in (entry["metadata"].get("annotations") or {}):
            return ""
        check_control(identity, entry)
        return name

    def _register(self, call: Connection) -> None:
        node, name = call.node, call.entry
        failed = f"auto-registration WorkloadEntry of {node.name} failed"
        existing = self._get(node.namespace, name)
        if existing is not None:  # as it is: a change of the group or the agent does not reach it
            check_control(call.identity, existing)
            if self._take(call):
                self._say(f"updated auto-registered WorkloadEntry {node.namespace}/{name} as connected")
            return
        try:
            group = plain(self._api.get(WorkloadGroup, node.group, namespace=node.namespace))
        except ApiError as error:
            if not missing(error):
                raise
            what = f"cannot find WorkloadGroup {node.namespace}/{node.group}"
            raise Refused("FailedPrecondition", f"{failed}: {what}") from error
        entry = entry_from_group(node, group)
        check_control(call.identity, entry)
        entry["metadata"]["annotations"].update({CONTROLLER: self._instance, CONNECTED: _text(call.at)})
        try:
            self._api.create(WorkloadEntry.from_dict(entry))
        except ApiError as error:
            raise Refused("Unknown", f"{failed}: error creating WorkloadEntry: {error}") from error
        checked = " with health checking enabled" if HEALTH_CHECKED in entry["metadata"]["annotations"] else ""
        self._say(f"auto-registered WorkloadEntry {node.namespace}/{name}{checked}")

    def _take(self, call: Connection) -> bool:
        """Write that the agent is connected here; False when something later is written already."""
        entry = self._get(call.node.namespace, call.entry)
        annotations = {} if entry is None else entry["metadata"].get("annotations") or {}
        last = _time(annotations.get(CONNECTED))
        mine = annotations.get(CONTROLLER) == self._instance
        if call.at < _time(annotations.get(DISCONNECTED)) or call.at < last or (mine and call.at <= last):
            return False
        wanted = {CONTROLLER: self._instance, CONNECTED: _text(call.at), DISCONNECTED: None}
        self._mark(call.node.namespace, call.entry, wanted)
        return True

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


def _time(text: str | None) -> dt.datetime:
    return dt.datetime.fromisoformat(text) if text else dt.datetime.min.replace(tzinfo=dt.UTC)


def _health(entry: Mapping[str, Any]) -> bool:
    conditions = (entry.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Healthy" for condition in conditions)
