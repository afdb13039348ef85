"""Is a machine of the lab what a cloud's fresh machine is, for SSH, for systemd and for the firewall?"""

import socket
from pathlib import Path

import pytest

from lab.base.errors import LabError
from lab.base.process import wait_until
from lab.machines.cloud_init import Seed
from lab.machines.disk import Disk
from lab.machines.machine import Machine
from lab.machines.network import Network
from lab.machines.root import Root
from tests.lab.keys import Key, make_key, said

pytestmark = pytest.mark.lab


def test_ssh_works_with_the_planted_host_key_and_the_planted_user_key(
    root: Root, network: Network, tmp_path: Path
) -> None:
    host, user = make_key(tmp_path / "host"), make_key(tmp_path / "user")
    private = "".join(f"    {line}\n" for line in host.file.read_text().splitlines())
    text = f"#cloud-config\nssh_keys:\n  ed25519_private: |\n{private}ssh_authorized_keys: ['{user.public}']\n"
    planted = Machine("planted", root, network, tmp_path, Seed(user_data=text))
    try:
        planted.start()
        planted.ready()
        done = said(user.ssh(planted, "id -un", host_key=" ".join(host.public.split()[:2])))
    finally:
        planted.stop()
    assert done.stdout == "admin\n", done.stderr


def test_ssh_refuses_a_machine_with_another_host_key(machine: Machine, key: Key, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").public
    done = said(key.ssh(machine, "true", host_key=" ".join(other.split()[:2])))
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_the_default_user_may_use_sudo_without_a_password(machine: Machine, key: Key) -> None:
    assert said(key.ssh(machine, "sudo -n id -u")).stdout == "0\n"


def test_root_gets_no_shell_by_the_users_key(machine: Machine, key: Key) -> None:
    done = said(key.ssh(machine, "id", user="root"))
    assert done.returncode == 142
    assert "uid=" not in done.stdout


def test_every_unit_of_a_fresh_machine_is_well(machine: Machine) -> None:
    machine.settled()
    assert machine.run("systemctl", "--failed", "--no-legend").stdout == ""


def test_a_failing_command_is_an_error_with_what_it_said(machine: Machine) -> None:
    with pytest.raises(LabError, match=r"machine shared: `ls /nowhere` ended with 2: .*No such file"):
        machine.run("ls", "/nowhere")


def test_a_machine_is_found_by_its_name(machine: Machine) -> None:
    assert machine.run("getent", "ahostsv4", "shared").stdout.startswith(f"{machine.private_ip} ")


def test_user_data_is_applied(root: Root, network: Network, key: Key, tmp_path: Path) -> None:
    text = f"""#cloud-config
hostname: ratings
disable_root: false
users:
  - default
  - {{name: deploy, shell: /bin/bash, groups: [sudo, web], sudo: 'ALL=(ALL) NOPASSWD:ALL', lock_passwd: false,
      plain_text_passwd: secret, ssh_authorized_keys: ['{key.public}']}}
ssh_authorized_keys: ['{key.public}']
write_files:
  - {{path: /var/run/../etc/app/conf, content: "a b", permissions: '0640', owner: 'deploy:web', defer: true}}
runcmd:
  - [sh, -c, 'hostname > /root/name']
  - systemctl is-active ssh > /root/sshd
"""
    made = Machine("told", root, network, tmp_path, Seed(user_data=text))
    try:
        made.start()
        made.ready()
        made.settled()
        assert made.run("cat", "/root/name", "/root/sshd").stdout == "ratings\nactive\n"
        assert made.run("stat", "-c", "%a %U %G %s", "/etc/app/conf").stdout == "640 deploy web 3\n"
        assert said(key.ssh(made, "sudo -n id -un; id -nG", user="deploy")).stdout == "root\ndeploy sudo web\n"
        assert said(key.ssh(made, "id -un", user="root")).stdout == "root\n"
    finally:
        made.stop()


def test_a_script_as_user_data_runs_once(root: Root, network: Network, tmp_path: Path) -> None:
    made = Machine("scripted", root, network, tmp_path, Seed(user_data="#!/bin/sh\necho ran >> /root/ran\n"))
    try:
        made.start()
        made.settled()
        made.path("/var/lib/cloud/instance/boot-finished").unlink()
        made.reboot()
        made.settled()
        assert made.path("/root/ran").read_text() == "ran\n"
    finally:
        made.stop()


def test_user_data_that_the_stand_in_does_not_know_leaves_nothing(root: Root, network: Network, tmp_path: Path) -> None:
    made = Machine("wrong", root, network, tmp_path, Seed(user_data="#cloud-config\npackages: [a]\n"))
    with pytest.raises(LabError, match="unknown key 'packages'"):
        made.start()
    made.stop()
    assert not (network.folder / "machines" / "wrong").exists()


def test_a_reboot_keeps_the_disk_and_loses_the_rules(own: Machine) -> None:
    before, address = own.pid, own.public_ip
    own.path("/root/kept").touch()
    own.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP")
    own.reboot()
    own.ready()
    assert (own.pid != before, own.public_ip == address, own.path("/root/kept").exists()) == (True, True, True)
    assert "81" not in own.run("iptables", "-S").stdout


def test_a_machine_that_reboots_itself_comes_back_without_rules(own: Machine) -> None:
    before = own.pid
    own.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP")
    own.run("systemctl", "reboot", check=False)
    assert wait_until(lambda: _init(own) not in (None, before), 30)
    own.ready()
    assert "81" not in own.run("iptables", "-S").stdout


def _init(machine: Machine) -> int | None:
    try:
        return machine.pid
    except LabError:
        return None


def test_a_power_cut_keeps_the_disk_and_the_addresses(own: Machine) -> None:
    address, host_key = own.public_ip, own.host_key
    own.path("/root/kept").touch()
    own.kill_power()
    assert not own.running
    own.start()
    own.ready()
    assert (own.public_ip, own.host_key, own.path("/root/kept").exists()) == (address, host_key, True)


def test_another_image_keeps_the_addresses_and_nothing_of_the_disk(own: Machine) -> None:
    address, host_key = own.public_ip, own.host_key
    own.path("/root/kept").touch()
    own.reimage()
    own.ready()
    assert own.public_ip == address
    assert own.host_key != host_key
    assert not own.path("/root/kept").exists()


def test_machines_reach_each_other_and_do_not_end_each_others_services(machine: Machine, own: Machine) -> None:
    own.run("systemctl", "stop", "ssh")
    greeting = own.run("bash", "-c", f"head -c 4 < /dev/tcp/{machine.public_ip}/22").stdout
    assert greeting == "SSH-"


def test_machines_reach_each_other_and_the_host_by_ipv6(machine: Machine, own: Machine, network: Network) -> None:
    """At once: an address that the kernel still looks for on the wire could not be bound."""
    if not network.host_ipv6:
        pytest.skip("the kernel has no IPv6")
    assert own.run("bash", "-c", f"head -c 4 < /dev/tcp/{machine.ipv6}/22").stdout == "SSH-"
    with socket.create_server((network.host_ipv6, 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        own.run("bash", "-c", f"true > /dev/tcp/{network.host_ipv6}/{port}")


def test_where_no_overlay_can_be_the_layer_goes_to_a_tmpfs(root: Root, network: Network) -> None:
    outer = Disk(root.path, network.folder / "outer")
    outer.make()
    # The kernel takes no overlay as the upper layer of another: as in a container.
    inner = Disk(root.path, outer.root / "inner")
    try:
        inner.make()
        assert inner.kind == ("overlay on tmpfs" if outer.kind == "overlay" else outer.kind)
        assert (inner.root / "etc/ssh/sshd_config").exists()
    finally:
        inner.remove()
        outer.remove()
    assert not outer.root.exists()


def test_a_machine_boots_from_a_copy_where_the_kernel_has_no_overlay(
    root: Root, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "_overlay", lambda _: False)
    made = Machine("copied", root, network, tmp_path)
    try:
        made.start()
        made.ready()
        assert made.disk == "copy"
    finally:
        made.stop()


@pytest.mark.parametrize("name", ["", "Upper", "a_b", "-a", "switch", "x" * 41])
def test_a_name_that_is_no_host_name_is_refused(name: str, root: Root, network: Network, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="machine name"):
        Machine(name, root, network, tmp_path)
