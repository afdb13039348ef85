"""Who manages which field of an object: what server-side apply needs to know before a first apply."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lab.plugins.kubernetes_objects import CREATOR

# What the names of managers begin with whose fields the program takes over: its own creation by POST, and kubectl's.
_PREDECESSORS: Final = {
    "Apply": ("kubectl",),
    "Update": ("kubectl", "before-first-apply", CREATOR, "pulumi-resource-kubernetes"),
}


def handed_over(live: Mapping[str, Any], manager: str) -> list[dict[str, Any]] | None:
    """The object's managed fields with those of its predecessors given to `manager`; None when nothing changes."""
    entries = copy.deepcopy(_entries(live))
    own = next((entry for entry in entries if _is(entry, manager, "Apply")), None)
    rest: list[dict[str, Any]] = []
    changed = False
    for entry in entries:
        if entry is own:
            continue
        if not _precedes(entry):
            rest.append(entry)
            continue
        changed = True
        if own is None:
            own = {**entry, "manager": manager, "operation": "Apply"}
        else:
            own["fieldsV1"] = _merged(own.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
    return [*rest, own] if changed and own else None


def made_by_us(live: Mapping[str, Any]) -> bool:
    """Whether fields are still held by a creation, so that a dry run must be forced."""
    names = {CREATOR, f"{CREATOR}.exe", "pulumi-resource-kubernetes"}
    return any(entry.get("manager") in names and entry.get("operation") == "Update" for entry in _entries(live))


def without_ignored(
    item: Mapping[str, Any], live: Mapping[str, Any], manager: str, ignored: Sequence[str]
) -> dict[str, Any]:
    """`item` so that an apply leaves the ignored paths as they are: another's fields left out, ours as they live."""
    result = copy.deepcopy(dict(item))
    ours = [entry for entry in _entries(live) if entry.get("manager") == manager]
    theirs = [entry for entry in _entries(live) if entry.get("manager") != manager]
    for path in ignored:
        parts = path.split(".")
        if _holds(theirs, parts) and not _holds(ours, parts):
            _remove(result, parts)
            continue
        found, value = _at(live, parts)
        if found:
            _put(result, parts, copy.deepcopy(value))
    return result


def _entries(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((live.get("metadata") or {}).get("managedFields") or [])


def _precedes(entry: Mapping[str, Any]) -> bool:
    names = _PREDECESSORS.get(str(entry.get("operation")), ())
    return not entry.get("subresource") and str(entry.get("manager")).startswith(names)


def _is(entry: Mapping[str, Any], manager: str, operation: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == operation


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        known = result.get(key)
        result[key] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result


def _holds(entries: Sequence[Mapping[str, Any]], parts: Sequence[str]) -> bool:
    return any(_at(entry.get("fieldsV1") or {}, [f"f:{part}" for part in parts])[0] for entry in entries)


def _at(value: Any, parts: Sequence[str]) -> tuple[bool, Any]:
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


def _remove(item: dict[str, Any], parts: Sequence[str]) -> None:
    found, parent = _at(item, parts[:-1])
    if found and isinstance(parent, dict):
        parent.pop(parts[-1], None)


def _put(item: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        item = item.setdefault(part, {})
    item[parts[-1]] = value
