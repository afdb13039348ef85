"""The rules over the arguments of a VmGateway."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meshvm.args.enums import GatewayMode
from meshvm.errors import ArgumentError
from meshvm.lint import addresses, rules, workload
from meshvm.lint.expansion import network_label, revision

_PLACES: Final = {"service": rules.service, "host": rules.host, "address": addresses.reachable}
_MIN_REPLICAS: Final = 2
_MAX_REPLICAS: Final = 5
_REPLICAS: Final = rules.within(1, 2**31 - 1)


def leaves(args: Mapping[str, Any]) -> Iterator[tuple[str, Any, Callable[[str, str], None]]]:
    """Every string of the arguments that may be an Output and was given, with its path and its rule."""
    for key, rule in _PLACES.items():
        if args.get(key) is not None:
            yield key, args[key], rule
    for key, value in ((args.get("create") or {}).get("service_annotations") or {}).items():
        yield f"create.service_annotations[{key!r}]", value, any_text


@rules.of_text
def any_text(_path: str, _value: str) -> None:
    """Any string."""


def check_gateway(args: Mapping[str, Any]) -> None:
    """An error for the first rule that the plain values break."""
    given = [key for key in _PLACES if args.get(key) is not None]
    if args["mode"] == GatewayMode.CREATE:
        for key in given:
            wrong = "with mode CREATE meshvm makes the gateway, and finds out itself where it is"
            raise ArgumentError(key, wrong, "leave it out, or write mode: EXISTING")
        _check_create(args.get("create") or {})
        return
    if args.get("create") is not None:
        wrong = "with mode EXISTING nothing is made"
        raise ArgumentError("create", wrong, "leave it out, or write mode: CREATE")
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ArgumentError("service, host, address", f"{found} is given", "give exactly one of the three")


def _check_create(create: Mapping[str, Any]) -> None:
    for key, rule in (
        ("namespace", rules.dns_label),
        ("name", service_name),
        ("istio_namespace", rules.dns_label),
        ("network", network_label),
        ("min_replicas", _REPLICAS),
        ("max_replicas", _REPLICAS),
    ):
        if create.get(key) is not None:
            rule(f"create.{key}", create[key])
    _check_replicas(create)
    if create.get("revisions") is not None:
        if not create["revisions"]:
            raise ArgumentError(
                "create.revisions", "it is empty", "name one, or leave it out for the one without a name"
            )
        addresses.each("create.revisions", create["revisions"], revision)
    annotations = create.get("service_annotations") or {}
    for key in annotations:
        workload.check_annotation_key(f"create.service_annotations[{key!r}]", key)
    plain = {key: value for key, value in annotations.items() if isinstance(value, str)}
    workload.check_annotations_size(plain, "create.service_annotations")
    addresses.each("create.source_ranges", create.get("source_ranges") or [], addresses.masked_range)


def _check_replicas(create: Mapping[str, Any]) -> None:
    least, most = create.get("min_replicas"), create.get("max_replicas")
    if (least or _MIN_REPLICAS) <= (most or _MAX_REPLICAS):
        return
    if most is None:
        wrong = f"it is {_MAX_REPLICAS} when it is left out, and `create.min_replicas` is {least}"
    elif least is None:
        wrong = f"{most} is less than {_MIN_REPLICAS}, which `create.min_replicas` is when it is left out"
    else:
        wrong = f"{most} is less than `create.min_replicas`, which is {least}"
    raise ArgumentError("create.max_replicas", wrong, "write a number that is not less")


@rules.of_text
def service_name(path: str, value: str) -> None:
    """A name of a Service, which begins with a letter (RFC 1035)."""
    if not re.match(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z", value):
        remedy = "write lower case letters, digits and inner dashes, a letter first, 63 at most"
        raise ArgumentError(path, f"{rules.shown(value)} is not a name of a Service", remedy)
