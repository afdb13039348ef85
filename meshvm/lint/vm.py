"""The rules over the arguments of a MeshVm that need more than one value, or a value in its place."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meshvm.args.enums import IdentityKind, Platform, Registration
from meshvm.errors import ArgumentError
from meshvm.istio.versions import check_version
from meshvm.lint import addresses, firewall, rules, traffic, workload

_NUMBERS: Final = {
    "drain_seconds": rules.within(0, 2**31 - 1),
    "healthy_seconds": rules.within(1, 2**31 - 1),
    # Bounds of the API server's for a TokenRequest.
    "token_seconds": rules.within(600, 2**32),
    "weight": workload.WEIGHT,
}
_LOGIN_LEAVES: Final = (("host_key", rules.host_key), ("user", rules.one_line))


def leaves(args: Mapping[str, Any]) -> Iterator[tuple[str, Any, Callable[[str, str], None]]]:
    """Every string of the arguments that may be an Output, with its path and its rule."""
    ssh, proxy = args["ssh"], args["proxy"]
    yield "machine_id", args["machine_id"], rules.one_line
    yield "address", args["address"], addresses.reachable
    yield "service_account", args["service_account"], rules.subdomain
    yield "proxy.package", proxy["package"], rules.package
    yield "proxy.sha256", proxy["sha256"], rules.sha256
    for key, value in (args.get("labels") or {}).items():
        yield f"labels[{key!r}]", value, rules.label_value
    for path, login in _logins(ssh):
        yield f"{path}.host", login["host"], rules.host
        for key, rule in _LOGIN_LEAVES:
            if login.get(key) is not None:
                yield f"{path}.{key}", login[key], rule
    for key, rule in _optional(args).items():
        if args.get(key) is not None:
            yield key, args[key], rule
    if proxy.get("version") is not None:
        yield "proxy.version", proxy["version"], _check_version
    for index, listener in enumerate(args.get("listeners") or []):
        if listener.get("bind") is not None:
            yield f"listeners[{index}].bind", listener["bind"], addresses.bind


def _optional(args: Mapping[str, Any]) -> dict[str, Callable[[str, str], None]]:
    auto = args.get("registration") == Registration.AUTO
    labels = args.get("labels") or {}
    return {
        "instance_address": addresses.reachable,
        "network": workload.check_group_network if auto else rules.network,
        "locality": rules.locality,
        "rejoin": rules.one_line,
        "group": functools.partial(_check_group, labels=labels),
    }


def _check_version(path: str, value: str) -> None:
    """A version whose agent can take its iptables rules back; of one that is not tested MeshExpansion warns."""
    rules.version(path, value)
    try:
        check_version(path, value)
    except ArgumentError:
        wrong = f"the agent of {value} cannot take its iptables rules back from a machine"
        raise ArgumentError(path, wrong, "write 1.24 or a later one") from None


def _check_group(path: str, value: str, *, labels: Mapping[str, Any]) -> None:
    workload.check_workload_name(path, value, labels)


def check(args: Mapping[str, Any], own_label: str) -> None:
    """An error for the first rule that the plain values break; `own_label` is the key that meshvm sets itself."""
    for key, rule in _NUMBERS.items():
        if args.get(key) is not None:
            rule(key, args[key])
    ports, capture = args.get("ports") or [], args.get("capture") or {}
    _check_registration(args)
    _check_identity(args)
    workload.check_labels(args.get("labels") or {}, own_label=own_label)
    workload.check_annotations(args.get("annotations") or {})
    workload.check_ports(ports)
    workload.check_probe(args.get("probe"), has_ports=bool(ports))
    traffic.check_capture(capture, ports)
    traffic.check_probed(args)
    traffic.check_calls(args.get("calls") or [], capture)
    traffic.check_listeners(args.get("listeners") or [], ports, capture)
    addresses.each("egress_hosts", args.get("egress_hosts") or [], traffic.egress_host)
    traffic.check_access_log(args.get("access_log") or {})
    _check_addresses(args)
    for path, login in _logins(args["ssh"]):
        _check_login(path, login)
    firewall.check(args)


def _check_addresses(args: Mapping[str, Any]) -> None:
    """The two addresses together, when both are plain; else MeshVm has `addresses.pair` look when they are known."""
    both = [(key, args.get(key)) for key in ("address", "instance_address")]
    if all(isinstance(value, str) for _, value in both):
        for key, value in both:
            addresses.reachable(key, str(value))
        addresses.pair(args["address"], args["instance_address"])


def _check_registration(args: Mapping[str, Any]) -> None:
    if args.get("group") is None:
        return
    if args.get("registration") != Registration.AUTO:
        wrong = "a group is what istiod makes entries from, and here meshvm makes the entry"
        raise ArgumentError("group", wrong, "write registration: AUTO too, or leave the group out")
    if args.get("weight") is not None:
        wrong = "istiod takes it from the group"
        raise ArgumentError("weight", wrong, "give it to the group, or leave `group` out: then the machine has its own")


def _check_identity(args: Mapping[str, Any]) -> None:
    identity: Mapping[str, Any] = args.get("identity") or {"kind": IdentityKind.TOKEN}
    kind, files = str(identity["kind"]), ("certificate", "private_key")
    for key in files:
        path = f"identity.{key}"
        if kind != IdentityKind.FILES:
            if identity.get(key) is not None:
                raise ArgumentError(path, f"{kind} has no files", "leave it out, or write kind: FILES")
        elif identity.get(key) is None:
            raise ArgumentError(path, "it is required with FILES", "write the file's absolute path on the machine")
        else:
            rules.absolute_path(path, identity[key])
    if kind == IdentityKind.FILES and identity["certificate"] == identity["private_key"]:
        raise ArgumentError("identity.private_key", "it is the certificate's file", "keep the key in a file of its own")
    if kind != IdentityKind.TOKEN and args.get("token_seconds") is not None:
        raise ArgumentError("token_seconds", f"with identity {kind} there is no token", "leave it out")
    if kind == IdentityKind.GCE and (args.get("aws") or args.get("platform") in {Platform.AWS, Platform.AZURE}):
        wrong = "GCE is for machines on Google Compute Engine, and this one is elsewhere"
        raise ArgumentError("identity.kind", wrong, "write TOKEN or FILES, or correct `platform`")


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
