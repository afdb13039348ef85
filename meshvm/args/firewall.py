"""Firewall rules: who may talk to the machine and whom it talks to, and the cloud that makes rules of it."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from meshvm.args.workload import CallArgs, PortArgs


class FirewallArgs(TypedDict):
    """Whom the machine's flows are between, by address range; the same for every cloud and for none. What a flow needs
    and nobody is named for stays closed."""

    peer_cidrs: NotRequired[Sequence[str]]
    """Address ranges of the mesh's workloads (pods, nodes, other machines): they may reach the declared ports, and in
    one network the machine may reach what it calls there. Default: none."""
    ssh_from: NotRequired[Sequence[str]]
    """Address ranges from which the runner, or the bastion, connects by SSH. Default: none, no rule is made."""
    gateway_cidrs: NotRequired[Sequence[str]]
    """Address ranges of the gateway, for a load balancer with a host name or with several addresses. Default: the
    gateway's address, when it has one."""
    gateway_ports: NotRequired[Sequence[int]]
    """Ports of the gateway that the machine connects to. Default: 15012 for istiod, and 15443 when the machine calls
    services in another network. A gateway of Tetrate Service Bridge has 9411 and 11800 too, or 15443 for all."""
    scrape_from: NotRequired[Sequence[str]]
    """Address ranges from which Prometheus collects metrics. Default: none, the ports stay closed."""
    scrape_ports: NotRequired[Sequence[int]]
    """Ports that Prometheus asks: 15020 has the application's and the sidecar's metrics, 15090 Envoy's alone.
    Default: 15020."""
    everybody: NotRequired[Sequence[str]]
    """Flows that may be open to the whole internet (`0.0.0.0/0`, `::/0`), each by the name in its rule: `ssh`,
    `port-NAME`, `call-NUMBER`, `istiod`, `network`, `gateway-NUMBER`, `metrics-NUMBER`. Default: none, such a range is
    refused."""
    shared: NotRequired[bool]
    """True: the machine's security group, tag or service account is for several machines, and their rules are
    `shared_rules` of a MeshExpansion; the machine declares only those that carry its own address. Default: false."""


class AwsArgs(TypedDict):
    """Security group rules on AWS. A rule that is not derived from what is declared is not made."""

    security_group_id: pulumi.Input[str]
    """The machine's own security group; meshvm adds rules to it and owns those alone."""
    peer_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the cluster's nodes, as a source and destination like `peer_cidrs`."""
    peer_prefix_list_id: NotRequired[pulumi.Input[str]]
    """Prefix list, as a source and destination like `peer_cidrs`."""
    peer_cidrs: NotRequired[Sequence[str]]
    """As `peer_cidrs` of `firewall`; those of both count."""
    ssh_from: NotRequired[Sequence[str]]
    """As `ssh_from` of `firewall`; those of both count."""
    ssh_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the bastion, as a source like `ssh_from`."""
    ssh_prefix_list_id: NotRequired[pulumi.Input[str]]
    """Prefix list, as a source like `ssh_from`."""
    gateway_cidrs: NotRequired[Sequence[str]]
    """As `gateway_cidrs` of `firewall`; those of both count."""
    gateway_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the gateway's load balancer, as a destination like `gateway_cidrs`."""
    gateway_prefix_list_id: NotRequired[pulumi.Input[str]]
    """Prefix list, as a destination like `gateway_cidrs`."""
    scrape_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of Prometheus, as a source like `scrape_from`."""
    scrape_prefix_list_id: NotRequired[pulumi.Input[str]]
    """Prefix list, as a source like `scrape_from`."""
    nodes_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the cluster's nodes, when meshvm is to add the other end's rules to it too; they carry the
    machine's `address`. Default: none are added."""
    load_balancer_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the gateway's load balancer, when meshvm is to let the machine's `address` in there. Default:
    no rule is added."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of every rule. Default: none."""
    rules_per_group: NotRequired[int]
    """Most rules that a security group holds, inbound and outbound each; a program that declares more of them is
    refused in the preview. Default: 60, which is AWS's own unless the account's quota was raised."""


class GcpArgs(TypedDict):
    """Firewall rules on Google Cloud, for what has a tag or runs as a service account. Tags and service accounts do not
    mix: give the one kind or the other."""

    network: pulumi.Input[str]
    """The VPC network, by name or link; of a shared VPC the link in the host project."""
    project: NotRequired[pulumi.Input[str]]
    """Project of the rules: of a shared VPC the host project. Default: the provider's."""
    target_tag: NotRequired[pulumi.Input[str]]
    """Network tag of the machine. Give this or `target_service_account`."""
    target_service_account: NotRequired[pulumi.Input[str]]
    """E-mail address of the service account that the machine runs as."""
    peer_tag: NotRequired[pulumi.Input[str]]
    """Network tag of the cluster's nodes, as a source like `peer_cidrs`. Rules for what goes out know ranges only."""
    peer_service_account: NotRequired[pulumi.Input[str]]
    """Service account of the cluster's nodes, as a source like `peer_cidrs`."""
    ssh_tag: NotRequired[pulumi.Input[str]]
    """Network tag of the bastion, as a source like `ssh_from`."""
    ssh_service_account: NotRequired[pulumi.Input[str]]
    """Service account of the bastion, as a source like `ssh_from`."""
    scrape_tag: NotRequired[pulumi.Input[str]]
    """Network tag of Prometheus, as a source like `scrape_from`."""
    scrape_service_account: NotRequired[pulumi.Input[str]]
    """Service account of Prometheus, as a source like `scrape_from`."""
    nodes_tag: NotRequired[pulumi.Input[str]]
    """Network tag of the cluster's nodes, when meshvm is to make the other end's rules too; they carry the machine's
    `address`. Default: none are made."""
    nodes_service_account: NotRequired[pulumi.Input[str]]
    """Service account of the cluster's nodes, for the same."""
    priority: NotRequired[int]
    """Priority of every rule, 0 to 65535; lower is stronger. Default: 1000."""


class SharedRulesArgs(TypedDict):
    """Rules of machines that have one security group, tag or service account together. They last as long as the
    MeshExpansion; each of the machines says `firewall: {"shared": True}`."""

    name: str
    """Name of the rules, after the component's; a DNS label."""
    ports: NotRequired[Sequence[PortArgs]]
    """Ports that the applications listen on. Default: none."""
    calls: NotRequired[Sequence[CallArgs]]
    """Services that the applications call. Default: none."""
    network: NotRequired[str]
    """Network of the machines, when it is not the pods'. Default: none, all is one network."""
    ssh_port: NotRequired[int]
    """Port of SSH on the machines. Default: 22."""
    firewall: NotRequired[FirewallArgs]
    """Whom the flows are between."""
    aws: NotRequired[AwsArgs]
    """Make security group rules on AWS (extra `aws`). Give this or `gcp`."""
    gcp: NotRequired[GcpArgs]
    """Make firewall rules on Google Cloud (extra `gcp`)."""
