"""Is a text that has an inner form of its own, YAML or PEM, what it is said to be?

An error of theirs keeps the text to itself: it is long, and may be a secret in the wrong place.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.istio import go_yaml
from meshvm.istio.messages import PROXY_CONFIG
from meshvm.lint.rules import of_text

# What a reader of YAML raises, beside its own error, for a value that does not fit its tag.
_NO_YAML: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


@of_text
def yaml_map(path: str, value: str) -> None:
    """YAML of a map, as Istio reads it."""
    _map(path, _first(path, value))


@of_text
def proxy_config(path: str, value: str) -> None:
    """YAML of a ProxyConfig, as Istio reads it; an empty one says nothing."""
    found = _first(path, value)
    PROXY_CONFIG(_map(path, {} if found is None else found), path)


def _first(path: str, value: str) -> object:
    """The first document: what follows it Istio does not look at."""
    try:
        documents = go_yaml.load(value)
    except _NO_YAML:
        raise ArgumentError(path, "it is not YAML", "write `key: value` lines") from None
    return documents[0] if documents else None


def _map(path: str, found: object) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        wrong = f"it is YAML of {'a map with keys that are no strings' if isinstance(found, Mapping) else 'no map'}"
        raise ArgumentError(path, wrong, "write `key: value` lines")
    return found


@of_text
def certificates(path: str, value: str) -> None:
    """One or more certificates, PEM."""
    blocks = _PEM.findall(value)
    if any("PRIVATE KEY" in kind for kind, _ in blocks) or "PRIVATE KEY" in value:
        wrong = "there is a private key in it, which must not leave the authority"
        raise ArgumentError(path, wrong, "give the certificates alone")
    if not blocks or any(kind != "CERTIFICATE" or not _is_base64(body) for kind, body in blocks):
        remedy = "write `-----BEGIN CERTIFICATE-----` and so on, as in the ConfigMap istio-ca-root-cert"
        raise ArgumentError(path, "it is not a certificate in PEM", remedy)


def _is_base64(body: str) -> bool:
    try:
        return bool(base64.b64decode("".join(body.split()), validate=True))
    except (binascii.Error, ValueError):
        return False


@of_text
def flat(path: str, value: str) -> None:
    """Text without line breaks or NUL; it may be empty."""
    if re.search(r"[\0\r\n]", value):
        raise ArgumentError(path, "it has a line break", "write one line")
