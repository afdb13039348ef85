"""What does a user read when something refuses: one sentence, as the last word, and after it the next `up` goes on."""

import re
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

import meshvm
from lab.istio.ca import MeshCA
from lab.lab import healthy
from lab.machines.machine import Machine
from lab.stack import Outcome
from tests.lab.keys import make_key
from tests.life.world import World

pytestmark = pytest.mark.lab

Given = dict[str, Any]


def with_mesh(world: World, machine: Given, **changes: str) -> Callable[[], None]:
    """A program whose MeshVm is told something else about the mesh than the truth."""

    def program() -> None:
        expansion, on = world.mesh()
        mesh = expansion.mesh.apply(lambda known: {**known, **changes})
        args = world.vm_args(machine["id"], machine["private_ip"], machine["public_ip"])
        meshvm.MeshVm("vm", cast("meshvm.MeshVmArgs", {**args, "mesh": mesh}), on)

    return program


def last_words(failed: Outcome, resource: str) -> str:
    """The last line of what the CLI says of a resource that failed."""
    assert failed.error, "the up was to fail"
    assert "Traceback" not in failed.text + failed.error
    blocks = re.split(
        r"^  (?=\S)", failed.text.split("Diagnostics:", 1)[-1].split("\nResources:")[0], flags=re.MULTILINE
    )
    block = next((one for one in blocks if f"({resource})" in one.splitlines()[0]), "")
    assert block, f"nothing is said of {resource}:\n{failed.text}"
    lines = [line.strip() for line in block.splitlines()[1:] if line.strip()]
    return lines[-1]


def refused(world: World, program: Callable[[], None], resource: str, *words: str) -> str:
    """An `up` that fails at a resource, with these words in the last line of its error."""
    said = last_words(world.up(program), resource)
    for word in words:
        assert word in said, said
    return said


def joined(world: World, program: Callable[[], None]) -> None:
    """The cause is mended: the next `up` goes on from there."""
    world.made(program)
    assert [healthy(entry) for entry in world.entries()] == [True]


def login(world: World, machine: Given, **changes: Any) -> None:
    """Log in another way than the world does; a key that is None is left out."""
    world.args.pop("ssh", None)
    ssh = {**world.vm_args("", "", machine["public_ip"])["ssh"], "dial_attempts": 1, **changes}
    world.args["ssh"] = {key: value for key, value in ssh.items() if value is not None}


def test_who_cannot_log_in_is_told_why(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)
    machine.run("useradd", "--create-home", "asked")
    machine.run("chpasswd", stdin="asked:right\n")
    stranger = make_key(world.folder / "stranger")
    nobody = world.lab.network.host_public_ip.rpartition(".")[0] + ".254"

    login(world, given, host_key=stranger.public)
    refused(world, program, "vm-host", "host key mismatch")
    login(world, given, port=2)
    refused(world, program, "vm-host", f"dial tcp {given['public_ip']}:2: connect: connection refused")
    login(world, given, host=nobody)
    refused(world, program, "vm-host", f"dial tcp {nobody}:22: connect: no route to host")
    login(world, given, private_key=stranger.file.read_text())
    refused(world, program, "vm-host", "ssh: unable to authenticate", "publickey")
    login(world, given, private_key=None, user="asked", password="wrong")
    refused(world, program, "vm-host", "ssh: unable to authenticate", "password")
    login(world, given, private_key=None, user="asked", password="right")
    refused(world, program, "vm-host", "asked on", "may not use sudo without a password", "allow that (NOPASSWD)")

    del world.args["ssh"]
    joined(world, program)


def overlay(machine: Machine, path: str, *options: str) -> None:
    """Another file system in the place of a folder."""
    machine.run("mkdir", "-p", path)
    machine.run("mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", path)


def test_a_machine_that_cannot_be_joined_is_refused_before_anything_is_changed(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)

    release = machine.path("/etc/os-release")
    kept = release.read_text()
    release.write_text("ID=plan9\n")
    refused(world, program, "vm-host", "the system plan9 is not supported", "Debian, Ubuntu and the Red Hat family")
    release.write_text(kept)

    uname = machine.path("/usr/local/bin/uname")
    uname.write_text('#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || exec /usr/bin/uname "$@"\n')
    uname.chmod(0o755)
    refused(world, program, "vm-host", "the architecture riscv64 is not supported", "x86_64 and aarch64")
    uname.unlink()

    machine.run("mv", "/usr/sbin/iptables", "/root/iptables")
    refused(world, program, "vm-host", "the command iptables is missing; run: apt-get install iptables")
    machine.run("mv", "/root/iptables", "/usr/sbin/iptables")

    overlay(machine, "/usr/local", "size=1m")
    refused(world, program, "vm-host", "/usr/local has 1 MiB free and the sidecar needs 256; free some and run")
    machine.run("mount", "-o", "remount,ro", "/usr/local")
    refused(world, program, "vm-host", "/usr/local cannot be written", "full or read-only")
    machine.run("umount", "/usr/local")

    overlay(machine, "/var/lib/meshvm", "size=1m", "ro")
    refused(world, program, "vm-host", "cannot write to /var/lib/meshvm", "Free it and run the update again")
    machine.run("umount", "/var/lib/meshvm")

    assert not machine.path("/var/lib/meshvm/mark").exists()
    joined(world, program)


def test_a_package_that_cannot_be_had_is_named_with_its_reason(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)
    right = world.lab.package_sha256

    def proxy(package: str, sha256: str = right) -> None:
        world.args["proxy"] = {"package": package, "sha256": sha256}

    gone = world.lab.package_url.replace("istio-sidecar", "gone")
    proxy(gone)
    refused(world, program, "vm-join", f"the package {gone} cannot be fetched", "404", "check proxy.package")
    proxy("/srv/istio-sidecar.deb")
    refused(world, program, "vm-join", "the package /srv/istio-sidecar.deb cannot be read on the machine; put it there")
    proxy(world.lab.package_url, "0" * 64)
    refused(world, program, "vm-join", f"has the checksum {right} and not {'0' * 64}; give the right proxy.sha256")
    proxy(world.lab.package_url)
    overlay(machine, "/var/lib/meshvm", "size=1m")
    machine.path("/var/lib/meshvm/mark").write_text(given["id"])
    refused(world, program, "vm-join", "cannot be fetched", "that /var/lib/meshvm has room for it")
    machine.run("umount", "/var/lib/meshvm")

    assert machine.run("getent", "passwd", "istio-proxy", check=False).stdout == ""
    joined(world, program)


def test_a_cluster_that_lacks_or_refuses_something_is_quoted(world: World) -> None:
    given = world.boot()
    program, name = world.existing(given), world.name

    # The preview tells already: an `up` would have the provider try for a minute to create the account.
    world.name, world.stack.program = f"{name}-gone", program
    preview = world.stack.preview()
    gone = f"the namespace {world.name} is not in the cluster; create it, or write the name of one that is there"
    assert gone in preview.error, preview.error
    assert "Traceback" not in preview.text
    world.name = name

    world.args["service_account"] = "nobody"
    refused(world, program, "vm-join", f"the service account {name}/nobody is not in the cluster; create the account")
    del world.args["service_account"]
    world.args["kubeconfig"] = str(world.lab.cluster.kubeconfig_for("stranger"))
    refused(
        world, program, "vm-join", f"{name}/ratings", '"stranger" cannot create', "give these credentials the right"
    )
    del world.args["kubeconfig"]
    joined(world, program)


def test_a_sidecar_that_does_not_get_ready_says_what_it_waits_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    nobody = f"{world.lab.network.host_ip.rpartition('.')[0]}.254"
    with monkeypatch.context() as shorter:
        shorter.setattr("meshvm.bootstrap.values.READY_SECONDS", 8)
        silent = f"the gateway {nobody} does not answer on port 15012 from the machine; check the firewall rules"
        away = {"gatewayAddress": nobody, "gatewayAddresses": nobody}
        refused(world, with_mesh(world, given, **away), "vm-join", "within 8 s", silent)
        refused(world, with_mesh(world, given, clusterId="other"), "vm-join", "check that the cluster id is the one")
        refused(
            world, with_mesh(world, given, rootCertificate=MeshCA.create().root), "vm-join", "do not belong together"
        )
    away = {"gatewayAddress": "gateway.invalid", "gatewayAddresses": "gateway.invalid", "gatewayAddressKind": "host"}
    refused(world, with_mesh(world, given, **away), "vm-join", "the gateway gateway.invalid does not resolve on the")
    assert machine.run("systemctl", "is-active", "istio", check=False).stdout.strip() != "active"
    joined(world, world.existing(given))


def test_settings_that_the_sidecar_cannot_start_with_are_taken_back(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    joined(world, world.existing(given))
    before = machine.path("/var/lib/istio/envoy/cluster.env").read_text()
    world.args["network"] = "elsewhere"
    systemctl = machine.path("/usr/local/bin/systemctl")
    systemctl.write_text('#!/bin/sh\n[ "$1" = restart ] && exit 1\nexec /usr/bin/systemctl "$@"\n')
    systemctl.chmod(0o755)
    refused(world, world.existing(given), "vm-join", "systemd could not start istio; see journalctl -u istio")
    systemctl.unlink()
    assert machine.path("/var/lib/istio/envoy/cluster.env").read_text() == before

    joined(world, world.existing(given))
    assert in_environment(machine, "ISTIO_META_NETWORK=elsewhere")


def test_a_run_that_ended_before_the_restart_is_caught_up_by_the_next(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    joined(world, world.existing(given))
    world.args["network"] = "elsewhere"
    # The settings are written, and then the script is killed before the sidecar starts again.
    systemctl = machine.path("/usr/local/bin/systemctl")
    systemctl.write_text('#!/bin/sh\n[ "$1" = restart ] && { kill -9 $PPID; exit 1; }\nexec /usr/bin/systemctl "$@"\n')
    systemctl.chmod(0o755)
    assert world.up(world.existing(given)).error
    systemctl.unlink()

    joined(world, world.existing(given))
    assert in_environment(machine, "ISTIO_META_NETWORK=elsewhere")


def in_environment(machine: Machine, variable: str) -> bool:
    """Whether the running agent was started with the variable."""
    agent = machine.run("pgrep", "-o", "-x", "pilot-agent").stdout.strip()
    return variable in machine.path(f"/proc/{agent}/environ").read_text().split("\0")


def test_a_machine_set_up_anew_under_its_id_is_told_apart_by_its_mark(world: World) -> None:
    given = world.boot()
    world.made(world.existing(given))
    world.machine(given["id"]).path("/var/lib/meshvm/mark").unlink()
    world.args["rejoin"] = "2"
    said = refused(world, world.existing(given), "vm-join", f"not the machine that was prepared as {given['id']}")
    assert "pulumi up --target-replace" in said

    host = world.stack.resource("vm-host")["urn"]
    world.stack.program = world.existing(given)
    replaced = world.stack.up(replace=[host])
    assert not replaced.error, replaced.text
    assert [healthy(entry) for entry in world.entries()] == [True]


def test_an_application_that_never_answers_fails_the_gate_and_gets_no_traffic(world: World) -> None:
    given = world.boot(silent=True)
    program = world.existing(given)
    world.args["healthy_seconds"] = 3
    said = refused(world, program, "vm-gate", "the application did not answer its probe within 3 s", "gets no traffic")
    assert "mend the application or `probe`, then run the update again" in said
    assert [healthy(entry) for entry in world.entries()] == [False]

    del world.args["healthy_seconds"]
    world.machine(given["id"]).run("systemctl", "enable", "--now", "ratings")
    joined(world, program)


def test_a_preview_contacts_no_machine(world: World) -> None:
    with socket.create_server((world.lab.network.host_public_ip, 0)) as listening:
        listening.setblocking(False)
        host, port = listening.getsockname()
        given = {"id": "someone", "private_ip": host, "public_ip": host}
        login(world, given, port=port)
        world.stack.program = world.existing(given)
        preview = world.stack.preview()
        assert not preview.error, preview.text
        assert "vm-join" in preview.text
        with pytest.raises(BlockingIOError):
            listening.accept()
