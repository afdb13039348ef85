"""Where do Istio's custom resource definitions come from, and when does the API server serve them?"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lab.base.cache import kept
from lab.base.errors import LabError
from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.base.toolchain import MODULES, build_log, find_or_install, fingerprint
from lab.cluster.admin import Admin

VERSION = "1.30.3"
"""The Istio whose definitions these are; `lab/go/crds/go.mod` names the same."""

MODULE = MODULES / "crds"

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def istio(steps: Steps) -> str:
    """The YAML of all of Istio's definitions, from its own Go module, kept in the cache."""
    with steps.step(f"CRDs of Istio {VERSION}") as found:
        folder, fresh = kept("istio-crds", f"{VERSION}-{fingerprint(MODULE)}", lambda folder: _fetch(folder, steps))
        found("fetched" if fresh else "from the cache")
    return (folder / "crds.yaml").read_text()


def documents(text: str) -> Iterator[str]:
    """The documents of a YAML file, without those that hold only comments."""
    for document in re.split(r"^---.*$", text, flags=re.MULTILINE):
        if any(line and not line.startswith("#") for line in document.splitlines()):
            yield document


def apply(admin: Admin, text: str) -> list[str]:
    """Create the definitions in this YAML and return when all of them are served; returns their names.

    The text goes to the API server as it is: reading 870 kB of YAML in Python takes longer than the server's start.

    :raises LabError: when one is refused or never becomes established.
    """
    with ThreadPoolExecutor(8) as at_once:
        names = list(at_once.map(lambda document: _create(admin, document), documents(text)))
    if not wait_until(lambda: set(names) <= _served(admin), seconds=30):
        raise LabError(f"the API server does not serve {sorted(set(names) - _served(admin))}: see its log")
    return names


def _create(admin: Admin, document: str) -> str:
    answer = admin.ask("POST", _CRDS, document.encode(), "application/yaml")
    if answer.status not in {201, 409}:
        raise LabError(f"the API server refused a custom resource definition: {answer.message}")
    if answer.status == 409:
        return str(answer.body["details"]["name"])
    return str(answer.body["metadata"]["name"])


def _served(admin: Admin) -> set[str]:
    """The names of the definitions that are established and listed in the API's discovery."""
    listed = admin.ask("GET", _CRDS).body.get("items") or []
    groups = {group["name"] for group in admin.ask("GET", "/apis").body.get("groups") or []}
    return {item["metadata"]["name"] for item in listed if item["spec"]["group"] in groups and _established(item)}


def _established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


def _fetch(folder: Path, steps: Steps) -> None:
    module = find_or_install(steps).fetch(MODULE, "istio.io/api", build_log("istio-crds"))
    source = module / "kubernetes" / "customresourcedefinitions.gen.yaml"
    if not source.is_file():
        raise LabError(f"istio.io/api {VERSION} has no {source.name} under {source.parent}")
    (folder / "crds.yaml").write_bytes(source.read_bytes())
