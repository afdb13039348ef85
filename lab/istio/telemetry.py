"""Does an agent write a line for each request, and for those of which side?"""

from collections.abc import Iterable, Mapping
from typing import Any

from lab.istio.listeners import ROOT_NAMESPACE
from lab.istio.proxy import Node
from lab.istio.services import selects

_BUILT_IN = {"envoy"}


def logged_sides(telemetries: Iterable[Mapping[str, Any]], node: Node) -> list[str]:
    """`SERVER`, `CLIENT` or both, as the Telemetry objects of the mesh, the namespace and the workload say, later ones
    over earlier ones; the provider must be the built-in `envoy`, and without one nothing is written."""
    chosen: dict[str, bool] = {}
    providers: set[str] = set()
    for one in sorted(telemetries, key=lambda one: _rank(one, node)):
        if not _rank(one, node):
            continue
        for setting in one["spec"].get("accessLogging") or []:
            named = {provider["name"] for provider in setting.get("providers") or []}
            providers = named or providers
            mode = (setting.get("match") or {}).get("mode", "CLIENT_AND_SERVER")
            for side in ("CLIENT", "SERVER"):
                if side in mode:
                    chosen[side] = bool(providers & _BUILT_IN) and not setting.get("disabled", False)
    return sorted(side for side, on in chosen.items() if on)


def _rank(one: Mapping[str, Any], node: Node) -> int:
    namespace = one["metadata"]["namespace"]
    selector = (one["spec"].get("selector") or {}).get("matchLabels")
    if selector:
        return 3 if namespace == node.namespace and selects(selector, node.labels) else 0
    return 2 if namespace == node.namespace else 1 if namespace == ROOT_NAMESPACE else 0
