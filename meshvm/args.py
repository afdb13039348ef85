"""Everything that a user types: the arguments and enums of the components, and what each of them means.

The text after each attribute is the reference in every language: Pulumi reads it into the schema. Strings may be
Outputs; enums, numbers and lists are plain (a component called from YAML gets an Output as an Output, and a list
or a number that is one cannot be read before it is known).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi


class Flavor(StrEnum):
    """Which control plane runs the mesh."""

    ISTIO = "ISTIO"
    """Istio as its own tools install it."""


class GatewayMode(StrEnum):
    """Where the gateway comes from by which VMs reach istiod."""

    EXISTING = "EXISTING"
    """It is there already: a Service, a host name or an address."""


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


class Platform(StrEnum):
    """Where the machine stands. The agent asks the metadata servers of three clouds, for two seconds at each start,
    when nobody tells it."""

    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    NONE = "none"


class VmGatewayArgs(TypedDict):
    """Arguments of VmGateway. Give one of `service`, `host` and `address`."""

    mode: GatewayMode
    """Where the gateway comes from."""
    service: NotRequired[pulumi.Input[str]]
    """The gateway's Service as `namespace/name`, for example `istio-system/istio-eastwestgateway`. Its address is read
    from the load balancer's status (an IP address before a host name), and its ports must include 15012."""
    host: NotRequired[pulumi.Input[str]]
    """Host name of the gateway, when no Service is to be read."""
    address: NotRequired[pulumi.Input[str]]
    """IP address of the gateway, when no Service is to be read."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Credentials for reading the Service: a path or the content of a kubeconfig file; make the content a secret.
    Default: the ambient ones (`KUBECONFIG`, `~/.kube/config`, the pod's own account)."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""


class MeshExpansionArgs(TypedDict):
    """Arguments of MeshExpansion."""

    namespace: pulumi.Input[str]
    """Namespace of the workloads. It must exist."""
    gateway: pulumi.Input[Mapping[str, Any]]
    """The gateway by which VMs reach istiod: the output `endpoint` of a VmGateway."""
    flavor: NotRequired[Flavor]
    """Which control plane runs the mesh. Default: `ISTIO`."""
    service_accounts: NotRequired[Sequence[str]]
    """Service accounts to create in `namespace`, one for each kind of workload. Leave out those that exist: an
    existing one is not adopted but refused."""
    network: NotRequired[str]
    """Network of the cluster's pods, when the VMs are in another one: becomes the label
    `topology.istio.io/network` of istiod's namespace. Default: none, all is one network."""
    istio_namespace: NotRequired[str]
    """Namespace of istiod. Default: `istio-system`."""
    revision: NotRequired[str]
    """Revision of istiod that the VMs connect to. Default: the one without a name."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Credentials for reading the mesh's facts: a path or the content of a kubeconfig file; make the content a secret.
    Default: the ambient ones. Needs `get` on the ConfigMaps `istio`, `istio-sidecar-injector` and
    `istio-ca-root-cert` and on the Deployment `istiod`."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""


class SshBastionArgs(TypedDict):
    """A machine on the way to the VM. The host key is pinned here too."""

    host: pulumi.Input[str]
    """Host name or address of the bastion."""
    port: NotRequired[int]
    """Its SSH port. Default: 22."""
    user: NotRequired[pulumi.Input[str]]
    """User to log in as. Default: `root`, as pulumi-command has it."""
    password: NotRequired[pulumi.Input[str]]
    """Password. Always treated as a secret."""
    private_key: NotRequired[pulumi.Input[str]]
    """Private key, the text of the file. Always treated as a secret."""
    private_key_password: NotRequired[pulumi.Input[str]]
    """Passphrase of the private key. Always treated as a secret."""
    host_key: NotRequired[pulumi.Input[str]]
    """Public host key, one line as in `authorized_keys`; Ed25519 or ECDSA."""
    insecure_ignore_host_key: NotRequired[bool]
    """True: accept whatever machine answers. Default: false, and then `host_key` is required."""


class SshArgs(TypedDict):
    """How to reach the machine. The user is root or may use `sudo` without a password. With neither password nor
    private key the SSH agent is asked."""

    host: pulumi.Input[str]
    """Host name or address to connect to."""
    port: NotRequired[int]
    """SSH port. Default: 22."""
    user: NotRequired[pulumi.Input[str]]
    """User to log in as. Default: `root`, as pulumi-command has it."""
    password: NotRequired[pulumi.Input[str]]
    """Password. Always treated as a secret."""
    private_key: NotRequired[pulumi.Input[str]]
    """Private key, the text of the file. Always treated as a secret."""
    private_key_password: NotRequired[pulumi.Input[str]]
    """Passphrase of the private key. Always treated as a secret."""
    agent_socket: NotRequired[pulumi.Input[str]]
    """Path of the SSH agent's socket. Default: `SSH_AUTH_SOCK`."""
    host_key: NotRequired[pulumi.Input[str]]
    """Public host key, one line as in `authorized_keys`; Ed25519 or ECDSA (the provider asks for an RSA key by SHA-1,
    which current servers refuse). Generate it in the program and plant it by cloud-init: then the first contact is
    pinned already."""
    insecure_ignore_host_key: NotRequired[bool]
    """True: accept whatever machine answers. Default: false, and then `host_key` is required."""
    bastion: NotRequired[SshBastionArgs]
    """A machine on the way. Default: none."""
    dial_attempts: NotRequired[int]
    """How often to try before the machine counts as unreachable: the tries are 5 s apart at most, and one that is not
    answered at all takes 15 s. Default: 70, which is five minutes for a machine that refuses while it boots."""


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


class ProxyArgs(TypedDict):
    """The sidecar to install."""

    version: NotRequired[pulumi.Input[str]]
    """Version of Istio. Default: the control plane's."""
    runtime: NotRequired[Runtime]
    """How it runs. Default: `SYSTEMD`."""
    package: pulumi.Input[str]
    """Where the machine gets `istio-sidecar.deb` or `.rpm` from: an `https://` or `http://` address, or an absolute
    path on the machine."""
    sha256: pulumi.Input[str]
    """Checksum of the package, 64 hexadecimal digits. A package with another one is not installed."""


class AwsArgs(TypedDict):
    """Security group rules on AWS. A rule that is not derived from what is declared is not made."""

    security_group_id: pulumi.Input[str]
    """The machine's own security group; meshvm adds rules to it and owns those alone."""
    peer_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the cluster's nodes: may reach the declared ports."""
    peer_cidrs: NotRequired[Sequence[str]]
    """Address ranges that may reach the declared ports, for example the pods'. Default: none."""
    ssh_from: NotRequired[Sequence[str]]
    """Address ranges from which the runner (or the bastion) connects by SSH. Default: none, no rule is made."""
    gateway_cidrs: NotRequired[Sequence[str]]
    """Address ranges of the gateway, for a load balancer with a host name. Default: the gateway's address, when it is
    an IP address."""


class MeshVmArgs(TypedDict):
    """Arguments of MeshVm."""

    mesh: pulumi.Input[Mapping[str, Any]]
    """What a VM needs to know of the mesh: the output `mesh` of a MeshExpansion, also by StackReference."""
    machine_id: pulumi.Input[str]
    """Identity of the machine: another value means another machine. Give the id of the cloud's instance
    (`instance.id`): then off-boarding is left out when the instance goes in the same run, and the registration is
    replaced together with it. A literal has no owner: the machine stays, and is off-boarded."""
    address: pulumi.Input[str]
    """Address by which the mesh reaches the machine: an IP address, and one that the machine itself has."""
    ssh: SshArgs
    """How to reach the machine."""
    service_account: pulumi.Input[str]
    """Service account in the mesh's namespace that the machine runs as."""
    proxy: ProxyArgs
    """The sidecar to install."""
    labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels of the workload, which Services select by. `app` and `version` name it in telemetry. Default: none."""
    ports: NotRequired[Sequence[PortArgs]]
    """Ports that the application listens on. Default: none: the machine only calls, and is never in rotation."""
    probe: NotRequired[ProbeArgs]
    """How to ask whether the application is healthy. Default: TCP on the first port."""
    calls: NotRequired[Sequence[CallArgs]]
    """Services that the application calls; it sees these alone. Default: it sees all services of its namespace."""
    network: NotRequired[pulumi.Input[str]]
    """Network of the machine, when it is not the pods'. Default: none, all is one network."""
    locality: NotRequired[pulumi.Input[str]]
    """Locality as `region/zone/subzone`, for load balancing. Default: none."""
    weight: NotRequired[int]
    """Share of the traffic among the endpoints of a service. Default: none."""
    platform: NotRequired[Platform]
    """Where the machine stands. Default: `aws` when `aws` is given, else `none`."""
    drain_seconds: NotRequired[int]
    """Seconds between taking the machine out of rotation and stopping its sidecar. Default: 15."""
    healthy_seconds: NotRequired[int]
    """Seconds to wait until the application answers its probe; then the `up` fails. Default: 120."""
    token_seconds: NotRequired[int]
    """Life of the token by which the machine introduces itself, at least 600. Default: 3600."""
    rejoin: NotRequired[pulumi.Input[str]]
    """Any word; another word joins the machine again with a fresh token. Default: `1`."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Credentials for the token and for seeing the machine healthy: a path or the content of a kubeconfig file; make
    the content a secret. Default: the ambient ones. Needs `create` on the account's `token` and `get` on
    WorkloadEntries."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""
    aws: NotRequired[AwsArgs]
    """Make security group rules on AWS (extra `aws`). Default: none are made."""
