"""The gateway that VMs come in by."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pulumi
import pulumi_kubernetes as k8s

from meshvm import cluster, facts
from meshvm.args import CreateGatewayArgs, GatewayMode, VmGatewayArgs
from meshvm.errors import ArgumentError
from meshvm.istio import objects
from meshvm.istio.gateway import ISTIOD_PORT, NETWORK_PORT, EastWestGateway, named
from meshvm.lint import gateway as lint
from meshvm.lint.shape import check_shape, whole_numbers
from meshvm.outputs import asked, checked, credentials, reported

R = TypeVar("R", bound=pulumi.CustomResource)


class VmGateway(pulumi.ComponentResource):
    """The gateway by which VMs reach istiod, and pods in another network.

    With mode `EXISTING` it owns nothing: it finds out where the gateway is and which ports it has. With mode `CREATE`
    it owns the gateway's Deployment, Service, ServiceAccount, PodDisruptionBudget and HorizontalPodAutoscaler, and the
    Gateways and VirtualServices that expose istiod and, between networks, services. Sources:
    https://istio.io/latest/docs/setup/install/virtual-machine/.
    """

    endpoint: pulumi.Output[Mapping[str, Any]]
    """Where VMs connect to: a map of strings with the keys version, address, addresses, addressKind, istiodPort,
    networkPort and service. Give it to MeshExpansion."""

    def __init__(self, name: str, args: VmGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Find the gateway, or make it.

        :param name: name of the component.
        :param args: see VmGatewayArgs.
        :param opts: options of the component; `providers` names the Kubernetes provider.
        """
        args = whole_numbers(args)
        self._name, self._label = name, f'VmGateway "{name}"'
        with reported(self._label):
            check_shape(args, VmGatewayArgs)
            lint.check_gateway(args)
        super().__init__("meshvm:index:VmGateway", name, {}, opts)
        given = {path: checked(self._label, path, value, rule) for path, value, rule in lint.leaves(args)}

        if args["mode"] == GatewayMode.CREATE:
            self.endpoint = self._made(args.get("create") or {}, given)
        else:
            self.endpoint = self._found(args, given)
        self.register_outputs({"endpoint": self.endpoint})

    def _found(self, args: VmGatewayArgs, given: Mapping[str, Any]) -> pulumi.Output[Mapping[str, Any]]:
        ((kind, where),) = given.items()
        asks = pulumi.Output.all(where, *credentials(args))
        return asked(self._label, asks, lambda known: _existing(kind, *known))

    def _made(self, create: CreateGatewayArgs, given: Mapping[str, Any]) -> pulumi.Output[Mapping[str, Any]]:
        gateway = _east_west(create)
        annotations = {
            key: given[f"create.service_annotations[{key!r}]"] for key in create.get("service_annotations") or {}
        }
        ranges = create.get("source_ranges") or []
        account = self._resource(k8s.core.v1.ServiceAccount, "account", {"metadata": gateway.metadata()})
        service = self._resource(k8s.core.v1.Service, "service", gateway.service(annotations, ranges))
        pods = self._resource(k8s.apps.v1.Deployment, "deployment", gateway.deployment(), account)
        self._resource(k8s.policy.v1.PodDisruptionBudget, "disruption", gateway.disruption_budget())
        self._resource(k8s.autoscaling.v2.HorizontalPodAutoscaler, "autoscaler", gateway.autoscaler())
        # A VM that takes the endpoint waits for all that leads to istiod.
        known = pulumi.Output.all(service.status, *(one.id for one in (pods, *self._exposed(gateway))))
        return known.apply(lambda seen: self._endpoint(gateway, seen[0]))

    def _exposed(self, gateway: EastWestGateway) -> list[pulumi.CustomResource]:
        """What leads from the gateway to istiod and, between networks, to services."""
        to_istiod = self._istio("Gateway", "istiod", gateway.istiod_gateway())
        routes = [
            self._istio("VirtualService", f"istiod{named(revision)}-route", gateway.istiod_route(revision))
            for revision in gateway.revisions
        ]
        between = [self._istio("Gateway", "services", gateway.services_gateway())] if gateway.network else []
        return [to_istiod, *routes, *between]

    def _istio(self, kind: str, name: str, parts: Mapping[str, Any]) -> pulumi.CustomResource:
        whole = {"api_version": objects.API_VERSION, "kind": kind, **parts}
        return self._resource(k8s.apiextensions.CustomResource, name, whole)

    def _resource(self, kind: Callable[..., R], name: str, parts: Mapping[str, Any], *after: pulumi.Resource) -> R:
        return kind(f"{self._name}-{name}", **parts, opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)))

    def _endpoint(self, gateway: EastWestGateway, status: Any) -> Any:  # noqa: ANN401 or UNKNOWN
        """Where the gateway is, of its Service's status as the provider gives it."""
        points = ((status or {}).get("load_balancer") or {}).get("ingress") or []
        addresses = [("ip", point["ip"]) for point in points if point.get("ip")]
        addresses += [("host", point["hostname"]) for point in points if point.get("hostname")]
        where = f"{gateway.namespace}/{gateway.name}"
        with reported(self._label):
            remedy = "see what the cluster says of its load balancer, and run the update again"
            return _of_service("create", where, addresses, list(gateway.ports.values()), remedy)


def _east_west(create: CreateGatewayArgs) -> EastWestGateway:
    given = {key: create.get(key) for key in EastWestGateway.__dataclass_fields__}
    revisions = create.get("revisions")
    if revisions:
        # The one without a name is called `default` where it needs one.
        given["revisions"] = tuple("" if one == cluster.DEFAULT_REVISION else one for one in revisions)
    return EastWestGateway(**{key: value for key, value in given.items() if value})  # type: ignore[arg-type]


def _existing(kind: str, where: str, kubeconfig: str | None, context: str | None) -> Any:  # noqa: ANN401 or UNKNOWN
    if kind != "service":
        return _map("host" if kind == "host" else "ip", [where], [ISTIOD_PORT, NETWORK_PORT], "")
    with cluster.connect(kubeconfig, context) as asking:
        addresses, ports = asking.gateway(*where.split("/"))
    if ISTIOD_PORT not in ports:
        remedy = "expose it there (istio: samples/multicluster/expose-istiod.yaml), or name the gateway that has it"
        raise ArgumentError("service", f"the Service {where} has no port {ISTIOD_PORT} that leads to istiod", remedy)
    return _of_service("service", where, addresses, ports, "wait for its load balancer, or give `host` or `address`")


def _of_service(path: str, where: str, addresses: list[tuple[str, str]], ports: list[int], remedy: str) -> Any:  # noqa: ANN401 or UNKNOWN
    """The endpoint that a Service is.

    :param addresses: as (kind, address), the best first; only those of its kind count.
    :param remedy: what to do when it has none.
    """
    if not addresses:
        if pulumi.runtime.is_dry_run():
            return pulumi.UNKNOWN
        raise ArgumentError(path, f"the Service {where} has no address yet", remedy)
    kind = addresses[0][0]
    return _map(kind, [address for one, address in addresses if one == kind], ports, where)


def _map(kind: str, addresses: list[str], ports: list[int], service: str) -> dict[str, str]:
    return {
        "version": facts.VERSION,
        "address": addresses[0],
        "addresses": " ".join(addresses),
        "addressKind": kind,
        "istiodPort": str(ISTIOD_PORT),
        "networkPort": str(NETWORK_PORT) if NETWORK_PORT in ports else "",
        "service": service,
    }
