"""A small world for one test: a namespace, a stack with one MeshVm, and machines, all in the shared lab."""

import hashlib
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

import meshvm
from lab.cloud.client import CloudClient
from lab.lab import CHECKOUT, Lab
from lab.machines.machine import Machine
from lab.stack import Outcome, Stack
from tests.lab.keys import make_key

APPLICATION = (CHECKOUT / "examples" / "aws-bookinfo" / "ratings.pl").read_text()
_UNIT = "[Service]\nExecStart=/usr/bin/perl /opt/ratings.pl\n[Install]\nWantedBy=multi-user.target\n"


class World:
    """One test's part of the lab.

    `args` holds arguments of MeshVm that the test changes, `mesh_args` those of MeshExpansion; `silent` starts machines
    whose application does not answer.
    """

    def __init__(self, lab: Lab, test: str, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.name = f"t{hashlib.sha256(test.encode()).hexdigest()[:8]}"
        lab.namespace(self.name)
        self.client = CloudClient(lab.cloud.socket)
        self.login = make_key(folder / "login")
        self.host_key = make_key(folder / "host-key")
        self.args: dict[str, Any] = {}
        self.mesh_args: dict[str, Any] = {}
        self.machines: list[str] = []
        self.stack = Stack(lab.folder, self.name, lambda: None, config={"aws:region": "eu-central-1"}, env=lab.env)

    def end(self) -> None:
        """Take the machines back; namespaces and stacks go with the lab."""
        for id_ in self.machines:
            self.client.terminate_instance(id_)

    def user_data(self, *, silent: bool = False) -> str:
        """Cloud-config of a machine with the pinned host key, and the application unless it is to be silent."""
        lines = [
            "#cloud-config",
            "ssh_keys:",
            "  ed25519_private: |",
            textwrap.indent(self.host_key.file.read_text().strip(), "    "),
            f"  ed25519_public: {self.host_key.public}",
            "write_files:",
            "  - path: /opt/ratings.pl",
            "    content: |",
            textwrap.indent(APPLICATION, "      "),
            "  - path: /etc/systemd/system/ratings.service",
            "    content: |",
            textwrap.indent(_UNIT, "      "),
        ]
        if not silent:
            lines += ["runcmd:", "  - [systemctl, enable, --now, ratings]"]
        return "\n".join([*lines, ""])

    def boot(self, *, silent: bool = False) -> dict[str, Any]:
        """A machine that is there already, as a user's own hardware is: `id`, `private_ip`, `public_ip`."""
        made = self.client.run_instance(self.name, "admin", [self.login.public], self.user_data(silent=silent))
        self.machines.append(made["id"])
        machine = self.machine(made["id"])
        machine.ready()
        machine.settled()
        return made

    def machine(self, id_: str) -> Machine:
        """The lab machine behind an instance."""
        return self.lab.cloud.machine(id_)

    def vm_args(self, machine_id: Any, address: Any, host: Any) -> dict[str, Any]:
        """Arguments of the MeshVm, with the test's changes."""
        return {
            "kubeconfig": str(self.lab.cluster.kubeconfig),
            "machine_id": machine_id,
            "address": address,
            "ssh": {
                "host": host,
                "user": "admin",
                "private_key": self.login.file.read_text(),
                "host_key": self.host_key.public,
                "dial_attempts": 12,
            },
            "service_account": "ratings",
            "labels": {"app": "ratings", "version": "v1"},
            "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
            "probe": {"http": {"port": 9080, "path": "/health"}, "period_seconds": 1},
            "proxy": {"package": self.lab.package_url, "sha256": self.lab.package_sha256},
            "drain_seconds": 3,
            "healthy_seconds": 15,
            **self.args,
        }

    def mesh(self) -> tuple[meshvm.MeshExpansion, pulumi.ResourceOptions]:
        """The cluster's side, in this world's namespace."""
        kubeconfig = str(self.lab.cluster.kubeconfig)
        provider = k8s.Provider("cluster", kubeconfig=kubeconfig)
        on = pulumi.ResourceOptions(providers=[provider])
        gateway = meshvm.VmGateway(
            "gateway",
            {
                "mode": meshvm.GatewayMode.EXISTING,
                "service": "istio-system/istio-eastwestgateway",
                "kubeconfig": kubeconfig,
            },
            on,
        )
        args = {
            "namespace": self.name,
            "gateway": gateway.endpoint,
            "service_accounts": ["ratings"],
            "kubeconfig": kubeconfig,
            **self.mesh_args,
        }
        expansion = meshvm.MeshExpansion("mesh", cast("meshvm.MeshExpansionArgs", args), on)
        return expansion, on

    def existing(self, machine: dict[str, Any]) -> Callable[[], None]:
        """A program with one MeshVm on a machine that is there already and stays."""

        def program() -> None:
            expansion, on = self.mesh()
            args = self.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
            meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)

        return program

    def instance(
        self, image: str = "ami-0deb1a00000000012", *, old_first: bool = False, silent: bool = False
    ) -> Callable[[], None]:
        """A program with a cloud machine and its MeshVm; another image is another machine."""

        def program() -> None:
            expansion, on = self.mesh()
            login = aws.ec2.KeyPair("login", public_key=self.login.public)
            vm = aws.ec2.Instance(
                "machine",
                ami=image,
                instance_type="t3.micro",
                key_name=login.key_name,
                user_data=self.user_data(silent=silent),
                user_data_replace_on_change=True,
                opts=pulumi.ResourceOptions(delete_before_replace=old_first),
            )
            args = self.vm_args(vm.id, vm.private_ip, vm.public_ip)
            member = meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {"mesh": expansion.mesh, **args}), on)
            pulumi.export("machine", vm.id)
            pulumi.export("status", member.status)

        return program

    def up(self, program: Callable[[], None]) -> Outcome:
        """`pulumi up` of a program, which succeeds or fails as the outcome says."""
        self.stack.program = program
        return self.stack.up()

    def made(self, program: Callable[[], None]) -> Outcome:
        """`pulumi up` of a program that has to succeed."""
        outcome = self.up(program)
        assert not outcome.error, outcome.text
        return outcome

    def destroyed(self) -> Outcome:
        """`pulumi destroy`, which has to succeed."""
        outcome = self.stack.destroy()
        assert not outcome.error, outcome.text
        return outcome

    def entries(self) -> list[dict[str, Any]]:
        """The WorkloadEntries of this world."""
        return self.lab.entries(self.name)
