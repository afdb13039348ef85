"""What is asked of the cluster at an `up` and never in a preview: the token, and whether the machine is in rotation.

An answer that is an error does not end the program, which may have other machines to do: it travels to the resource
that needs the answer, and that one fails.
"""

from collections.abc import Sequence
from typing import Any

import pulumi

from meshvm import cluster
from meshvm.args import MeshVmArgs
from meshvm.errors import MeshvmError
from meshvm.inputs import Inputs
from meshvm.outputs import at_up, credentials

_TOKEN_SECONDS = 3600
_HEALTHY_SECONDS = 120


def token(args: MeshVmArgs, inputs: Inputs, before: Sequence[pulumi.Resource]) -> pulumi.Output[dict[str, str]]:
    """A token of the machine's account, minted when everything before the join is there; or why there is none."""
    seconds = args.get("token_seconds") or _TOKEN_SECONDS

    def mint(known: list[Any]) -> dict[str, str]:
        mesh, account, kubeconfig, context = known[:4]
        try:
            with cluster.connect(kubeconfig, context) as asking:
                minted = asking.token(mesh["namespace"], account, seconds)
        except MeshvmError as error:
            return {"token": "", "error": str(error)}
        return {"token": minted, "error": ""}

    asks = [inputs["mesh"], inputs["service_account"], *credentials(args)]
    return pulumi.Output.secret(at_up(pulumi.Output.all(*asks, *(one.urn for one in before)), mint))


def unhealthy(label: str, args: MeshVmArgs, inputs: Inputs, joined: pulumi.Output[str]) -> pulumi.Output[str]:
    """Why the machine is not in rotation when the time for it has passed; empty when it is.

    :param joined: the output of the join, to ask after it.
    """
    seconds = args.get("healthy_seconds") or _HEALTHY_SECONDS

    def wait(known: list[Any]) -> str:
        mesh, entry, kubeconfig, context, _ = known
        try:
            with cluster.connect(kubeconfig, context) as asking:
                reason = cluster.wait_healthy(asking, mesh["namespace"], entry, seconds)
        except MeshvmError as error:
            reason = str(error)
        if not reason:
            return ""
        return (
            f"{label}: the application did not answer its probe within {seconds} s ({reason}), so the entry "
            f"{mesh['namespace']}/{entry} gets no traffic; mend the application or `probe`, then run the update "
            f"again; what was in rotation before still is"
        )

    asks = [inputs["mesh"], inputs["entry"], *credentials(args), joined]
    return at_up(pulumi.Output.all(*asks), wait)
