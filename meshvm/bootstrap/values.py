"""Which values the join script gets, and which of them a preview shows when they change."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from meshvm.bootstrap.bundle import digest
from meshvm.istio.files import cluster_env, discovery_host, mesh_config, proxy_config, readiness_probe
from meshvm.istio.settings import Setting, present

# How long the sidecar may take until it has its certificate and configuration, in seconds.
READY_SECONDS: Final = 60


def join_settings() -> dict[str, Setting]:
    """What decides, beside cluster.env, whether a machine is joined again: by name, each from its own inputs.

    They are the Command's triggers, so a preview prints the one that changes.
    """
    return {
        "defaultConfig": lambda mesh: mesh["defaultConfig"],
        "discoveryAddress": lambda mesh: mesh["discoveryAddress"],
        "gateway": lambda mesh: mesh["gatewayAddress"],
        "gatewayKind": lambda mesh: mesh["gatewayAddressKind"],
        "gatewayPort": lambda mesh: mesh["gatewayPort"],
        "machine": lambda machine: machine,
        "package": lambda package: package,
        "probe": _probe,
        "proxyVersion": lambda version: version,
        "rejoin": lambda rejoin: rejoin,
        "rootCertificate": lambda mesh: hashlib.sha256(mesh["rootCertificate"].encode()).hexdigest(),
        "script": lambda: digest("join"),
        "sha256": lambda sha256: sha256,
        "spiffeId": lambda spiffe: spiffe,
    }


def join_values(
    settings: Mapping[str, str],
    variables: Mapping[str, str],
    *,
    root_certificate: str,
    token: str,
    token_error: str,
    run: str,
    ask: str,
) -> dict[str, str]:
    """The shell variables of the join script.

    :param settings: `join_settings`, resolved.
    :param variables: the variables of cluster.env, resolved.
    :param token_error: why there is no token; the script says it before it touches anything.
    :param run: a word of this run, which comes back in the status of a join that really ran.
    :param ask: the address of the one request through the sidecar; empty for none.
    """
    default_config = json.loads(settings["defaultConfig"])
    variables = present(variables)
    everything = {**(default_config.get("proxyMetadata") or {}), **variables}
    probe = json.loads(settings["probe"])
    config = proxy_config(default_config, variables, probe, settings["discoveryAddress"])
    return {
        "MESHVM_ASK": ask,
        "MESHVM_CLUSTER_ENV": cluster_env(everything),
        "MESHVM_GATEWAY": settings["gateway"],
        "MESHVM_GATEWAY_KIND": settings["gatewayKind"],
        "MESHVM_GATEWAY_PORT": settings["gatewayPort"],
        "MESHVM_ISTIOD": discovery_host(settings["discoveryAddress"]),
        "MESHVM_MARK": settings["machine"],
        "MESHVM_MESH_CONFIG": mesh_config(config),
        "MESHVM_PACKAGE": settings["package"],
        "MESHVM_READY_SECONDS": str(READY_SECONDS),
        "MESHVM_ROOT_CERTIFICATE": root_certificate,
        "MESHVM_RUN": run,
        "MESHVM_SHA256": settings["sha256"],
        "MESHVM_SPIFFE_ID": settings["spiffeId"],
        "MESHVM_TOKEN": token,
        "MESHVM_TOKEN_ERROR": token_error,
    }


def request_to_ask(address: str, ports: Sequence[Mapping[str, Any]], probe: Mapping[str, Any] | None) -> str:
    """The address of one plain HTTP request to the application: what its probe asks, else its first HTTP port."""
    host = f"[{address}]" if ":" in address else address
    http = (probe or {}).get("http")
    if http and http.get("scheme", "HTTP") == "HTTP":
        return f"http://{host}:{http['port']}/{(http.get('path') or '/').lstrip('/')}"
    numbers = [port["number"] for port in ports if str(getattr(port["protocol"], "value", port["protocol"])) == "HTTP"]
    return f"http://{host}:{numbers[0]}/" if numbers else ""


def _probe(ports: Sequence[Mapping[str, Any]], probe: Mapping[str, Any] | None) -> str:
    return json.dumps(readiness_probe(probe, list(ports)), sort_keys=True, separators=(",", ":"))
