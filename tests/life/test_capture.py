"""How the application's traffic gets into the sidecar: with rules, without, and what is left when that changes."""

import subprocess
from typing import Any

import pytest

import meshvm
from lab.machines.machine import Machine
from tests.life.test_addresses import TIMER, named, resolves_to
from tests.life.test_brownfield import differences, snapshot
from tests.life.test_refusals import joined, refused
from tests.life.world import World

pytestmark = pytest.mark.lab

NONE = {
    "capture": {"mode": meshvm.Capture.NONE},
    "probe": {"http": {"port": 9080, "path": "/health", "host": "127.0.0.1"}, "period_seconds": 1},
}


def rules(machine: Machine) -> list[str]:
    """Every rule of the machine, of either variant of iptables, but the one that turns tracking on."""
    saved = [machine.run(f"iptables-{variant}-save").stdout for variant in ("nft", "legacy")]
    lines = [line for text in saved for line in text.splitlines()]
    return [line for line in lines if line.startswith("-A") and "--comment meshvm" not in line]


def hosts(machine: Machine) -> str:
    """The names that the machine knows by itself."""
    return machine.path("/etc/hosts").read_text()


def listens_for_itself_alone(machine: Machine) -> None:
    """The application listens on 127.0.0.1 and no longer on every address."""
    application = machine.path("/opt/ratings.pl")
    text = application.read_text()
    assert text.count("LocalPort =>") == 1
    application.write_text(text.replace("LocalPort =>", "LocalAddr => '127.0.0.1', LocalPort =>"))
    machine.run("systemctl", "restart", "ratings")


def allow_ports_from(machine: Machine, port: int) -> None:
    """What sysctl does on a machine; here from outside, because a container may not."""
    text = f"echo {port} >/proc/sys/net/ipv4/ip_unprivileged_port_start"
    subprocess.run(["nsenter", "--target", str(machine.pid), "--net", "sh", "-c", text], check=True)


def test_capture_none_needs_no_rule_and_an_application_that_listens_for_itself(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)
    world.args.update(NONE)
    world.args["calls"] = [{"host": f"details.{world.name}", "port": 80}]
    said = refused(world, program, "vm-join", "capture.mode: without rules the sidecar has to listen on port 80, which")
    assert "set net.ipv4.ip_unprivileged_port_start=80 in /etc/sysctl.d on the machine, or use ports from 1024" in said
    allow_ports_from(machine, 80)
    said = refused(world, program, "vm-join", "capture.mode: without rules the sidecar has to listen on port 9080")
    assert said.endswith("where perl listens on all addresses or on the machine's own; bind it to 127.0.0.1 alone")
    assert not machine.path("/usr/local/bin/pilot-agent").exists(), "it was found out before anything was changed"

    listens_for_itself_alone(machine)
    joined(world, program)
    assert rules(machine) == []
    assert f"127.0.0.2 details.{world.name}.svc.cluster.local details.{world.name}.svc" in hosts(machine)

    # What a sidecar of before left, which nobody would take away: the next start would fail over it.
    machine.run("iptables-legacy", "-t", "nat", "-N", "ISTIO_REDIRECT")
    machine.run("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-i", "docker0", "-j", "ISTIO_REDIRECT")
    del world.args["capture"]
    joined(world, program)
    assert any("ISTIO_IN_REDIRECT" in rule for rule in rules(machine))
    assert not any("docker0" in rule for rule in rules(machine))
    assert "127.0.0.2" not in hosts(machine)

    world.args.update(NONE)
    joined(world, program)
    assert rules(machine) == []
    assert "127.0.0.2" in hosts(machine)


def test_what_is_left_out_of_the_capture_is_in_the_rules_and_gone_when_it_is_taken_back(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)
    machine.run("ip", "link", "add", "docker0", "type", "bridge")
    world.args["capture"] = {
        "exclude_ranges": ["192.0.2.0/24"],
        "exclude_outbound_ports": [7001],
        "exclude_interfaces": ["eth9"],
        "virtual_interfaces": ["docker0"],
    }
    joined(world, program)
    own = ("192.0.2.0/24", "--dport 7001", "-o eth9 -j RETURN", "-i docker0 -j ISTIO_REDIRECT")
    assert [words for words in own if not any(words in rule for rule in rules(machine))] == []
    assert '"note":""' in machine.path("/var/lib/meshvm/status").read_text()

    del world.args["capture"]
    joined(world, program)
    assert [rule for rule in rules(machine) if any(words in rule for words in own)] == []
    assert "-i docker0 -j RETURN" not in "\n".join(rules(machine))
    assert "name the bridge in capture.virtual_interfaces" in machine.path("/var/lib/meshvm/status").read_text()


def test_a_machine_whose_names_the_sidecar_cannot_resolve_keeps_its_own_name_servers(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), world.existing(given)
    name = machine.run("uname", "-n").stdout.strip()
    machine.run("useradd", "--system", "--user-group", "istio-proxy")
    outgoing = ("OUTPUT", "-p", "udp", "--dport", "53", "-m", "owner", "--uid-owner", "istio-proxy", "-j", "REJECT")
    machine.run("iptables", "-A", *outgoing)
    # Asked once, for a second: the test need not wait as long as a machine does.
    with machine.path("/etc/resolv.conf").open("a") as resolver:
        resolver.write("options timeout:1 attempts:1\n")
    said = refused(world, program, "vm-join", f"the machine no longer resolves {name} since the sidecar answers")
    assert "check the name servers in its /etc/resolv.conf, or give capture.dns false" in said
    assert machine.run("getent", "-s", "dns", "ahosts", name).stdout.startswith(given["private_ip"])

    world.args["capture"] = {"dns": False}
    joined(world, program)


def access_log(world: World, **settings: Any) -> None:
    """A line for each request, from now on."""
    world.args["access_log"] = {"provider": "envoy", **settings}


def test_off_boarding_takes_back_what_stands_around_the_sidecar(world: World) -> None:
    given = world.boot()
    machine, program = world.machine(given["id"]), named(world, given)
    resolves_to(machine, world.lab.network.host_ip)
    listens_for_itself_alone(machine)
    world.args.update(NONE)
    access_log(world, max_megabytes=7, keep=2)
    said = refused(world, program, "vm-join", "access_log: logrotate is not on the machine")
    assert said.endswith("install logrotate, or leave access_log out")

    # Only that it is there counts: when it runs is the machine's own matter.
    machine.run("install", "-D", "-m", "0755", "/bin/true", "/usr/local/sbin/logrotate")
    machine.run("mkdir", "-p", "/etc/logrotate.d")
    world.destroyed()
    before = snapshot(machine)
    joined(world, program)
    rotation = machine.path("/etc/logrotate.d/meshvm")
    assert "size 7M\n\trotate 2\n\tcopytruncate" in rotation.read_text()
    assert rotation.stat().st_mode & 0o777 == 0o644
    assert machine.run("systemctl", "is-active", TIMER).stdout == "active\n"

    world.destroyed()
    assert differences(before, snapshot(machine)) == {}
