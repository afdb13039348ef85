"""The rules over the arguments of a MeshVm that need more than one value, or a value in its place."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import rules

_NUMBERS: Final = {
    "drain_seconds": rules.at_least(0),
    "healthy_seconds": rules.at_least(1),
    "token_seconds": rules.at_least(600),
    "weight": rules.at_least(0),
}
_PROBE_KINDS: Final = ("http", "tcp", "exec")


def leaves(args: Mapping[str, Any]) -> Iterator[tuple[str, Any, Callable[[str, str], None]]]:
    """Every string of the arguments that may be an Output, with its path and its rule."""
    ssh, proxy = args["ssh"], args["proxy"]
    yield "machine_id", args["machine_id"], rules.one_line
    yield "address", args["address"], rules.ip
    yield "service_account", args["service_account"], rules.dns_label
    yield "proxy.package", proxy["package"], rules.package
    yield "proxy.sha256", proxy["sha256"], rules.sha256
    for key, value in (args.get("labels") or {}).items():
        yield f"labels[{key!r}]", value, rules.label_value
    for path, login in _logins(ssh):
        yield f"{path}.host", login["host"], rules.host
        for key, rule in (("host_key", rules.host_key), ("user", rules.one_line)):
            if login.get(key) is not None:
                yield f"{path}.{key}", login[key], rule
    for key in ("network", "locality", "rejoin"):
        if args.get(key) is not None:
            yield key, args[key], rules.one_line
    if proxy.get("version") is not None:
        yield "proxy.version", proxy["version"], rules.one_line


def check(args: Mapping[str, Any], own_label: str) -> None:
    """An error for the first rule that the plain values break; `own_label` is the key that meshvm sets itself."""
    for key, rule in _NUMBERS.items():
        if args.get(key) is not None:
            rule(key, args[key])
    _check_labels(args.get("labels") or {}, own_label)
    _check_ports(args.get("ports") or [])
    _check_probe(args.get("probe"), has_ports=bool(args.get("ports")))
    for index, call in enumerate(args.get("calls") or []):
        rules.name(f"calls[{index}].host", call["host"])
        rules.port(f"calls[{index}].port", call["port"])
    for path, login in _logins(args["ssh"]):
        _check_login(path, login)
    _check_aws(args.get("aws") or {})


def _logins(ssh: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [("ssh", ssh)] + ([("ssh.bastion", ssh["bastion"])] if ssh.get("bastion") else [])


def _check_login(path: str, login: Mapping[str, Any]) -> None:
    if login.get("port") is not None:
        rules.port(f"{path}.port", login["port"])
    if login.get("dial_attempts") is not None:
        rules.at_least(1)(f"{path}.dial_attempts", login["dial_attempts"])
    if login.get("host_key") is None and not login.get("insecure_ignore_host_key"):
        remedy = "give the machine's public host key, or insecure_ignore_host_key: True to trust whoever answers"
        raise ArgumentError(f"{path}.host_key", "it is required", remedy)


def _check_labels(labels: Mapping[str, Any], own_label: str) -> None:
    for key in labels:
        rules.label_key(f"labels[{key!r}]", key)
    if own_label in labels:
        remedy = "leave it out: meshvm sets it to select this machine alone"
        raise ArgumentError(f"labels[{own_label!r}]", "this label is meshvm's own", remedy)


def _check_ports(ports: list[Mapping[str, Any]]) -> None:
    for key in ("name", "number"):
        seen: set[object] = set()
        for index, port in enumerate(ports):
            rules.dns_label(f"ports[{index}].name", port["name"])
            rules.port(f"ports[{index}].number", port["number"])
            if port[key] in seen:
                raise ArgumentError(f"ports[{index}].{key}", f"{port[key]!r} is there twice", "declare each port once")
            seen.add(port[key])


def _check_probe(probe: Mapping[str, Any] | None, *, has_ports: bool) -> None:
    if probe is None:
        return
    if not has_ports:
        raise ArgumentError("probe", "a machine without ports is never in rotation", "declare ports, or leave it out")
    given = [kind for kind in _PROBE_KINDS if probe.get(kind) is not None]
    if len(given) != 1:
        raise ArgumentError("probe", f"it has {len(given)} of http, tcp and exec", "give exactly one")
    if given[0] == "exec":
        if not probe["exec"]["command"]:
            raise ArgumentError("probe.exec.command", "it is empty", "write program and arguments")
    else:
        rules.port(f"probe.{given[0]}.port", probe[given[0]]["port"])
    if probe.get("initial_delay_seconds") is not None:
        rules.at_least(0)("probe.initial_delay_seconds", probe["initial_delay_seconds"])
    if (probe.get("http") or {}).get("scheme", "HTTP") not in {"HTTP", "HTTPS"}:
        raise ArgumentError(
            "probe.http.scheme", f"{probe['http']['scheme']!r} is not one of them", "write HTTP or HTTPS"
        )
    for key in ("timeout_seconds", "period_seconds", "success_threshold", "failure_threshold"):
        if probe.get(key) is not None:
            rules.at_least(1)(f"probe.{key}", probe[key])


def _check_aws(aws: Mapping[str, Any]) -> None:
    for key in ("peer_cidrs", "ssh_from", "gateway_cidrs"):
        for index, value in enumerate(aws.get(key) or []):
            if isinstance(value, str):
                rules.cidr(f"aws.{key}[{index}]", value)
            if value in aws[key][:index]:
                raise ArgumentError(f"aws.{key}[{index}]", f"{value!r} is there twice", "name each range once")
