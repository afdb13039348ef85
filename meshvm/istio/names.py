"""How things are called in a mesh: entries, identities, canonical services, hosts."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

ENTRY_NAME_LIMIT: Final = 253
CLUSTER_DOMAIN: Final = "cluster.local"

_CANONICAL_NAME_LABELS: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_CANONICAL_REVISION_LABELS: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


def entry_name(name: str, machine_id: str, address: str) -> str:
    """Name of the WorkloadEntry of one machine at one address: another machine, or the same one at another address,
    gets another entry, so that two can stand side by side while one replaces the other."""
    text = f"{name}-{machine_id}-{address}".lower()
    clean = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    if len(clean) <= ENTRY_NAME_LIMIT:
        return clean
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{clean[: ENTRY_NAME_LIMIT - 11].rstrip('-')}-{digest}"


def registered_name(group: str, address: str, network: str) -> str:
    """Name that istiod gives to the WorkloadEntry of a machine that connects for a group
    (istio: pilot/pkg/autoregistration): of one that is too long, the end."""
    parts = [group, address.replace(":", "-"), *([network] if network else [])]
    return "-".join(parts)[-ENTRY_NAME_LIMIT:]


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """The identity in the certificate of a workload (istio: pkg/spiffe)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def canonical_name(labels: Mapping[str, str], workload: str) -> str:
    """Canonical service: the first of three labels that is present, even when it is empty, else the workload's name
    (istio: pkg/kube/labels)."""
    return next((labels[key] for key in _CANONICAL_NAME_LABELS if key in labels), workload)


def canonical_revision(labels: Mapping[str, str]) -> str:
    """Canonical revision: the first of three labels that is present, else `latest` (istio: pkg/kube/labels)."""
    return next((labels[key] for key in _CANONICAL_REVISION_LABELS if key in labels), "latest")


def called_hosts(host: str, namespace: str) -> list[str]:
    """A called service as the hosts of a Sidecar, `namespace/name`.

    `details` is in the caller's own namespace and `details.bookinfo` in that one, as Istio reads short names. A name of
    two parts may as well be an external one (`example.org`), and then it is whoever's ServiceEntry has it; a longer one
    is taken as it is.
    """
    parts = host.split(".")
    if len(parts) == 1:
        return [f"{namespace}/{host}.{namespace}.svc.{CLUSTER_DOMAIN}"]
    inside = f"{parts[1]}/{parts[0]}.{parts[1]}.svc.{CLUSTER_DOMAIN}"
    if host in {f"{parts[0]}.{parts[1]}.svc", f"{parts[0]}.{parts[1]}.svc.{CLUSTER_DOMAIN}"}:
        return [inside]
    outside = f"*/{host}"
    return [inside, outside] if host == f"{parts[0]}.{parts[1]}" else [outside]
