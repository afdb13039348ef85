"""Bookinfo's ratings on an AWS virtual machine, in the mesh of an existing cluster."""

import json
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_tls as tls
from bastion import Bastion
from machine import user_data
from network import Network

import meshvm

config = pulumi.Config()
kubeconfig = config.require("kubeconfig")
runner_range = config.require("runnerRange")

# The cluster's side: where the gateway is, and what a machine needs to know of the mesh.
cluster = k8s.Provider("cluster", kubeconfig=kubeconfig)
on_cluster = pulumi.ResourceOptions(providers=[cluster])
gateway = meshvm.VmGateway(
    "east-west",
    {
        "mode": meshvm.GatewayMode.EXISTING,
        "service": config.get("gateway") or "istio-system/istio-eastwestgateway",
        "kubeconfig": kubeconfig,
    },
    on_cluster,
)
expansion = meshvm.MeshExpansion(
    "bookinfo",
    {
        "namespace": config.get("namespace") or "bookinfo",
        "gateway": gateway.endpoint,
        "flavor": meshvm.Flavor.ISTIO,
        "service_accounts": ["bookinfo-ratings"],
        "network": "k8s",
        "kubeconfig": kubeconfig,
    },
    on_cluster,
)

# The machine's place, and the way to it. All keys are made here, so nobody has to trust whoever answers first.
network = Network("bookinfo")
login = tls.PrivateKey("login", algorithm="ED25519")
host_key = tls.PrivateKey("host-key", algorithm="ED25519")
key_name = aws.ec2.KeyPair("login", public_key=login.public_key_openssh).key_name
image = aws.ec2.get_ami_output(
    most_recent=True,
    owners=["136693071363"],
    filters=[{"name": "name", "values": [config.get("image") or "debian-12-amd64-*"]}],
)
bastion = None
if config.get_bool("bastion") or False:
    bastion = Bastion(
        "bastion", network=network, image=image.id, login=login, key_name=key_name, runner_range=runner_range
    )

# The machine.
vm = aws.ec2.Instance(
    "ratings",
    ami=image.id,
    instance_type=config.get("instanceType") or "t3.micro",
    subnet_id=network.subnet_ids[0],
    vpc_security_group_ids=[network.security_group_id],
    key_name=key_name,
    user_data=user_data(host_key),
    user_data_replace_on_change=True,
    metadata_options={"http_tokens": "required"},
    tags={"Name": "bookinfo-ratings"},
)

# Who is at the other ends; what is not given is left out, and what nobody is named for stays closed.
nodes = config.get("nodesGroup") or ""
load_balancer = config.get("gatewayGroup") or ""
other_ends: dict[str, Any] = {
    "peer_security_group_id": nodes,
    "nodes_security_group_id": nodes,
    "gateway_security_group_id": load_balancer,
    "load_balancer_security_group_id": load_balancer,
    "gateway_prefix_list_id": config.get("gatewayList") or "",
    "peer_cidrs": json.loads(config.get("clusterRanges") or '["10.0.0.0/16"]'),
    "gateway_cidrs": json.loads(config.get("gatewayRanges") or "[]"),
    **({"ssh_security_group_id": bastion.security_group_id} if bastion else {"ssh_from": [runner_range]}),
}
rules = {"security_group_id": network.security_group_id, **{key: end for key, end in other_ends.items() if end}}

# Its membership.
login_there = {
    "user": "admin",
    "private_key": login.private_key_openssh,
    "host_key": host_key.public_key_openssh,
    **({"host": vm.private_ip, "bastion": bastion.ssh} if bastion else {"host": vm.public_ip}),
}
ratings = meshvm.MeshVm(
    "ratings",
    {
        "mesh": expansion.mesh,
        "kubeconfig": kubeconfig,
        "machine_id": vm.id,
        "address": vm.private_ip,
        "network": "vm-net",
        "ssh": cast("meshvm.SshArgs", login_there),
        "service_account": "bookinfo-ratings",
        "labels": {"app": "ratings", "version": "v3", "class": "vm"},
        "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 2},
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "proxy": {"package": config.require("package"), "sha256": config.require("sha256")},
        "rejoin": config.get("rejoin") or "1",
        "aws": cast("meshvm.AwsArgs", rules),
    },
    on_cluster,
)

# What a peering with the cluster's VPC is made with.
pulumi.export("network", {"vpc": network.vpc_id, "routeTable": network.route_table_id})
pulumi.export("mesh", expansion.mesh)
pulumi.export("identity", ratings.spiffe_id)
pulumi.export("status", ratings.status)
