"""How is an API server asked, and what becomes of an answer that is no answer?

It becomes one sentence: what was asked, what came back, what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx2 as httpx
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.resources.core_v1 import ConfigMap, Namespace

from meshvm.cluster import kubeconfig as credentials
from meshvm.errors import ClusterError
from meshvm.istio import go_yaml


class Client:
    """One API server, asked with one set of credentials.

    :param kubeconfig: path or content of a kubeconfig file; None takes the ambient credentials.
    :param context: context of the kubeconfig; None takes its current one.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self._client, self.server = credentials.client(kubeconfig, context)

    def __enter__(self) -> Self:
        """The cluster, whose connections are closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def require_namespace(self, name: str) -> None:
        """An error when the namespace does not exist: a patch of it would create it."""
        with asked(f"the namespace {name}", "create it, or write the name of one that is there"):
            self._client.get(Namespace, name)

    def _data(self, namespace: str, name: str, key: str) -> str:
        """One key of a ConfigMap of istiod's."""
        remedy = "check namespace, istio_namespace and revision: istiod writes it"
        with asked(f"the ConfigMap {namespace}/{name}", remedy):
            config_map = self._client.get(ConfigMap, name, namespace=namespace)
        if key not in (config_map.data or {}):
            raise ClusterError(f"the ConfigMap {namespace}/{name} has no key {key!r}; {remedy}")
        return str((config_map.data or {})[key])


def yaml_map(text: str, what: str, remedy: str) -> dict[str, Any]:
    """The map that a text of the cluster's stands for, as Istio reads it."""
    try:
        documents = go_yaml.load(text)
    except ValueError:
        documents = []
    value = documents[0] if documents else None
    if not isinstance(value, dict):
        raise ClusterError(f"{what} is not a YAML map; {remedy}")
    return value


@contextmanager
def asked(what: str, remedy: str) -> Iterator[None]:
    """Turn whatever comes back instead of an answer into a ClusterError."""
    try:
        yield
    except ApiError as error:
        raise _refused(what, remedy, error) from None
    except ConfigError as error:
        said = " ".join(str(error).split())
        raise ClusterError(
            f"the credentials of the kubeconfig cannot be had when asked for {what} ({said}); log in, or repair it"
        ) from None
    except (httpx.HTTPStatusError, LookupError, ValueError):
        raise ClusterError(
            f"no API server answers when asked for {what}, but something in its place; check kubeconfig and proxies"
        ) from None
    except (httpx.HTTPError, OSError) as error:
        raise ClusterError(
            f"the API server does not answer when asked for {what} ({error}); check kubeconfig and context",
            unreachable=True,
        ) from None


def _refused(what: str, remedy: str, error: ApiError) -> ClusterError:
    code = error.response.status_code
    if code == httpx.codes.NOT_FOUND:
        return ClusterError(f"{what} is not in the cluster; {remedy}", missing=True)
    if code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        said = error.status.message
        return ClusterError(
            f"the API server refuses to give {what} ({said}); give these credentials the right to it", refused=True
        )
    return ClusterError(f"the API server answered {code} when asked for {what} ({error.status.message}); try again")
