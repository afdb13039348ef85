"""Where does a secret get to, over a whole life of a machine? To one file on it that its proxy alone reads."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lab.stack
from lab.machines.machine import Machine
from meshvm.cluster import Cluster, Token
from tests.life.world import World

pytestmark = pytest.mark.lab

TOKEN_FILE = "/var/run/secrets/tokens/istio-token"
# What a signed token begins with, whoever minted it.
TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.")

# What a join leaves, and who may read it. The agent is setgid root, as in Istio's package: so are the files it writes.
MODES = {
    "/etc/certs": "700 istio-proxy:istio-proxy",
    "/etc/certs/cert-chain.pem": "600 istio-proxy:root",
    "/etc/certs/key.pem": "600 istio-proxy:root",
    "/etc/certs/root-cert.pem": "600 istio-proxy:root",
    "/etc/istio/config/mesh": "600 istio-proxy:istio-proxy",
    "/var/lib/istio/envoy/cluster.env": "600 istio-proxy:istio-proxy",
    "/var/lib/meshvm": "700 root:root",
    "/var/lib/meshvm/log": "600 root:root",
    "/var/lib/meshvm/mark": "600 root:root",
    "/var/lib/meshvm/status": "600 root:root",
    "/var/run/secrets/tokens": "700 istio-proxy:istio-proxy",
    TOKEN_FILE: "600 istio-proxy:istio-proxy",
}


class Watch:
    """What the whole host shows while the engine works: every command line, and every word of the engine."""

    def __init__(self) -> None:
        self.command_lines: set[bytes] = set()
        self.said: list[str] = []
        self.tokens: list[str] = []

    def look(self) -> None:
        """Note what each process was started with; machines' processes are the host's too."""
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.command_lines.add(process.read_bytes())
            except OSError:
                continue


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Learn the tokens where they are minted, and the events where the lab takes them."""
    made, mint, note = Watch(), Cluster.token, lab.stack._note

    def token(self: Cluster, namespace: str, account: str, seconds: int) -> Token:
        minted = mint(self, namespace, account, seconds)
        made.tokens.append(minted.text)
        return minted

    def event(outcome: lab.stack.Outcome, event: Any) -> None:
        made.said.append(json.dumps(vars(event), default=vars))
        note(outcome, event)

    monkeypatch.setattr(Cluster, "token", token)
    monkeypatch.setattr(lab.stack, "_note", event)
    return made


@contextmanager
def looking(watch: Watch) -> Iterator[None]:
    """Look at the process list all the time."""
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.03):
            watch.look()

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pieces(watch: Watch, world: World) -> list[bytes]:
    """The tokens, and each line of the login key that is this key's own."""
    lines = [line for line in world.login.file.read_text().splitlines() if not line.startswith("-----")]
    # The first line says only what kind of key follows.
    return [word.encode() for word in (*watch.tokens, *lines[1:])]


def found(texts: dict[str, bytes], secrets: list[bytes]) -> list[str]:
    """The names of the texts in which a secret is, or anything that looks like a token."""
    return [name for name, text in texts.items() if TOKEN.search(text) or any(one in text for one in secrets)]


def files(*folders: Path) -> dict[str, bytes]:
    """Every file below some folders."""
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def minted(world: World) -> int:
    """How many tokens the API server gave for accounts of this world, by its audit log."""
    events = [event for event in world.lab.cluster.audit() if event["verb"] == "create"]
    asked = [event.get("objectRef", {}) for event in events]
    return sum(one.get("subresource") == "token" and one.get("namespace") == world.name for one in asked)


def on_the_machine(machine: Machine) -> list[str]:
    """The files of a machine in which something looks like a token, its journal among them."""
    pattern = TOKEN.pattern.decode()
    folders = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")
    # 1 is grep's word for nothing; a socket or a file that went away is no finding.
    listed = machine.run("grep", "-rlasE", "--devices=skip", pattern, *folders, check=False).stdout.split()
    journal = machine.run("journalctl", "--no-pager", "--output=json").stdout
    return sorted({str(Path("/") / path) for path in listed}) + (["the journal"] if re.search(pattern, journal) else [])


def test_a_whole_life_shows_its_secrets_to_nobody_but_the_proxy(world: World, watch: Watch) -> None:
    said: list[str] = []
    with looking(watch):
        world.stack.program = world.instance()
        said.append(world.stack.preview().text)
        assert minted(world) == 0, "a preview mints no token"
        world.made(world.instance())
        assert minted(world) == 1, "an up mints one for each machine"
        machine = world.machine(world.stack.outputs()["machine"])
        joined = on_the_machine(machine)
        modes = {path: machine.run("stat", "-c", "%a %U:%G", path).stdout.strip() for path in MODES}

        world.args["network"] = "elsewhere"
        said.append(world.stack.preview().text)
        said.append(world.made(world.instance()).text)
        world.made(world.instance())
        assert minted(world) == 3, "an up that changes nothing mints one as well, and does not use it"

        world.args["proxy"] = {"package": world.lab.package_url, "sha256": "0" * 64}
        failed = world.up(world.instance())
        assert failed.error
        changed = on_the_machine(machine)
        state = files(world.stack.folder / "state", world.stack.folder / "work")
        exported = json.dumps(world.stack.state()).encode()
        said += [failed.text, failed.error, world.destroyed().text]

    secrets = pieces(watch, world)
    assert len(watch.tokens) == 4
    assert modes == MODES
    assert joined == changed == [TOKEN_FILE.replace("/var/run", "/run")]
    assert found(state, secrets) == []
    assert found({"export with secrets shown": exported}, secrets), "there is something to be found"
    assert found({"output": "\n".join(said).encode(), "events": "\n".join(watch.said).encode()}, secrets) == []
    assert found(files(world.lab.logs, world.stack.folder / "state"), secrets) == []
    assert len(watch.command_lines) > 50, "the process list was looked at"
    assert found({line.decode(errors="replace"): line for line in watch.command_lines}, secrets) == []
