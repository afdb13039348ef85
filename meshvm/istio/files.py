"""The files that the sidecar reads: cluster.env, the mesh config, and the line of /etc/hosts."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.istio import go_yaml
from meshvm.istio.canonical import camel
from meshvm.istio.messages import PROXY_CONFIG

PROXY_CONFIG_ANNOTATION: Final = "proxy.istio.io/config"
_ANNOTATION_PATH: Final = f"annotations[{PROXY_CONFIG_ANNOTATION!r}]"
_CALLED_IN_TRACES: Final = frozenset({"serviceCluster", "tracingServiceName"})

# Variables that only cluster.env has: the rest are proxyMetadata, which istioctl writes to both files.
_ENV_ONLY: Final = frozenset(
    {
        "CA_ADDR",
        "CLOUD_PLATFORM",
        "CREDENTIAL_FETCHER_TYPE",
        "ISTIOD_SAN",
        "ISTIO_CUSTOM_IP_TABLES",
        "ISTIO_DUAL_STACK",
        "ISTIO_EXCLUDE_INTERFACES",
        "ISTIO_INBOUND_PORTS",
        "ISTIO_LOCAL_EXCLUDE_PORTS",
        "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE",
        "ISTIO_NAMESPACE",
        "ISTIO_OUTBOUND_PORTS",
        "ISTIO_SERVICE",
        "ISTIO_SERVICE_CIDR",
        "ISTIO_SERVICE_EXCLUDE_CIDR",
        "ISTIO_SVC_IP",
        "KUBE_VIRT_INTERFACES",
        "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION",
    }
)
# istioctl's own quoting (istio: pkg/util/shellescape) leaves a value bare when it has these characters alone: its
# character class is mis-written, so digits and all letters but `w` are quoted. Its backslash is not among ours: bash
# would drop it, or join the next line.
_BARE: Final = re.compile(r"[w@%+=:,./-]+\Z")
# What bash takes for the name of a variable; it would run any other line as a command. Those that it does not let
# anybody set would end the sidecar's start script.
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_READ_ONLY: Final = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


def is_variable(name: str) -> bool:
    """Whether a shell can have a variable of this name."""
    return bool(_VARIABLE.match(name)) and name not in _READ_ONLY


def cluster_env(variables: Mapping[str, str]) -> str:
    """The text of cluster.env, byte for byte as istioctl writes it: one quoted variable a line, lines sorted.

    Proxy metadata that no shell can have as a variable (`a.b`) is left out: the sidecar reads it from the mesh config.
    """
    lines = sorted(
        (f"{name}={_quoted(value)}" for name, value in variables.items() if is_variable(name)), key=str.encode
    )
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    if _BARE.match(value):
        return value
    return "'" + value.replace("'", "'\"'\"'") + "'"


def with_annotations(default_config: Mapping[str, Any], *annotations: Mapping[str, str]) -> dict[str, Any]:
    """The mesh's default ProxyConfig with what each annotation `proxy.istio.io/config` says over it; the later wins.

    As in Istio, a field of the annotation replaces the whole field (`tracing: {sampling: 1}` takes the tracer away),
    but proxyMetadata is merged by its names.
    """
    return annotated(PROXY_CONFIG(default_config, "defaultConfig"), *annotations)


def annotated(config: dict[str, Any], *annotations: Mapping[str, str]) -> dict[str, Any]:
    """The same for a ProxyConfig that is in Istio's one form already."""
    for annotation in annotations:
        if PROXY_CONFIG_ANNOTATION in annotation:
            config = _over(config, _annotation(annotation[PROXY_CONFIG_ANNOTATION]))
    return config


def _over(config: dict[str, Any], annotation: Mapping[str, Any]) -> dict[str, Any]:
    changes = PROXY_CONFIG(annotation, _ANNOTATION_PATH)
    # A field that is set to its type's zero is not in `changes`, and goes.
    replaced = {camel(str(name)) for name, value in annotation.items() if value is not None} - {"proxyMetadata"}
    # Each says how the workload is called in traces: who gives one takes the other back.
    if replaced & _CALLED_IN_TRACES:
        replaced |= _CALLED_IN_TRACES
    merged = {**{name: value for name, value in config.items() if name not in replaced}, **changes}
    if "proxyMetadata" in changes:
        merged["proxyMetadata"] = {**config.get("proxyMetadata", {}), **changes["proxyMetadata"]}
    return merged


def _annotation(text: str) -> Mapping[str, Any]:
    try:
        documents = go_yaml.load(text)
    except ValueError as error:
        instead = "write the fields of a ProxyConfig as YAML"
        raise ArgumentError(_ANNOTATION_PATH, f"it is not YAML ({error})", instead) from None
    # As Istio does it: what follows the first document is not looked at.
    document = documents[0] if documents and documents[0] is not None else {}
    if not isinstance(document, Mapping):
        raise ArgumentError(_ANNOTATION_PATH, f"{document!r} is not a map", "write the fields of a ProxyConfig as YAML")
    return document


def proxy_config(
    default_config: Mapping[str, Any],
    variables: Mapping[str, str],
    probe: Mapping[str, Any] | None,
    discovery_address: str = "",
) -> dict[str, Any]:
    """The VM's ProxyConfig: the mesh's default, the variables as proxyMetadata, and the readiness probe.

    :param discovery_address: where the proxy finds istiod; empty for the default config's.
    """
    metadata = {name: value for name, value in variables.items() if name not in _ENV_ONLY}
    config: dict[str, Any] = dict(default_config)
    if discovery_address:
        config["discoveryAddress"] = discovery_address
    config["proxyMetadata"] = {**(default_config.get("proxyMetadata") or {}), **metadata}
    config.pop("readinessProbe", None)
    if probe is not None:
        config["readinessProbe"] = dict(probe)
    return config


def mesh_config(config: Mapping[str, Any]) -> str:
    """The text of /etc/istio/config/mesh: the ProxyConfig as `defaultConfig`."""
    return go_yaml.dump({"defaultConfig": config}, quoted=True)


def hosts(addresses: Iterable[str], name: str) -> str:
    """The lines of /etc/hosts by which the machine finds istiod: one for each address of the gateway."""
    return "".join(f"{address} {name}\n" for address in addresses)


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
