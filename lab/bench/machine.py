"""How fast does a machine join, and what does meshvm cost an `up` that changes nothing?"""

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_kubernetes as k8s

import meshvm
from lab.base.errors import LabError
from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cloud.client import CloudClient
from lab.demo import cannot_host
from lab.lab import NAMESPACE, Lab, healthy
from lab.machines.machine import Machine
from lab.stack import Stack

_JOIN_LIMIT = 10.0
_REPEATS = 3
_APPLICATION = """\
#cloud-config
write_files:
  - path: /opt/application.pl
    content: |
      use IO::Socket::INET;
      my $server = IO::Socket::INET->new(LocalPort => 9080, Listen => 128, ReuseAddr => 1) or die;
      while (my $client = $server->accept) {
          while (<$client>) { last if /^\\r?\\n$/ }
          print $client "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n";
      }
runcmd:
  - [systemd-run, --unit, application, perl, /opt/application.pl]
"""


def ask(steps: Steps) -> None:
    """Join one machine, then change nothing with it."""
    missing = cannot_host()
    if missing:
        raise LabError(f"it needs the whole lab, and this machine lacks {missing[0]}")
    with Lab(steps) as lab:
        machine, key = _machine(lab)
        join = _join(lab, machine, key)
        steps.say("")
        steps.say(f"from an answer on port 22 to healthy in the mesh, engine included: {join:.1f} s")
        steps.say(f"  ratio to the limit of {_JOIN_LIMIT:.0f} s: {join / _JOIN_LIMIT:.2f} (at most 1)")
        sessions = machine.run("journalctl", "-u", "ssh", "-o", "cat").stdout.count("Accepted publickey")
        steps.say(f"  SSH sessions on the machine: {sessions} (at most 2: host and join)")
        _no_change(lab, machine, key)


def _machine(lab: Lab) -> tuple[Machine, Path]:
    key = lab.folder / "bench"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    client = CloudClient(lab.cloud.socket)
    public = key.with_suffix(".pub").read_text().strip()
    machine = lab.cloud.machine(client.run_instance("bench", "admin", [public], _APPLICATION)["id"])
    machine.ready()
    machine.settled()
    return machine, key


def _join(lab: Lab, machine: Machine, key: Path) -> float:
    stack = Stack(lab.folder, "with", _with_meshvm(lab, machine, key), env=lab.env)
    began = time.monotonic()
    stack.up().succeeded()
    if not wait_until(lambda: all(healthy(entry) for entry in lab.entries()), 5):
        raise LabError("the machine is not in rotation", lab.istiod.log)
    return time.monotonic() - began


def _no_change(lab: Lab, machine: Machine, key: Path) -> None:
    with_meshvm = Stack(lab.folder, "with", _with_meshvm(lab, machine, key), env=lab.env)
    without = Stack(lab.folder, "without", _without_meshvm(lab, machine, key), env=lab.env)
    without.up().succeeded()
    times: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(_REPEATS):
        for name, stack in (("with", with_meshvm), ("without", without)):
            began = time.monotonic()
            stack.up().succeeded()
            times[name].append(time.monotonic() - began)
    medians = {name: statistics.median(one) for name, one in times.items()}
    lab.steps.say(
        f"an up with no change: {medians['with']:.2f} s with meshvm, {medians['without']:.2f} s for the same resources "
        f"declared without it (median of {_REPEATS})"
    )
    lab.steps.say(
        f"  ratio: {medians['with'] / medians['without']:.2f} (at most 1.10, one token request a VM included)"
    )


def _with_meshvm(lab: Lab, machine: Machine, key: Path) -> Callable[[], None]:
    kubeconfig = str(lab.cluster.kubeconfig)

    def program() -> None:
        on = pulumi.ResourceOptions(providers=[k8s.Provider("cluster", kubeconfig=kubeconfig)])
        service = "istio-system/istio-eastwestgateway"
        gateway = meshvm.VmGateway(
            "gateway", {"mode": meshvm.GatewayMode.EXISTING, "service": service, "kubeconfig": kubeconfig}, on
        )
        expansion = meshvm.MeshExpansion(
            "mesh",
            {
                "namespace": NAMESPACE,
                "gateway": gateway.endpoint,
                "service_accounts": ["bench"],
                "kubeconfig": kubeconfig,
            },
            on,
        )
        meshvm.MeshVm(
            "bench",
            {
                "mesh": expansion.mesh,
                "kubeconfig": kubeconfig,
                "machine_id": "bench",
                "address": machine.private_ip,
                "ssh": {
                    "host": machine.public_ip,
                    "user": "admin",
                    "private_key": key.read_text(),
                    "insecure_ignore_host_key": True,
                },
                "service_account": "bench",
                "labels": {"app": "bench"},
                "ports": [{"name": "http", "number": 9080, "protocol": meshvm.Protocol.HTTP}],
                "probe": {"http": {"port": 9080}, "period_seconds": 1},
                "proxy": {"package": lab.package_url, "sha256": lab.package_sha256},
            },
            on,
        )

    return program


def _without_meshvm(lab: Lab, machine: Machine, key: Path) -> Callable[[], None]:
    """The same number and kinds of resources by hand, with commands that do nothing."""

    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig=str(lab.cluster.kubeconfig))
        on = pulumi.ResourceOptions(provider=provider)
        k8s.core.v1.ServiceAccount("account", metadata={"name": "plain", "namespace": NAMESPACE}, opts=on)
        for kind, spec in (
            ("Sidecar", {"workloadSelector": {"labels": {"app": "plain"}}, "egress": [{"hosts": ["./*"]}]}),
            ("WorkloadEntry", {"address": "192.0.2.1", "labels": {"app": "plain"}, "serviceAccount": "plain"}),
        ):
            k8s.apiextensions.CustomResource(
                kind.lower(),
                api_version="networking.istio.io/v1",
                kind=kind,
                metadata={"name": "plain", "namespace": NAMESPACE},
                spec=spec,
                opts=on,
            )
        connection = command.remote.ConnectionArgs(
            host=machine.public_ip, user="admin", private_key=pulumi.Output.secret(key.read_text())
        )
        for name in ("host", "join"):
            command.remote.Command(name, connection=connection, create=":", stdin=pulumi.Output.secret("x" * 16384))
        for name in ("drain", "gate"):
            command.local.Command(name, create=":")

    return program
