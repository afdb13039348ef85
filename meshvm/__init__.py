"""Virtual machines in an Istio mesh, as Pulumi components."""

from meshvm.args import (
    AwsArgs,
    CallArgs,
    ExecProbeArgs,
    Flavor,
    GatewayMode,
    HttpProbeArgs,
    MeshExpansionArgs,
    MeshVmArgs,
    Platform,
    PortArgs,
    ProbeArgs,
    Protocol,
    ProxyArgs,
    Runtime,
    SshArgs,
    SshBastionArgs,
    TcpProbeArgs,
    VmGatewayArgs,
)
from meshvm.errors import ArgumentError, ClusterError, MeshvmError
from meshvm.expansion import MeshExpansion
from meshvm.gateway import VmGateway
from meshvm.vm import MeshVm

__all__ = [
    "ArgumentError",
    "AwsArgs",
    "CallArgs",
    "ClusterError",
    "ExecProbeArgs",
    "Flavor",
    "GatewayMode",
    "HttpProbeArgs",
    "MeshExpansion",
    "MeshExpansionArgs",
    "MeshVm",
    "MeshVmArgs",
    "MeshvmError",
    "Platform",
    "PortArgs",
    "ProbeArgs",
    "Protocol",
    "ProxyArgs",
    "Runtime",
    "SshArgs",
    "SshBastionArgs",
    "TcpProbeArgs",
    "VmGateway",
    "VmGatewayArgs",
]
