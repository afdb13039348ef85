"""The files that the sidecar reads: cluster.env, the mesh config, and the line of /etc/hosts."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

# Variables that only cluster.env has: the rest are proxyMetadata, which istioctl writes to both files.
_ENV_ONLY: Final = frozenset(
    {
        "CA_ADDR",
        "CLOUD_PLATFORM",
        "ISTIO_INBOUND_PORTS",
        "ISTIO_LOCAL_EXCLUDE_PORTS",
        "ISTIO_NAMESPACE",
        "ISTIO_SERVICE",
        "ISTIO_SERVICE_CIDR",
        "ISTIO_SVC_IP",
    }
)
# istioctl's own quoting (istio: pkg/util/shellescape) leaves a value bare when it has these characters alone: its
# character class is mis-written, so digits and all letters but `w` are quoted. Its backslash is not among ours: bash
# would drop it, or join the next line.
_BARE: Final = re.compile(r"[w@%+=:,./-]+\Z")


class _Quoted(yaml.SafeDumper):
    """Writes every string in double quotes: the agent's reader sees numbers and booleans where PyYAML's does not."""


_Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def cluster_env(variables: Mapping[str, str]) -> str:
    """The text of cluster.env, byte for byte as istioctl writes it: one quoted variable a line, lines sorted."""
    lines = sorted((f"{name}={_quoted(value)}" for name, value in variables.items()), key=str.encode)
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    if _BARE.match(value):
        return value
    return "'" + value.replace("'", "'\"'\"'") + "'"


def proxy_config(
    default_config: Mapping[str, Any],
    variables: Mapping[str, str],
    probe: Mapping[str, Any] | None,
    discovery_address: str,
) -> dict[str, Any]:
    """The VM's ProxyConfig: the mesh's default, the variables as proxyMetadata, and the readiness probe."""
    metadata = {name: value for name, value in variables.items() if name not in _ENV_ONLY}
    config: dict[str, Any] = {**default_config, "discoveryAddress": discovery_address}
    config["proxyMetadata"] = {**(default_config.get("proxyMetadata") or {}), **metadata}
    config.pop("readinessProbe", None)
    if probe:
        config["readinessProbe"] = dict(probe)
    return config


def mesh_config(config: Mapping[str, Any]) -> str:
    """The text of /etc/istio/config/mesh: the ProxyConfig as `defaultConfig`."""
    # Plain types only: the text goes to a machine, and JSON is the narrowest way to say so.
    plain = json.loads(json.dumps({"defaultConfig": config}))
    return yaml.dump(plain, Dumper=_Quoted, sort_keys=True, default_flow_style=False, allow_unicode=True, width=10_000)


def readiness_probe(probe: Mapping[str, Any] | None, ports: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The readiness probe as ProxyConfig has it; TCP on the first port when none is given, none without ports.

    The agent asks by TCP as the proxy's user, whose connections to the machine's own address Istio's rules send to
    Envoy, and Envoy accepts whether or not the application listens. So TCP asks 127.0.0.1, which the rules leave alone,
    unless told otherwise. HTTP is asked from an address that the rules know.
    """
    if not ports:
        return None
    given = probe or {"tcp": {"port": ports[0]["number"]}}
    result: dict[str, Any] = {}
    if http := given.get("http"):
        result["httpGet"] = {"path": http.get("path") or "/", "port": http["port"]}
        if http.get("host"):
            result["httpGet"]["host"] = http["host"]
        if http.get("scheme"):
            result["httpGet"]["scheme"] = http["scheme"]
        if http.get("headers"):
            result["httpGet"]["httpHeaders"] = [{"name": k, "value": v} for k, v in sorted(http["headers"].items())]
    if tcp := given.get("tcp"):
        result["tcpSocket"] = {"host": tcp.get("host") or _LOOPBACK, "port": tcp["port"]}
    if command := given.get("exec"):
        result["exec"] = {"command": list(command["command"])}
    for key, name in _TIMES.items():
        if given.get(key) is not None:
            result[name] = given[key]
    return result


_LOOPBACK: Final = "127.0.0.1"
_TIMES: Final = {
    "initial_delay_seconds": "initialDelaySeconds",
    "timeout_seconds": "timeoutSeconds",
    "period_seconds": "periodSeconds",
    "success_threshold": "successThreshold",
    "failure_threshold": "failureThreshold",
}


def discovery_host(discovery_address: str) -> str:
    """The name by which the proxy finds istiod, without the port."""
    return discovery_address.rsplit(":", 1)[0]
