"""What the settings and the objects of one VM are made of: each argument checked, and known as soon as it can be."""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import pulumi

from meshvm import facts
from meshvm.args import Capture, IdentityKind, MeshVmArgs, Platform, Registration
from meshvm.bootstrap.bundle import bundle
from meshvm.bootstrap.values import join_values, request_to_ask
from meshvm.errors import ArgumentError
from meshvm.istio import objects
from meshvm.istio.files import with_annotations
from meshvm.istio.names import entry_name, registered_name, spiffe_id
from meshvm.lint import addresses
from meshvm.lint import vm as lint
from meshvm.outputs import checked, derived, is_plain, reported

T = TypeVar("T")

# What the agent reads a locality from, with dots for slashes (istio: pilot/cmd/pilot-agent/config).
_LOCALITY_LABEL: Final = "istio-locality"

# By name; each a plain value, or an Output.
Inputs = Mapping[str, Any]


def known_inputs(label: str, name: str, args: MeshVmArgs) -> Inputs:
    """The inputs by the names that `meshvm.istio.settings` and `meshvm.bootstrap.values` ask for.

    :param label: what errors call the component.
    """
    given = {path: checked(label, path, value, rule) for path, value, rule in lint.leaves(args)}

    def check_mesh(value: object) -> dict[str, str]:
        with reported(label):
            return facts.check_mesh("mesh", value)

    # Looked into once here: nothing that takes it does so again.
    mesh = derived(check_mesh, _looked_into(args["mesh"]))
    address, own_address = _addresses(label, args, given)
    clouds = [platform for platform in (Platform.AWS, Platform.GCP) if args.get(platform.value)]
    platform = args.get("platform") or [*clouds, Platform.NONE][0]
    inputs = {
        "access_log": args.get("access_log"),
        "address": address,
        "annotations": dict(args.get("annotations") or {}),
        "behind_nat": "instance_address" in given,
        "calls": list(args.get("calls") or []),
        "capture": dict(args.get("capture") or {}),
        "dual_stack": bool(args.get("dual_stack")),
        "identity": dict(args.get("identity") or {"kind": IdentityKind.TOKEN}),
        "instance_address": own_address,
        "listener_ports": [listener["port"]["number"] for listener in args.get("listeners") or []],
        "listeners": _listeners(args, given),
        "machine": given["machine_id"],
        "mesh": mesh,
        "name": name,
        # A machine that names no network is in the pods' own.
        "network": given.get("network", derived(lambda known: known["clusterNetwork"], mesh)),
        "package": given["proxy.package"],
        "platform": Platform(platform).value,
        "ports": list(args.get("ports") or []),
        "probe": _probe(args),
        "rejoin": given.get("rejoin", "1"),
        "service_account": given["service_account"],
        "sha256": given["proxy.sha256"],
        "version": given.get("proxy.version", derived(lambda known: known["proxyVersion"], mesh)),
    }
    return {**inputs, **_identity(name, args, given, inputs)}


def _looked_into(value: pulumi.Input[T]) -> pulumi.Input[T]:
    """An Output that may hold others, as one of plain values."""
    if not isinstance(value, pulumi.Output):
        return value
    # Output.from_input of it makes an Output of each key and each value: only where there is one inside.
    return value.apply(lambda known: known if is_plain(known) else pulumi.Output.from_input(known))


def _addresses(label: str, args: MeshVmArgs, given: Mapping[str, Any]) -> tuple[Any, Any]:
    """The machine's address for others and for itself, each as Python writes it: a cloud may not shorten IPv6."""
    address = derived(_short, given["address"])
    if "instance_address" not in given:
        return address, address

    def pair(outer: str, own: str) -> str:
        with reported(label):
            addresses.pair(outer, own)
            if args.get("registration") == Registration.AUTO and (":" in outer) != (":" in own):
                wrong = f"istiod registers the machine by the address that its agent says, and that is {own}"
                raise ArgumentError("address", wrong, "write that one as address alone, or registration: ENTRY")
        return own

    return address, derived(pair, address, derived(_short, given["instance_address"]))


def _short(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _probe(args: MeshVmArgs) -> Mapping[str, Any] | None:
    """The probe; without rules it asks the application where that listens, because at the machine's own address it
    would meet the sidecar, which wants a certificate."""
    probe = args.get("probe")
    http = (probe or {}).get("http")
    if not probe or not http or http.get("host") or (args.get("capture") or {}).get("mode") != Capture.NONE:
        return probe
    return {**probe, "http": {**http, "host": "127.0.0.1"}}


def _listeners(args: MeshVmArgs, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The further listeners, `bind` checked."""
    listeners = [dict(listener) for listener in args.get("listeners") or []]
    for index, listener in enumerate(listeners):
        if listener.get("bind") is not None:
            listener["bind"] = given[f"listeners[{index}].bind"]
    return listeners


def _identity(name: str, args: MeshVmArgs, given: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """Who the workload is: what it is called in telemetry and in the mesh's registry, its labels, its identity."""
    mesh, account = inputs["mesh"], inputs["service_account"]
    registration = Registration(args.get("registration") or Registration.ENTRY)
    group = given.get("group", name)
    # With a group, the workload is the group: several machines are one.
    workload = group if registration is Registration.AUTO else name
    labels = {key: given[f"labels[{key!r}]"] for key in args.get("labels") or {}}
    if registration is Registration.AUTO:
        entry = derived(registered_name, group, inputs["address"], inputs["network"])
    else:
        entry = derived(entry_name, name, inputs["machine"], inputs["address"])
    return {
        "default_config": derived(
            lambda known: with_annotations(json.loads(known["defaultConfig"]), inputs["annotations"]), mesh
        ),
        "entry": entry,
        "group": group,
        "labels": {**objects.workload_labels(labels, name), **_locality_label(args, given)},
        "registration": registration.value,
        "spiffe": derived(lambda known, one: spiffe_id(known["trustDomain"], known["namespace"], one), mesh, account),
        "workload": workload,
    }


def _locality_label(args: MeshVmArgs, given: Mapping[str, Any]) -> dict[str, Any]:
    """A machine of a group says by a label where it stands: istiod takes the agent's word for the entry's locality,
    whatever the group says, and leaves the label out of the entry's."""
    if args.get("registration") != Registration.AUTO or args.get("locality") is None:
        return {}
    return {_LOCALITY_LABEL: derived(lambda known: known.replace("/", "."), given["locality"])}


def join_input(
    label: str,
    inputs: Inputs,
    settings: Mapping[str, pulumi.Input[str]],
    variables: Mapping[str, pulumi.Input[str]],
    token: pulumi.Output[dict[str, str]],
    checks: Sequence[pulumi.Input[None]],
    run: str,
) -> pulumi.Output[str]:
    """The standard input of the join: a secret, because it holds the token.

    :param checks: what must not have failed.
    :param run: a word of this run; the status of a join that ran in it has the same.
    """

    def text(
        known_settings: dict[str, str],
        known_variables: dict[str, str],
        mesh: dict[str, str],
        address: str,
        minted: dict[str, str],
        *_: None,
    ) -> str:
        with reported(label):
            values = join_values(
                known_settings,
                known_variables,
                root_certificate=mesh["rootCertificate"],
                token=minted["token"],
                token_error=minted["error"],
                run=run,
                ask=request_to_ask(address, inputs["ports"], inputs["probe"]),
            )
            return bundle("join", values)

    if pulumi.runtime.is_dry_run():
        # The token is not known, and so nothing of it; what must not fail is seen in a preview too.
        return pulumi.Output.secret(derived(lambda *_: cast("str", pulumi.UNKNOWN), *checks))
    asks = (settings, variables, inputs["mesh"], inputs["instance_address"], token, *checks)
    return pulumi.Output.secret(derived(text, *asks))
