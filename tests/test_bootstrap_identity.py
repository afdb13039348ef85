"""Which certificate on a machine is taken for its own, and which that a user gives is fit for use?"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.istio.ca import Identity, Issued, MeshCA, certificates
from tests.played import SPIFFE, played, said

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl looks at certificates")

OURS = Identity("bookinfo", "ratings")
OTHER = Identity("bookinfo", "details")


@dataclass(frozen=True)
class Given:
    """What a user gives: a certificate, its key, and the root of the mesh."""

    folder: Path
    ca: MeshCA

    def put(self, issued: Issued, key: str | None = None) -> None:
        """Write the two files."""
        (self.folder / "chain.pem").write_text(issued.certificate)
        (self.folder / "key.pem").write_text(issued.key if key is None else key)

    def said(self) -> str:
        """What the join says of them; nothing when they are fit."""
        files = {"MESHVM_CERTIFICATE": f"{self.folder}/chain.pem", "MESHVM_PRIVATE_KEY": f"{self.folder}/key.pem"}
        return said(played(self.folder, "look_at_certificate", {**files, "MESHVM_ROOT_CERTIFICATE": self.ca.root}))


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path, MeshCA.create())


def test_a_certificate_of_this_workload_in_this_mesh_is_fit(given: Given) -> None:
    given.put(given.ca.issue(OURS))
    assert given.said() == ""
    assert not (given.folder / "state" / "root.pem").exists()


def test_a_certificate_below_an_intermediate_is_fit_with_what_is_between(tmp_path: Path) -> None:
    """As with a plugged-in CA: the machine is told of the root alone."""
    given = Given(tmp_path, MeshCA.create().intermediate())
    issued = given.ca.issue(OURS)
    given.put(issued)
    assert given.said() == ""
    given.put(Issued(certificates(issued.certificate)[0], issued.key))
    assert "chain.pem does not lead to the mesh's root certificate; put the certificates between" in given.said()


def test_a_mesh_that_is_told_of_an_intermediate_alone_trusts_it(tmp_path: Path) -> None:
    authority = MeshCA.create().intermediate()
    given = Given(tmp_path, MeshCA(authority.key, authority.certificate))
    given.put(given.ca.issue(OURS))
    assert given.said() == ""


def test_what_is_not_fit_is_told_with_the_argument_to_change(given: Given) -> None:
    chain = f"{given.folder}/chain.pem"
    assert given.said().startswith(f"identity.certificate: there is no file {chain} on the machine; whoever issues")
    good = given.ca.issue(OURS)
    given.put(Issued("no PEM\n", good.key))
    assert given.said().startswith(f"identity.certificate: {chain} holds no certificate")
    given.put(given.ca.issue(OTHER))
    wrong = f"{chain} is for {SPIFFE.replace('ratings', 'details')} and not for {SPIFFE}; have it issued with that URI"
    assert given.said().startswith(f"identity.certificate: {wrong}")
    given.put(given.ca.issue(OURS, -60))
    assert given.said().startswith(f"identity.certificate: {chain} has ended (")
    given.put(MeshCA.create().issue(OURS))
    assert given.said().startswith(f"identity.certificate: {chain} does not lead to the mesh's root certificate")
    given.put(good, given.ca.issue(OURS).key)
    assert given.said().startswith(f"identity.private_key: {given.folder}/key.pem is not the key of {chain}")
    given.put(good, "")
    assert given.said().startswith(f"identity.private_key: {given.folder}/key.pem is not the key of {chain}")


@pytest.mark.parametrize(
    "names", [f"URI:{SPIFFE}", f"URI:{SPIFFE}, DNS:vm.example", f"DNS:vm, URI:{SPIFFE}, URI:urn:a"]
)
def test_a_name_is_found_among_others(names: str, tmp_path: Path) -> None:
    openssl = f"echo 'X509v3 Subject Alternative Name: critical'; echo '    {names}'"
    assert played(tmp_path, "names_us chain.pem", openssl=openssl).returncode == 0


@pytest.mark.parametrize("names", [f"URI:{SPIFFE}-canary", f"DNS:{SPIFFE}", ""])
def test_a_name_that_is_not_ours_is_not_taken_for_it(names: str, tmp_path: Path) -> None:
    assert played(tmp_path, "names_us chain.pem", openssl=f"echo '    {names}'").returncode != 0


@pytest.mark.parametrize(
    ("kind", "account", "stays"),
    [("TOKEN", "ratings", True), ("TOKEN", "details", False), ("GCE", "details", False), ("FILES", "details", True)],
)
@pytest.mark.parametrize("plugged", [False, True], ids=["root", "intermediate"])
def test_a_certificate_that_lies_there_stays_when_it_is_ours_or_the_users(
    kind: str, account: str, stays: bool, plugged: bool, tmp_path: Path
) -> None:
    """The agent would show one of another mesh or identity for ever, and istiod refuse it."""
    ca = MeshCA.create()
    ca = ca.intermediate() if plugged else ca
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "cert-chain.pem").write_text(ca.issue(Identity("bookinfo", account)).certificate)
    (certs / "root-cert.pem").write_text(ca.root)
    dropped = played(tmp_path, "drop_foreign_certificate", {"MESHVM_IDENTITY": kind}).returncode == 0
    assert (certs / "cert-chain.pem").exists() is stays
    assert dropped is not stays
