"""What is asked of the cluster at an `up` and never in a preview: the token, and whether the machine is in rotation.

An answer that is an error does not end the program, which may have other machines to do: it travels to the resource
that needs the answer, and that one fails.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from meshvm import cluster
from meshvm.args import IdentityKind, MeshVmArgs
from meshvm.errors import ArgumentError, ClusterError, MeshvmError
from meshvm.inputs import Inputs
from meshvm.outputs import at_up, credentials, gathered

_TOKEN_SECONDS = 3600
_HEALTHY_SECONDS = 120


def token(
    label: str,
    args: MeshVmArgs,
    inputs: Inputs,
    sidecar: pulumi.Resource,
    before: Sequence[pulumi.Resource],
) -> pulumi.Output[dict[str, str]]:
    """A token of the machine's account, minted when everything before the join is there; or why there is none.

    :param sidecar: the machine's own, which the Kubernetes provider has made: the credentials must lead to the cluster
        that has it, or the token would be one of another cluster.
    """
    if inputs["identity"]["kind"] != IdentityKind.TOKEN:
        return pulumi.Output.secret({"token": "", "error": ""})
    seconds = args.get("token_seconds") or _TOKEN_SECONDS

    def mint(known: list[Any]) -> dict[str, str]:
        mesh, account, kubeconfig, context, metadata = known[:5]
        try:
            with cluster.connect(kubeconfig, context) as asking:
                _require_same_cluster(asking, metadata)
                minted = asking.token(mesh["namespace"], account, seconds)
        except MeshvmError as error:
            return {"token": "", "error": str(error)}
        return {"token": minted.text, "error": "", "seconds": str(minted.seconds)}

    def asks() -> pulumi.Output[list[Any]]:
        metadata: pulumi.Output[Mapping[str, Any]] = sidecar.metadata  # type: ignore[attr-defined]
        first = [inputs["mesh"], inputs["service_account"], *credentials(args), metadata]
        return gathered([*first, *(one.urn for one in before)])

    minted = at_up(asks, mint)

    def tell(answer: dict[str, str]) -> dict[str, str]:
        if int(answer.get("seconds", seconds)) < seconds:
            granted = f"the API server gives {answer['seconds']} s and not {seconds} s"
            remedy = "write at most that, or raise its --service-account-max-token-expiration"
            pulumi.log.warn(f"{label}: token_seconds: {granted}; {remedy}")
        return {key: answer[key] for key in ("token", "error")}

    return pulumi.Output.secret(minted.apply(tell))


def _require_same_cluster(asking: cluster.Cluster, metadata: Mapping[str, Any]) -> None:
    """An error when the Sidecar that the provider made is not in the cluster that the credentials lead to."""
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    try:
        found = asking.uid("Sidecar", namespace, name)
    except ClusterError as error:
        if not error.missing:
            raise
        found = "none"
    # Credentials that may not look find nothing out, and a recorder's objects have no uid.
    if found and metadata.get("uid") and found != metadata["uid"]:
        wrong = (
            f"it leads to another cluster than the Kubernetes provider, which has made the Sidecar {namespace}/{name}"
        )
        raise ArgumentError("kubeconfig", wrong, "give both the same cluster")


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

    return at_up(lambda: gathered([inputs["mesh"], inputs["entry"], *credentials(args), joined]), wait)
