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
    """What makes a kind ready, and what is said when it is not."""

    ready: Ready
    reasons: Callable[[Mapping[str, Any]], list[str]]


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
    seen = _poll(api, live, rule.ready, seconds)
    if not rule.ready(seen):
        raise NotReady(f"'{name_of(seen)}' timed out waiting to be Ready", seen, rule.reasons(seen))
    return seen


def check_read(item: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    """Raise `NotReady` for an object that a refresh finds unready."""
    rule = _RULES.get(kind_of(live))
    if rule and annotation(item, "pulumi.com/skipAwait") != "true" and not rule.ready(live):
        raise NotReady(f"Resource '{name_of(live)}' was created but failed to initialize", live, rule.reasons(live))


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


def _service_ready(live: Mapping[str, Any]) -> bool:
    if (live.get("spec") or {}).get("type") != "LoadBalancer":
        return True
    return bool(((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _service_reasons(_: Mapping[str, Any]) -> list[str]:
    no_pods = (
        "Service does not target any Pods. Selected Pods may not be ready, or "
        "field '.spec.selector' may not match labels on any Pods"
    )
    return [no_pods, "Service was not allocated an IP address; does your cloud provider support this?"]


def _deployment_ready(live: Mapping[str, Any]) -> bool:
    status = live.get("status") or {}
    wanted = (live.get("spec") or {}).get("replicas", 1)
    current = status.get("observedGeneration") == metadata(live).get("generation")
    return current and status.get("updatedReplicas", 0) >= wanted and _has_condition(live, "Available", "True")


_RULES: Final[Mapping[Kind, _Rule]] = {
    Kind("v1", "Service"): _Rule(_service_ready, _service_reasons),
    Kind("apps/v1", "Deployment"): _Rule(_deployment_ready, lambda _: ["Minimum number of live Pods was not attained"]),
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
