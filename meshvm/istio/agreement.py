"""Do the facts of a mesh agree with each other, and with the gateway that leads to it?"""

import re
from collections.abc import Mapping

from meshvm.errors import ArgumentError


def check_agreement(mesh: Mapping[str, str], *, asked: bool) -> None:
    """An error for facts that no machine can join with.

    :param mesh: the map `mesh`.
    :param asked: whether the mesh config was asked of the cluster, and not given.
    """
    _check_revision(mesh, "revision" if asked else "mesh_config")
    port = mesh["gatewayPort"]
    if not port.isdigit():
        remedy = "give the output `endpoint` of a VmGateway whose gateway leads to istiod"
        raise ArgumentError("gateway.istiodPort", f"{port!r} is no port, so no machine reaches istiod by it", remedy)
    if mesh["clusterNetwork"] and not mesh["gatewayNetworkPort"]:
        wrong = (
            f"the pods are in the network {mesh['clusterNetwork']!r} of their own, and the gateway "
            f"{mesh['gatewayAddress']} has no port 15443 by which machines in another network reach them"
        )
        remedy = (
            "expose 15443 there (`create.network` of VmGateway does), or leave `network` out when pods and machines "
            "reach each other"
        )
        raise ArgumentError("network", wrong, remedy)


def _check_revision(mesh: Mapping[str, str], path: str) -> None:
    """Machines would connect to another control plane than the one whose facts these are."""
    address, namespace, wanted = mesh["discoveryAddress"], mesh["istioNamespace"], mesh["revision"]
    host = address.rpartition(":")[0] or address
    named = re.fullmatch(rf"istiod(-[^.]+)?\.{re.escape(namespace)}\.svc(\..+)?", host)
    found = (named[1] or "").removeprefix("-") if named else wanted
    if found == wanted:
        return
    wrong = (
        f"the mesh config sends machines to {address}, which is not the control plane of the revision "
        f"{wanted or 'default'!r}"
    )
    own = f"istiod-{wanted}" if wanted else "istiod"
    instead = f"or `revision`: {found or 'default'!r}"
    remedy = f"write {own}.{namespace}.svc:15012 in its defaultConfig.discoveryAddress, {instead}"
    raise ArgumentError(path, wrong, remedy)
