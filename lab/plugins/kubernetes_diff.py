"""What changed between a live object and the program's, and which of it can only be had by a new object."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi.runtime.proto import provider_pb2

from lab.plugins.kubernetes_objects import Kind, kind_of
from lab.plugins.values import UNKNOWN

_ADD: Final = provider_pb2.PropertyDiff.Kind.ADD
_DELETE: Final = provider_pb2.PropertyDiff.Kind.DELETE
_UPDATE: Final = provider_pb2.PropertyDiff.Kind.UPDATE

IDENTITY: Final = ("metadata.name", "metadata.namespace")
"""What makes a Patch resource another one; everything else of it is updated."""

_SELECTED: Final = ("spec.selector",)
_STATEFUL: Final = (
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
)
# Of a Pod the original lists nearly every field of `spec`; the stand-in takes all of it, and PersistentVolumes too.
_IMMUTABLE: Final[Mapping[Kind, Sequence[str]]] = {
    Kind("v1", "PersistentVolume"): ("spec",),
    Kind("v1", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    Kind("v1", "Pod"): ("spec",),
    Kind("v1", "ResourceQuota"): ("spec.scopes",),
    Kind("v1", "Service"): ("spec.clusterIP",),
    Kind("apps/v1", "DaemonSet"): _SELECTED,
    Kind("apps/v1", "Deployment"): _SELECTED,
    Kind("apps/v1", "StatefulSet"): _STATEFUL,
    Kind("batch/v1", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    Kind("storage.k8s.io/v1", "StorageClass"): ("parameters", "provisioner"),
}


class _Missing:
    """A field that is not there, which is not the same as one that is null."""


_MISSING: Final = _Missing()
_Path = tuple[str | int, ...]
_Change = tuple[_Path, Any, int, bool]


def replacing(item: Mapping[str, Any], config: Mapping[str, str]) -> tuple[str, ...]:
    """The fields of this object of which a change makes a new one.

    :param config: the provider's; `enableSecretMutable` and `enableConfigMapMutable` spare what is not `immutable`.
    """
    kind = kind_of(item)
    fixed = item.get("immutable") is True
    if kind == Kind("v1", "Secret"):
        spared = config.get("enableSecretMutable") == "true" and not fixed
        return (*IDENTITY, "type") if spared else (*IDENTITY, "type", "stringData", "data")
    if kind == Kind("v1", "ConfigMap") and (fixed or config.get("enableConfigMapMutable") != "true"):
        return (*IDENTITY, "binaryData", "data")
    return (*IDENTITY, *_IMMUTABLE.get(kind, ()))


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], fixed: Sequence[str], ignored: Sequence[str] = ()
) -> dict[str, provider_pb2.PropertyDiff]:
    """Each changed property by its path, with the kind of change.

    :param old: the live object, pruned to what the program had written.
    :param new: what the program writes now.
    :param fixed: fields that cannot be changed in place.
    :param ignored: paths that the program does not want to hear of.
    """
    result = {}
    for path, value, kind, of_input in _object((), old, new):
        text = _written(path)
        if any(text == skip or text.startswith((f"{skip}.", f"{skip}[")) for skip in ignored):
            continue
        # each kind of change has its replacing twin at the next number
        number = kind + int(any(_touches(path, value, field.split(".")) for field in fixed))
        result[text] = provider_pb2.PropertyDiff(
            kind=provider_pb2.PropertyDiff.Kind.ValueType(number), inputDiff=of_input
        )
    return result


def replaced_by(changes: Mapping[str, provider_pb2.PropertyDiff]) -> list[str]:
    """The paths of the changes that need a new object; losing its whole metadata is one."""
    twins = {_ADD + 1, _DELETE + 1, _UPDATE + 1}
    return [
        path
        for path, change in changes.items()
        if change.kind in twins or (path == "metadata" and change.kind == _DELETE)
    ]


def _object(path: _Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[_Change]:
    for key in sorted({*old, *new}):
        yield from _value((*path, key), old.get(key, _MISSING), new.get(key, _MISSING))


def _value(path: _Path, old: Any, new: Any) -> Iterator[_Change]:
    if new is _MISSING or new is None:
        if old is not _MISSING and old is not None:
            yield path, None, _DELETE, True
    elif new is UNKNOWN and isinstance(old, Mapping):
        # As the original: each part of an unknown object is taken for removed. So the engine, which asks with unknown
        # metadata, hears that what hangs on the name of an object that goes first must go before it.
        yield from (((*path, key), None, _DELETE, True) for key in sorted(old))
    elif new is UNKNOWN:
        yield path, None, _ADD if old is _MISSING else _UPDATE, False
    elif old is _MISSING:
        yield path, new, _ADD, False
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _object(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _value((*path, index), _at(old, index), _at(new, index))
    elif old != new:
        yield path, new, _UPDATE, False


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else _MISSING


def _touches(path: _Path, value: Any, field: Sequence[str]) -> bool:
    names = [part for part in path if isinstance(part, str)]
    if len(names) >= len(field):
        return names[: len(field)] == list(field)
    if names != list(field[: len(names)]):
        return False
    for name in field[len(names) :]:  # a whole object comes at once: is the field in it?
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True


def _written(path: _Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif any(letter in part for letter in '."[]'):
            escaped = part.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{part}" if text else part
    return text
