"""The bastion: the one machine that the runner connects to when no other is to be reached from outside."""

from typing import Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_tls as tls
from machine import host_key_data
from network import Network, after

_SSH: Final = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}


class Bastion(pulumi.ComponentResource):
    """A small instance with a pinned host key of its own: SSH comes in from the runner, and goes on to the machine.

    Nothing else is open, not even a way out to package mirrors: what is newer comes with a newer image.
    """

    def __init__(
        self,
        name: str,
        *,
        network: Network,
        image: pulumi.Input[str],
        login: tls.PrivateKey,
        key_name: pulumi.Input[str],
        runner_range: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("bookinfo:index:Bastion", name, {}, opts)
        here = pulumi.ResourceOptions(parent=self)
        host_key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=here)
        group = aws.ec2.SecurityGroup(name, vpc_id=network.vpc_id, description="Bastion of bookinfo", opts=here)
        comes = aws.vpc.SecurityGroupIngressRule(
            f"{name}-ssh",
            security_group_id=group.id,
            cidr_ipv4=runner_range,
            description="the runner connects by SSH",
            opts=here,
            **_SSH,
        )
        goes_on = aws.vpc.SecurityGroupEgressRule(
            f"{name}-machine",
            security_group_id=group.id,
            referenced_security_group_id=network.security_group_id,
            description="SSH goes on to the machine",
            opts=here,
            **_SSH,
        )
        vm = aws.ec2.Instance(
            name,
            ami=image,
            instance_type="t3.nano",
            subnet_id=network.subnet_ids[1],
            vpc_security_group_ids=[group.id],
            key_name=key_name,
            user_data=host_key_data(host_key),
            user_data_replace_on_change=True,
            metadata_options={"http_tokens": "required"},
            tags={"Name": "bookinfo-bastion"},
            opts=here,
        )
        self.security_group_id = group.id
        """Where the machine's SSH comes from."""
        self.ssh: dict[str, Any] = {
            "host": after(vm.public_ip, comes, goes_on),
            "user": "admin",
            "private_key": login.private_key_openssh,
            "host_key": host_key.public_key_openssh,
        }
        """The argument `ssh.bastion` of a MeshVm."""
        self.register_outputs({"security_group_id": self.security_group_id})
