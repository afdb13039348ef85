"""A stand-in of the `tls` plugin: private keys, made here, with the outputs and the secrecy of the original's.

Formats, defaults and what replaces: internal/provider/resource_private_key.go of the Terraform provider that
pulumi-tls bridges.
"""

import base64
import hashlib
from typing import Any, Final

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from lab.plugins.difference import compare
from lab.plugins.serve import UNKNOWN, Plugin, Refused, Secret, inputs, plain, serve, struct

VERSION: Final = "5.6.2"
TOKEN: Final = "tls:index/privateKey:PrivateKey"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
_SECRET: Final = ("privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8")
_PUBLIC: Final = ("publicKeyFingerprintMd5", "publicKeyFingerprintSha256", "publicKeyOpenssh", "publicKeyPem")


class Tls(Plugin):
    """Private keys; any change of an input makes another key."""

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """The algorithm and the curve are ones that the original knows."""
        _known(request.urn)
        given = plain(inputs(request.news))
        allowed = {"algorithm": ["RSA", "ECDSA", "ED25519"], "ecdsaCurve": list(_CURVES)}
        faults = [
            provider_pb2.CheckFailure(property=name, reason=f'value must be one of: {words}, got: "{given[name]}"')
            for name, words in allowed.items()
            if isinstance(given.get(name), str) and given[name] not in words
        ]
        if given.get("algorithm") is None:
            faults.append(provider_pb2.CheckFailure(property="algorithm", reason="Missing required property"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=faults)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Every change replaces."""
        replacing = ("algorithm", "ecdsaCurve", "opensshComment", "rsaBits")
        return compare(inputs(request.old_inputs), inputs(request.news), replacing)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Make the key."""
        _known(request.urn)
        given = inputs(request.properties)
        filled = {"ecdsaCurve": "P224", "rsaBits": 2048, **given}
        if request.preview:
            sealed = {name: Secret(UNKNOWN) for name in _SECRET}
            return provider_pb2.CreateResponse(
                properties=struct({**dict.fromkeys(_PUBLIC, UNKNOWN), **sealed, **filled})
            )
        made = _outputs(_key(plain(filled)))
        id_ = hashlib.sha1(str(made["publicKeyPem"]).encode(), usedforsecurity=False).hexdigest()
        return provider_pb2.CreateResponse(id=id_, properties=struct({**filled, **made, "id": id_}))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """What the state has is all there is."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Nothing to take back."""
        return empty_pb2.Empty()


def _known(urn: str) -> None:
    token = urn.split("::")[2].rpartition("$")[2]
    if token != TOKEN:
        raise Refused(
            f"the stand-in of tls does not know the resource type {token}; it knows {TOKEN}. "
            f"Put the real plugin on PATH, or add the type to lab/plugins."
        )


def _key(given: dict[str, Any]) -> Key:
    if given["algorithm"] == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if given["algorithm"] == "ECDSA":
        return ec.generate_private_key(_CURVES[given["ecdsaCurve"]])
    return rsa.generate_private_key(public_exponent=65537, key_size=int(given["rsaBits"]))


def _outputs(key: Key) -> dict[str, Any]:
    """What the original answers; no OpenSSH forms for P224, which OpenSSH does not know."""
    pkcs8 = _pem(key, serialization.PrivateFormat.PKCS8)
    # ED25519 has no traditional form: the original's PEM is the PKCS#8 one
    pem = (
        pkcs8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else _pem(key, serialization.PrivateFormat.TraditionalOpenSSL)
    )
    public = key.public_key()
    info = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    answers = {"privateKeyPem": Secret(pem), "privateKeyPemPkcs8": Secret(pkcs8), "publicKeyPem": info}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp224r1":
        none = dict.fromkeys(("publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256"), "")
        return {**answers, "privateKeyOpenssh": Secret(""), **none}
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    return {
        **answers,
        "privateKeyOpenssh": Secret(_pem(key, serialization.PrivateFormat.OpenSSH)),
        "publicKeyOpenssh": line + "\n",
        **_fingerprints(line),
    }


def _pem(key: Key, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _fingerprints(line: str) -> dict[str, str]:
    raw = base64.b64decode(line.split()[1])
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    return {
        "publicKeyFingerprintMd5": ":".join(md5[i : i + 2] for i in range(0, len(md5), 2)),
        "publicKeyFingerprintSha256": f"SHA256:{sha256}",
    }


def main() -> None:
    """Serve it."""
    serve(Tls(), "tls", VERSION)


if __name__ == "__main__":
    main()
