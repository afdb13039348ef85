"""One cluster's readiness for VMs, for one namespace of workloads."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from meshvm import cluster, facts
from meshvm.args import Flavor, MeshExpansionArgs
from meshvm.errors import ArgumentError
from meshvm.lint import rules
from meshvm.lint.shape import check_shape
from meshvm.outputs import asked, checked, credentials, reported

# istiod writes its root certificate into a namespace when it sees it, which may have been made a moment ago.
_ROOT_CERTIFICATE_SECONDS = 20
_NETWORK_LABEL = "topology.istio.io/network"
# Fixed, so that a destroy gives back exactly what this component took, whoever runs it.
_FIELD_MANAGER = "meshvm"


class MeshExpansion(pulumi.ComponentResource):
    """What a cluster needs before VMs join it, and what several VMs share.

    It owns the service accounts that it creates and the network label of istiod's namespace. It does not own the
    namespaces, istiod or the gateway.
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
        self._label = f'MeshExpansion "{name}"'
        with reported(self._label):
            _check(args)
        super().__init__("meshvm:index:MeshExpansion", name, {}, opts)
        self._args = args
        namespace = checked(self._label, "namespace", args["namespace"], rules.dns_label)

        found = self._facts(namespace)
        label = self._network_label(name)
        accounts = [self._account(name, account, namespace) for account in args.get("service_accounts") or []]

        # The map comes from what it describes, so that a VM that takes it waits for the accounts and the label.
        made = [one.id for one in (*accounts, *label)]
        # An account that is yet to be made hides nothing that is known already.
        self.mesh = pulumi.Output.all(found, *made).apply(lambda known: known[0], run_with_unknowns=True)
        self.register_outputs({"mesh": self.mesh})

    def _facts(self, namespace: pulumi.Output[str]) -> pulumi.Output[dict[str, str]]:
        args = self._args
        istio_namespace, revision = args.get("istio_namespace") or "istio-system", args.get("revision") or ""

        def read(known: list[Any]) -> dict[str, str]:
            workloads, endpoint, kubeconfig, context = known
            gateway = facts.check_endpoint("gateway", endpoint)
            patience = 0 if pulumi.runtime.is_dry_run() else _ROOT_CERTIFICATE_SECONDS
            with cluster.connect(kubeconfig, context) as asking:
                mesh = asking.mesh(workloads, istio_namespace, revision, patience)
            return _mesh(mesh, gateway, args)

        asks = pulumi.Output.all(namespace, args["gateway"], *credentials(args))
        return asked(self._label, asks, read)

    def _account(self, name: str, account: str, namespace: pulumi.Output[str]) -> k8s.core.v1.ServiceAccount:
        return k8s.core.v1.ServiceAccount(
            f"{name}-{account}",
            metadata={"name": account, "namespace": namespace},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _network_label(self, name: str) -> list[k8s.core.v1.NamespacePatch]:
        network = self._args.get("network")
        if not network:
            return []
        patch = k8s.core.v1.NamespacePatch(
            f"{name}-network",
            metadata={
                "name": self._istio_namespace_that_exists(),
                "labels": {_NETWORK_LABEL: network},
                "annotations": {"pulumi.com/patchFieldManager": _FIELD_MANAGER},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [patch]

    def _istio_namespace_that_exists(self) -> pulumi.Output[str]:
        """The provider would create a namespace that a patch does not find, so it is looked for first, at `up` and in
        a preview that can reach the cluster."""
        wanted = self._args.get("istio_namespace") or "istio-system"

        def look(known: list[Any]) -> str:
            with cluster.connect(*known) as asking:
                asking.require_namespace(wanted)
            return wanted

        return asked(self._label, pulumi.Output.all(*credentials(self._args)), look, unreached=wanted)


def _check(args: MeshExpansionArgs) -> None:
    check_shape(args, MeshExpansionArgs)
    accounts = list(args.get("service_accounts") or [])
    for index, account in enumerate(accounts):
        rules.dns_label(f"service_accounts[{index}]", account)
        if account in accounts[:index]:
            raise ArgumentError(f"service_accounts[{index}]", f"{account!r} is there twice", "name each account once")
    if args.get("network"):
        rules.label_value("network", args["network"])


def _mesh(mesh: dict[str, str], gateway: dict[str, str], args: MeshExpansionArgs) -> dict[str, str]:
    return {
        "version": facts.VERSION,
        "flavor": Flavor(args.get("flavor", Flavor.ISTIO)).value,
        **mesh,
        "clusterNetwork": args.get("network") or "",
        "gatewayAddress": gateway["address"],
        "gatewayAddressKind": gateway["addressKind"],
        "gatewayPort": gateway["istiodPort"],
        "gatewayNetworkPort": gateway["networkPort"],
    }
