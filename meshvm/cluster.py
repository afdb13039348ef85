"""What is asked of the API server: facts of the mesh, a token for an account, the health of an entry.

Every answer that is no answer becomes one sentence: what was asked, what came back, what to do.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx2 as httpx
import lightkube
import yaml
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Service, ServiceAccountToken

from meshvm.errors import ArgumentError, ClusterError

TOKEN_AUDIENCE: Final = "istio-ca"

WorkloadEntry = create_namespaced_resource("networking.istio.io", "v1", "WorkloadEntry", "workloadentries")


class Cluster:
    """One API server, asked with one set of credentials.

    :param kubeconfig: path or content of a kubeconfig file; None takes the ambient credentials.
    :param context: context of the kubeconfig; None takes its current one.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        try:
            config = _load(kubeconfig).get(context_name=context)
        except ConfigError:
            wrong = f"the context {context!r} is not in the kubeconfig" if context else "no context is the current one"
            raise ArgumentError("context", wrong, "write the name of one that is in it") from None
        except KeyError:
            raise _unreadable() from None
        if config is None:
            raise _unreadable()
        self.server = config.cluster.server
        try:
            self._client = lightkube.Client(config=config, timeout=httpx.Timeout(10.0))
        except Exception:  # noqa: BLE001 each part of a certificate that is none has an error of its own
            raise _unreadable() from None

    def __enter__(self) -> Self:
        """The cluster, whose connections are closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def mesh(self, namespace: str, istio_namespace: str, revision: str, patience: float = 0) -> dict[str, str]:
        """The facts of the mesh that a VM in `namespace` needs, as in the map `mesh`, without the gateway's.

        :param patience: seconds that istiod may take to write its root certificate into a namespace that is new.
        """
        suffix = f"-{revision}" if revision not in {"", "default"} else ""
        mesh_config = self._yaml(istio_namespace, f"istio{suffix}", "mesh")
        values = self._yaml(istio_namespace, f"istio-sidecar-injector{suffix}", "values")
        default_config = mesh_config.get("defaultConfig") or {}
        istiod = f"istiod{suffix}.{istio_namespace}.svc:15012"
        return {
            "namespace": namespace,
            "istioNamespace": istio_namespace,
            "revision": revision,
            "discoveryAddress": default_config.get("discoveryAddress") or istiod,
            "trustDomain": mesh_config.get("trustDomain") or "cluster.local",
            "meshId": default_config.get("meshId") or "",
            "clusterId": _at(values, "global", "multiCluster", "clusterName") or "Kubernetes",
            "proxyVersion": self._version(istio_namespace, suffix, _at(values, "global", "tag")),
            "rootCertificate": self._root_certificate(namespace, patience),
            "defaultConfig": json.dumps(default_config, sort_keys=True, separators=(",", ":")),
        }

    def gateway(self, namespace: str, name: str) -> tuple[list[tuple[str, str]], list[int]]:
        """Addresses of a Service's load balancer as (kind, address), IP addresses first; and the Service's ports."""
        with _asked(f"the Service {namespace}/{name}", "check `service`, as namespace/name"):
            service = self._client.get(Service, name, namespace=namespace)
        ingress = (
            service.status.loadBalancer.ingress if service.status and service.status.loadBalancer else None
        ) or []
        external = (service.spec.externalIPs if service.spec else None) or []
        addresses = [("ip", point.ip) for point in ingress if point.ip] + [("ip", ip) for ip in external]
        addresses += [("host", point.hostname) for point in ingress if point.hostname]
        ports = (service.spec.ports if service.spec else None) or []
        return addresses, [port.port for port in ports]

    def require_namespace(self, name: str) -> None:
        """An error when the namespace does not exist: a patch of it would create it."""
        with _asked(f"the namespace {name}", "create it, or write the name of one that is there"):
            self._client.get(Namespace, name)

    def token(self, namespace: str, account: str, seconds: int) -> str:
        """A token of the service account, for istiod alone."""
        spec = TokenRequestSpec(audiences=[TOKEN_AUDIENCE], expirationSeconds=seconds)
        request = ServiceAccountToken(metadata=ObjectMeta(name=account, namespace=namespace), spec=spec)
        remedy = "create the account (service_accounts of MeshExpansion), or write the name of one that is there"
        with _asked(f"a token of the service account {namespace}/{account}", remedy):
            answer = self._client.create(request, name=account, namespace=namespace)
        if answer.status is None:
            message = f"the API server answered without a token for the service account {namespace}/{account}"
            raise ClusterError(message)
        return str(answer.status.token)

    def entry_health(self, namespace: str, name: str) -> tuple[bool, str]:
        """Whether the entry is in rotation, and what istiod says of it."""
        with _asked(f"the WorkloadEntry {namespace}/{name}", "run the update again"):
            entry = self._client.get(WorkloadEntry, name, namespace=namespace)
        conditions = (entry.get("status") or {}).get("conditions") or []
        for condition in conditions:
            if condition.get("type") == "Healthy":
                return condition.get("status") == "True", _reason(condition.get("message") or "no reason given")
        return False, "the sidecar has not reported yet"

    def _version(self, istio_namespace: str, suffix: str, tag: object) -> str:
        try:
            with _asked(f"the Deployment {istio_namespace}/istiod{suffix}", ""):
                deployment = self._client.get(Deployment, f"istiod{suffix}", namespace=istio_namespace)
        except ClusterError as error:
            if error.unreachable or not tag:
                raise
            return str(tag)
        pod = deployment.spec.template.spec if deployment.spec else None
        image = pod.containers[0].image or "" if pod and pod.containers else ""
        return image.rpartition("@")[0].rpartition(":")[2] if "@" in image else image.rpartition(":")[2]

    def _root_certificate(self, namespace: str, patience: float) -> str:
        end = time.monotonic() + patience
        while True:
            try:
                return self._data(namespace, "istio-ca-root-cert", "root-cert.pem")
            except ClusterError as error:
                if error.unreachable or time.monotonic() >= end:
                    self._tell_if_absent(namespace)
                    raise
                time.sleep(0.5)

    def _tell_if_absent(self, namespace: str) -> None:
        """An error when the namespace is known not to be there; credentials that may not ask need not know."""
        try:
            self.require_namespace(namespace)
        except ClusterError as error:
            if error.missing:
                raise

    def _data(self, namespace: str, name: str, key: str) -> str:
        remedy = "check namespace, istio_namespace and revision: istiod writes it"
        with _asked(f"the ConfigMap {namespace}/{name}", remedy):
            config_map = self._client.get(ConfigMap, name, namespace=namespace)
        if key not in (config_map.data or {}):
            message = f"the ConfigMap {namespace}/{name} has no key {key!r}; {remedy}"
            raise ClusterError(message)
        return str((config_map.data or {})[key])

    def _yaml(self, namespace: str, name: str, key: str) -> dict[str, Any]:
        text = self._data(namespace, name, key)
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = None
        if not isinstance(value, dict):
            message = f"the key {key!r} of the ConfigMap {namespace}/{name} is not a YAML map; repair the ConfigMap"
            raise ClusterError(message)
        return value


def connect(kubeconfig: str | None, context: str | None) -> Cluster:
    """A Cluster to be closed; the one place where meshvm opens a connection, so that tests can stand in for it."""
    return Cluster(kubeconfig or None, context or None)


def wait_healthy(cluster: Cluster, namespace: str, name: str, seconds: float) -> str:
    """Ask until the entry is in rotation; the empty string then, else why it is not after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            healthy, reason = cluster.entry_health(namespace, name)
        except ClusterError as error:
            healthy, reason = False, str(error)
        if healthy:
            return ""
        if time.monotonic() >= end:
            return reason
        time.sleep(0.5)


def _reason(message: str) -> str:
    """What the agent said of the application.

    It reports a change only, and its first look is earlier than Envoy: that Envoy was not ready then stays its message
    for as long as the application does not answer.
    """
    of_envoy = ("listener_manager", "from XDS server", "workers have not yet started")
    return "it has not answered once since the sidecar's start" if any(one in message for one in of_envoy) else message


def _load(kubeconfig: str | None) -> KubeConfig:
    try:
        if kubeconfig is None:
            return KubeConfig.from_env()
        # Content has several lines, or is JSON on one.
        if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):
            return KubeConfig.from_dict(yaml.safe_load(kubeconfig))
        return KubeConfig.from_file(Path(kubeconfig).expanduser())
    except Exception:  # noqa: BLE001 file system, YAML and lightkube's models have errors without a common root
        raise _unreadable() from None


def _unreadable() -> ArgumentError:
    # No text of the original error: it may quote the file, and the file holds credentials.
    return ArgumentError("kubeconfig", "it cannot be read as a kubeconfig file", "give the path or the content of one")


def _at(value: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401 a chart's values can be anything
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)  # type: ignore[assignment]
    return value


@contextmanager
def _asked(what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        code = error.response.status_code
        if code == httpx.codes.NOT_FOUND:
            message = f"{what} is not in the cluster; {remedy}"
        elif code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            said = error.status.message
            message = f"the API server refuses to give {what} ({said}); give these credentials the right to it"
        else:
            message = f"the API server answered {code} when asked for {what} ({error.status.message}); try again"
        raise ClusterError(message, missing=code == httpx.codes.NOT_FOUND) from None
    except ConfigError as error:
        said = " ".join(str(error).split())
        message = (
            f"the credentials of the kubeconfig cannot be had when asked for {what} ({said}); log in, or repair it"
        )
        raise ClusterError(message) from None
    except (httpx.HTTPStatusError, LookupError, ValueError):
        message = (
            f"no API server answers when asked for {what}, but something in its place; check kubeconfig and proxies"
        )
        raise ClusterError(message) from None
    except (httpx.HTTPError, OSError) as error:
        message = f"the API server does not answer when asked for {what} ({error}); check kubeconfig and context"
        raise ClusterError(message, unreachable=True) from None
