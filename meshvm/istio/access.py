"""What may somebody do who puts machines into the mesh, and nothing more?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

RBAC: Final = "rbac.authorization.k8s.io"


def role_rules(accounts: Sequence[str]) -> list[dict[str, Any]]:
    """The rules of the Role: tokens of these service accounts by name, and a look at what MeshVm waits for.

    Entries, Sidecars and groups are written by the Kubernetes provider, with credentials of its own.

    :param accounts: at least one, because a rule without names is for every account of the namespace.
    """
    if not accounts:
        raise ValueError("a rule without names would be for every account")
    names = sorted(set(accounts))
    return [
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": names, "verbs": ["create"]},
        {"apiGroups": ["networking.istio.io"], "resources": ["workloadentries", "sidecars"], "verbs": ["get"]},
    ]


def subjects(given: Sequence[Mapping[str, Any]], namespace: object) -> list[dict[str, Any]]:
    """The subjects of the RoleBinding.

    :param namespace: where the accounts are that do not say so; may stand for a value that is not known yet.
    """
    return [_subject(one, namespace) for one in given]


def _subject(given: Mapping[str, Any], namespace: object) -> dict[str, Any]:
    if given["kind"] == "ServiceAccount":
        return {"kind": "ServiceAccount", "name": given["name"], "namespace": given.get("namespace") or namespace}
    return {"kind": given["kind"], "name": given["name"], "apiGroup": RBAC}
