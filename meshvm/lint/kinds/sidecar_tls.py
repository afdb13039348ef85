"""Would the TLS settings of a Sidecar's listener be taken?

istiod acts on them only with ENABLE_TLS_ON_SIDECAR_INGRESS, and judges them always.
"""

from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint import istio_values
from meshvm.lint.kinds import schema

_VERSION: Final = schema.word("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_TEXTS: Final = schema.many(schema.text())
_CERTIFICATE: Final = {
    "caCertificates": schema.text(),
    "privateKey": schema.text(),
    "serverCertificate": schema.text(),
}
SPEC: Final = schema.fields(
    {
        **_CERTIFICATE,
        "caCertCredentialName": schema.text(),
        "caCrl": schema.text(),
        "cipherSuites": _TEXTS,
        "credentialName": schema.text(),
        "credentialNames": schema.many(schema.text(), 2, 1),
        "httpsRedirect": schema.boolean,
        "maxProtocolVersion": _VERSION,
        "minProtocolVersion": _VERSION,
        "mode": schema.word("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
        "subjectAltNames": _TEXTS,
        "tlsCertificates": schema.many(schema.fields(_CERTIFICATE), 2, 1),
        "verifyCertificateHash": _TEXTS,
        "verifyCertificateSpki": _TEXTS,
    }
)
# What a gateway may have, and a sidecar may not.
_OF_GATEWAYS: Final = ("subjectAltNames", "httpsRedirect", "credentialName", "credentialNames", "tlsCertificates")
_MUTUAL: Final = ("MUTUAL", "OPTIONAL_MUTUAL")


def check(tls: Mapping[str, Any], path: str, protocol: str, warnings: list[str]) -> None:
    """Files of its own, and nothing that only a gateway may have."""
    for key in _OF_GATEWAYS:
        if tls.get(key):
            raise ArgumentError(f"{path}.{key}", "a Sidecar's listener cannot have it", "name files on the machine")
    mode = tls.get("mode", "PASSTHROUGH")
    if mode in {"ISTIO_MUTUAL", "AUTO_PASSTHROUGH"}:
        raise ArgumentError(f"{path}.mode", f"a Sidecar's listener cannot be {mode}", "write SIMPLE or MUTUAL")
    if not istio_values.is_tls(protocol):
        raise ArgumentError(path, "the port's protocol is neither HTTPS nor TLS", "leave it out, or write HTTPS")
    if tls.get("minProtocolVersion") in {"TLSV1_0", "TLSV1_1"} and not tls.get("cipherSuites"):
        wrong = "below TLSV1_2 none of the default ciphers fits"
        warnings.append(f"{path}.minProtocolVersion: {wrong}; write cipherSuites, or TLSV1_2")
    if mode == "PASSTHROUGH":
        if any(tls.get(key) for key in ("caCrl", *_CERTIFICATE)):
            warnings.append(f"{path}: with mode PASSTHROUGH its certificates are not looked at; leave them out")
    else:
        _check_files(tls, path, mode)


def _check_files(tls: Mapping[str, Any], path: str, mode: str) -> None:
    needed = ["serverCertificate", "privateKey", *(["caCertificates"] if mode in _MUTUAL else [])]
    for key in needed:
        if not tls.get(key):
            raise ArgumentError(f"{path}.{key}", f"mode {mode} needs it", "write the file's path on the machine")
    if tls.get("caCrl") and mode == "SIMPLE":
        raise ArgumentError(f"{path}.caCrl", "mode SIMPLE asks for no certificate to revoke", "leave it out")
