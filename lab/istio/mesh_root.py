"""Where is the root of the mesh kept, and how does every namespace get its certificate?"""

import base64
import threading
import time
from pathlib import Path

import lightkube
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret

from lab.base.errors import LabError
from lab.istio.ca import Identity, Issued, MeshCA
from lab.istio.objects import ROOT_CONFIGMAP, UNANSWERED, conflict, connected, missing

SYSTEM = "istio-system"
SECRET = "istio-ca-secret"
PLUGGED = "cacerts"
"""The Secret of an authority that istiod is given and did not make."""


def load_or_create(api: lightkube.Client, trust_domain: str) -> MeshCA:
    """The authority of the Secrets that the original keeps it in; made there at the first start."""
    found = load(api, trust_domain)
    if found:
        return found
    ca = MeshCA.create(trust_domain)
    _write(api, SECRET, {"ca-key.pem": ca.key, "ca-cert.pem": ca.root})
    return ca


def load(api: lightkube.Client, trust_domain: str = "cluster.local") -> MeshCA | None:
    """The authority, when one is plugged in or istiod has made one."""
    plugged = read(api, PLUGGED)
    if plugged:
        key, certificate, root = (plugged[name] for name in ("ca-key.pem", "ca-cert.pem", "root-cert.pem"))
        return MeshCA(key, certificate, trust_domain, root, plugged["cert-chain.pem"])
    own = read(api, SECRET)
    return MeshCA(own["ca-key.pem"], own["ca-cert.pem"], trust_domain) if own else None


def plug_in(api: lightkube.Client, ca: MeshCA) -> None:
    """Give istiod an authority, before its first start."""
    files = {"ca-key.pem": ca.key, "ca-cert.pem": ca.certificate, "root-cert.pem": ca.root, "cert-chain.pem": ca.chain}
    _write(api, PLUGGED, files)


def _write(api: lightkube.Client, name: str, data: dict[str, str]) -> None:
    kind = "istio.io/ca-root" if name == SECRET else "Opaque"
    api.create(Secret(metadata=ObjectMeta(name=name, namespace=SYSTEM), type=kind, stringData=data))


def read(api: lightkube.Client, name: str) -> dict[str, str]:
    """The texts of a Secret of the control plane; none when it is not there."""
    try:
        data = api.get(Secret, name, namespace=SYSTEM).data or {}
    except ApiError as error:
        if missing(error):
            return {}
        raise
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def issue(kubeconfig: Path, identity: Identity, seconds: int) -> tuple[Issued, str]:
    """A certificate of the mesh for whom a test wants to play, and the root certificate.

    :raises LabError: when istiod has made no root yet.
    """
    with connected(kubeconfig) as api:
        ca = load(api)
    if ca is None:
        raise LabError("istiod has made no root yet: wait for ready()")
    return ca.issue(identity, seconds), ca.root


class RootEverywhere:
    """Writes the ConfigMap `istio-ca-root-cert` into every namespace, also into one that is made later."""

    def __init__(self, api: lightkube.Client, root: str) -> None:
        self._api = api
        self._root = root

    def start(self) -> None:
        """Follow the namespaces, in a thread of its own."""
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                for event, namespace in self._api.watch(Namespace):
                    name = namespace.metadata.name if namespace.metadata else None
                    terminating = namespace.status is not None and namespace.status.phase == "Terminating"
                    if event == "ADDED" and name and not terminating:
                        self._write(name)
            except UNANSWERED:
                time.sleep(1)

    def _write(self, namespace: str) -> None:
        metadata = ObjectMeta(name=ROOT_CONFIGMAP, namespace=namespace, labels={"istio.io/config": "true"})
        wanted = ConfigMap(metadata=metadata, data={"root-cert.pem": self._root})
        try:
            self._api.create(wanted)
        except ApiError as error:
            if conflict(error):
                self._api.replace(wanted)
            elif not missing(error) and error.status.code != 403:  # the namespace is going away
                raise
