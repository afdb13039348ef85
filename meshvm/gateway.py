"""The gateway that VMs come in by."""

from collections.abc import Mapping
from typing import Any

import pulumi

from meshvm import cluster, facts
from meshvm.args import VmGatewayArgs
from meshvm.errors import ArgumentError
from meshvm.lint import rules
from meshvm.lint.shape import check_shape
from meshvm.outputs import asked, checked, credentials, reported

_ISTIOD_PORT = 15012
_NETWORK_PORT = 15443
_RULES = {"service": rules.service, "host": rules.host, "address": rules.ip}


class VmGateway(pulumi.ComponentResource):
    """The gateway by which VMs reach istiod, and pods in another network.

    It owns nothing when the gateway exists already: it finds out where it is and which ports it has. Sources:
    https://istio.io/latest/docs/setup/install/virtual-machine/.
    """

    endpoint: pulumi.Output[Mapping[str, Any]]
    """Where VMs connect to: a map of strings with the keys version, address, addressKind, istiodPort, networkPort and
    service. Give it to MeshExpansion."""

    def __init__(self, name: str, args: VmGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Find the gateway.

        :param name: name of the component.
        :param args: see VmGatewayArgs.
        :param opts: options of the component.
        """
        label = f'VmGateway "{name}"'
        with reported(label):
            kind = _check(args)
        super().__init__("meshvm:index:VmGateway", name, {}, opts)
        where = checked(label, kind, args[kind], _RULES[kind])  # type: ignore[literal-required]
        asks = pulumi.Output.all(where, *credentials(args))

        self.endpoint = asked(label, asks, lambda known: _endpoint(kind, *known))
        self.register_outputs({"endpoint": self.endpoint})


def _check(args: VmGatewayArgs) -> str:
    check_shape(args, VmGatewayArgs)
    given = [key for key in _RULES if args.get(key) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ArgumentError("service, host, address", f"{found} is given", "give exactly one of the three")
    return given[0]


def _endpoint(kind: str, where: str, kubeconfig: str | None, context: str | None) -> Any:  # noqa: ANN401 or UNKNOWN
    if kind != "service":
        return _map("host" if kind == "host" else "ip", where, [_ISTIOD_PORT, _NETWORK_PORT], "")
    with cluster.connect(kubeconfig, context) as asking:
        addresses, ports = asking.gateway(*where.split("/"))
    if _ISTIOD_PORT not in ports:
        remedy = "expose it there (istio: samples/multicluster/expose-istiod.yaml), or name the gateway that has it"
        raise ArgumentError("service", f"the Service {where} has no port {_ISTIOD_PORT} that leads to istiod", remedy)
    if not addresses:
        if pulumi.runtime.is_dry_run():
            return pulumi.UNKNOWN
        remedy = "wait for its load balancer, or give `host` or `address`"
        raise ArgumentError("service", f"the Service {where} has no address yet", remedy)
    return _map(*addresses[0], ports, where)


def _map(kind: str, address: str, ports: list[int], service: str) -> dict[str, str]:
    return {
        "version": facts.VERSION,
        "address": address,
        "addressKind": kind,
        "istiodPort": str(_ISTIOD_PORT),
        "networkPort": str(_NETWORK_PORT) if _NETWORK_PORT in ports else "",
        "service": service,
    }
