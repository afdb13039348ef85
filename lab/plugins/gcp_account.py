"""What every Google Cloud stand-in needs to know: project, place, links, labels, how the API words a refusal."""

import os
import uuid
from typing import Final

from lab.plugins.cloud import Account, Kind, Values, short_hex
from lab.plugins.serve import Refused

API: Final = "https://www.googleapis.com/compute/v1/"
NETWORK: Final = "gcp:compute/network:Network"
SUBNETWORK: Final = "gcp:compute/subnetwork:Subnetwork"
FIREWALL: Final = "gcp:compute/firewall:Firewall"
PEERING: Final = "gcp:compute/networkPeering:NetworkPeering"
ADDRESS: Final = "gcp:compute/address:Address"
INSTANCE: Final = "gcp:compute/instance:Instance"
SERVICE_ACCOUNT: Final = "gcp:serviceaccount/account:Account"
DEFAULT_NETWORK: Final = "default"  # a project has it before anybody makes any


def project(account: Account, given: Values) -> str:
    """The resource's project, else the provider's, else the environment's, else `lab-project`."""
    named = given.get("project") or account.config.get("project") or os.environ.get("GOOGLE_PROJECT")
    return str(named or "lab-project")


def zone(account: Account, given: Values) -> str:
    """The resource's zone, else the provider's, else the environment's, else us-central1-a."""
    return str(given.get("zone") or account.config.get("zone") or os.environ.get("GOOGLE_ZONE") or "us-central1-a")


def region(account: Account, given: Values) -> str:
    """The resource's region, else the provider's, else the environment's, else us-central1."""
    named = given.get("region") or account.config.get("region") or os.environ.get("GOOGLE_REGION")
    return str(named or "us-central1")


def number(seed: str = "") -> str:
    """A numeric id of 19 digits."""
    return str(10**18 + int(short_hex(seed or uuid.uuid4().bytes, 14), 16))


def labels(given: Values) -> Values:
    """The labels a resource ends up with: Pulumi's own mark is among them, as with the original (since 7.0)."""
    own = given.get("labels") or {}
    return {
        "effectiveLabels": {**own, "goog-pulumi-provisioned": "true"},
        "pulumiLabels": {**own, "goog-pulumi-provisioned": "true"},
        "labelFingerprint": short_hex(repr(sorted(own.items())), 11),
    }


def conflict(id_: str) -> Refused:
    """Refused because the name is taken."""
    return Refused(f"googleapi: Error 409: The resource '{id_}' already exists, alreadyExists")


def missing(id_: str) -> Refused:
    """Refused because what is referred to is not there."""
    return Refused(f"googleapi: Error 404: The resource '{id_}' was not found, notFound")


def in_use(id_: str, by: str) -> Refused:
    """Refused because something else needs it."""
    return Refused(
        f"googleapi: Error 400: The {id_.split('/')[-2].removesuffix('s')} resource '{id_}' is already being used "
        f"by '{by}', resourceInUseByAnotherResource"
    )


def path(link: str, kind: str, home: str) -> str:
    """A self link, a relative path or a bare name as the relative path, which is the object's id."""
    if link.startswith("https://"):
        return link[link.index("projects/") :]
    return link if link.startswith("projects/") else f"{home}/{kind}/{link}"


class Named(Kind):
    """A type whose objects have a name, made up when none is given, and taken only once."""

    autonamed = "name"

    def place(self, account: Account, given: Values) -> str:
        """Where it lives: the id without collection and name."""
        return f"projects/{project(account, given)}/global"

    def own_id(self, account: Account, collection: str, given: Values) -> str:
        """The id; refused when there is one already."""
        id_ = f"{self.place(account, given)}/{collection}/{given['name']}"
        if account.objects.get(id_):
            raise conflict(id_)
        return id_


def network_path(account: Account, link: str, home: str) -> str:
    """The network that `link` names; refused when it is not there."""
    id_ = path(link, "networks", f"projects/{home}/global")
    if id_.rpartition("/")[2] != DEFAULT_NETWORK and account.objects.get(id_) is None:
        raise missing(id_)
    return id_
