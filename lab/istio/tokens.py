"""Who makes tokens besides the API server, and is one of them to be believed?

`MetadataServer` stands in for Google's: it is asked by `CREDENTIAL_FETCHER_TYPE=GoogleComputeEngine`. Its tokens name a
service account of the cluster as istiod wants it (`sub` is `system:serviceaccount:NAMESPACE:NAME`, `aud` a list). Those
of a real instance do not, and a real istiod refuses them.
"""

import base64
import http.server
import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.istio.ca import Identity

_KEY = "lab"


class Unproven(Exception):
    """Why a caller is not believed: for istiod's log."""


class MetadataServer:
    """Google's metadata server for one instance, and the keys that its tokens are signed with.

    :param address: where it listens; `host` is the value of GCE_METADATA_HOST.
    :param identity: whom its tokens are for.
    """

    def __init__(self, address: str, identity: Identity) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        outer = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(*outer.answer(self.path, self.headers.get("Metadata-Flavor")))

            def _reply(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer((address, 0), Answers)
        self.host = f"{address}:{self._server.server_address[1]}"
        self.identity = identity
        self.asked: list[str] = []
        """The audiences that tokens were asked for."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def rule(self) -> dict[str, Any]:
        """What istiod must be told (JWT_RULE) to believe these tokens, for the trust domain as their audience."""
        return {"issuer": self._issuer, "jwks_uri": f"{self._issuer}/keys", "audiences": ["cluster.local"]}

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, flavor: str | None) -> tuple[int, str]:
        """Status and text for a request."""
        url = urllib.parse.urlsplit(path)
        if url.path == "/keys":
            return 200, json.dumps({"keys": [self._public()]})
        if flavor != "Google":
            return 403, "Missing required header Metadata-Flavor"
        if url.path != "/computeMetadata/v1/instance/service-accounts/default/identity":
            return 404, "not found"
        audience = urllib.parse.parse_qs(url.query).get("audience", [""])[0]
        self.asked.append(audience)
        return 200, self._token(audience)

    @property
    def _issuer(self) -> str:
        return f"http://{self.host}"

    def _token(self, audience: str) -> str:
        subject = f"system:serviceaccount:{self.identity.namespace}:{self.identity.account}"
        now = int(time.time())
        claims = {"iss": self._issuer, "sub": subject, "aud": [audience], "iat": now, "exp": now + 3600}
        head = {"alg": "RS256", "kid": _KEY, "typ": "JWT"}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_encoded(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _public(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        n = _encoded(numbers.n.to_bytes(256, "big"))
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": _KEY, "n": n, "e": _encoded(b"\x01\x00\x01")}


def identity_of_token(token: str, rule: Mapping[str, Any]) -> Identity:
    """Whom a token names that the rule's issuer has signed.

    :raises Unproven: why it is not believed.
    """
    try:
        head, claims = (json.loads(_decoded(part)) for part in token.split(".")[:2])
        signed, _, signature = token.rpartition(".")
        _key_of(str(rule["jwks_uri"]), head["kid"]).verify(
            _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (ValueError, KeyError, InvalidSignature, OSError) as error:
        raise Unproven(f"failed to verify the JWT token (error {error})") from error
    subject = str(claims.get("sub", ""))
    audiences = claims.get("aud")
    if claims.get("iss") != rule["issuer"] or claims.get("exp", 0) < time.time():
        raise Unproven("the token is of another issuer, or has ended")
    if not isinstance(audiences, list) or not set(audiences) & set(rule["audiences"]):
        raise Unproven(f"invalid audiences {audiences}")
    if not subject.startswith("system:serviceaccount:"):
        raise Unproven(f"invalid sub {subject}")
    return Identity(*subject.split(":")[2:4])


def _key_of(url: str, name: str) -> rsa.RSAPublicKey:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        keys = json.load(answer)["keys"]
    found = next(key for key in keys if key["kid"] == name)
    e, n = (int.from_bytes(_decoded(found[part]), "big") for part in ("e", "n"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
