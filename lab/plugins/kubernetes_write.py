"""How an object is made, changed and removed at the API server: the requests, their retries, their refusals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.kubernetes_api import Api, ApiRefused, NoMatch
from lab.plugins.kubernetes_await import propagation, until_gone
from lab.plugins.kubernetes_managers import handed_over, made_by_us, without_ignored
from lab.plugins.kubernetes_objects import CREATOR, annotation, is_patch, kind_of, name_of, namespace_of

WAITS: Final = (1, 2, 4, 8, 16, 32)
"""Seconds after each try to create what is not found: its CRD or its namespace may be made in the same run."""

_CONFLICT: Final = (
    "server-side apply field conflict detected, see https://www.pulumi.com/registry/packages/kubernetes/"
    "how-to-guides/managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources "
    "for troubleshooting help\n"
    'The resource managed by field manager "{manager}" had an apply conflict: {error}'
)
_EXISTS: Final = """{error}

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Managing an existing resource: use a Patch resource (e.g. NamespacePatch)
    to manage specific fields without owning the resource lifecycle.
  - Adopting a resource into Pulumi: use `pulumi import`. Note that
    protected resources (e.g. kube-system) cannot be deleted on destroy.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create."""


@dataclass(frozen=True)
class Write:
    """One object to be written.

    :param urn: of its resource.
    :param item: what the program says.
    :param manager: the field manager of its applies.
    :param preview: whether nothing may be changed.
    :param force: whether applies take fields from other managers.
    :param apply: whether updates are applies.
    :param upsert: whether a creation may take over an object that is there.
    """

    urn: str
    item: Mapping[str, Any]
    manager: str
    preview: bool
    force: bool
    apply: bool
    upsert: bool

    @property
    def is_patch(self) -> bool:
        """Whether it is a Patch resource."""
        return is_patch(self.urn, self.item)

    def parameters(self, manager: str) -> dict[str, str]:
        """The query of a request that writes."""
        return {"fieldManager": manager, **({"dryRun": "All"} if self.preview else {})}


def create(api: Api, write: Write, tell: Callable[[str], None]) -> dict[str, Any]:
    """The new object. What is not found is tried again for a minute; the last refusal is raised."""
    for attempt, wait in enumerate(WAITS):
        try:
            return _create(api, write)
        except (ApiRefused, NoMatch) as error:
            missing = isinstance(error, NoMatch) or error.reason == "NotFound"
            if write.preview and namespace_missing(error):
                raise
            tell(f"Retry #{attempt}; creation failed: {error}")
            if not missing or api.pause(wait) or attempt == len(WAITS) - 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def namespace_missing(error: Exception) -> bool:
    """Whether the object's namespace is not there."""
    return isinstance(error, ApiRefused) and error.reason == "NotFound" and error.about == "namespaces"


def _create(api: Api, write: Write) -> dict[str, Any]:
    if not (write.apply and (write.upsert or write.is_patch)):
        return api.create(write.item, write.parameters(CREATOR))
    force = write.preview or _forced(write)
    parameters = {**write.parameters(write.manager), "force": _word(force), "fieldValidation": "Warn"}
    return _apply(api, write, parameters)


def refusal(error: Exception) -> str:
    """The text of a refused creation; with what to do when the object is there already."""
    if isinstance(error, ApiRefused) and error.reason == "AlreadyExists":
        return _EXISTS.format(error=error)
    return str(error)


def update(
    api: Api, write: Write, old: Mapping[str, Any], ignored: Sequence[str]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The changed object, and what was written: by server-side apply, or for a CRD as a whole."""
    live = api.get(kind_of(write.item), namespace_of(write.item), name_of(old))
    if kind_of(write.item).kind == "CustomResourceDefinition":
        version = live["metadata"]["resourceVersion"]
        item = {**write.item, "metadata": {**write.item["metadata"], "resourceVersion": version}}
        return api.put(item, write.parameters(write.manager)), item
    if not write.apply:
        return _replace(api, write, live), write.item
    if not write.preview and not write.is_patch:
        entries = handed_over(live, write.manager)
        live = api.set_managers(live, entries) if entries else live
    force = _forced(write) or (write.preview and made_by_us(live)) or not live["metadata"].get("managedFields")
    item = without_ignored(write.item, live, write.manager, ignored)
    parameters = {**write.parameters(write.manager), "force": _word(force)}
    return _apply(api, write, parameters, item, name_of(live)), item


def _replace(api: Api, write: Write, live: Mapping[str, Any]) -> dict[str, Any]:
    """Without server-side apply: a merge of what the program says over the live object."""
    merged = _merge(live, write.item)
    return api.put(merged, write.parameters(CREATOR))


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(old)
    for key, value in new.items():
        known = result.get(key)
        result[key] = _merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result


def _apply(
    api: Api, write: Write, parameters: Mapping[str, str], item: Mapping[str, Any] | None = None, name: str = ""
) -> dict[str, Any]:
    try:
        return api.apply(item or write.item, parameters, name)
    except ApiRefused as error:
        if error.reason != "Conflict":
            raise
        told = {**error.status, "message": _CONFLICT.format(manager=write.manager, error=error)}
        raise ApiRefused(told, error.code) from None


def _forced(write: Write) -> bool:
    return write.force or annotation(write.item, "pulumi.com/patchForce") == "true"


def _word(value: bool) -> str:
    return str(value).lower()


def relinquish(api: Api, live: Mapping[str, Any], manager: str) -> None:
    """Give up every field that `manager` holds: they go, or stay with whoever else holds them."""
    identity = {"name": name_of(live), **({"namespace": namespace_of(live)} if namespace_of(live) else {})}
    empty = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": identity}
    api.apply(empty, {"fieldManager": manager})


def delete(api: Api, item: Mapping[str, Any], live: Mapping[str, Any], name: str, seconds: float) -> None:
    """Remove the object and wait until it is gone; one that is gone already, or whose kind is, is done.

    :param item: what the program wrote: its annotations say how.
    :param live: the object of the state.
    """
    try:
        api.delete(kind_of(live), namespace_of(live), name, propagation(item))
    except NoMatch:
        return
    except ApiRefused as refused:
        if refused.reason == "NotFound":
            return
        raise
    until_gone(api, live, seconds)
