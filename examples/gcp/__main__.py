"""Bookinfo's ratings on a Google Cloud virtual machine, in the mesh of an existing cluster."""

import json

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
import pulumi_tls as tls
from machine import USER, metadata
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

# The machine's place, and who it is to Google. The account has no role: the default one may edit the whole project.
network = Network("vm-net", config.get("clusterNetwork") or "")
account = gcp.serviceaccount.Account("ratings", account_id=f"ratings-{pulumi.get_stack()}")

# The machine. Both keys are made here, so nobody has to trust whoever answers first.
login = tls.PrivateKey("login", algorithm="ED25519")
host_key = tls.PrivateKey("host-key", algorithm="ED25519")
vm = gcp.compute.Instance(
    "ratings",
    machine_type=config.get("machineType") or "e2-small",
    # A family: what Ubuntu adds to it is for new machines, and replaces none.
    boot_disk={"initialize_params": {"image": config.get("image") or "ubuntu-os-cloud/ubuntu-2404-lts-amd64"}},
    # An access config without an address asks for a public one.
    network_interfaces=[{"subnetwork": network.subnetwork_id, "access_configs": [{}]}],
    metadata=metadata(login, host_key),
    # Without a scope Google attaches no account, and the rules would not hold; this one lets it write logs, if it may.
    service_account={"email": account.email, "scopes": ["https://www.googleapis.com/auth/logging.write"]},
    allow_stopping_for_update=True,
    # cloud-init reads its data once, so other metadata is for another machine.
    opts=pulumi.ResourceOptions(replace_on_changes=["metadata"]),
)
interface = vm.network_interfaces[0]

# Its membership, with its firewall rules: for whatever runs as the account, so they need no address of the machine. The
# network's own rules and its peering are there before it, and outlive it.
ratings = meshvm.MeshVm(
    "ratings",
    {
        "mesh": expansion.mesh,
        "kubeconfig": kubeconfig,
        # Not vm.id: that is a path that ends with the name, and a machine made anew under its old name has it again.
        # Google gives this number to one machine only, and the Output is the machine's alone.
        "machine_id": vm.instance_id,
        "address": interface.network_ip,
        "network": "vm-net",
        "platform": meshvm.Platform.GCP,
        "ssh": {
            "host": interface.access_configs[0].nat_ip,
            "user": USER,
            "private_key": login.private_key_openssh,
            "host_key": host_key.public_key_openssh,
        },
        "service_account": "bookinfo-ratings",
        "labels": {"app": "ratings", "version": "v3", "class": "vm"},
        "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 2},
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "firewall": {
            "ssh_from": [config.require("runnerRange")],
            "peer_cidrs": json.loads(config.get("clusterRanges") or '["10.0.0.0/16"]'),
            # Empty: the gateway's own address.
            "gateway_cidrs": json.loads(config.get("gatewayRanges") or "[]"),
        },
        "gcp": {"network": network.network_id, "target_service_account": account.email},
        "proxy": {"package": config.require("package"), "sha256": config.require("sha256")},
        "rejoin": config.get("rejoin") or "1",
    },
    pulumi.ResourceOptions(providers=[cluster], depends_on=[network]),
)

pulumi.export("mesh", expansion.mesh)
pulumi.export("identity", ratings.spiffe_id)
pulumi.export("flows", ratings.flows)
pulumi.export("status", ratings.status)
