"""Which values the join script gets, and which of them a preview shows when they change."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final

from meshvm.bootstrap.bundle import bundle, digest
from meshvm.istio.files import cluster_env, discovery_host, mesh_config, proxy_config, readiness_probe
from meshvm.istio.listeners import bound_ports, host_aliases
from meshvm.istio.settings import Setting, discovery_address, present

# How long the sidecar may take until it has its certificate and configuration, in seconds.
READY_SECONDS: Final = 60
OPTIONAL: Final = frozenset({"aliases", "certificate", "dualStack", "privateKey", "sidecarPorts"})
"""Settings that may be left out when they are empty."""

# The sidecar's logs, when `access_log` says nothing of them.
_LOG_MEGABYTES: Final = 50
_LOG_FILES: Final = 5
# The shell variable of each setting that goes to the machine as it is.
_AS_IT_IS: Final = {
    "MESHVM_ADDRESS": "instanceAddress",
    "MESHVM_ALIASES": "aliases",
    "MESHVM_CAPTURE": "capture",
    "MESHVM_CERTIFICATE": "certificate",
    "MESHVM_DUAL_STACK": "dualStack",
    "MESHVM_GATEWAY": "gateway",
    "MESHVM_GATEWAY_KIND": "gatewayKind",
    "MESHVM_GATEWAY_PORT": "gatewayPort",
    "MESHVM_IDENTITY": "identity",
    "MESHVM_ISTIOD": "istiod",
    "MESHVM_LOG_FILES": "logFiles",
    "MESHVM_LOG_MEGABYTES": "logMegabytes",
    "MESHVM_LOG_ROTATION": "logRotation",
    "MESHVM_MARK": "machine",
    "MESHVM_PACKAGE": "package",
    "MESHVM_PRIVATE_KEY": "privateKey",
    "MESHVM_SHA256": "sha256",
    "MESHVM_SIDECAR_PORTS": "sidecarPorts",
    "MESHVM_SPIFFE_ID": "spiffeId",
}


@functools.cache
def join_settings() -> Mapping[str, Setting]:
    """What decides, beside cluster.env, whether a machine is joined again: by name, each from its own inputs.

    They are the Command's triggers, so a preview prints the one that changes.
    """
    settings: dict[str, Setting] = {
        "aliases": _aliases,
        "capture": _mode,
        "certificate": lambda identity: identity.get("certificate") or "",
        "defaultConfig": _default_config,
        "discoveryAddress": discovery_address,
        "dualStack": lambda dual_stack: "true" if dual_stack else "",
        "gateway": _gateway,
        "gatewayKind": lambda mesh: mesh["gatewayAddressKind"],
        "gatewayPort": lambda mesh: mesh["gatewayPort"],
        "identity": lambda identity: str(identity["kind"]),
        "instanceAddress": _own_address,
        "istiod": lambda mesh: discovery_host(mesh["discoveryAddress"]),
        "logFiles": lambda access_log: str((access_log or {}).get("keep") or _LOG_FILES),
        "logMegabytes": lambda access_log: str((access_log or {}).get("max_megabytes") or _LOG_MEGABYTES),
        # A line for each request fills a disk: then the logs have to be rotated, else they are where that is easy.
        "logRotation": lambda access_log: "required" if access_log else "where logrotate is",
        "machine": lambda machine: machine,
        "package": lambda package: package,
        "privateKey": lambda identity: identity.get("private_key") or "",
        "probe": _probe,
        "proxyVersion": lambda version: version,
        "rejoin": lambda rejoin: rejoin,
        "rootCertificate": lambda mesh: hashlib.sha256(mesh["rootCertificate"].encode()).hexdigest(),
        "script": lambda: digest("join", "gateway"),
        "sha256": lambda sha256: sha256,
        "sidecarPorts": _sidecar_ports,
        "spiffeId": lambda spiffe: spiffe,
    }
    return MappingProxyType(settings)


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

    :param settings: `join_settings`, resolved; those of `OPTIONAL` may be missing.
    :param variables: the variables of cluster.env, resolved.
    :param token: empty for a machine that proves by something else who it is.
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
        **{name: settings.get(setting, "") for name, setting in _AS_IT_IS.items()},
        "MESHVM_ASK": ask,
        "MESHVM_BRIDGES": everything.get("KUBE_VIRT_INTERFACES", "").replace(",", " "),
        "MESHVM_CLUSTER_ENV": cluster_env(everything),
        "MESHVM_DNS": everything.get("ISTIO_META_DNS_CAPTURE", ""),
        "MESHVM_FOLLOW": _follow(settings),
        "MESHVM_MESH_CONFIG": mesh_config(config),
        "MESHVM_NAT": "" if _own_address(variables["ISTIO_SVC_IP"]) == settings["instanceAddress"] else "true",
        "MESHVM_READY_SECONDS": str(READY_SECONDS),
        "MESHVM_ROOT_CERTIFICATE": root_certificate,
        "MESHVM_RUN": run,
        "MESHVM_TOKEN": token,
        "MESHVM_TOKEN_ERROR": token_error,
    }


def request_to_ask(address: str, ports: Sequence[Mapping[str, Any]], probe: Mapping[str, Any] | None) -> str:
    """The address of one plain HTTP request to the application: what its probe asks, else its first HTTP port.

    :param address: the machine's own address (`instance_address`): behind a NAT it cannot ask itself by another.
    """
    host = f"[{address}]" if ":" in address else address
    http = (probe or {}).get("http")
    if http and http.get("scheme", "HTTP") == "HTTP":
        return f"http://{host}:{http['port']}/{(http.get('path') or '/').lstrip('/')}"
    numbers = [port["number"] for port in ports if str(getattr(port["protocol"], "value", port["protocol"])) == "HTTP"]
    return f"http://{host}:{numbers[0]}/" if numbers else ""


def _follow(settings: Mapping[str, str]) -> str:
    """The script that keeps up with a gateway whose host name changes its addresses; none for one with addresses."""
    if settings["gatewayKind"] != "host":
        return ""
    return bundle("gateway", {"MESHVM_GATEWAY": settings["gateway"], "MESHVM_ISTIOD": settings["istiod"]})


def _gateway(mesh: Mapping[str, str]) -> str:
    """The gateway's host name, or all its addresses."""
    return mesh["gatewayAddress"] if mesh["gatewayAddressKind"] == "host" else mesh["gatewayAddresses"]


def _mode(capture: Mapping[str, Any]) -> str:
    return str(capture.get("mode") or "IPTABLES")


def _aliases(mesh: Mapping[str, str], capture: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> str:
    """Without rules the names that the application calls lead to the sidecar's own listeners."""
    return "\n".join(host_aliases(calls, mesh["namespace"])) if _mode(capture) == "NONE" else ""


def _sidecar_ports(
    capture: Mapping[str, Any],
    ports: Sequence[Mapping[str, Any]],
    listener_ports: Sequence[int],
    calls: Sequence[Mapping[str, Any]],
) -> str:
    """Without rules the sidecar needs these ports for itself."""
    listeners = [{"port": {"number": number}} for number in listener_ports]
    numbers = bound_ports(ports, listeners, calls) if _mode(capture) == "NONE" else []
    return " ".join(str(number) for number in numbers)


def _probe(ports: Sequence[Mapping[str, Any]], probe: Mapping[str, Any] | None) -> str:
    return _compact(readiness_probe(probe, list(ports)))


def _default_config(default_config: Mapping[str, Any]) -> str:
    return _compact(default_config)


def _own_address(instance_address: str) -> str:
    """An IP address in its shortest form, as `ip` prints it; anything else as it is."""
    try:
        return str(ip_address(instance_address))
    except ValueError:
        return instance_address


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
