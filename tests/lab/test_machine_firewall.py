"""Does a machine's firewall behave as a fresh cloud machine's, with the trap in it that a bootstrap must avoid?"""

import subprocess

import pytest

from lab.base.process import wait_until
from lab.machines.machine import Machine
from tests.lab.keys import PATIENCE, Key, said

pytestmark = pytest.mark.lab


def test_a_fresh_machine_tracks_no_connections(own: Machine, key: Key) -> None:
    assert said(key.ssh(own, "sudo -n cat /proc/sys/net/netfilter/nf_conntrack_count")).stdout == "0\n"


VARIANTS = ("nft", "legacy")


class Session:
    """An ssh session that says `begin`, and the next word when it is told."""

    def __init__(self, key: Key, machine: Machine) -> None:
        machine.run("mkfifo", "--mode=666", "/tmp/go")
        command = key.ssh(machine, "echo begin; read -r word < /tmp/go; echo $word")
        self._machine = machine
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "begin\n"
        assert wait_until(self._quiet, PATIENCE)

    def _quiet(self) -> bool:
        """Nothing is on its way: the next packet is the machine's own."""
        sockets = self._machine.run("ss", "-tinH", "state", "established", "sport", "=", ":22").stdout
        return "unacked" not in sockets

    def go(self) -> None:
        self._machine.run("sh", "-c", "echo alive > /tmp/go")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


def capture(machine: Machine, variant: str) -> None:
    """What Istio does to outbound TCP, in short."""
    tool = f"iptables-{variant}"
    machine.run(tool, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "22", "-j", "RETURN")
    machine.run(tool, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15001")


def redirected(machine: Machine, variant: str) -> bool:
    lines = machine.run(f"iptables-{variant}", "-t", "nat", "-vnxL", "OUTPUT").stdout.splitlines()
    return any("REDIRECT" in line and int(line.split()[0]) > 0 for line in lines)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nat_rules_on_a_fresh_machine_catch_an_established_session(own: Machine, key: Key, variant: str) -> None:
    session = Session(key, own)
    capture(own, variant)
    session.go()
    assert wait_until(lambda: redirected(own, variant), PATIENCE)
    session.end()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_session_lives_through_nat_rules_where_connections_were_tracked(own: Machine, key: Key, variant: str) -> None:
    rule = f"sudo -n iptables-{variant} -I INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"
    assert said(key.ssh(own, rule)).returncode == 0
    session = Session(key, own)
    capture(own, variant)
    session.go()
    assert session.process.communicate(timeout=PATIENCE)[0] == "alive\n"
