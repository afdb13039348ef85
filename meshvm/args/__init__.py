"""Everything that a user types: the arguments and enums of the components, and what each of them means.

The text after each attribute is the reference in every language: Pulumi reads it into the schema. Strings may be
Outputs; enums, numbers and lists are plain (a component called from YAML gets an Output as an Output, and a list
or a number that is one cannot be read before it is known).
"""

from meshvm.args.enums import (
    Capture,
    Flavor,
    GatewayMode,
    IdentityKind,
    OutboundPolicy,
    Platform,
    Protocol,
    Registration,
    Runtime,
)
from meshvm.args.firewall import AwsArgs, FirewallArgs, GcpArgs, SharedRulesArgs
from meshvm.args.machine import IdentityArgs, MeshVmArgs, ProxyArgs, SshArgs, SshBastionArgs
from meshvm.args.mesh import CreateGatewayArgs, GroupArgs, MeshExpansionArgs, SubjectArgs, VmGatewayArgs
from meshvm.args.workload import (
    AccessLogArgs,
    CallArgs,
    CaptureArgs,
    ExecProbeArgs,
    HttpProbeArgs,
    ListenerArgs,
    PortArgs,
    ProbeArgs,
    TcpProbeArgs,
)

__all__ = [
    "AccessLogArgs",
    "AwsArgs",
    "CallArgs",
    "Capture",
    "CaptureArgs",
    "CreateGatewayArgs",
    "ExecProbeArgs",
    "FirewallArgs",
    "Flavor",
    "GatewayMode",
    "GcpArgs",
    "GroupArgs",
    "HttpProbeArgs",
    "IdentityArgs",
    "IdentityKind",
    "ListenerArgs",
    "MeshExpansionArgs",
    "MeshVmArgs",
    "OutboundPolicy",
    "Platform",
    "PortArgs",
    "ProbeArgs",
    "Protocol",
    "ProxyArgs",
    "Registration",
    "Runtime",
    "SharedRulesArgs",
    "SshArgs",
    "SshBastionArgs",
    "SubjectArgs",
    "TcpProbeArgs",
    "VmGatewayArgs",
]
