"""Bookinfo's ratings on an AWS virtual machine, in the mesh of an existing cluster."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_tls as tls
from machine import user_data
from network import Network

import meshvm

config = pulumi.Config()
kubeconfig = config.require("kubeconfig")

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

# The machine. Both keys are made here, so nobody has to trust whoever answers first.
network = Network("bookinfo")
login = tls.PrivateKey("login", algorithm="ED25519")
host_key = tls.PrivateKey("host-key", algorithm="ED25519")
image = aws.ec2.get_ami_output(
    most_recent=True,
    owners=["136693071363"],
    filters=[{"name": "name", "values": ["debian-12-amd64-*"]}],
)
vm = aws.ec2.Instance(
    "ratings",
    ami=image.id,
    instance_type=config.get("instanceType") or "t3.micro",
    subnet_id=network.subnet_id,
    vpc_security_group_ids=[network.security_group_id],
    key_name=aws.ec2.KeyPair("login", public_key=login.public_key_openssh).key_name,
    user_data=pulumi.Output.all(host_key.private_key_openssh, host_key.public_key_openssh).apply(
        lambda keys: user_data(*keys)
    ),
    user_data_replace_on_change=True,
    tags={"Name": "bookinfo-ratings"},
)

# Its membership.
ratings = meshvm.MeshVm(
    "ratings",
    {
        "mesh": expansion.mesh,
        "kubeconfig": kubeconfig,
        "machine_id": vm.id,
        "address": vm.private_ip,
        "network": "vm-net",
        "ssh": {
            "host": vm.public_ip,
            "user": "admin",
            "private_key": login.private_key_openssh,
            "host_key": host_key.public_key_openssh,
        },
        "service_account": "bookinfo-ratings",
        "labels": {"app": "ratings", "version": "v3", "class": "vm"},
        "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 2},
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "proxy": {"package": config.require("package"), "sha256": config.require("sha256")},
        "rejoin": config.get("rejoin") or "1",
        "aws": {
            "security_group_id": network.security_group_id,
            "peer_cidrs": json.loads(config.get("clusterRanges") or '["10.0.0.0/16"]'),
            "gateway_cidrs": json.loads(config.get("gatewayRanges") or "[]"),
            "ssh_from": [config.require("runnerRange")],
        },
    },
    on_cluster,
)

pulumi.export("mesh", expansion.mesh)
pulumi.export("identity", ratings.spiffe_id)
pulumi.export("status", ratings.status)
