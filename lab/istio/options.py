"""How may one istiod of the lab differ from another?"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from lab.istio.relay import Relay


@dataclass(frozen=True)
class Options:
    """What both istiods, the stand-in and a real one, can be told.

    :param revision: its name among several control planes, and in one more name that its certificate is for.
    :param also: more addresses that machines reach it by, such as one of IPv6.
    :param jwt_rule: whose tokens it believes besides the API server's: `issuer`, `jwks_uri`, `audiences`.
    """

    revision: str = ""
    also: tuple[str, ...] = ()
    jwt_rule: Mapping[str, Any] | None = None

    @property
    def file(self) -> str:
        """What its log and folder are called."""
        return f"istiod-{self.revision}" if self.revision else "istiod"

    @property
    def rule(self) -> str:
        """The rule as JSON; empty for none."""
        return json.dumps(self.jwt_rule) if self.jwt_rule else ""

    def relays(self, address: str, port: int) -> ExitStack:
        """Listen on the other addresses, until the answer is closed."""
        open_ones = ExitStack()
        for other in self.also:
            open_ones.callback(Relay((other, port), (address, port)).stop)
        return open_ones
