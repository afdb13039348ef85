"""What the Kubernetes provider is told: which cluster, and how to treat it."""

import os
from collections.abc import Mapping
from typing import Any, Final

from lightkube.config.kubeconfig import SingleConfig
from pulumi.runtime.proto import provider_pb2

from lab.plugins.kubernetes_api import Api, ApiRefused, Unreachable, load
from lab.plugins.values import UNKNOWN, Secret

_PREFIX: Final = "kubernetes:config:"
_ENVIRONMENT: Final = {
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
    "skipUpdateUnreachable": "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
}
_CLUSTER: Final = ("kubeconfig", "context", "cluster")


class Settings:
    """The configuration of one provider.

    :param variables: as the engine sends them: strings, with `kubernetes:config:` before each name.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.options = {key.removeprefix(_PREFIX): value for key, value in variables.items()}
        for name, variable in _ENVIRONMENT.items():
            if name not in self.options and variable in os.environ:
                self.options[name] = os.environ[variable]
        self.namespace = self.options.get("namespace", "")
        """Where objects go that name no namespace."""
        self.unreachable = ""
        """Why no cluster can be asked; empty when one can."""
        self._api: Api | None = None
        try:
            single = load(self.options.get("kubeconfig", ""), self.options.get("context"))
        except Unreachable as error:
            self.unreachable = str(error)
            return
        self.namespace = self.namespace or single.namespace
        self._connect(single)

    def _connect(self, single: SingleConfig) -> None:
        api = Api(single)
        try:
            api.reach()
        except (Unreachable, ApiRefused) as error:
            self.unreachable = f"unable to load schema information from the API server: {error}"
            api.close()
            return
        self._api = api

    @property
    def api(self) -> Api:
        """The API server; `Unreachable` when there is none."""
        if self._api is None:
            raise Unreachable(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self._api

    def close(self) -> None:
        """Close the connections to the API server."""
        if self._api:
            self._api.close()

    def on(self, option: str, *, default: bool = False) -> bool:
        """Whether an option is set to true."""
        return self.options.get(option, str(default).lower()) == "true"

    @property
    def server_side(self) -> bool:
        """Whether updates are server-side applies."""
        return self.on("enableServerSideApply", default=True)


def config_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> provider_pb2.DiffResponse:
    """What a changed configuration means: another cluster means another provider, and all of its objects anew."""
    answer = provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
    changed = [key for key in sorted({*old, *new}) if _open(old.get(key)) != _open(new.get(key))]
    if not changed:
        return answer
    answer.changes = provider_pb2.DiffResponse.DIFF_SOME
    answer.diffs.extend(changed)
    unknown = [key for key in _CLUSTER if _open(new.get(key)) is UNKNOWN]
    if unknown:
        answer.replaces.extend(unknown[:1])
    elif _other_cluster(old, new) and not _identified(old, new):
        answer.replaces.extend(key for key in _CLUSTER if key in changed)
    if "clusterIdentifier" in old and "clusterIdentifier" in new and "clusterIdentifier" in changed:
        answer.replaces.append("clusterIdentifier")
    return answer


def _identified(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    name = _open(new.get("clusterIdentifier"))
    return name is not None and name == _open(old.get("clusterIdentifier"))


def _other_cluster(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = _active(old), _active(new)
    return before is not None and after is not None and before != after


def _active(config: Mapping[str, Any]) -> Any:
    given, context = _open(config.get("kubeconfig")), _open(config.get("context"))
    if not isinstance(given, str) or not given:
        return None
    try:
        return load(given, context if isinstance(context, str) else None).cluster
    except Unreachable:
        return None


def _open(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value
