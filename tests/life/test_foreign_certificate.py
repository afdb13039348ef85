"""What becomes of a certificate that the machine already has? Only this workload's own in this mesh stays."""

import pytest
from cryptography import x509

from lab.istio.ca import Identity, Issued, MeshCA
from lab.machines.machine import Machine
from tests.life.world import World

pytestmark = pytest.mark.lab

# Seconds of life: it began two minutes ago, as all do for clocks that differ, and ended one minute ago.
EXPIRED = -60


def put_certificate(machine: Machine, issued: Issued, root: str) -> None:
    """Leave a certificate, its key and its root as a sidecar of before would have."""
    certs = machine.path("/etc/certs")
    certs.mkdir(exist_ok=True)
    for name, text in {"cert-chain.pem": issued.certificate, "key.pem": issued.key, "root-cert.pem": root}.items():
        (certs / name).write_text(text)
        (certs / name).chmod(0o644)


def issued(world: World, account: str, seconds: int = 3600) -> tuple[Issued, str]:
    """A certificate of the mesh itself, and its root."""
    return world.lab.istiod.issue(world.name, account, seconds)


def held(machine: Machine) -> x509.Certificate:
    """The certificate that the machine holds now."""
    return x509.load_pem_x509_certificate(machine.path("/etc/certs/cert-chain.pem").read_bytes())


def names(certificate: x509.Certificate) -> list[str]:
    """The URIs that a certificate names."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.UniformResourceIdentifier)


@pytest.mark.parametrize("foreign", ["another mesh", "another identity", "expired"])
def test_a_certificate_that_istiod_would_refuse_is_replaced_by_the_join(world: World, foreign: str) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    if foreign == "another mesh":
        ca = MeshCA.create()
        old, root = ca.issue(Identity(world.name, "ratings")), ca.root
    elif foreign == "another identity":
        old, root = issued(world, "details")
    else:
        old, root = issued(world, "ratings", EXPIRED)
    put_certificate(machine, old, root)

    world.made(world.existing(given))
    assert names(held(machine)) == [f"spiffe://cluster.local/ns/{world.name}/sa/ratings"]
    assert held(machine).serial_number != x509.load_pem_x509_certificate(old.certificate.encode()).serial_number


def test_a_valid_certificate_of_this_mesh_is_kept_by_a_rejoin(world: World) -> None:
    given = world.boot()
    machine = world.machine(given["id"])
    world.made(world.existing(given))
    first = held(machine)

    world.args["rejoin"] = "2"
    rejoined = world.made(world.existing(given))
    assert "create-replacement vm-join" in rejoined.order()
    assert held(machine).serial_number == first.serial_number
