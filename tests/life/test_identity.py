"""A machine that proves who it is by a certificate of its own or by its cloud: looked at, used, renewed, left alone?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import meshvm
from lab.base.process import wait_until
from lab.istio.ca import Identity
from lab.istio.istiod import Istiod
from lab.istio.options import Options
from lab.istio.tokens import MetadataServer
from lab.machines.machine import Machine
from tests.life.test_brownfield import differences, snapshot
from tests.life.test_refusals import joined, refused, with_mesh
from tests.life.world import World

pytestmark = pytest.mark.lab

FOLDER = "/srv/identity"
# Seconds of life that ended one minute ago: it begins two minutes before now, for clocks that differ.
ENDED = -60


@dataclass(frozen=True)
class Issuer:
    """Who issues certificates to a machine."""

    world: World
    machine: Machine

    def put(self, seconds: int = 3600) -> str:
        """Write a certificate and its key as a tool that renews them does; the serial number."""
        made, _ = self.world.lab.istiod.issue(self.world.name, "ratings", seconds)
        for name, text in (("key.pem", made.key), ("chain.pem", made.certificate)):
            fresh = f"{FOLDER}/{name}.new"
            self.machine.path(fresh).write_text(text)
            self.machine.run("chgrp", "istio-proxy", fresh)
            self.machine.run("chmod", "0640", fresh)
            self.machine.run("mv", fresh, f"{FOLDER}/{name}")
        said = self.machine.run("openssl", "x509", "-noout", "-serial", "-in", f"{FOLDER}/chain.pem").stdout.strip()
        # openssl writes whole bytes, Envoy a number.
        return said.partition("=")[2].lower().lstrip("0")


def used(machine: Machine) -> str:
    """What the sidecar says of the certificates that it uses."""
    return machine.run("sh", "-c", "cd / && pilot-agent request GET certs").stdout.lower()


def refused_certificate(world: World, given: dict[str, Any], *words: str) -> None:
    """An `up` that fails over the certificate, before the sidecar is there."""
    refused(world, world.existing(given), "vm-join", *words)
    assert not world.machine(given["id"]).path("/usr/local/bin/pilot-agent").exists()


def test_a_certificate_from_files_is_looked_at_used_renewed_and_left_to_its_owner(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    issuer = Issuer(world, machine)
    # Who issues by files makes the user first, to give it the files.
    machine.run("useradd", "--system", "--user-group", "--home-dir", "/srv/proxy", "istio-proxy")
    machine.path(FOLDER).mkdir()
    files = {"certificate": f"{FOLDER}/chain.pem", "private_key": f"{FOLDER}/key.pem"}
    world.args["identity"] = {"kind": meshvm.IdentityKind.FILES, **files}
    before = snapshot(machine)
    refused_certificate(world, given, f"identity.certificate: there is no file {FOLDER}/chain.pem on the machine")
    issuer.put(seconds=ENDED)
    refused_certificate(world, given, f"identity.certificate: {FOLDER}/chain.pem has ended (", "have it renewed")

    first = issuer.put()
    joined(world, world.existing(given))
    assert first in used(machine)
    assert not machine.path("/var/run/secrets/tokens/istio-token").exists()
    second = issuer.put()
    assert wait_until(lambda: second in used(machine), 20), "a renewed certificate is used without a restart"

    world.destroyed()
    left = differences(before, snapshot(machine))
    assert set(left) == {f"{FOLDER}/chain.pem", f"{FOLDER}/key.pem"}, "they stay, and nothing else does"


@pytest.fixture
def metadata(world: World) -> Iterator[MetadataServer]:
    """What Google Compute Engine's metadata server says to the machine."""
    server = MetadataServer(world.lab.network.host_ip, Identity(world.name, "ratings"))
    yield server
    server.stop()


@pytest.fixture
def believing(world: World, metadata: MetadataServer) -> Iterator[str]:
    """The address of one more istiod, which believes those tokens."""
    if not isinstance(world.lab.istiod, Istiod):
        pytest.skip("with a real istiod it is tests/lab/test_istio_same.py that asks")
    (world.folder / "logs").mkdir()
    address = world.lab.network.host_public_ip
    istiod = Istiod(world.folder, world.lab.cluster, address, options=Options(jwt_rule=metadata.rule))
    istiod.start()
    istiod.ready()
    yield address
    istiod.stop()


def test_a_machine_on_compute_engine_shows_its_platforms_token_and_gets_none_of_ours(
    world: World, metadata: MetadataServer, believing: str
) -> None:
    """The agent writes the token itself, also after a restart, which empties its folder."""
    given = world.boot()
    machine = world.machine(given["id"])
    host = f"proxyMetadata: {{GCE_METADATA_HOST: '{metadata.host}'}}"
    world.args |= {"identity": {"kind": meshvm.IdentityKind.GCE}, "annotations": {"proxy.istio.io/config": host}}
    joined(world, with_mesh(world, given, gatewayAddress=believing, gatewayAddresses=believing))
    assert set(metadata.asked) == {"cluster.local"}
    folders = machine.run("cat", "/etc/tmpfiles.d/meshvm.conf").stdout
    assert "/run/secrets/tokens" in folders
    world.destroyed()
    assert not machine.path("/etc/tmpfiles.d/meshvm.conf").exists()
