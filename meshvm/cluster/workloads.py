"""What is asked for one machine: a token for its account, its group, its entry, and whether that is in rotation."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccountToken

from meshvm.cluster.client import Client, asked
from meshvm.errors import ClusterError

TOKEN_AUDIENCE: Final = "istio-ca"

WorkloadEntry = create_namespaced_resource("networking.istio.io", "v1", "WorkloadEntry", "workloadentries")
WorkloadGroup = create_namespaced_resource("networking.istio.io", "v1", "WorkloadGroup", "workloadgroups")
Sidecar = create_namespaced_resource("networking.istio.io", "v1", "Sidecar", "sidecars")

_KINDS: Final = {"WorkloadEntry": WorkloadEntry, "Sidecar": Sidecar}


class Token(NamedTuple):
    """A service account's token."""

    text: str
    """The token; a secret."""
    seconds: int
    """How long it is good for, as the API server granted it: that may be less than what was asked."""


class Workloads(Client):
    """The machines of one cluster's mesh."""

    def token(self, namespace: str, account: str, seconds: int) -> Token:
        """A token of the service account, for istiod alone."""
        spec = TokenRequestSpec(audiences=[TOKEN_AUDIENCE], expirationSeconds=seconds)
        request = ServiceAccountToken(metadata=ObjectMeta(name=account, namespace=namespace), spec=spec)
        remedy = "create the account (service_accounts of MeshExpansion), or write the name of one that is there"
        with asked(f"a token of the service account {namespace}/{account}", remedy):
            answer = self._client.create(request, name=account, namespace=namespace)
        if answer.status is None:
            raise ClusterError(
                f"the API server answered without a token for the service account {namespace}/{account}; see whether "
                f"something stands between it and you"
            )
        # The API server's own clock, where it tells it, and not this machine's.
        begin = (answer.metadata.creationTimestamp if answer.metadata else None) or datetime.now(UTC)
        end = answer.status.expirationTimestamp or begin
        return Token(str(answer.status.token), round((end - begin).total_seconds()))

    def workload_group(self, namespace: str, name: str) -> dict[str, Any]:
        """A WorkloadGroup, the whole object."""
        remedy = "create it (groups of MeshExpansion), or write the name of one that is there"
        with asked(f"the WorkloadGroup {namespace}/{name}", remedy):
            return dict(self._client.get(WorkloadGroup, name, namespace=namespace))

    def uid(self, kind: str, namespace: str, name: str) -> str:
        """The uid of an object, which another one of its name does not have; "" when these credentials may not look.

        :param kind: `WorkloadEntry` or `Sidecar`.
        """
        try:
            with asked(f"the {kind} {namespace}/{name}", "run the update again"):
                found = self._client.get(_KINDS[kind], name, namespace=namespace)
        except ClusterError as error:
            if error.refused:
                return ""
            raise
        return str(found.metadata.uid or "") if found.metadata else ""

    def entry_health(self, namespace: str, name: str) -> tuple[bool, str]:
        """Whether the entry is in rotation, and what istiod says of it."""
        with asked(f"the WorkloadEntry {namespace}/{name}", "run the update again"):
            entry = self._client.get(WorkloadEntry, name, namespace=namespace)
        conditions = (entry.get("status") or {}).get("conditions") or []
        for condition in conditions:
            if condition.get("type") == "Healthy":
                return condition.get("status") == "True", _reason(condition.get("message") or "no reason given")
        return False, "the sidecar has not reported yet"


def _reason(message: str) -> str:
    """What the agent said of the application.

    It reports a change only, and its first look is earlier than Envoy: that Envoy was not ready then stays its message
    for as long as the application does not answer.
    """
    of_envoy = ("listener_manager", "from XDS server", "workers have not yet started")
    return "it has not answered once since the sidecar's start" if any(one in message for one in of_envoy) else message
