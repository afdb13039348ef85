"""Who is calling istiod: what the client's certificate says, else what the API server says of its token?"""

import contextlib
import ssl
from collections.abc import Mapping
from typing import Any

import lightkube
from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.resources.authentication_v1 import TokenReview

from lab.istio.ca import Identity, identity_of
from lab.istio.proxy import Refused
from lab.istio.tokens import Unproven, identity_of_token

AUDIENCE = "istio-ca"


class Authenticator:
    """Proves callers.

    :param api: the API server that reviews tokens.
    :param trust_domain: that certificates must belong to.
    :param cluster: the cluster id that an agent with a token must name.
    :param rule: whose tokens are believed besides the API server's: `issuer`, `jwks_uri`, `audiences`.
    """

    def __init__(
        self, api: lightkube.Client, trust_domain: str, cluster: str, rule: Mapping[str, Any] | None = None
    ) -> None:
        self._api = api
        self._rule = rule
        self._trust_domain = trust_domain
        self._cluster = cluster

    def authenticate(self, connection: ssl.SSLSocket, request: dict[str, Any]) -> Identity:
        """The caller.

        :raises Refused: Unauthenticated; the agent hears no more than the original tells it, the log has the reason.
        """
        certificate = connection.getpeercert(binary_form=True)
        if certificate:
            identity = identity_of(certificate, self._trust_domain)
            if identity:
                return identity
        token = str(request.get("token") or "")
        if self._rule:
            with contextlib.suppress(Unproven):
                return identity_of_token(token, self._rule)
        try:
            return self._review(token, str(request.get("cluster") or ""))
        except Unproven as error:
            text = "request authenticate failure" if request.get("call") == "sign" else "authentication failure"
            raise Refused("Unauthenticated", text) from error

    def _review(self, token: str, cluster: str) -> Identity:
        if not token:
            raise Unproven("neither a client certificate nor a token")
        if cluster != self._cluster:
            raise Unproven(f"client claims to be in cluster {cluster!r}, but we only know about {self._cluster!r}")
        review = self._api.create(TokenReview(spec=TokenReviewSpec(audiences=[AUDIENCE], token=token)))
        status = review.status
        if status is None or not status.authenticated or status.user is None:
            raise Unproven(f"the token is not authenticated: {status.error if status else 'no answer'}")
        if AUDIENCE not in (status.audiences or []):
            raise Unproven(f"the token is not for the audience {AUDIENCE}")
        parts = (status.user.username or "").split(":")
        if "system:serviceaccounts" not in (status.user.groups or []) or len(parts) != 4:
            raise Unproven("the token is not one of a service account")
        return Identity(parts[2], parts[3])
