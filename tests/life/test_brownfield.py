"""A machine that stays when its MeshVm goes: is it as it was before?"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.machines.machine import Machine
from tests.life.world import World

pytestmark = pytest.mark.lab

# What is not compared, and why.
NOT_COMPARED = {
    "/proc": "the kernel's",
    "/sys": "the kernel's",
    "/dev": "the kernel's",
    "/run": "gone with the next boot",
    "/tmp": "anybody's",
    "/var/tmp": "anybody's",
    "/var/log": "a log tells what happened, and keeps telling it",
    "/var/cache/ldconfig": "dpkg runs ldconfig, which notes when",
    "/etc/ld.so.cache": "dpkg runs ldconfig",
    "/var/lib/dpkg/status": "dpkg writes its records in another order; the packages are compared by name",
    "/var/lib/dpkg/status-old": "dpkg's own copy of the records before the last change",
    "/var/lib/dpkg/lock": "dpkg's own",
    "/var/lib/dpkg/lock-frontend": "dpkg's own",
    "/var/lib/dpkg/triggers": "dpkg's own",
    "/etc/passwd-": "useradd's own copy of the file before the last change",
    "/etc/shadow-": "useradd's own copy",
    "/etc/group-": "useradd's own copy",
    "/etc/gshadow-": "useradd's own copy",
    "/etc/.pwd.lock": "useradd's own",
    "/var/lib/systemd": "systemd notes times, seeds and catalogs there",
    "/home/admin/.sudo_as_admin_successful": "sudo's own, of the user who logs in",
    "/home/admin/.cache": "a login's own",
}

Snapshot = dict[str, str]


def walk(machine: Machine) -> Iterator[tuple[str, Path]]:
    """Every path of a machine that is compared, and where the host sees it."""
    root = Path(f"/proc/{machine.pid}/root")
    for folder, folders, names in os.walk(root):
        inside = "/" + os.path.relpath(folder, root).removeprefix(".").lstrip("/")
        folders[:] = sorted(one for one in folders if os.path.join(inside, one) not in NOT_COMPARED)  # noqa: PTH118 text
        for name in (*folders, *names):
            path = os.path.join(inside, name)  # noqa: PTH118 a path of the machine and not of this host
            if path not in NOT_COMPARED:
                yield path, Path(folder) / name


def from_release(path: Path) -> bool:
    """Whether a file is of the system, where nobody but its packages writes."""
    _, _, inside = str(path).partition("/root/")
    return inside.startswith("usr/") and not inside.startswith("usr/local/")


def described(path: Path) -> str:
    """Type, mode, owner, and what is in it."""
    found = path.lstat()
    words = [stat.filemode(found.st_mode), f"{found.st_uid}:{found.st_gid}"]
    if path.is_symlink():
        words.append(str(path.readlink()))
    elif path.is_file() and from_release(path):
        # Written never: not even with the same content. And a hundred megabytes need not be read.
        words.append(f"{found.st_size} bytes of {found.st_ctime_ns}")
    elif path.is_file():
        words.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return " ".join(words)


def rules(machine: Machine, tool: str) -> str:
    """The packet filter's rules; a table without any is the same as no table."""
    # Looking at the old variant would put its tables into the kernel.
    names = f"/proc/net/{tool.partition('tables')[0]}_tables_names"
    if "legacy" in tool and not machine.run("cat", names, check=False).stdout:
        return ""
    saved = machine.run(tool).stdout
    return "\n".join(line for line in saved.splitlines() if line.startswith("-A") or re.match(r":\S+ -", line))


def snapshot(machine: Machine) -> Snapshot:
    """What there is on a machine."""
    taken = {path: described(place) for path, place in walk(machine)}
    for tool in ("iptables-save", "ip6tables-save", "iptables-legacy-save"):
        taken[f"rules of {tool}"] = rules(machine, tool)
    taken["users"] = machine.run("getent", "passwd").stdout
    taken["groups"] = machine.run("getent", "group").stdout
    taken["packages"] = machine.run("dpkg-query", "--show", "--showformat=${Package} ${Version} ${Status}\n").stdout
    units = machine.run("systemctl", "list-unit-files", "--state=enabled", "--no-legend").stdout
    taken["enabled units"] = units
    taken["units that failed"] = machine.run("systemctl", "list-units", "--failed", "--no-legend").stdout
    return taken


def differences(before: Snapshot, after: Snapshot) -> dict[str, tuple[str | None, str | None]]:
    """What is not the same."""
    paths = sorted({*before, *after})
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def boot(world: World) -> tuple[dict[str, Any], Machine, Snapshot]:
    """A machine that has been logged in to once, and what is on it."""
    given = world.boot()
    machine = world.machine(given["id"])
    return given, machine, snapshot(machine)


def test_off_boarding_leaves_a_machine_as_it_was_before_it_joined(world: World) -> None:
    given, machine, before = boot(world)
    world.made(world.existing(given))
    assert "/usr/local/bin/pilot-agent" in snapshot(machine)

    world.destroyed()
    assert differences(before, snapshot(machine)) == {}


def test_off_boarding_after_a_first_join_that_failed_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, machine, before = boot(world)
    world.args["kubeconfig"] = str(world.lab.cluster.kubeconfig)
    monkeypatch.setattr("meshvm.bootstrap.values.READY_SECONDS", 5)
    world.lab.istiod.stop()
    try:
        assert "the sidecar was not ready within 5 s" in world.up(world.existing(given)).text
        assert "istio-sidecar" in snapshot(machine)["packages"]
        assert rules(machine, "iptables-save").count("ISTIO") == 0, "the application goes on as before"
    finally:
        world.lab.istiod.start()
        world.lab.istiod.ready()

    world.destroyed()
    assert differences(before, snapshot(machine)) == {}


def test_off_boarding_when_only_the_first_session_ran_leaves_nothing(world: World) -> None:
    given, machine, before = boot(world)
    world.args["service_account"] = "nobody"
    assert f"{world.name}/nobody is not in the cluster" in world.up(world.existing(given)).text
    assert machine.path("/var/lib/meshvm/mark").exists()

    world.destroyed()
    assert differences(before, snapshot(machine)) == {}


def test_off_boarding_leaves_alone_a_machine_with_the_mark_of_another_owner(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    world.made(world.existing(given))
    machine.path("/var/lib/meshvm/mark").write_text("another")
    before = snapshot(machine)

    world.destroyed()
    after = snapshot(machine)
    # The log of meshvm tells that it was there and did nothing.
    assert set(differences(before, after)) == {"/var/lib/meshvm/log"}
    assert machine.run("systemctl", "is-active", "istio").stdout.strip() == "active"


def test_off_boarding_keeps_what_a_machine_had_before_of_the_sidecar(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    machine.run("useradd", "--system", "--user-group", "--home-dir", "/srv/proxy", "istio-proxy")
    machine.run("install", "-d", "-m", "0750", "/etc/certs", "/srv/proxy")
    machine.path("/etc/certs/own.pem").write_text("the user's own\n")
    machine.run("sh", "-c", "echo '10.0.0.1 own.example' >>/etc/hosts")
    before = snapshot(machine)

    world.made(world.existing(given))
    world.destroyed()
    assert differences(before, snapshot(machine)) == {}
