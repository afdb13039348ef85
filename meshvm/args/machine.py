"""One machine: how it is reached, who it is, what is installed on it, and all that makes it a workload."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from meshvm.args.enums import IdentityKind, OutboundPolicy, Platform, Registration, Runtime
from meshvm.args.firewall import AwsArgs, FirewallArgs, GcpArgs
from meshvm.args.workload import AccessLogArgs, CallArgs, CaptureArgs, ListenerArgs, PortArgs, ProbeArgs


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


class IdentityArgs(TypedDict):
    """How the machine proves to istiod who it is."""

    kind: IdentityKind
    """By what."""
    certificate: NotRequired[str]
    """With `FILES`: absolute path on the machine of the certificate chain, PEM, with the SPIFFE id in it."""
    private_key: NotRequired[str]
    """With `FILES`: absolute path on the machine of the private key, PEM, readable by the user `istio-proxy`."""


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


class MeshVmArgs(TypedDict):
    """Arguments of MeshVm."""

    mesh: pulumi.Input[Mapping[str, Any]]
    """What a VM needs to know of the mesh: the output `mesh` of a MeshExpansion, also by StackReference."""
    machine_id: pulumi.Input[str]
    """Identity of the machine: another value means another machine. Give the id of the cloud's instance
    (`instance.id`): then off-boarding is left out when the instance goes in the same run, and the registration is
    replaced together with it. A literal has no owner: the machine stays, and is off-boarded."""
    address: pulumi.Input[str]
    """Address by which the mesh reaches the machine: an IP address, and one that the machine itself has, unless
    `instance_address` is given. In one network with the pods it is the private one."""
    instance_address: NotRequired[pulumi.Input[str]]
    """The machine's own address, when `address` is one that a NAT before the machine translates: `address` is the
    public one then, and this the private one. Default: `address`."""
    dual_stack: NotRequired[bool]
    """True: the machine has IPv4 and IPv6 and the mesh is dual stack. Default: false."""
    ssh: SshArgs
    """How to reach the machine."""
    service_account: pulumi.Input[str]
    """Service account in the mesh's namespace that the machine runs as."""
    proxy: ProxyArgs
    """The sidecar to install."""
    registration: NotRequired[Registration]
    """Who makes the WorkloadEntry. Default: `ENTRY`."""
    group: NotRequired[pulumi.Input[str]]
    """With `AUTO`: name of a WorkloadGroup that exists, such as one of MeshExpansion's `groups`. Default: the machine's
    own, which is made, with the component's name."""
    identity: NotRequired[IdentityArgs]
    """How the machine proves who it is. Default: by a token."""
    labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels of the workload, which Services select by. `app` and `version` name it in telemetry. Default: none."""
    annotations: NotRequired[Mapping[str, str]]
    """Annotations of the workload; `proxy.istio.io/config` overrides the mesh's default proxy config. Default: none."""
    ports: NotRequired[Sequence[PortArgs]]
    """Ports that the application listens on. Default: none: the machine only calls, and is never in rotation."""
    probe: NotRequired[ProbeArgs]
    """How to ask whether the application is healthy. Default: TCP on the first port."""
    calls: NotRequired[Sequence[CallArgs]]
    """Services that the application calls; it sees these alone. Default: it sees all services of its namespace."""
    egress_hosts: NotRequired[Sequence[str]]
    """Further hosts that the sidecar knows, as `namespace/name` in a Sidecar: `./*`, `*/api.example.com`. Default: none
    beside `calls`."""
    outbound: NotRequired[OutboundPolicy]
    """What happens to traffic to hosts that the sidecar does not know. Default: the mesh's policy."""
    capture: NotRequired[CaptureArgs]
    """What of the machine's traffic goes through the sidecar. Default: all of it, by iptables, DNS included."""
    listeners: NotRequired[Sequence[ListenerArgs]]
    """Further inbound listeners of the sidecar. Default: none."""
    access_log: NotRequired[AccessLogArgs]
    """Log each request. Default: as the mesh does."""
    network: NotRequired[pulumi.Input[str]]
    """Network of the machine, when it is not the pods'. Default: none, all is one network."""
    locality: NotRequired[pulumi.Input[str]]
    """Locality as `region/zone/subzone`, for load balancing. Default: none."""
    weight: NotRequired[int]
    """Share of the traffic among the endpoints of a service. Default: none."""
    platform: NotRequired[Platform]
    """Where the machine stands. Default: `aws` or `gcp` when that argument is given, else `none`."""
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
    WorkloadEntries and Sidecars, which `token_subjects` of MeshExpansion gives."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""
    firewall: NotRequired[FirewallArgs]
    """Whom its flows are between, by address range. Default: nobody, and only the gateway can be reached."""
    aws: NotRequired[AwsArgs]
    """Make security group rules on AWS (extra `aws`). Default: none are made."""
    gcp: NotRequired[GcpArgs]
    """Make firewall rules on Google Cloud (extra `gcp`). Default: none are made."""
