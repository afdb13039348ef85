"""Who signs in the lab's mesh: a self-signed root, istiod's own certificate, and one for each workload."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Identity:
    """Whom a certificate or a token stands for."""

    namespace: str
    account: str

    def spiffe(self, trust_domain: str) -> str:
        """The name that goes into a certificate."""
        return f"spiffe://{trust_domain}/ns/{self.namespace}/sa/{self.account}"


@dataclass(frozen=True)
class Issued:
    """A key and the certificate for it, as PEM text."""

    certificate: str
    key: str


class MeshCA:
    """Who signs the certificates of a mesh: its root, or an authority below the root.

    :param key: its private key, PEM.
    :param certificate: its certificate, PEM.
    :param trust_domain: first part of every SPIFFE name that it signs.
    :param root: the root's certificate when it is not its own: what `root-cert.pem` holds on every machine.
    :param chain: its certificate and those between it and the root, PEM; empty for the root itself.
    """

    def __init__(
        self, key: str, certificate: str, trust_domain: str = "cluster.local", root: str = "", chain: str = ""
    ) -> None:
        loaded = load_pem_private_key(key.encode(), None)
        # The stand-in makes the one, the original's default is the other.
        if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TypeError("the root's key must be an elliptic curve or RSA key")
        self.key = key
        self.certificate = certificate
        self.root = root or certificate
        self.chain = chain
        self.trust_domain = trust_domain
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(certificate.encode())

    @classmethod
    def create(cls, trust_domain: str = "cluster.local") -> "MeshCA":
        """A new root, valid for ten years like Istio's own."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain)])
        builder = (
            _builder(key.public_key(), name, dt.timedelta(days=3650))
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        return cls(_pem(key), _text(builder.sign(key, hashes.SHA256())), trust_domain)

    def intermediate(self) -> "MeshCA":
        """An authority below this one, as an organization keeps its root away from istiod."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{self.trust_domain} intermediate")])
        signer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            _builder(key.public_key(), name, dt.timedelta(days=365))
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
        )
        certificate = _text(builder.sign(self._key, hashes.SHA256()))
        return MeshCA(_pem(key), certificate, self.trust_domain, self.root, certificate + self.chain)

    def certify(self, request: str, identity: Identity, seconds: int) -> str:
        """Sign a request's key for `identity`, whatever name the request asks for: as istiod does.

        :raises ValueError: when `request` is not a signed PEM request.
        """
        csr = x509.load_pem_x509_csr(request.encode())
        if not csr.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        key = csr.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            kind = type(key).__name__
            raise ValueError(f"a key of type {kind} is not signed here")  # noqa: TRY004 (the request is wrong)
        return self._sign(key, [x509.UniformResourceIdentifier(identity.spiffe(self.trust_domain))], seconds)

    def issue(self, identity: Identity, seconds: int = 3600) -> Issued:
        """A key and a certificate of the mesh for a client of the lab, such as one that plays a pod."""
        return self._issue([x509.UniformResourceIdentifier(identity.spiffe(self.trust_domain))], seconds)

    def issue_server(self, names: Sequence[str], seconds: int = 86400) -> Issued:
        """Istiod's own key and certificate for these host names."""
        return self._issue([x509.DNSName(name) for name in names], seconds)

    def _issue(self, names: Sequence[x509.GeneralName], seconds: int) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(self._sign(key.public_key(), names, seconds) + self.chain, _pem(key))

    def _sign(
        self, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, names: Sequence[x509.GeneralName], seconds: int
    ) -> str:
        signer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(key, x509.Name([]), dt.timedelta(seconds=seconds))
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
        )
        return _text(builder.sign(self._key, hashes.SHA256()))


def certificates(text: str) -> list[str]:
    """The certificates of a PEM text, each by itself."""
    end = "-----END CERTIFICATE-----\n"
    return [part + end for part in text.split(end) if part.strip()]


def identity_of(certificate: bytes, trust_domain: str) -> Identity | None:
    """The workload that a DER certificate names; None when it names none of this trust domain."""
    try:
        names = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound):
        return None
    for uri in names.value.get_values_for_type(x509.UniformResourceIdentifier):
        parts = uri.removeprefix("spiffe://").split("/")
        if len(parts) == 5 and parts[0] == trust_domain and (parts[1], parts[3]) == ("ns", "sa"):
            return Identity(parts[2], parts[4])
    return None


def _builder(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, subject: x509.Name, life: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=2))  # two minutes for clocks that differ, like istiod
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
