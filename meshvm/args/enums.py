"""The words that an argument may be."""

from enum import StrEnum


class Flavor(StrEnum):
    """Which control plane runs the mesh."""

    ISTIO = "ISTIO"
    """Istio as its own tools install it."""


class GatewayMode(StrEnum):
    """Where the gateway comes from by which VMs reach istiod."""

    EXISTING = "EXISTING"
    """It is there already: a Service, a host name or an address. istiod's own load balancer is one too."""
    CREATE = "CREATE"
    """meshvm makes the gateway: Deployment, Service, and what exposes istiod and, between networks, services."""


class Protocol(StrEnum):
    """Protocol of a port, by Istio's names. Declare it: what Istio has to guess it treats as opaque TCP."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"


class Runtime(StrEnum):
    """How the sidecar runs on the machine."""

    SYSTEMD = "SYSTEMD"
    """Istio's own package (deb or rpm) with its systemd unit."""


class Registration(StrEnum):
    """Who makes the machine's WorkloadEntry."""

    ENTRY = "ENTRY"
    """meshvm does: the entry is part of the graph, and leaves the rotation before the sidecar stops."""
    AUTO = "AUTO"
    """istiod does, from a WorkloadGroup, when the sidecar connects; it takes it back seconds after that has gone."""


class Capture(StrEnum):
    """How the application's traffic gets into the sidecar."""

    IPTABLES = "IPTABLES"
    """Rules on the machine redirect it; the application notices nothing."""
    NONE = "NONE"
    """No rules: the sidecar listens on the machine's address for each declared port and on 127.0.0.2 for each call, to
    which /etc/hosts leads; the application listens on 127.0.0.1 alone."""


class OutboundPolicy(StrEnum):
    """What the sidecar does with traffic to hosts that the mesh does not know."""

    ALLOW_ANY = "ALLOW_ANY"
    """Pass it through."""
    REGISTRY_ONLY = "REGISTRY_ONLY"
    """Refuse it."""


class IdentityKind(StrEnum):
    """By what the machine proves to istiod who it is."""

    TOKEN = "TOKEN"
    """A token of the service account, minted at the `up`."""
    GCE = "GCE"
    """The identity token of a machine on Google Compute Engine, from its metadata server. istiod must trust it."""
    FILES = "FILES"
    """Certificate and key in files on the machine, which somebody else issues and renews."""


class Platform(StrEnum):
    """Where the machine stands. The agent asks the metadata servers of three clouds, for two seconds at each start,
    when nobody tells it."""

    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    NONE = "none"
