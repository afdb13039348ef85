"""Would a Telemetry be taken, as far as meshvm writes one: a selector and an access log?"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint.kinds import schema
from meshvm.lint.rules import shown
from meshvm.lint.traffic import is_open

_LOG: Final = schema.fields(
    {
        "disabled": schema.boolean,
        "filter": schema.fields({"expression": schema.text()}),
        "match": schema.fields({"mode": schema.word("CLIENT_AND_SERVER", "CLIENT", "SERVER")}),
        "providers": schema.many(schema.fields({"name": schema.text(least=1)}, ("name",))),
    }
)
SPEC: Final = schema.fields(
    {
        "accessLogging": schema.many(_LOG),
        "selector": schema.fields({"matchLabels": schema.keyed(schema.text(63), 4096)}),
        **dict.fromkeys(("metrics", "targetRef", "targetRefs", "tracing"), schema.anything),
    }
)


def check(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    """What the definition and istiod's webhook say of it."""
    spec = SPEC(path, spec, warnings)
    _check_selector(spec, path, warnings)
    for index, log in enumerate(spec.get("accessLogging", [])):
        expression = log.get("filter", {}).get("expression")
        if expression is not None and (not expression.strip() or is_open(expression)):
            wrong = f"{shown(expression)} is no expression: it is empty, or a quote or bracket is open"
            raise ArgumentError(
                f"{path}.accessLogging[{index}].filter.expression", wrong, "write one such as response.code >= 400"
            )


def _check_selector(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    if sum(key in spec for key in ("selector", "targetRef", "targetRefs")) > 1:
        raise ArgumentError(f"{path}.selector", "there is a target beside it", "write one of the two")
    if "selector" not in spec:
        return
    labels = spec["selector"].get("matchLabels", {})
    for key, value in labels.items():
        if not key or "*" in key or "*" in value:
            where = f"{path}.selector.matchLabels[{key!r}]"
            raise ArgumentError(where, "it is empty, or has an asterisk in it", "write the whole label")
    if not labels:
        warnings.append(f"{path}.selector: it has no labels, and so selects the whole namespace; write labels")
