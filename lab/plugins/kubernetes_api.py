"""How the stand-in talks to the API server: where a kind's objects are, and one request with its refusal."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2 as httpx
import yaml
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from lab.plugins.kubernetes_objects import Kind, kind_of, name_of, namespace_of

_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_UNUSABLE: Final = (
    "unable to load Kubernetes client configuration from kubeconfig file. Make sure you have: \n\n"
    " \t • set up the provider as per "
    "https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/ \n\n "
)
_TIMEOUT: Final = httpx.Timeout(30, connect=5)


class ApiRefused(Exception):
    """The API server's answer was a refusal: a `Status` object, whose message is this error's text."""

    def __init__(self, status: Mapping[str, Any], code: int) -> None:
        super().__init__(str(status.get("message", f"the server answered {code}")))
        self.status = status
        self.code = int(status.get("code", code))

    @property
    def reason(self) -> str:
        """`NotFound`, `AlreadyExists`, `Forbidden`, `Invalid`, `Conflict`, ..."""
        return str(self.status.get("reason", ""))

    @property
    def about(self) -> str:
        """The plural of what the refusal is about: `namespaces` when the namespace is missing."""
        return str((self.status.get("details") or {}).get("kind", ""))

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """The refused fields, one by one."""
        return list((self.status.get("details") or {}).get("causes") or [])


class NoMatch(Exception):
    """The API server serves no such kind."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(f'no matches for kind "{kind.kind}" in version "{kind.version}"')


class Unreachable(Exception):
    """No API server can be asked: there is no usable kubeconfig, or nobody answers at its address."""


@dataclass(frozen=True)
class Place:
    """Where the objects of a kind are.

    :param path: of the API group and version, below the server's address.
    :param plural: the resource's name in it.
    """

    path: str
    plural: str
    namespaced: bool

    def collection(self, namespace: str) -> str:
        """The path of the objects in a namespace; of all, when they have none."""
        inside = f"/namespaces/{namespace or 'default'}" if self.namespaced else ""
        return f"{self.path}{inside}/{self.plural}"


def load(given: str, context: str | None = None) -> SingleConfig:
    """The kubeconfig at a path, or the one that the text is; the ambient one when it is empty.

    :raises Unreachable: it cannot be read, or names no such context.
    """
    try:
        config = _read(given)
        single = config.get(context or None) if not context or context in config.contexts else None
    except (ConfigError, KeyError, TypeError, ValueError, yaml.YAMLError, OSError) as error:
        raise Unreachable(
            _UNUSABLE + (str(error) if isinstance(error, ConfigError) else "it is no kubeconfig")
        ) from None
    if single is None:
        raise Unreachable(f'{_UNUSABLE}context "{context}" does not exist')
    return single


def _read(given: str) -> KubeConfig:
    if not given:
        return KubeConfig.from_env()
    if "\n" not in given and Path(given).expanduser().is_file():
        return KubeConfig.from_file(given)
    content = yaml.safe_load(given)
    if not isinstance(content, dict):
        raise Unreachable(
            "failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- "
            f"it is neither a file nor a kubeconfig, but {len(given)} characters of something else"
        )
    return KubeConfig.from_dict(content)


class Api:
    """One API server.

    :param config: address and credentials.
    """

    def __init__(self, config: SingleConfig) -> None:
        self._server = config.cluster.server.rstrip("/")
        parameters = client_adapter.ConnectionParams(timeout=_TIMEOUT, trust_env=False)
        self._client = client_adapter.Client(config, parameters)
        self._places: dict[Kind, Place] = {}
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End every wait: the engine has been interrupted."""
        self._cancelled.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pause(self, seconds: float) -> bool:
        """Wait; True when the engine has been interrupted meanwhile."""
        return self._cancelled.wait(seconds)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Any:
        """The JSON of the answer; `ApiRefused` for a refusal, `Unreachable` when there is no answer."""
        with self._reaching(method, path):
            answer = self._client.request(
                method,
                f"{self._server}{path}",
                params=dict(params or {}),
                content=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": content, "Accept": "application/json"},
            )
        if answer.status_code >= 400:
            raise ApiRefused(_status(answer), answer.status_code)
        return answer.json()

    def reach(self) -> None:
        """Raise `Unreachable` when nobody answers, `ApiRefused` for credentials that are none."""
        path = "/openapi/v2?timeout=32s"  # what the original reads; its megabytes are not needed here
        with self._reaching("GET", path), self._client.stream("GET", f"{self._server}{path}") as answer:
            if answer.status_code >= 400:
                answer.read()
                raise ApiRefused(_status(answer), answer.status_code)

    @contextlib.contextmanager
    def _reaching(self, method: str, path: str) -> Iterator[None]:
        about = f'{method.title()} "{self._server}{path}"'
        try:
            yield
        except httpx.ConnectError as error:
            raise Unreachable(f"{about}: dial tcp {urlsplit(self._server).netloc}: {_cause(error)}") from None
        except httpx.TransportError as error:
            raise Unreachable(f"{about}: {type(error).__name__}: {error}") from None

    def place(self, kind: Kind) -> Place:
        """Where objects of this kind are; asks again for a kind that was not there before. `NoMatch` if it is not."""
        with self._lock:
            known = self._places.get(kind)
        if known:
            return known
        path = f"/apis/{kind.version}" if "/" in kind.version else f"/api/{kind.version}"
        try:
            served = self.ask("GET", path)
        except ApiRefused as refused:
            if refused.code != 404:
                raise
            raise NoMatch(kind) from None
        for resource in served.get("resources", []):
            if resource["kind"] == kind.kind and "/" not in resource["name"]:
                found = Place(path, resource["name"], resource["namespaced"])
                with self._lock:
                    self._places[kind] = found
                return found
        raise NoMatch(kind)

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """The live object."""
        found: dict[str, Any] = self.ask("GET", f"{self.place(kind).collection(namespace)}/{name}")
        return found

    def create(self, item: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
        """Make a new object; `AlreadyExists` when there is one."""
        place = self.place(kind_of(item))
        made: dict[str, Any] = self.ask("POST", place.collection(namespace_of(item)), item, params)
        return made

    def apply(self, item: Mapping[str, Any], params: Mapping[str, str], name: str = "") -> dict[str, Any]:
        """Server-side apply."""
        path = f"{self.place(kind_of(item)).collection(namespace_of(item))}/{name or name_of(item)}"
        applied: dict[str, Any] = self.ask("PATCH", path, item, params, _APPLY)
        return applied

    def put(self, item: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
        """Replace the object."""
        path = f"{self.place(kind_of(item)).collection(namespace_of(item))}/{name_of(item)}"
        replaced: dict[str, Any] = self.ask("PUT", path, item, params)
        return replaced

    def set_managers(self, live: Mapping[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Rewrite who manages which field."""
        path = f"{self.place(kind_of(live)).collection(namespace_of(live))}/{name_of(live)}"
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
        changed: dict[str, Any] = self.ask("PATCH", path, patch, {}, _JSON_PATCH)
        return changed

    def delete(self, kind: Kind, namespace: str, name: str, propagation: str) -> None:
        """Ask for the object's deletion."""
        path = f"{self.place(kind).collection(namespace)}/{name}"
        self.ask("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation})


def _cause(error: httpx.ConnectError) -> str:
    text = str(error)
    return "connect: connection refused" if "refused" in text.lower() else text


def _status(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {"message": answer.text.strip() or f"the server answered {answer.status_code}"}
    return told if isinstance(told, dict) else {"message": str(told)}
