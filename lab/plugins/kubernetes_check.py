"""What the program wants, made whole (a name, a namespace), and how it differs from what is there."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.runtime.proto import provider_pb2

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes_api import ApiRefused, NoMatch, Unreachable
from lab.plugins.kubernetes_config import Settings
from lab.plugins.kubernetes_diff import IDENTITY, differences, replaced_by, replacing
from lab.plugins.serve import Refused
from lab.plugins.values import UNKNOWN


def checked(settings: Settings, urn: str, item: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The object with a name and a namespace, and without what only the API server writes.

    :param old: the resource's former inputs; empty for a new one.
    """
    if objects.is_patch(urn, item):
        if not settings.server_side:
            raise Refused(
                "patch resources require Server-Side Apply mode, which is enabled using the "
                "`enableServerSideApply` Provider config"
            )
        if not objects.name_of(item):
            raise Refused("patch resources require the `.metadata.name` field to be set")
    result = _with_name(settings, urn, objects.normalised(item), old)
    if settings.namespace and not objects.namespace_of(result) and namespaced(settings, objects.kind_of_urn(urn)):
        result = objects.with_metadata(result, namespace=settings.namespace)
    return result


def _with_name(settings: Settings, urn: str, item: dict[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    if old:
        if not objects.named(item) and objects.annotation(old, objects.AUTONAMED) == "true":
            item = objects.marked_autonamed(item, objects.name_of(old))
        if (objects.metadata(old).get("labels") or {}).get(objects.MANAGED_BY) == "pulumi":
            item = objects.labelled(item)
    else:
        if not objects.named(item) and not objects.metadata(item).get("generateName"):
            item = objects.marked_autonamed(item, objects.generated(f"{urn.rpartition('::')[2]}-"))
        if not settings.server_side:
            item = objects.labelled(item)
    if not objects.named(item) and objects.metadata(item).get("generateName") and settings.server_side:
        raise Refused("the `.metadata.generateName` field is not supported in Server-Side Apply mode")
    return item


def namespaced(settings: Settings, kind: objects.Kind) -> bool:
    """Whether objects of the kind are in namespaces; so is a kind that the API server does not serve yet."""
    if kind.builtin:
        return not kind.cluster_wide
    with contextlib.suppress(Unreachable, NoMatch, ApiRefused):
        return settings.api.place(kind).namespaced
    return True


def compared(
    settings: Settings, urn: str, state: Mapping[str, Any], new: Mapping[str, Any], ignored: Sequence[str]
) -> provider_pb2.DiffResponse:
    """The program's object against the live one of the state, as far as the program had written it."""
    written, live = objects.parted(state)
    item = objects.normalised(new)
    old = objects.pruned(live, objects.normalised(written))
    inside = namespaced(settings, objects.kind_of(item))
    old, item = _comparable(old, inside), _comparable(item, inside)
    if objects.name_of(item):
        old = objects.with_metadata(old, name=objects.name_of(live))
    old = {"apiVersion": item.get("apiVersion"), "kind": item.get("kind"), **old}
    fixed = IDENTITY if objects.is_patch(urn, item) else replacing(item, settings.options)
    changes = differences(old, item, fixed, ignored)
    replaces = replaced_by(changes)
    same = objects.identity(item) == objects.identity(live)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and same and objects.annotation(item, objects.AUTONAMED) != "true",
        detailedDiff=changes,
        hasDetailedDiff=True,
    )


def _comparable(item: dict[str, Any], inside: bool) -> dict[str, Any]:
    """The object with its namespace said, or none where none belongs."""
    meta = item.get("metadata") or {}
    if meta is UNKNOWN or meta.get("namespace") is UNKNOWN:
        return item
    rest = {key: value for key, value in meta.items() if key not in {"namespace", "resourceVersion"}}
    return {**item, "metadata": {**rest, **({"namespace": meta.get("namespace") or "default"} if inside else {})}}
