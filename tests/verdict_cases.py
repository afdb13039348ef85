"""Objects of Istio's kinds, who refuses each of them, and where: asked of lint, of the API server and of istiod."""

from typing import Final

from tests.verdicts.case import NAMESPACE, PLURALS, Case
from tests.verdicts.entries import ENTRIES, METADATA
from tests.verdicts.groups import GROUPS
from tests.verdicts.listeners import LISTENERS
from tests.verdicts.logs import LOGS
from tests.verdicts.services import SERVICES
from tests.verdicts.sidecars import SIDECARS

__all__ = ["CASES", "NAMESPACE", "PLURALS", "Case"]

CASES: Final = [*ENTRIES, *METADATA, *GROUPS, *SIDECARS, *LISTENERS, *SERVICES, *LOGS]
