"""When an object is ready, and when it is gone: what the plugin waits for before it says that it is done."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.kubernetes_api import Api, ApiRefused, NoMatch
from lab.plugins.kubernetes_objects import Kind, annotation, kind_of, metadata, name_of, namespace_of

_LIMIT: Final = 600.0  # seconds
_EVERY: Final = 0.2
_TIMED_OUT: Final = "timed out waiting for the condition"
_INTERRUPTED: Final = "context canceled"

Ready = Callable[[Mapping[str, Any]], bool]


class NotReady(Exception):
    """The object exists, but is not what the program waits for.

    :param live: the object as last seen.
    :param reasons: why, in more words.
    """

    def __init__(self, message: str, live: Mapping[str, Any], reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.live = dict(live)
        self.reasons = list(reasons)


@dataclass(frozen=True)
class _Rule:
    """What makes a kind ready, and what is said when it is not.

    :param ready: when the wait ends.
    :param enough: what counts as ready when the time is up, and at a refresh.
    """

    ready: Callable[[Api, Mapping[str, Any]], bool]
    enough: Callable[[Api, Mapping[str, Any]], bool]
    reasons: Callable[[Api, Mapping[str, Any]], list[str]]


def limit(item: Mapping[str, Any], option: float) -> float:
    """Seconds to wait: the resource's `custom_timeouts`, else the annotation, else ten minutes."""
    noted = annotation(item, "pulumi.com/timeoutSeconds")
    if option:
        return option
    return float(noted) if noted.lstrip("-").isdigit() else _LIMIT


def propagation(item: Mapping[str, Any]) -> str:
    """How what the object owns is deleted: with it, unless an annotation says otherwise."""
    noted = annotation(item, "pulumi.com/deletionPropagationPolicy").lower()
    return {"orphan": "Orphan", "background": "Background"}.get(noted, "Foreground")


def until_ready(api: Api, item: Mapping[str, Any], live: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Wait until `live` is ready; the object as it is then.

    :param item: what the program wrote: its annotations decide.
    :raises NotReady: the time is up.
    :raises ValueError: the annotation is no condition.
    """
    if annotation(item, "pulumi.com/skipAwait") == "true":
        return dict(live)
    noted = annotation(live, "pulumi.com/waitFor")
    if noted:
        wanted = expressions(noted)
        seen = _poll(api, live, lambda now: all(ready(now) for ready in wanted), seconds)
        if not all(ready(seen) for ready in wanted):
            raise NotReady(_TIMED_OUT, seen)
        return seen
    rule = _RULES.get(kind_of(live))
    if rule is None:
        return dict(live)
    seen = _poll(api, live, lambda now: rule.ready(api, now), seconds)
    if not rule.enough(api, seen):
        raise NotReady(f"'{name_of(seen)}' timed out waiting to be Ready", seen, rule.reasons(api, seen))
    return seen


def check_read(api: Api, item: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    """Raise `NotReady` for an object that a refresh finds unready."""
    rule = _RULES.get(kind_of(live))
    if rule and annotation(item, "pulumi.com/skipAwait") != "true" and not rule.enough(api, live):
        reasons = rule.reasons(api, live)
        raise NotReady(f"Resource '{name_of(live)}' was created but failed to initialize", live, reasons)


def until_gone(api: Api, item: Mapping[str, Any], seconds: float) -> None:
    """Wait until the object is no longer there; `NotReady` when the time is up."""
    kind, namespace, name = kind_of(item), namespace_of(item), name_of(item)
    end = time.monotonic() + seconds
    live: Mapping[str, Any] = item
    while True:
        try:
            live = api.get(kind, namespace, name)
        except NoMatch:
            return
        except ApiRefused as refused:
            if refused.code == 404:
                return
            raise
        other = metadata(item).get("uid")
        if other and metadata(live).get("uid") != other:
            return  # another object has taken the name
        if time.monotonic() >= end:
            raise NotReady(_TIMED_OUT, live)
        if api.pause(_EVERY):
            raise NotReady(_INTERRUPTED, live)


def expressions(noted: str) -> list[Ready]:
    """The conditions of a `pulumi.com/waitFor`: one, or a JSON array of them. `ValueError` for what is none."""
    try:
        texts = json.loads(noted)
    except ValueError:
        texts = [noted]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        texts = [noted]
    if not texts:
        raise ValueError("at least one condition must be specified")
    return [_expression(text) for text in texts]


def _expression(text: str) -> Ready:
    if text.startswith("condition="):
        name, _, status = text.removeprefix("condition=").partition("=")
        return lambda live: _has_condition(live, name, status or "True")
    if text.startswith("jsonpath="):
        return _path(text.removeprefix("jsonpath="))
    raise ValueError(f'expected a "jsonpath=" or "condition=" prefix, got "{text}"')


def _path(text: str) -> Ready:
    path, _, value = text.partition("=")
    braces = re.search(r"\{\s*(.*?)\s*\}", path)
    if "=" in value.replace("==", ""):
        raise ValueError(f'format should be {{.path}}=value or {{.path}}, got "{text}"')
    if text.endswith("=") and not value:
        raise ValueError(f"{path}= requires a value")
    if not braces:
        raise ValueError(f"{path} should be wrapped in brackets {{ ... }}")
    steps = re.findall(r"\.([A-Za-z0-9_-]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d+)\]", braces[1].removeprefix("$"))

    def ready(live: Mapping[str, Any]) -> bool:
        if not _observed(live):
            return False
        found: Any = live
        for field, quoted, index in steps:
            key = int(index) if index else field or quoted
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return False
        return not value or _printed(found) == value

    return ready


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)


def _has_condition(live: Mapping[str, Any], name: str, status: str) -> bool:
    for condition in (live.get("status") or {}).get("conditions") or []:
        if str(condition.get("type")).lower() == name.lower() and "status" in condition:
            return _observed(live, condition) and str(condition["status"]).lower() == status.lower()
    return False


def _observed(live: Mapping[str, Any], condition: Mapping[str, Any] | None = None) -> bool:
    generation = metadata(live).get("generation")
    observed = (condition or {}).get("observedGeneration", (live.get("status") or {}).get("observedGeneration"))
    return generation is None or observed is None or int(observed) >= int(generation)


def _has_address(live: Mapping[str, Any]) -> bool:
    if (live.get("spec") or {}).get("type") != "LoadBalancer":
        return True
    return bool(((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _targets_pods(live: Mapping[str, Any]) -> bool:
    spec = live.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None"


def _endpoints(api: Api, live: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The subsets of a Service's endpoints; None when the controller has not made any yet."""
    try:
        return list(api.get(Kind("v1", "Endpoints"), namespace_of(live), name_of(live)).get("subsets") or [])
    except ApiRefused as refused:
        if refused.code == 404:
            return None
        raise


def _service_ready(api: Api, live: Mapping[str, Any]) -> bool:
    """The original waits ten seconds more after each change of the endpoints, to see whether there is another."""
    if not _has_address(live):
        return False
    found = _endpoints(api, live) if _targets_pods(live) else []
    return found is not None and not any(subset.get("notReadyAddresses") for subset in found)


def _service_enough(api: Api, live: Mapping[str, Any]) -> bool:
    """As when the time is up: endpoints that nobody made count as none that are not ready."""
    found = (_endpoints(api, live) or []) if _targets_pods(live) else []
    return _has_address(live) and not any(subset.get("notReadyAddresses") for subset in found)


def _service_reasons(api: Api, live: Mapping[str, Any]) -> list[str]:
    reasons = []
    if _targets_pods(live) and not any(subset.get("addresses") for subset in _endpoints(api, live) or []):
        reasons.append(
            "Service does not target any Pods. Selected Pods may not be ready, or "
            "field '.spec.selector' may not match labels on any Pods"
        )
    if not _has_address(live):
        reasons.append("Service was not allocated an IP address; does your cloud provider support this?")
    return reasons


def _deployment_ready(_: Api, live: Mapping[str, Any]) -> bool:
    """The first revision has its pods ready; a later one has replaced the one before."""
    status, revision = live.get("status") or {}, annotation(live, "deployment.kubernetes.io/revision")
    if status.get("observedGeneration") != metadata(live).get("generation") or not revision:
        return False
    if not _has_condition(live, "Available", "True"):
        return False
    wanted = (live.get("spec") or {}).get("replicas", 1)
    if status.get("updatedReplicas", 0) < wanted or status.get("readyReplicas", 0) < wanted:
        return False
    progress = [one for one in status.get("conditions") or [] if one.get("type") == "Progressing"]
    rolled = any(one.get("reason") == "NewReplicaSetAvailable" and one.get("status") == "True" for one in progress)
    return revision == "1" or rolled


def _deployment_reasons(_: Api, live: Mapping[str, Any]) -> list[str]:
    conditions = (live.get("status") or {}).get("conditions") or []
    failed = [one for one in conditions if one.get("type") in {"Available", "Progressing"} and one["status"] != "True"]
    return [f"[{one.get('reason')}] {one.get('message')}" for one in failed] or [
        "Minimum number of live Pods was not attained"
    ]


_RULES: Final[Mapping[Kind, _Rule]] = {
    Kind("v1", "Service"): _Rule(_service_ready, _service_enough, _service_reasons),
    Kind("apps/v1", "Deployment"): _Rule(_deployment_ready, _deployment_ready, _deployment_reasons),
}


def _poll(api: Api, live: Mapping[str, Any], ready: Ready, seconds: float) -> dict[str, Any]:
    end = time.monotonic() + seconds
    seen = dict(live)
    while not ready(seen) and time.monotonic() < end:
        if api.pause(min(_EVERY, max(0.0, end - time.monotonic()))):
            raise NotReady(_INTERRUPTED, seen)
        try:
            seen = api.get(kind_of(live), namespace_of(live), name_of(live))
        except ApiRefused as refused:
            if refused.code == 404:
                continue  # it may be made again; the time limit ends the wait
            raise
    return seen
