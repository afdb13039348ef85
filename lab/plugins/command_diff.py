"""What of a command's inputs has changed, in the words and with the quirks of the original's difference."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pulumi.runtime.proto import provider_pb2

from lab.plugins.values import UNKNOWN, Secret

_ADD: Final = provider_pb2.PropertyDiff.Kind.ADD
_DELETE: Final = provider_pb2.PropertyDiff.Kind.DELETE
_UPDATE: Final = provider_pb2.PropertyDiff.Kind.UPDATE
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # marks an asset or an archive, which changes as a whole
_BARE: Final = re.compile(r"[A-Za-z0-9_]*")


def difference(old: Mapping[str, Any], new: Mapping[str, Any], replacing: Collection[str]) -> provider_pb2.DiffResponse:
    """The change from `old` to `new`.

    Two secrets are compared as a whole, and a value that became secret has changed. `replacing` counts only where
    the property appears or goes as a whole: a change inside it is left to the engine's `replaceOnChanges`, as
    the original leaves it.
    """
    answer = provider_pb2.DiffResponse(hasDetailedDiff=True, changes=provider_pb2.DiffResponse.DIFF_NONE)
    for name in sorted({*old, *new}):
        changes = list(_changes(_step("", name), old.get(name), new.get(name)))
        if not changes:
            continue
        answer.changes = provider_pb2.DiffResponse.DIFF_SOME
        answer.diffs.append(name)
        for path, kind in changes:
            replaces = path in replacing
            if replaces:
                answer.replaces.append(name)
            # each kind has its replacing twin at the next number
            answer.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.ValueType(kind + int(replaces))
    return answer


def same(old: Any, new: Any) -> bool:
    """Whether two values are equal, secrecy and the kinds of values (1 is not true) included."""
    if isinstance(old, Secret) and isinstance(new, Secret):
        return same(old.value, new.value)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get(_SIGNATURE) and old.get("hash"):
            return bool(old[_SIGNATURE] == new.get(_SIGNATURE) and old["hash"] == new.get("hash"))
        return all(same(old.get(key), new.get(key)) for key in {*old, *new})
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(a, b) for a, b in zip(old, new, strict=True))
    if old is UNKNOWN or new is UNKNOWN:
        return old is new
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _changes(path: str, old: Any, new: Any) -> Iterator[tuple[str, int]]:
    if same(old, new) or (isinstance(new, Secret) and new.value is UNKNOWN):
        return  # a secret that is not known yet counts as no change
    if old is None or new is None:
        yield path, _ADD if old is None else _DELETE
    elif isinstance(old, Mapping) and isinstance(new, Mapping) and not {_SIGNATURE} & {*old, *new}:
        for key in sorted({*old, *new}):
            yield from _changes(_step(path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _changes(f"{path}[{index}]", _at(old, index), _at(new, index))
    else:
        yield path, _UPDATE


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _step(path: str, key: str) -> str:
    if not _BARE.fullmatch(key):
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key
