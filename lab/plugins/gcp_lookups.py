"""The functions (`getImage`, `getZones`, ...) that the stand-in of Google Cloud answers."""

from collections.abc import Mapping
from typing import Final

from lab.plugins.cloud import Account, Invoke, Values
from lab.plugins.gcp_account import API, NETWORK, SUBNETWORK, missing, number, project, region, zone
from lab.plugins.serve import Refused, Secret

# family: the image behind it; whatever it is, the lab's machine runs the host's own release
_IMAGES: Final = {
    "debian-12": "debian-12-bookworm-v20260310",
    "debian-13": "debian-13-trixie-v20260310",
    "ubuntu-2404-lts-amd64": "ubuntu-2404-noble-amd64-v20260310",
}


def _image(account: Account, asked: Values) -> Values:
    family = str(asked.get("family") or "")
    name = _IMAGES.get(family) or asked.get("name")
    home = str(asked.get("project") or project(account, {}))
    if not name:
        raise Refused(
            f"googleapi: Error 404: The resource 'projects/{home}/global/images/family/{family}' was not found"
        )
    id_ = f"projects/{home}/global/images/{name}"
    own = {"imageId": number(id_), "diskSizeGb": 10, "status": "READY", "labels": {}, "project": home}
    return {"id": id_, "name": name, "family": family, "selfLink": API + id_, **own}


def _zones(account: Account, asked: Values) -> Values:
    place = region(account, asked)
    names = [f"{place}-{letter}" for letter in "abc"]
    return {"id": place, "names": names, "region": place, "project": project(account, asked)}


def _project(account: Account, asked: Values) -> Values:
    home = str(asked.get("projectId") or project(account, {}))
    return {"id": f"projects/{home}", "projectId": home, "name": home, "number": number(home)[:12], "labels": {}}


def _client(account: Account, _asked: Values) -> Values:
    places = {"region": region(account, {}), "zone": zone(account, {}), "project": project(account, {})}
    return {"id": "client", "accessToken": Secret("lab-has-no-token"), "defaultLabels": {}, **places}


def _found(account: Account, kind: str, id_: str) -> Values:
    item = account.objects.get(id_)
    if item is None or item.kind != kind:
        raise missing(id_)
    return {**item.inputs, **item.outputs, "id": item.id}


def _network(account: Account, asked: Values) -> Values:
    return _found(account, NETWORK, f"projects/{project(account, asked)}/global/networks/{asked['name']}")


def _subnetwork(account: Account, asked: Values) -> Values:
    place = f"projects/{project(account, asked)}/regions/{region(account, asked)}"
    return _found(account, SUBNETWORK, f"{place}/subnetworks/{asked.get('name')}")


INVOKES: Final[Mapping[str, Invoke]] = {
    "gcp:compute/getImage:getImage": _image,
    "gcp:compute/getNetwork:getNetwork": _network,
    "gcp:compute/getSubnetwork:getSubnetwork": _subnetwork,
    "gcp:compute/getZones:getZones": _zones,
    "gcp:organizations/getClientConfig:getClientConfig": _client,
    "gcp:organizations/getProject:getProject": _project,
}
