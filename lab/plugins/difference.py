"""What changed between two sets of inputs, as the engine wants to hear it: property paths, kinds, replacements."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2

from lab.plugins.values import Secret, plain

_ADD = provider_pb2.PropertyDiff.Kind.ADD
_DELETE = provider_pb2.PropertyDiff.Kind.DELETE
_UPDATE = provider_pb2.PropertyDiff.Kind.UPDATE


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    replacing: Collection[str] = (),
    *,
    delete_first: bool = False,
) -> provider_pb2.DiffResponse:
    """The difference of two sets of inputs, with a detailed diff.

    :param replacing: the names of the properties (top level) of which any change replaces the resource.
    :param delete_first: whether a replacement deletes the old resource before it creates the new one.
    """
    answer = provider_pb2.DiffResponse(hasDetailedDiff=True, changes=provider_pb2.DiffResponse.DIFF_NONE)
    for name in sorted({*old, *new}):
        changes = list(_changes(name, old.get(name), new.get(name)))
        if not changes:
            continue
        replaces = name in replacing
        answer.changes = provider_pb2.DiffResponse.DIFF_SOME
        answer.diffs.append(name)
        if replaces:
            answer.replaces.append(name)
            answer.deleteBeforeReplace = delete_first
        for path, kind in changes:
            # each kind has its replacing twin at the next number
            answer.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.ValueType(kind + int(replaces))
            answer.detailedDiff[path].inputDiff = True
    return answer


def _changes(path: str, old: Any, new: Any) -> Iterator[tuple[str, int]]:
    old, new = _open(old), _open(new)
    if old is None and new is None:
        return
    if old is None:
        yield path, _ADD
    elif new is None:
        yield path, _DELETE
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(f"{path}{_key(key)}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _changes(f"{path}[{index}]", _at(old, index), _at(new, index))
    elif plain(old) != plain(new):
        yield path, _UPDATE


def _open(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _key(key: str) -> str:
    return f".{key}" if key.isidentifier() else f'["{key}"]'
