"""Would a WorkloadGroup be taken?"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.kinds import schema, workload_entry

_HEADER: Final = schema.fields({"name": schema.text(), "value": schema.text()})
_INT32: Final = schema.whole(0, 2**31 - 1)
_ASKED: Final = {"host": schema.text(), "port": schema.port_number}
_METHODS: Final = {
    "httpGet": schema.fields(
        {
            **_ASKED,
            "path": schema.text(),
            "scheme": schema.word("", "HTTP", "HTTPS"),
            "httpHeaders": schema.many(_HEADER),
        },
        ("port",),
    ),
    "tcpSocket": schema.fields(_ASKED, ("port",)),
    "exec": schema.fields({"command": schema.many(schema.text(least=1))}, ("command",)),
    "grpc": schema.fields({"port": schema.port_number, "service": schema.text()}),
}
_NUMBERS: Final = (
    "failureThreshold",
    "initialDelaySeconds",
    "periodSeconds",
    "successThreshold",
    "timeoutSeconds",
)
_NAMES: Final = schema.keyed(schema.text(), 256)

SPEC: Final = schema.fields(
    {
        "metadata": schema.fields({"annotations": _NAMES, "labels": _NAMES}),
        "probe": schema.fields({**_METHODS, **dict.fromkeys(_NUMBERS, _INT32)}),
        "template": workload_entry.SPEC,
    },
    ("template",),
)


def check(spec: Mapping[str, Any], path: str, warnings: list[str]) -> None:
    """The template is not judged as an entry is: its address comes from the machine."""
    spec = SPEC(path, spec, warnings)
    workload_entry.check_address(spec["template"], f"{path}.template")
    istio_values.check_labels(f"{path}.metadata.labels", spec.get("metadata", {}).get("labels", {}))
    if "probe" in spec:
        _check_probe(spec["probe"], f"{path}.probe")


def _check_probe(probe: Mapping[str, Any], path: str) -> None:
    given = [method for method in _METHODS if method in probe]
    if len(given) != 1:
        known = "httpGet, tcpSocket and exec"
        raise ArgumentError(path, f"it has {len(given)} ways of asking", f"give exactly one of {known}")
    method = given[0]
    if method == "grpc":
        wrong = "the API server takes a probe by gRPC, but istiod's webhook refuses it as an unknown method"
        raise ArgumentError(f"{path}.grpc", wrong, "probe by tcpSocket on the same port, or by exec")
    if method == "exec" and not probe["exec"]["command"]:
        raise ArgumentError(f"{path}.exec.command", "it is empty", "write program and arguments")
    for index, header in enumerate(probe[method].get("httpHeaders", [])):
        istio_values.check_header_name(f"{path}.{method}.httpHeaders[{index}].name", header.get("name", ""))
