"""An object of one of Istio's kinds, and who refuses it where."""

from dataclasses import dataclass, field
from typing import Any, Final

NAMESPACE: Final = "verdicts"
NETWORKING: Final = "networking.istio.io/v1"
# Names in URLs, for those who ask the API server.
PLURALS: Final = {
    "ServiceEntry": "serviceentries",
    "Sidecar": "sidecars",
    "Telemetry": "telemetries",
    "WorkloadEntry": "workloadentries",
    "WorkloadGroup": "workloadgroups",
}
# In a builder: leave this part out.
NOTHING: Final = object()


@dataclass(frozen=True)
class Case:
    """An object, and what is said of it.

    :param kind: its kind.
    :param name: what it shows.
    :param spec: its spec.
    :param by: who refuses it: `crd`, `webhook`, or nobody.
    :param path: where in the object.
    :param warned: whether istiod's webhook warns of it.
    :param metadata: what its metadata has beside name and namespace, or instead.
    :param dropped: whether the API server drops a part of it.
    """

    kind: str
    name: str
    spec: Any
    by: str = ""
    path: str = ""
    warned: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    dropped: bool = False

    @property
    def object(self) -> dict[str, Any]:
        """The whole object."""
        version = "telemetry.istio.io/v1" if self.kind == "Telemetry" else NETWORKING
        metadata = {"name": "case", "namespace": NAMESPACE, **self.metadata}
        return {"apiVersion": version, "kind": self.kind, "metadata": metadata, "spec": self.spec}

    def __str__(self) -> str:
        """How a test's name shows it."""
        return f"{self.kind}: {self.name}"


def given(parts: dict[str, Any]) -> dict[str, Any]:
    """The parts that are not left out."""
    return {key: part for key, part in parts.items() if part is not NOTHING}
