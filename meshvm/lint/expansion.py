"""The rules over the arguments of a MeshExpansion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import addresses, firewall, rules, text, workload

_LEAVES: Final = {
    "namespace": rules.dns_label,
    "mesh_config": text.yaml_map,
    "root_certificate": text.certificates,
    # Istio's own tool takes an empty one too: istiod then trusts the token's issuer alone.
    "cluster_id": text.flat,
    "proxy_version": rules.version,
}
_KINDS: Final = ("User", "Group", "ServiceAccount")
_EVERYBODY: Final = {
    "system:anonymous": "whoever sends no credentials",
    "system:unauthenticated": "whoever sends no credentials",
    "system:authenticated": "everybody who has credentials",
    "system:serviceaccounts": "every pod of the cluster",
}


def leaves(args: Mapping[str, Any]) -> Iterator[tuple[str, Any, Callable[[str, str], None]]]:
    """Every string of the arguments that may be an Output and was given, with its path and its rule."""
    for key, rule in _LEAVES.items():
        if args.get(key) is not None:
            yield key, args[key], rule


def check_expansion(args: Mapping[str, Any]) -> None:
    """An error for the first rule that the plain values break."""
    for key, rule in (
        ("istio_namespace", rules.dns_label),
        ("revision", revision),
        ("network", network_label),
    ):
        if args.get(key) is not None:
            rule(key, args[key])
    accounts = args.get("service_accounts") or []
    addresses.each("service_accounts", accounts, rules.subdomain)
    groups = args.get("groups") or []
    _check_groups(groups)
    firewall.check_shared(args.get("shared_rules") or [])
    _check_subjects(args.get("token_subjects") or [])
    if args.get("token_subjects") and not accounts and not groups:
        wrong = "there is no service account that they may have tokens of"
        raise ArgumentError("token_subjects", wrong, "name the machines' accounts in `service_accounts` or `groups`")


def network_label(path: str, value: str) -> None:
    """The network of the cluster's pods, which is the value of a label."""
    rules.label_value(path, value)
    if not value:
        raise ArgumentError(path, "it is empty", "write a name, or leave it out when all is one network")


def revision(path: str, value: str) -> None:
    """A revision of istiod or a tag; it is a part of the name of istiod's Service."""
    rules.dns_label(path, value)
    if len(value) > 56:
        wrong = f"{value!r} is too long for a Service called istiod-{value}"
        raise ArgumentError(path, wrong, "write 56 characters at most")


def _check_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    names: set[str] = set()
    for index, group in enumerate(groups):
        path = f"groups[{index}]"
        _check_group(group, path)
        if group["name"] in names:
            raise ArgumentError(f"{path}.name", f"{group['name']!r} is there twice", "give each group its own name")
        names.add(group["name"])


def _check_group(group: Mapping[str, Any], path: str) -> None:
    labels = group.get("labels") or {}
    workload.check_workload_name(f"{path}.name", group["name"], labels)
    rules.subdomain(f"{path}.service_account", group["service_account"])
    workload.check_labels(labels, f"{path}.labels")
    for key, value in labels.items():
        rules.label_value(f"{path}.labels[{key!r}]", value)
    workload.check_annotations(group.get("annotations") or {}, f"{path}.annotations")
    ports = group.get("ports") or []
    workload.check_ports(ports, f"{path}.ports")
    workload.check_probe(group.get("probe"), f"{path}.probe", has_ports=bool(ports))
    for key, rule in (
        ("network", workload.check_group_network),
        ("locality", rules.locality),
        ("weight", workload.WEIGHT),
    ):
        if group.get(key) is not None:
            rule(f"{path}.{key}", group[key])


def _check_subjects(subjects: Sequence[Mapping[str, Any]]) -> None:
    seen = set()
    for index, subject in enumerate(subjects):
        path = f"token_subjects[{index}]"
        _check_subject(subject, path)
        one = (subject["kind"], subject["name"], subject.get("namespace"))
        if one in seen:
            raise ArgumentError(path, f"{subject['name']!r} is there twice", "name each subject once")
        seen.add(one)


def _check_subject(subject: Mapping[str, Any], path: str) -> None:
    kind, name, namespace = subject["kind"], subject["name"], subject.get("namespace")
    if kind not in _KINDS:
        raise ArgumentError(
            f"{path}.kind", f"{rules.shown(kind)} is not one of them", f"write one of {', '.join(_KINDS)}"
        )
    if kind == "ServiceAccount":
        rules.subdomain(f"{path}.name", name)
        if namespace is not None:
            rules.dns_label(f"{path}.namespace", namespace)
        return
    rules.one_line(f"{path}.name", name)
    if namespace is not None:
        raise ArgumentError(f"{path}.namespace", f"a {kind} is in no namespace", "leave it out")
    if name in _EVERYBODY:
        wrong = f"{name!r} is {_EVERYBODY[name]}, who could put any machine into the mesh"
        raise ArgumentError(f"{path}.name", wrong, "name those who run Pulumi")
