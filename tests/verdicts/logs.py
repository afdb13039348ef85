"""Which Telemetries are taken?"""

from typing import Any, Final

from tests.verdicts.case import Case


def log(shows: str, by: str = "", path: str = "", /, *, warned: bool = False, **spec: Any) -> Case:
    """A Telemetry."""
    return Case("Telemetry", shows, spec, by, path, warned)


LOGS: Final = [
    log("of a machine", selector={"matchLabels": {"meshvm": "a"}}, accessLogging=[{"providers": [{"name": "envoy"}]}]),
    log("filter", accessLogging=[{"filter": {"expression": "response.code >= 400"}, "match": {"mode": "SERVER"}}]),
    log("nothing"),
    log("selector without labels", selector={}, warned=True),
    log("selector with an asterisk", "crd", "spec.selector.matchLabels['a']", selector={"matchLabels": {"a": "*"}}),
    log("selector with an empty key", "crd", "spec.selector.matchLabels['']", selector={"matchLabels": {"": "a"}}),
    log(
        "provider without a name", "crd", "spec.accessLogging[0].providers[0].name", accessLogging=[{"providers": [{}]}]
    ),
    log(
        "empty provider",
        "crd",
        "spec.accessLogging[0].providers[0].name",
        accessLogging=[{"providers": [{"name": ""}]}],
    ),
    log("another mode", "crd", "spec.accessLogging[0].match.mode", accessLogging=[{"match": {"mode": "BOTH"}}]),
    log(
        "filter that is open",
        "webhook",
        "spec.accessLogging[0].filter.expression",
        accessLogging=[{"filter": {"expression": "a == (b"}}],
    ),
    log(
        "filter that is empty",
        "webhook",
        "spec.accessLogging[0].filter.expression",
        accessLogging=[{"filter": {"expression": ""}}],
    ),
    log(
        "selector and target",
        "crd",
        "spec.selector",
        selector={"matchLabels": {"a": "b"}},
        targetRef={"kind": "Service", "name": "a"},
    ),
]
