"""One cluster's readiness for VMs, for one namespace of workloads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from meshvm import cluster, facts
from meshvm.args import Flavor, GroupArgs, MeshExpansionArgs
from meshvm.istio import access, objects
from meshvm.istio.agreement import check_agreement
from meshvm.istio.versions import check_version
from meshvm.lint import expansion as lint
from meshvm.lint.shape import check_shape, whole_numbers
from meshvm.outputs import asked, checked, credentials, reported
from meshvm.rules import Rules

# istiod writes its root certificate into a namespace when it sees it, which may have been made a moment ago.
_ROOT_CERTIFICATE_SECONDS = 20
_NETWORK_LABEL = "topology.istio.io/network"
# Fixed, so that a destroy gives back exactly what this component took, whoever runs it.
_FIELD_MANAGER = "meshvm"


class MeshExpansion(pulumi.ComponentResource):
    """What a cluster needs before VMs join it, and what several VMs share.

    It owns the namespace, the service accounts, the WorkloadGroups and the Role that it creates, and the network label
    of istiod's namespace. It does not own namespaces that exist, istiod or the gateway.
    """

    mesh: pulumi.Output[Mapping[str, Any]]
    """What a VM needs to know of the mesh: a map of strings, the same in every language and across stacks
    (`meshvm.facts.MESH_KEYS`)."""

    def __init__(self, name: str, args: MeshExpansionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Prepare the cluster and read the mesh's facts.

        :param name: name of the component.
        :param args: see MeshExpansionArgs.
        :param opts: options of the component; `providers` names the Kubernetes provider.
        """
        args = whole_numbers(args)
        self._name, self._args, self._label = name, args, f'MeshExpansion "{name}"'
        with reported(self._label):
            check_shape(args, MeshExpansionArgs)
            lint.check_expansion(args)
        super().__init__("meshvm:index:MeshExpansion", name, {}, opts)
        given = {path: checked(self._label, path, value, rule) for path, value, rule in lint.leaves(args)}
        self._namespace, self._istio_namespace = given["namespace"], args.get("istio_namespace") or "istio-system"
        self._offline = all(given.get(part) is not None for part in cluster.Given._fields)

        made = self._own_namespace()
        inside = pulumi.ResourceOptions(parent=self, depends_on=list(made))
        found = self._facts(given, made)
        made += [self._account(account, inside) for account in args.get("service_accounts") or []]
        made += [self._group(group, inside) for group in args.get("groups") or []]
        made += [*self._access(inside), *self._network(), *self._shared_rules(found)]

        # The map comes from what it describes, so that a VM that takes it waits for the accounts and the label.
        ids = [one.id for one in made]
        # An account that is yet to be made hides nothing that is known already.
        self.mesh = pulumi.Output.all(found, *ids).apply(lambda known: known[0], run_with_unknowns=True)
        self.register_outputs({"mesh": self.mesh})

    def _own_namespace(self) -> list[pulumi.CustomResource]:
        if not self._args.get("create_namespace"):
            return []
        options = pulumi.ResourceOptions(parent=self)
        return [k8s.core.v1.Namespace(f"{self._name}-namespace", metadata={"name": self._namespace}, opts=options)]

    def _facts(
        self, given: Mapping[str, Any], before: Sequence[pulumi.CustomResource]
    ) -> pulumi.Output[dict[str, str]]:
        """The map `mesh`, of what was given and of what the cluster says of the rest.

        :param before: what has to be there when the cluster is asked.
        """
        parts = [pulumi.Output.from_input(given.get(part)) for part in cluster.Given._fields]
        asks = [self._namespace, self._args["gateway"], *credentials(self._args), *parts]

        def read(known: list[Any]) -> dict[str, str]:
            namespace, endpoint, kubeconfig, context = known[:4]
            gateway = facts.check_endpoint("gateway", endpoint)
            mesh = self._mesh(namespace, kubeconfig, context, cluster.Given(*known[4:8]))
            whole = _whole(mesh, gateway, self._args)
            check_agreement(whole, asked=given.get("mesh_config") is None)
            check_version("proxy_version", whole["proxyVersion"])
            return whole

        found = asked(self._label, pulumi.Output.all(*asks, *(one.urn for one in before)), read)
        return found.apply(self._warned)

    def _mesh(
        self, namespace: str, kubeconfig: str | None, context: str | None, given: cluster.Given
    ) -> dict[str, str]:
        where, revision = self._istio_namespace, self._args.get("revision") or ""
        if None not in given:
            return cluster.mesh_facts(namespace=namespace, istio_namespace=where, revision=revision, given=given)
        preview = pulumi.runtime.is_dry_run()
        # A namespace that is yet to be made will get what is in istiod's own.
        source = where if preview and self._args.get("create_namespace") else namespace
        with cluster.connect(kubeconfig, context) as asking:
            patience = 0 if preview else _ROOT_CERTIFICATE_SECONDS
            return {**asking.mesh(source, where, revision, patience, given), "namespace": namespace}

    def _warned(self, mesh: dict[str, str]) -> dict[str, str]:
        """The map itself, after what a person should know of the control plane's version."""
        warning = check_version("proxy_version", mesh["proxyVersion"])
        if warning:
            pulumi.log.warn(f"{self._label}: {warning}", resource=self)
        return mesh

    def _account(self, account: str, options: pulumi.ResourceOptions) -> pulumi.CustomResource:
        metadata: Any = {"name": account, "namespace": self._namespace}
        made: pulumi.CustomResource = k8s.core.v1.ServiceAccount(
            f"{self._name}-{account}", metadata=metadata, opts=options
        )
        return made

    def _group(self, group: GroupArgs, options: pulumi.ResourceOptions) -> pulumi.CustomResource:
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{group['name']}-group",
            api_version=objects.API_VERSION,
            kind="WorkloadGroup",
            metadata={"name": group["name"], "namespace": self._namespace},
            spec=objects.workload_group_spec(
                labels=dict(group.get("labels") or {}),
                annotations=dict(group.get("annotations") or {}),
                service_account=group["service_account"],
                ports=group.get("ports") or [],
                network=_network(group, self._args),
                locality=group.get("locality"),
                weight=group.get("weight"),
                probe=group.get("probe"),
            ),
            opts=options,
        )

    def _access(self, options: pulumi.ResourceOptions) -> list[pulumi.CustomResource]:
        """Who may put machines into the mesh."""
        given = self._args.get("token_subjects")
        if not given:
            return []
        groups = self._args.get("groups") or []
        accounts = [*(self._args.get("service_accounts") or []), *(group["service_account"] for group in groups)]
        name = f"{self._name}-tokens"
        metadata: Any = {"name": name, "namespace": self._namespace}
        rules: Any = access.role_rules(accounts)
        subjects: Any = access.subjects(given, self._namespace)
        role = k8s.rbac.v1.Role(name, metadata=metadata, rules=rules, opts=options)
        binding = k8s.rbac.v1.RoleBinding(
            name,
            metadata=metadata,
            role_ref={"api_group": access.RBAC, "kind": "Role", "name": name},
            subjects=subjects,
            opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[role])),
        )
        return [role, binding]

    def _shared_rules(self, mesh: pulumi.Output[dict[str, str]]) -> list[pulumi.CustomResource]:
        """The firewall rules of machines that have a security group, a tag or a service account together."""
        made: list[pulumi.CustomResource] = []
        for shared in self._args.get("shared_rules") or []:
            rules = Rules(self, self._label, f"{self._name}-{shared['name']}", shared, mesh)
            made += [*rules.before_host, *rules.before_drain]
        return made

    def _network(self) -> list[pulumi.CustomResource]:
        network = self._args.get("network")
        if not network:
            return []
        patch = k8s.core.v1.NamespacePatch(
            f"{self._name}-network",
            metadata={
                "name": self._istio_namespace_that_exists(),
                "labels": {_NETWORK_LABEL: network},
                "annotations": {"pulumi.com/patchFieldManager": _FIELD_MANAGER},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [patch]

    def _istio_namespace_that_exists(self) -> pulumi.Input[str]:
        """The provider would create a namespace that a patch does not find, so it is looked for first, at `up` and in
        a preview that can reach the cluster."""
        wanted = self._istio_namespace
        if self._offline and pulumi.runtime.is_dry_run():
            return wanted

        def look(known: list[Any]) -> str:
            with cluster.connect(*known) as asking:
                asking.require_namespace(wanted)
            return wanted

        return asked(self._label, pulumi.Output.all(*credentials(self._args)), look, unreached=wanted)


def _whole(mesh: dict[str, str], gateway: dict[str, str], args: MeshExpansionArgs) -> dict[str, str]:
    groups = {
        group["name"]: {"serviceAccount": group["service_account"], "network": _network(group, args)}
        for group in args.get("groups") or []
    }
    return {
        "version": facts.VERSION,
        "flavor": Flavor(args.get("flavor", Flavor.ISTIO)).value,
        **mesh,
        "clusterNetwork": args.get("network") or "",
        "groups": json.dumps(groups, sort_keys=True, separators=(",", ":")),
        "gatewayAddress": gateway["address"],
        "gatewayAddresses": gateway["addresses"],
        "gatewayAddressKind": gateway["addressKind"],
        "gatewayPort": gateway["istiodPort"],
        "gatewayNetworkPort": gateway["networkPort"],
    }


def _network(group: GroupArgs, args: MeshExpansionArgs) -> str:
    """The network of a group's machines: the pods' own, unless the group says otherwise."""
    return group.get("network") or args.get("network") or ""
