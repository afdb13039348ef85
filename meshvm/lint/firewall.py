"""The rules over what is said of firewalls: `firewall`, `aws` and `gcp` of a MeshVm, `shared_rules`."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.firewall import ports
from meshvm.firewall.ports import Need, Role
from meshvm.lint import rules, traffic, workload

_CLOUDS: Final = ("aws", "gcp")
_LISTS: Final = {
    "peer_cidrs": Role.MESH,
    "ssh_from": Role.RUNNER,
    "gateway_cidrs": Role.GATEWAY,
    "scrape_from": Role.SCRAPER,
}
_SCRAPERS: Final = ("security_group_id", "prefix_list_id", "tag", "service_account")
# Where the other end's rules stand; they carry one machine's address.
_FAR: Final = ("nodes_security_group_id", "load_balancer_security_group_id", "nodes_tag", "nodes_service_account")
# What a machine says of its cloud when its rules are shared; all else is said once, by who declares them.
_OF_A_SHARED: Final = {
    *("security_group_id", "tags", "rules_per_group", "network", "project", "priority"),
    *("target_tag", "target_service_account", *_FAR),
}


def check(args: Mapping[str, Any], path: str = "") -> None:
    """An error for the first rule that the plain values break.

    :param args: arguments of a MeshVm, or one of `shared_rules`.
    :param path: what stands before each argument's own.
    """
    firewall, prefix = args.get("firewall") or {}, f"{path}." if path else ""
    clouds = [key for key in _CLOUDS if args.get(key)]
    if len(clouds) > 1:
        raise ArgumentError(f"{prefix}gcp", "a machine is in one cloud, and aws is given too", "leave one of them out")
    for cloud in clouds:
        _check_plain(args[cloud], f"{prefix}{cloud}")
    if args.get("gcp"):
        _check_gcp(args["gcp"], f"{prefix}gcp")
    for key in ("gateway_ports", "scrape_ports"):
        _check_ports(firewall.get(key) or [], f"{prefix}firewall.{key}")
    if firewall.get("shared"):
        _check_shared(args, clouds, prefix)
    _check_ranges(args, prefix)


def check_shared(shared: Sequence[Mapping[str, Any]]) -> None:
    """The rules that several machines share, each set with a name of its own."""
    names: set[str] = set()
    for index, one in enumerate(shared):
        path = f"shared_rules[{index}]"
        rules.dns_label(f"{path}.name", one["name"])
        if one["name"] in names:
            raise ArgumentError(f"{path}.name", f"{one['name']!r} is there twice", "give each its own name")
        names.add(one["name"])
        _check_shared_rules(one, path)
        check(one, path)


def _check_shared_rules(one: Mapping[str, Any], path: str) -> None:
    workload.check_ports(one.get("ports") or [], f"{path}.ports")
    traffic.check_calls(one.get("calls") or [], {}, f"{path}.calls")
    if one.get("network") is not None:
        rules.network(f"{path}.network", one["network"])
    if one.get("ssh_port") is not None:
        rules.port(f"{path}.ssh_port", one["ssh_port"])
    if (one.get("firewall") or {}).get("shared"):
        wrong = "here the rules are declared that machines share"
        raise ArgumentError(f"{path}.firewall.shared", wrong, "write it to the MeshVms, and leave it out here")
    clouds = [key for key in _CLOUDS if one.get(key)]
    if not clouds:
        raise ArgumentError(f"{path}.aws", "without a cloud there are no rules", "give aws or gcp")
    for key in _FAR:
        if one[clouds[0]].get(key) is not None:
            wrong = "rules at the other end carry a machine's address, so each machine has its own"
            raise ArgumentError(f"{path}.{clouds[0]}.{key}", wrong, "give it to the MeshVms")


def _check_plain(cloud: Mapping[str, Any], path: str) -> None:
    """Ids and names that are plain already: a string each."""
    for key, value in cloud.items():
        if key in _LISTS or value is None:
            continue
        if key == "rules_per_group":
            rules.at_least(1)(f"{path}.{key}", value)
        elif key == "priority":
            rules.within(0, 65535)(f"{path}.{key}", value)
        elif key != "tags" and type(value).__module__ == "builtins":
            rules.one_line(f"{path}.{key}", value)


def _check_gcp(gcp: Mapping[str, Any], path: str) -> None:
    """One target, and tags or service accounts, as Google wants it."""
    tags, accounts = ([key for key in gcp if key.endswith(f"_{kind}")] for kind in ("tag", "service_account"))
    tags, accounts = ([key for key in keys if gcp.get(key) is not None] for keys in (tags, accounts))
    if not {"target_tag", "target_service_account"} & {*tags, *accounts}:
        wrong = "a rule without a target is for every machine of the network"
        raise ArgumentError(f"{path}.target_tag", wrong, "give the machine's tag, or target_service_account")
    if tags and accounts:
        wrong = f"{accounts[0]} is given too, and Google's rules have tags or service accounts"
        raise ArgumentError(f"{path}.{tags[0]}", wrong, "give one kind alone")


def _check_ports(numbers: Sequence[Any], path: str) -> None:
    for index, number in enumerate(numbers):
        rules.port(f"{path}[{index}]", number)
        if number in numbers[:index]:
            raise ArgumentError(f"{path}[{index}]", f"{number} is there twice", "name each port once")


def _check_shared(args: Mapping[str, Any], clouds: Sequence[str], prefix: str) -> None:
    """A machine whose rules others declare names nobody itself."""
    if not clouds:
        raise ArgumentError(f"{prefix}firewall.shared", "without a cloud there are no rules", "give aws or gcp too")
    said = [(f"{prefix}firewall.{key}", key) for key, value in args["firewall"].items() if value and key != "shared"]
    for cloud in clouds:
        said += [(f"{prefix}{cloud}.{key}", key) for key, value in args[cloud].items() if value is not None]
    for path, key in said:
        if key not in _OF_A_SHARED:
            wrong = "the machine's rules are shared, and who may use them is said where they are declared"
            raise ArgumentError(path, wrong, "move it to `shared_rules` of the MeshExpansion")


def _check_ranges(args: Mapping[str, Any], prefix: str) -> None:
    """Ranges that are ranges, each once, and the whole internet for flows alone that say so."""
    firewall, wanted = args.get("firewall") or {}, _needs(args)
    open_to_all = firewall.get("everybody") or []
    known = {need.name for need in wanted}
    for index, name in enumerate(open_to_all):
        if name not in known:
            wrong = f"{rules.shown(name)} is none of this machine's flows"
            raise ArgumentError(f"{prefix}firewall.everybody[{index}]", wrong, f"known are {', '.join(sorted(known))}")
    for path, key, values in _range_lists(args, prefix):
        seen: set[Any] = set()
        for index, value in enumerate(values):
            rules.network_range(f"{path}[{index}]", value)
            network = ipaddress.ip_network(value)
            if network in seen:
                raise ArgumentError(f"{path}[{index}]", f"{value!r} is there twice", "name each range once")
            seen.add(network)
            if network.prefixlen == 0:
                _check_everybody(
                    f"{path}[{index}]", value, [one for one in wanted if one.role is _LISTS[key]], open_to_all
                )


def _check_everybody(path: str, value: str, wanted: Sequence[Need], open_to_all: Sequence[str]) -> None:
    closed = [need.name for need in wanted if need.name not in open_to_all]
    if closed or not wanted:
        wrong = f"{rules.shown(value)} is everybody" + (f", for the flow {closed[0]}" if closed else "")
        remedy = "write the range that needs it"
        if closed:
            remedy += f", or {closed[0]!r} into `everybody` of firewall when the whole internet is meant"
        raise ArgumentError(path, wrong, remedy)


def _range_lists(args: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, Sequence[Any]]]:
    for place in ("firewall", *_CLOUDS):
        for key in _LISTS:
            if (args.get(place) or {}).get(key):
                yield f"{prefix}{place}.{key}", key, args[place][key]


def _needs(args: Mapping[str, Any]) -> list[Need]:
    named = [(args.get("firewall") or {}).get("scrape_from")]
    named += [args[cloud].get(f"scrape_{kind}") for cloud in _CLOUDS if args.get(cloud) for kind in _SCRAPERS]
    return ports.needs(ports.declared(args, scraped=any(one is not None for one in named)))
