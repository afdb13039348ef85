"""How a Kubernetes object looks as a Pulumi resource: its type token, its id, its inputs and its state."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.values import UNKNOWN, Secret, has_secret

INPUTS: Final = "__inputs"
INITIAL_VERSION: Final = "__initialApiVersion"
MANAGER: Final = "__fieldManager"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
AUTONAMED: Final = "pulumi.com/autonamed"
CREATOR: Final = "pulumi-kubernetes"
"""The field manager of everything that is created by POST; the first update hands its fields over."""

_READ_ONLY: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
# Python and TypeScript names cannot hold a dash: CRD schemas are typed with underscores.
_DASHED: Final = {
    name.replace("-", "_"): name
    for name in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_UNDERSCORED: Final = {dashed: plain for plain, dashed in _DASHED.items()}
_CLUSTER_KINDS: Final = frozenset(
    [
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ComponentStatus",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "TokenReview",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    ]
)


@dataclass(frozen=True)
class Kind:
    """An API version and a kind, as a type token names them.

    :param version: `v1`, or group and version with a slash.
    :param kind: with `Patch` at its end when the resource is one.
    """

    version: str
    kind: str

    @property
    def builtin(self) -> bool:
        """Whether Kubernetes itself defines the group."""
        group = self.version.rpartition("/")[0]
        return "." not in group or group.endswith(".k8s.io")

    @property
    def cluster_wide(self) -> bool:
        """Whether a built-in kind has no namespace; a Patch is like what it patches."""
        return self.kind.removesuffix("Patch") in _CLUSTER_KINDS


def kind_of_urn(urn: str) -> Kind:
    """The kind that a resource's URN names; the group `core` is the empty one."""
    token = urn.split("::")[2].rpartition("$")[2]
    module, _, kind = token.removeprefix("kubernetes:").rpartition(":")
    return Kind(module.removeprefix("core/"), kind)


def kind_of(item: Mapping[str, Any]) -> Kind:
    """The kind that an object names itself."""
    return Kind(str(item.get("apiVersion", "")).removeprefix("core/"), str(item.get("kind", "")))


def is_patch(urn: str, item: Mapping[str, Any]) -> bool:
    """Whether the resource manages some fields of an object instead of the object."""
    return kind_of_urn(urn).kind == f"{item.get('kind', '')}Patch"


def name_of(item: Mapping[str, Any]) -> str:
    """`metadata.name`; empty when it is missing or unknown."""
    return _text(item, "name")


def namespace_of(item: Mapping[str, Any]) -> str:
    """`metadata.namespace`; empty when it is missing or unknown."""
    return _text(item, "namespace")


def annotation(item: Mapping[str, Any], key: str) -> str:
    """The value of an annotation; empty when it is missing or unknown."""
    notes = metadata(item).get("annotations")
    value = notes.get(key, "") if isinstance(notes, Mapping) else ""
    return value if isinstance(value, str) else ""


def metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object's metadata; empty when it is missing or unknown."""
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def named(item: Mapping[str, Any]) -> bool:
    """Whether the program gives the object a name, known or not yet."""
    return bool(name_of(item)) or metadata(item).get("name") is UNKNOWN


def identity(item: Mapping[str, Any]) -> str:
    """The resource's id: `namespace/name`, or the name alone."""
    return "/".join(part for part in (namespace_of(item), name_of(item)) if part)


def generated(prefix: str) -> str:
    """`prefix` with eight random hexadecimal digits."""
    return prefix + secrets.token_hex(4)


def with_metadata(item: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A copy of the object with values set in its metadata; unknown metadata stays as it is."""
    if item.get("metadata") is UNKNOWN:
        return dict(item)
    return {**item, "metadata": {**metadata(item), **values}}


def marked_autonamed(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of the object with a generated name, and the annotation that tells so."""
    notes = metadata(item).get("annotations") or {}
    if notes is UNKNOWN:
        return with_metadata(item, name=name)
    return with_metadata(item, name=name, annotations={**notes, AUTONAMED: "true"})


def labelled(item: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the object with the label that says that Pulumi manages it: only without server-side apply."""
    labels = metadata(item).get("labels") or {}
    if labels is UNKNOWN:
        return dict(item)
    return with_metadata(item, labels={**labels, MANAGED_BY: "pulumi"})


def normalised(item: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what only the API server writes; a Secret's `stringData` becomes `data`."""
    result: dict[str, Any] = _renamed(item, {})  # a copy; `copy.deepcopy` would make a second UNKNOWN
    if isinstance(result.get("metadata"), dict):
        for name in _READ_ONLY:
            result["metadata"].pop(name, None)
    if kind_of(result) == Kind("v1", "Secret"):
        _encode_data(result)
    return result


def _encode_data(secret: dict[str, Any]) -> None:
    texts, data = secret.get("stringData"), secret.get("data") or {}
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        return
    if isinstance(texts, dict) and texts:
        if not all(isinstance(value, str) for value in texts.values()):
            return
        del secret["stringData"]
        secret["data"] = {**data, **{key: _encoded(value.encode()) for key, value in texts.items()}}
    elif data:
        secret["data"] = {key: _encoded_again(value) for key, value in data.items()}


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _encoded_again(value: str) -> str:
    try:
        return _encoded(base64.b64decode("".join(value.splitlines()), validate=True))
    except (binascii.Error, ValueError):
        return value  # the API server will say so


def pruned(live: Any, shape: Any) -> Any:
    """The part of `live` that `shape` has too: what the program wrote, with the values that are there now."""
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {key: pruned(value, shape[key]) for key, value in live.items() if key in shape}
    if isinstance(live, list) and isinstance(shape, list):
        if not live or not shape:
            return []
        if type(live[0]) is not type(shape[0]):
            return live
        return [pruned(old, new) for old, new in zip(live, shape, strict=False)]
    return live


def as_inputs(live: Mapping[str, Any]) -> dict[str, Any]:
    """What a program would have written to get this live object: it is read, not made, by the program."""
    result = normalised({key: value for key, value in live.items() if key != "status"})
    notes = result["metadata"].get("annotations") or {}
    for key in ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"):
        notes.pop(key, None)
    return result


def state_of(
    written: Mapping[str, Any], live: Mapping[str, Any], given: Mapping[str, Any], version: str, manager: str
) -> dict[str, Any]:
    """A resource's state: the live object, the inputs beside it, and what was secret in `given` secret in both."""
    inputs = _renamed(written, _UNDERSCORED)
    outputs = _renamed(live, _UNDERSCORED)
    return {
        **sealed(outputs, given),
        INPUTS: sealed(inputs, given),
        INITIAL_VERSION: version,
        MANAGER: manager,
    }


def parted(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and the live object of a state, with no secrets marked any more."""
    live = dashed({key: value for key, value in state.items() if key != INPUTS})
    return dashed(state.get(INPUTS) or {}), live


def dashed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object of the program as the API server wants it: no marks of secrets, dashes in field names."""
    return dict(_renamed(item, _DASHED))


def sealed(outputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`outputs` with secret what was secret in `given`, and the data of a Secret in any case."""
    result = dict(outputs)
    if result.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in result:
                result[key] = Secret(result[key])
        return result
    for key, old in given.items():
        if key not in result:
            continue
        if isinstance(result[key], Mapping) and isinstance(old, Mapping):
            result[key] = sealed(result[key], old)
        elif has_secret(old):
            result[key] = Secret(result[key])
    return result


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Secret):
        return _renamed(value.value, names)
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _text(item: Mapping[str, Any], key: str) -> str:
    value = metadata(item).get(key)
    return value if isinstance(value, str) else ""
