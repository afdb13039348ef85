"""Where does a sidecar listen: for the declared ports, and, without iptables, for each call?

Without rules on the machine (capture NONE) the sidecar binds its listeners to real addresses: the declared ports to the
machine's own, the calls to a loopback address to which /etc/hosts leads their names. Istio takes one listener for each
port number of a Sidecar and no more (istio: pkg/config/validation, `ports on IP bound listeners must be unique`), which
decides the rest:

* A name has one address and may be called on several ports; a port has one listener. So one loopback address does for
  all calls, and no call can move another one's.
* HTTP calls to one port share its listener, which tells them apart by their Host. Istio's listener reads HTTP/1 and
  HTTP/2 alike, and each service is called by the protocol of its own port: mixed ones are declared as HTTP.
* Nothing tells two TCP services on one port apart, nor two by TLS: with an address of its own, a service gets no match
  by SNI (istio: pilot/pkg/networking/core/tls.go). `crowded_ports` names them.
* What the sidecar should know beside the calls (the services that telemetry goes to, `egress_hosts`) hangs on one more
  listener, an HTTP proxy; by it the application reaches what has port 80, as Istio's routes forget the others. A
  listener for each of their ports, as a Sidecar makes it when no port is named, would ask for istiod's 443 and for
  ports that something else may hold, and one that Envoy cannot bind keeps it from becoming ready.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

from meshvm.istio.names import CLUSTER_DOMAIN, called_hosts

CALLS_ADDRESS: Final = "127.0.0.2"
"""Where the sidecar listens for the application's calls; 127.0.0.1 is the application's own."""

PROXY_PORT: Final = 15080
"""Port of the HTTP proxy, unless something is called on it: then the next that is free."""

_APPLICATION: Final = "127.0.0.1"
_HTTP: Final = frozenset({"HTTP", "HTTP2", "GRPC"})
_DEFAULT_PROTOCOL: Final = "HTTP"


def ingress(
    ports: Sequence[Mapping[str, Any]], address: object, listeners: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The inbound listeners of capture NONE: each declared port and each further listener, bound for real.

    :param address: the machine's own address, by which it is reached; nothing looks into it.
    """
    declared = [_inbound(port, bind=address, endpoint=f"{_APPLICATION}:{port['number']}") for port in by_number(ports)]
    further = [
        _inbound(listener["port"], bind=listener.get("bind") or address, endpoint=default_endpoint(listener))
        for listener in listeners
    ]
    return [*declared, *further]


def _inbound(port: Mapping[str, Any], bind: object, endpoint: str) -> dict[str, Any]:
    return {"port": sidecar_port(port), "bind": bind, "captureMode": "NONE", "defaultEndpoint": endpoint}


def captured_ingress(
    ports: Sequence[Mapping[str, Any]], listeners: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The inbound listeners of capture IPTABLES when there are further ones; without them there are none to name.

    A Sidecar with `ingress` replaces what istiod would make of the workload's services (istio:
    pilot/pkg/networking/core/listener_inbound.go), so the declared ports are named with it. Without an endpoint they go
    where the caller sent them, as before.
    """
    if not listeners:
        return []
    further = []
    for listener in listeners:
        bound = {"bind": listener["bind"]} if listener.get("bind") else {}
        further.append({"port": sidecar_port(listener["port"]), **bound, "defaultEndpoint": default_endpoint(listener)})
    return [*({"port": sidecar_port(port)} for port in by_number(ports)), *further]


def default_endpoint(listener: Mapping[str, Any]) -> str:
    """Where the application answers behind a further listener."""
    return str(listener.get("default_endpoint") or f"{_APPLICATION}:{listener['port']['number']}")


def egress(
    calls: Sequence[Mapping[str, Any]], namespace: str, istio_namespace: str, egress_hosts: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The outbound listeners of capture NONE: one for each port that is called, and the HTTP proxy for all else that
    the sidecar knows. Without calls that is its namespace, as with iptables."""
    ports = sorted({call["port"] for call in calls})
    listeners = [_outbound([call for call in calls if call["port"] == port], namespace) for port in ports]
    known = [*(() if calls else ("./*",)), *egress_hosts, f"{istio_namespace}/*"]
    proxy = {"number": proxy_port(calls), "protocol": "HTTP_PROXY", "name": "http-proxy"}
    return [*listeners, _bound(proxy, without_covered(known, namespace))]


def _outbound(calls: Sequence[Mapping[str, Any]], namespace: str) -> dict[str, Any]:
    """The listener of the calls to one port."""
    protocols = {_protocol(call) for call in calls}
    protocol = protocols.pop() if len(protocols) == 1 else _DEFAULT_PROTOCOL
    number = calls[0]["port"]
    hosts = sorted({host for call in calls for host in called_hosts(call["host"], namespace)})
    return _bound({"number": number, "protocol": protocol, "name": f"{protocol.lower()}-{number}"}, hosts)


def _bound(port: dict[str, Any], hosts: list[str]) -> dict[str, Any]:
    return {"port": port, "bind": CALLS_ADDRESS, "captureMode": "NONE", "hosts": hosts}


def proxy_port(calls: Sequence[Mapping[str, Any]]) -> int:
    """The port of the HTTP proxy on the address of the calls."""
    called = {call["port"] for call in calls}
    return next(port for port in range(PROXY_PORT, PROXY_PORT + len(called) + 1) if port not in called)


def crowded_ports(calls: Sequence[Mapping[str, Any]], namespace: str) -> dict[int, list[str]]:
    """The ports whose calls one listener cannot tell apart, with the hosts that are called on them: there are several,
    or several protocols, and not all of them are HTTP."""
    crowded: dict[int, list[str]] = {}
    for port in sorted({call["port"] for call in calls}):
        here = [call for call in calls if call["port"] == port]
        kinds = {(_protocol(call), *called_hosts(call["host"], namespace)) for call in here}
        if len(kinds) > 1 and not {_protocol(call) for call in here} <= _HTTP:
            crowded[port] = sorted({str(call["host"]) for call in here})
    return crowded


def _protocol(call: Mapping[str, Any]) -> str:
    return str(call.get("protocol") or _DEFAULT_PROTOCOL)


def bound_ports(
    ports: Iterable[Mapping[str, Any]], listeners: Iterable[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Every port that the sidecar binds with capture NONE, ascending. Nothing else on the machine may listen there on
    all addresses, and the proxy's user must be allowed to bind the lowest."""
    inbound = {*(port["number"] for port in ports), *(listener["port"]["number"] for listener in listeners)}
    return sorted({*inbound, *(call["port"] for call in calls), proxy_port(calls)})


def host_aliases(calls: Sequence[Mapping[str, Any]], namespace: str) -> list[str]:
    """The lines of /etc/hosts that lead the called names to the sidecar: a service of the mesh by each form of its name
    that the mesh itself knows, an external one as it is. An address or a wildcard has no name to lead."""
    services = {tuple(_aliases(str(call["host"]), namespace)) for call in calls if _is_name(str(call["host"]))}
    return [f"{CALLS_ADDRESS} {' '.join(names)}" for names in sorted(services)]


def _aliases(host: str, namespace: str) -> list[str]:
    full = called_hosts(host, namespace)[0].partition("/")[2]
    name, _, rest = full.partition(".")
    where, _, domain = rest.partition(".")
    if domain != f"svc.{CLUSTER_DOMAIN}":
        return [full]
    short = [name] if where == namespace else []
    return [full, f"{name}.{where}.svc", f"{name}.{where}", *short]


def _is_name(host: str) -> bool:
    if "*" in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def without_covered(hosts: Iterable[str], namespace: str) -> list[str]:
    """The hosts of a Sidecar without those that another one of them covers, of which istiod's webhook would warn."""
    full = {host: namespace + host[1:] if host.startswith("./") else host for host in hosts}
    distinct = {name: host for host, name in reversed(full.items())}
    kept = (name for name in full.values() if not (_covering(name) & distinct.keys()) - {name})
    return [distinct[name] for name in dict.fromkeys(kept)]


def _covering(host: str) -> set[str]:
    return {"*/*", f"{host.partition('/')[0]}/*"}


def sidecar_port(port: Mapping[str, Any]) -> dict[str, Any]:
    """A declared port as a Sidecar has it."""
    return {"number": port["number"], "protocol": str(port["protocol"]), "name": port["name"]}


def by_number(ports: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The ports ascending, so that their order in the program changes nothing."""
    return sorted(ports, key=lambda port: int(port["number"]))
