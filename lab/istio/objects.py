"""Which of the cluster's objects does istiod's stand-in read and write, and with which client?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightkube
from httpx2 import HTTPError
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

WorkloadEntry = create_namespaced_resource("networking.istio.io", "v1", "WorkloadEntry", "workloadentries")
WorkloadGroup = create_namespaced_resource("networking.istio.io", "v1", "WorkloadGroup", "workloadgroups")
Sidecar = create_namespaced_resource("networking.istio.io", "v1", "Sidecar", "sidecars")
ServiceEntry = create_namespaced_resource("networking.istio.io", "v1", "ServiceEntry", "serviceentries")
Telemetry = create_namespaced_resource("telemetry.istio.io", "v1", "Telemetry", "telemetries")
PeerAuthentication = create_namespaced_resource("security.istio.io", "v1", "PeerAuthentication", "peerauthentications")

UNANSWERED = (ApiError, HTTPError)
"""What a request to the API server fails with."""

ROOT_CONFIGMAP = "istio-ca-root-cert"


def client(kubeconfig: Path) -> lightkube.Client:
    """A client of the lab's API server."""
    return lightkube.Client(
        config=KubeConfig.from_file(str(kubeconfig)), field_manager="pilot-discovery", trust_env=False
    )


@contextmanager
def connected(kubeconfig: Path) -> Iterator[lightkube.Client]:
    """A client that is closed afterwards."""
    api = client(kubeconfig)
    try:
        yield api
    finally:
        api.close()


def missing(error: ApiError) -> bool:
    """Whether the API server said that there is no such object."""
    return error.status.code == 404


def conflict(error: ApiError) -> bool:
    """Whether the object was changed, or made, by someone else in between."""
    return error.status.code == 409


def ensure(api: lightkube.Client, obj: Any) -> None:
    """Create the object, or put its content in place of what is there."""
    try:
        api.create(obj)
    except ApiError as error:
        if not conflict(error):
            raise
        api.replace(obj)


def ensure_namespace(api: lightkube.Client, name: str, labels: dict[str, str] | None = None) -> None:
    """Make a namespace, with these labels, unless it is there."""
    try:
        api.create(Namespace(metadata=ObjectMeta(name=name, labels=labels or {})))
    except ApiError as error:
        if not conflict(error):
            raise


def plain(obj: Any) -> dict[str, Any]:
    """The object as the API server sent it."""
    return cast("dict[str, Any]", obj.to_dict())
