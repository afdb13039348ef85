"""What does an agent say of itself, may it say so, and which workload entry does istiod make of it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.istio.ca import Identity

HEALTH_CHECKED = "proxy.istio.io/health-checks-enabled"
GROUP = "istio.io/autoRegistrationGroup"


class Refused(Exception):
    """istiod ends the agent's call.

    :param code: name of the gRPC status that the original answers with.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Node:
    """What an agent says of itself: its id, its addresses, and the metadata of the original's names."""

    id: str
    addresses: tuple[str, ...]
    metadata: Mapping[str, Any]
    locality: str = ""

    @property
    def name(self) -> str:
        """The short name by which istiod's messages call it."""
        parts = self.id.split("~")
        return parts[2] if len(parts) > 2 else self.id

    @property
    def namespace(self) -> str:
        """The workload's namespace."""
        return str(self.metadata.get("NAMESPACE", ""))

    @property
    def labels(self) -> dict[str, str]:
        """The workload's labels."""
        return dict(self.metadata.get("LABELS") or {})

    @property
    def group(self) -> str:
        """The WorkloadGroup that it wants to be registered by; empty for none."""
        return str(self.metadata.get("AUTO_REGISTER_GROUP", ""))

    @property
    def network(self) -> str:
        """The network that it says it is in."""
        return str(self.metadata.get("NETWORK", ""))

    @property
    def captures_nothing(self) -> bool:
        """Whether no iptables rules lead connections to it, so that each listener needs an address of its own."""
        return self.metadata.get("INTERCEPTION_MODE") == "NONE"

    def entry_name(self) -> str:
        """The name that istiod gives to the entry it makes: group, address, network; the last 253 letters of it."""
        parts = [self.group, self.addresses[0].replace(":", "-"), self.network]
        return "-".join(part for part in parts if part)[-253:]


def verify(identity: Identity, node: Node, trust_domain: str) -> None:
    """Refuse an agent that says it is someone else than its certificate or token proves."""
    account = str(node.metadata.get("SERVICE_ACCOUNT", ""))
    if node.namespace not in {"", identity.namespace} or account not in {"", identity.account}:
        proven = identity.spiffe(trust_domain)
        message = f"authorization failed: no identities ([{proven}]) matched {node.namespace}/{account}"
        raise Refused("PermissionDenied", message)


def check_control(identity: Identity, entry: Mapping[str, Any]) -> None:
    """Refuse an agent whose proven name is not that of the entry's account; an entry may leave the account open.

    :raises Refused: in the original's words.
    """
    namespace = entry["metadata"]["namespace"]
    if identity.namespace != namespace:
        message = f'registration of WorkloadEntry namespace mismatch: "{identity.namespace}" vs "{namespace}"'
        raise Refused("Unknown", message)
    account = entry["spec"].get("serviceAccount", "")
    if account and identity.account != account:
        message = f'registration of WorkloadEntry service account mismatch: "{identity.account}" vs "{account}"'
        raise Refused("Unknown", message)


def entry_from_group(node: Node, group: Mapping[str, Any]) -> dict[str, Any]:
    """The entry that istiod makes for an agent of this WorkloadGroup."""
    spec = group["spec"]
    metadata = spec.get("metadata") or {}
    template = dict(spec.get("template") or {})
    labels = {**(template.get("labels") or {}), **(metadata.get("labels") or {}), **node.labels}
    labels.pop("istio-locality", None)
    template["address"] = node.addresses[0]
    template.pop("labels", None)
    if labels:
        template["labels"] = labels
    if node.network:
        template["network"] = node.network
    annotations = {GROUP: group["metadata"]["name"], **(metadata.get("annotations") or {})}
    # The agent always sends a locality, if only an empty one: the group's own never reaches an entry.
    template.pop("locality", None)
    if node.locality:
        template["locality"] = node.locality
    if node.metadata.get("HAS_PROBE"):
        annotations[HEALTH_CHECKED] = "true"
    owner = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadGroup",
        "name": group["metadata"]["name"],
        "uid": group["metadata"]["uid"],
        "controller": True,
    }
    return {
        "metadata": {
            "name": node.entry_name(),
            "namespace": node.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": template,
    }
