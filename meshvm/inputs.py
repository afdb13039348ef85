"""What the settings and the objects of one VM are made of: each argument as a checked Output of its own."""

from collections.abc import Mapping
from typing import Any

import pulumi

from meshvm import facts
from meshvm.args import MeshVmArgs, Platform
from meshvm.bootstrap.bundle import bundle
from meshvm.bootstrap.values import join_values, request_to_ask
from meshvm.istio import objects
from meshvm.istio.names import entry_name, spiffe_id
from meshvm.lint import vm as lint
from meshvm.outputs import checked, reported

Inputs = Mapping[str, pulumi.Output[Any]]


def known_inputs(label: str, name: str, args: MeshVmArgs) -> Inputs:
    """The inputs by the names that `meshvm.istio.settings` and `meshvm.bootstrap.values` ask for.

    :param label: what errors call the component.
    """
    given = {path: checked(label, path, value, rule) for path, value, rule in lint.leaves(args)}

    def check_mesh(value: object) -> dict[str, str]:
        with reported(label):
            return facts.check_mesh("mesh", value)

    mesh = pulumi.Output.from_input(args["mesh"]).apply(check_mesh)
    labels = pulumi.Output.all(**{key: given[f"labels[{key!r}]"] for key in args.get("labels") or {}})
    machine, address, account = given["machine_id"], given["address"], given["service_account"]
    platform = args.get("platform") or (Platform.AWS if args.get("aws") else Platform.NONE)
    return {
        "address": address,
        "entry": pulumi.Output.all(machine, address).apply(lambda known: entry_name(name, *known)),
        # Output.all of nothing is a list.
        "labels": labels.apply(lambda known: objects.workload_labels(dict(known), name)),
        "machine": machine,
        "mesh": mesh,
        "name": pulumi.Output.from_input(name),
        # A machine that names no network is in the pods' own.
        "network": given.get("network", mesh.apply(lambda known: known["clusterNetwork"])),
        "package": given["proxy.package"],
        "platform": pulumi.Output.from_input(Platform(platform).value),
        "ports": pulumi.Output.from_input(list(args.get("ports") or [])),
        "probe": pulumi.Output.from_input(args.get("probe")),
        "rejoin": given.get("rejoin", pulumi.Output.from_input("1")),
        "service_account": account,
        "sha256": given["proxy.sha256"],
        "spiffe": pulumi.Output.all(mesh, account).apply(
            lambda known: spiffe_id(known[0]["trustDomain"], known[0]["namespace"], known[1])
        ),
        "version": given.get("proxy.version", mesh.apply(lambda known: known["proxyVersion"])),
    }


def entry_spec(args: MeshVmArgs, inputs: Inputs) -> dict[str, Any]:
    """The spec of the WorkloadEntry, each part as soon as it is known."""
    return objects.workload_entry_spec(
        address=inputs["address"],
        labels=inputs["labels"],
        service_account=inputs["service_account"],
        ports=args.get("ports") or [],
        network=inputs["network"],
        locality=args.get("locality"),
        weight=args.get("weight"),
    )


def join_input(
    label: str,
    args: MeshVmArgs,
    inputs: Inputs,
    settings: Mapping[str, pulumi.Output[str]],
    variables: Mapping[str, pulumi.Output[str]],
    token: pulumi.Output[dict[str, str]],
    run: str,
) -> pulumi.Output[str]:
    """The standard input of the join: a secret, because it holds the token.

    :param run: a word of this run; the status of a join that ran in it has the same.
    """

    def text(known: dict[str, Any]) -> str:
        with reported(label):
            values = join_values(
                known["settings"],
                known["variables"],
                root_certificate=known["mesh"]["rootCertificate"],
                token=known["token"]["token"],
                token_error=known["token"]["error"],
                run=run,
                ask=request_to_ask(known["address"], args.get("ports") or [], args.get("probe")),
            )
            return bundle("join", values)

    known = pulumi.Output.all(
        settings=pulumi.Output.all(**settings),
        variables=pulumi.Output.all(**variables),
        mesh=inputs["mesh"],
        address=inputs["address"],
        token=token,
    )
    return pulumi.Output.secret(known.apply(text))
