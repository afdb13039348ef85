"""Which control plane is meant by a revision, by a revision tag, or by none?

A revision is there when its mesh config is. A tag is a MutatingWebhookConfiguration or, where Istio may not make any, a
Service of istiod's (istio: istio-discovery/templates/revision-tags-mwc.yaml and -svc.yaml).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from lightkube import operators
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import ConfigMap, Service

from meshvm.cluster.client import Client, asked
from meshvm.errors import ArgumentError, ClusterError

DEFAULT: Final = "default"

_REVISION: Final = "istio.io/rev"
_TAG: Final = "istio.io/tag"
_WEBHOOK: Final = "istio-revision-tag-"
_SERVICE: Final = "istiod-revision-tag-"


def suffix(revision: str) -> str:
    """What the names of a revision's objects end in: nothing for the one without a name, which is `default` too."""
    return "" if revision in {"", DEFAULT} else f"-{revision}"


def unknown_revision(istio_namespace: str, revision: str, known: Sequence[str]) -> ArgumentError:
    """That there is no such control plane.

    :param known: what there is, as far as it may be listed.
    """
    wrong = f"no control plane in the namespace {istio_namespace} has the revision or the tag {revision!r}"
    which = ", ".join(known) if known else "those that `istioctl tag list` shows"
    return ArgumentError("revision", wrong, f"write one of {which}, or leave it out")


class Revisions(Client):
    """The control planes of one cluster."""

    def default_revision(self, istio_namespace: str) -> str:
        """The revision that the tag `default` names; `default`, the one without a name, where there is no such tag or
        these credentials may not look (istio: istioctl/pkg/cli, RevisionOrDefault)."""
        return self._tagged(istio_namespace, DEFAULT) or DEFAULT

    def revision(self, istio_namespace: str, revision: str) -> str:
        """The control plane that is meant: "" for the one without a name.

        :param revision: a revision or a revision tag; "" takes the cluster's default one.
        """
        if revision in {"", DEFAULT}:
            found = self.default_revision(istio_namespace)
            return "" if found == DEFAULT else found
        if self._is_there(istio_namespace, revision):
            return revision
        found = self._tagged(istio_namespace, revision)
        if not found:
            raise unknown_revision(istio_namespace, revision, self._known(istio_namespace))
        return "" if found == DEFAULT else found

    def _is_there(self, istio_namespace: str, revision: str) -> bool:
        name = f"istio{suffix(revision)}"
        try:
            with asked(f"the ConfigMap {istio_namespace}/{name}", "check istio_namespace and revision"):
                self._client.get(ConfigMap, name, namespace=istio_namespace)
        except ClusterError as error:
            if error.missing:
                return False
            raise
        return True

    def _tagged(self, istio_namespace: str, tag: str) -> str:
        """The revision that a tag names; "" when there is no such tag, as far as these credentials may see."""
        names = [f"{_WEBHOOK}{tag}"]
        if istio_namespace != "istio-system":
            names.insert(0, f"{_WEBHOOK}{tag}-{istio_namespace}")
        try:
            for name in names:
                found = self._label(MutatingWebhookConfiguration, name, None)
                if found:
                    return found
            return self._label(Service, f"{_SERVICE}{tag}", istio_namespace)
        except ClusterError as error:
            if error.refused:
                return ""
            raise

    def _label(self, kind: type[MutatingWebhookConfiguration | Service], name: str, namespace: str | None) -> str:
        try:
            with asked(f"the {kind.__name__} {name}", "check revision"):
                found = (
                    self._client.get(Service, name, namespace=namespace)
                    if kind is Service
                    else self._client.get(MutatingWebhookConfiguration, name)
                )
        except ClusterError as error:
            if error.missing:
                return ""
            raise
        labels = (found.metadata.labels if found.metadata else None) or {}
        return str(labels.get(_REVISION, ""))

    def _known(self, istio_namespace: str) -> list[str]:
        """Revisions, then tags; what these credentials may not list is left out."""
        revisions, tags = set(), set()
        with suppress(ClusterError), asked(f"the ConfigMaps of {istio_namespace}", ""):
            for one in self._client.list(ConfigMap, namespace=istio_namespace):
                name = one.metadata.name or "" if one.metadata else ""
                if "mesh" in (one.data or {}) and name.startswith("istio"):
                    revisions.add(name.removeprefix("istio").removeprefix("-") or DEFAULT)
        with suppress(ClusterError), asked("the MutatingWebhookConfigurations", ""):
            for hook in self._client.list(MutatingWebhookConfiguration, labels={_TAG: operators.exists()}):
                tags.add(((hook.metadata.labels if hook.metadata else None) or {}).get(_TAG, ""))
        return [*sorted(revisions), *sorted(tags - revisions - {""})]
