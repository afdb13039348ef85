"""What the application on a machine is, to the mesh: its ports, its probe, what it calls, and how its traffic goes."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from meshvm.args.enums import Capture, Protocol


class PortArgs(TypedDict):
    """A port that the application on the machine listens on."""

    name: str
    """Name of the port, as in a Kubernetes Service."""
    number: int
    """Port number on the machine, 1 to 65535."""
    protocol: Protocol
    """Its protocol."""


class HttpProbeArgs(TypedDict):
    """Ask by HTTP; 200 to 399 is healthy."""

    port: int
    """Port to ask."""
    host: NotRequired[str]
    """Address to ask. Default: the machine's `address`."""
    path: NotRequired[str]
    """Path. Default: `/`."""
    scheme: NotRequired[str]
    """`HTTP` or `HTTPS`. Default: `HTTP`."""
    headers: NotRequired[Mapping[str, str]]
    """Request headers. Default: none."""


class TcpProbeArgs(TypedDict):
    """Healthy when a connection is accepted."""

    port: int
    """Port to connect to."""
    host: NotRequired[str]
    """Address to connect to. Default: `127.0.0.1`; name another one when the application does not listen there. Not the
    machine's own `address`: there it is the sidecar that accepts."""


class ExecProbeArgs(TypedDict):
    """Healthy when a command on the machine succeeds; it runs as the proxy's user."""

    command: Sequence[str]
    """Program and arguments; no shell."""


class ProbeArgs(TypedDict):
    """How the sidecar asks whether the application is healthy: one of `http`, `tcp` and `exec`. The machine gets
    traffic after the first good answer and loses it with a bad one."""

    http: NotRequired[HttpProbeArgs]
    """Ask by HTTP."""
    tcp: NotRequired[TcpProbeArgs]
    """Ask by a TCP connection."""
    exec: NotRequired[ExecProbeArgs]
    """Ask by a command on the machine."""
    initial_delay_seconds: NotRequired[int]
    """Seconds before the first question. Default: 0."""
    timeout_seconds: NotRequired[int]
    """Seconds to wait for an answer. Default: 1."""
    period_seconds: NotRequired[int]
    """Seconds between two questions. Default: 10; a machine comes into rotation with the first good one."""
    success_threshold: NotRequired[int]
    """Good answers in a row until it is healthy. Default: 1."""
    failure_threshold: NotRequired[int]
    """Bad answers in a row until it is unhealthy. Default: 1."""


class CallArgs(TypedDict):
    """A service that the application calls."""

    host: str
    """Its name: `details.bookinfo`, `details.bookinfo.svc.cluster.local`, or an external host name."""
    port: int
    """Its port."""
    target_port: NotRequired[int]
    """Port of the pods behind it, for the firewall: in one network the sidecar connects there. Default: `port`."""
    protocol: NotRequired[Protocol]
    """Its protocol, for capture `NONE`, where the sidecar listens for the call: calls by `HTTP`, `HTTP2` or `GRPC` to
    one port share a listener; a port that is called by another protocol is for one host alone. Default: `HTTP`."""


class CaptureArgs(TypedDict):
    """What of the machine's traffic goes through the sidecar. All but `mode` is for mode `IPTABLES`."""

    mode: NotRequired[Capture]
    """How it gets there. Default: `IPTABLES`."""
    dns: NotRequired[bool]
    """Let the sidecar answer the machine's DNS questions, so that the mesh's names resolve. Default: true."""
    include_ranges: NotRequired[Sequence[str]]
    """Address ranges whose outbound traffic is captured (`ISTIO_SERVICE_CIDR`). Default: all."""
    exclude_ranges: NotRequired[Sequence[str]]
    """Address ranges whose outbound traffic is not captured (`ISTIO_SERVICE_EXCLUDE_CIDR`). Default: none."""
    exclude_inbound_ports: NotRequired[Sequence[int]]
    """Ports whose inbound traffic is not captured (`ISTIO_LOCAL_EXCLUDE_PORTS`), beside SSH's and the sidecar's own.
    With declared ports those alone are captured, so this is for a machine without. Default: none."""
    include_outbound_ports: NotRequired[Sequence[int]]
    """Ports whose outbound traffic is captured whatever its address (`ISTIO_OUTBOUND_PORTS`). Default: none."""
    exclude_outbound_ports: NotRequired[Sequence[int]]
    """Ports whose outbound traffic is not captured (`ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE`). Default: none."""
    exclude_interfaces: NotRequired[Sequence[str]]
    """Network interfaces that are left alone (`ISTIO_EXCLUDE_INTERFACES`). Default: none."""
    virtual_interfaces: NotRequired[Sequence[str]]
    """Bridges whose traffic counts as outbound (`KUBE_VIRT_INTERFACES`), such as `docker0` for containers on the
    machine. Default: none."""


class ListenerArgs(TypedDict):
    """A further listener of the sidecar for inbound traffic, as in `ingress` of a Sidecar."""

    port: PortArgs
    """The port that callers use."""
    bind: NotRequired[pulumi.Input[str]]
    """Address to listen on. Default: the machine's, by the kind of capture."""
    default_endpoint: NotRequired[str]
    """Where the application listens: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:///PATH`. Default: the same port of
    127.0.0.1."""


class AccessLogArgs(TypedDict):
    """A line for each request, in /var/log/istio/istio.log on the machine: a Telemetry object of this machine alone."""

    provider: NotRequired[str]
    """Name of a log provider in the mesh config's `extensionProviders`. Default: `envoy`, which every mesh has."""
    filter: NotRequired[str]
    """Which requests are logged, as an expression (CEL) such as `response.code >= 400`. Default: all."""
    max_megabytes: NotRequired[int]
    """Size at which the sidecar's logs are rotated, looked at once a day or as often as the machine's logrotate runs.
    Default: 50."""
    keep: NotRequired[int]
    """Number of old files to keep. Default: 5."""
