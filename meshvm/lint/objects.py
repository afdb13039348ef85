"""Would the API server and istiod take an object of Istio's? Two look at it: the API server by the definition of the
kind (schema and rules), always, and istiod's webhook, where there is one.

Sources: istio: manifests/charts/base/files/crd-all.gen.yaml, pkg/config/validation; Istio 1.30. What only one of the
two refuses is refused here: an object that istiod would not have taken works in one cluster and not in the next.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import rules, workload
from meshvm.lint.kinds import service_entry, sidecar, telemetry, workload_entry, workload_group

_JUDGES: Final[Mapping[str, Callable[[Mapping[str, Any], str, list[str]], None]]] = {
    "Telemetry": telemetry.check,
    "WorkloadEntry": workload_entry.check,
    "WorkloadGroup": workload_group.check,
}
# These know their own namespace, or what else their metadata says.
_KINDS: Final = {
    **dict.fromkeys(("ServiceEntry", "Sidecar", "WorkloadEntry", "WorkloadGroup"), "networking.istio.io"),
    "Telemetry": "telemetry.istio.io",
}
_VERSIONS: Final = {
    "networking.istio.io": ("v1", "v1beta1", "v1alpha3"),
    "telemetry.istio.io": ("v1", "v1alpha1"),
}
# Annotations that the webhook takes for an attack, or does not know at these kinds.
_NO_ANNOTATIONS: Final = (
    "internal.istio.io/parent-namespace",
    "internal.istio.io/parents",
    "internal.istio.io/webhook-always-reject",
    "istio.io/dry-run",
)


def check_object(given: Mapping[str, Any]) -> list[str]:
    """What is only warned of; an ArgumentError for the first thing that is refused, with its path in the object.

    :param given: the whole object, with plain values: kind, apiVersion, metadata and spec.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError("object", f"a {type(given).__name__} is not a map", "give a Kubernetes object")
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(sorted(_KINDS))
        raise ArgumentError("kind", f"{rules.shown(kind)} is not a kind that is judged here", f"judged are {known}")
    versions = [f"{_KINDS[kind]}/{version}" for version in _VERSIONS[_KINDS[kind]]]
    if given.get("apiVersion") not in versions:
        wrong = f"{rules.shown(given.get('apiVersion'))} has no {kind}"
        raise ArgumentError("apiVersion", wrong, f"write {versions[0]}")
    metadata = given.get("metadata")
    _check_metadata(metadata if metadata is not None else {})
    return _check_spec(kind, given, metadata or {})


def _check_spec(kind: str, given: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    warnings: list[str] = []
    if given.get("spec") is None and kind not in {"Sidecar", "Telemetry"}:
        raise ArgumentError("spec", "it is required", "give it a value")
    spec = given.get("spec")
    spec = {} if spec is None else spec
    if kind == "Sidecar":
        sidecar.check(spec, "spec", warnings, str(metadata.get("namespace", "default")))
    elif kind == "ServiceEntry":
        service_entry.check(spec, "spec", warnings, metadata)
    else:
        _JUDGES[kind](spec, "spec", warnings)
    return warnings


def _check_metadata(metadata: Any) -> None:  # noqa: ANN401 as it comes
    if not isinstance(metadata, Mapping):
        raise ArgumentError("metadata", f"{rules.shown(metadata)} is not a map", "write name and namespace")
    rules.subdomain("metadata.name", metadata.get("name", ""))
    if "namespace" in metadata:
        rules.dns_label("metadata.namespace", metadata["namespace"])
    for part, check_key in (("labels", rules.label_key), ("annotations", workload.check_annotation_key)):
        given = metadata.get(part, {})
        if not isinstance(given, Mapping):
            raise ArgumentError(f"metadata.{part}", f"{rules.shown(given)} is not a map", "write keys and values")
        for key, value in given.items():
            path = f"metadata.{part}[{key!r}]"
            if not isinstance(key, str) or not isinstance(value, str):
                raise ArgumentError(path, "key or value is not a string", "write both as strings")
            check_key(path, key)
            if part == "labels":
                rules.label_value(path, value)
            elif key in _NO_ANNOTATIONS:
                raise ArgumentError(path, "istiod's webhook refuses an object with it", "leave it out")
    workload.check_annotations_size(metadata.get("annotations", {}), "metadata.annotations", workload.ANNOTATED)
