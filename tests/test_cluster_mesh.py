"""Is the control plane found that is meant, and nothing asked that was given?"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from meshvm import cluster as asking
from meshvm.cluster import Cluster, Given, connect
from meshvm.errors import ArgumentError, ClusterError
from tests.api_server import DEPLOYMENTS, ISTIO, WEBHOOKS, ApiServer, config_map, istio_answers, kubeconfig, status

ROOT = "/api/v1/namespaces/bookinfo/configmaps/istio-ca-root-cert"
CANARY = "discoveryAddress: istiod-canary.istio-system.svc:15012"
GIVEN = Given(mesh_config="trustDomain: given\n", root_certificate="PEM", cluster_id="given", proxy_version="1.29.0")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    made.answers = {
        **istio_answers(),
        f"{ISTIO}/configmaps/istio-canary": config_map(mesh=f"defaultConfig: {{{CANARY}}}"),
        f"{ISTIO}/configmaps/istio-sidecar-injector-canary": config_map(values='{"global": {"tag": "1.31.0"}}'),
    }
    yield made
    made.stop()


@pytest.fixture
def cluster(server: ApiServer) -> Cluster:
    return connect(kubeconfig(server.url), None)


def labelled(rev: str, tag: str = "") -> tuple[int, dict[str, Any]]:
    """A webhook or a Service that names a revision."""
    return 200, {"metadata": {"name": "x", "labels": {"istio.io/rev": rev, **({"istio.io/tag": tag} if tag else {})}}}


def asked(server: ApiServer) -> list[str]:
    return [path.rsplit("/", 1)[-1] for _, path, _ in server.asked]


@pytest.mark.parametrize("asks", ["", "default"])
def test_the_default_revision_is_the_one_that_the_default_tag_names(
    server: ApiServer, cluster: Cluster, asks: str
) -> None:
    server.answers[f"{WEBHOOKS}/istio-revision-tag-default"] = labelled("canary")
    found = cluster.mesh("bookinfo", "istio-system", asks)
    assert (found["revision"], found["discoveryAddress"]) == ("canary", "istiod-canary.istio-system.svc:15012")


@pytest.mark.parametrize("answer", [(404, status(404, "no")), (403, status(403, "no")), labelled("default")])
def test_without_a_default_tag_that_names_another_it_is_the_one_without_a_name(
    server: ApiServer, cluster: Cluster, answer: tuple[int, Any]
) -> None:
    """Or when these credentials may not look, as istioctl does."""
    server.answers[f"{WEBHOOKS}/istio-revision-tag-default"] = answer
    assert cluster.default_revision("istio-system") == "default"
    assert cluster.mesh("bookinfo", "istio-system", "")["revision"] == ""


def test_the_tags_of_another_namespace_of_istiods_have_its_name(server: ApiServer, cluster: Cluster) -> None:
    server.answers[f"{WEBHOOKS}/istio-revision-tag-default-mesh"] = labelled("one")
    server.answers[f"{WEBHOOKS}/istio-revision-tag-default"] = labelled("two")
    assert cluster.default_revision("mesh") == "one"
    assert cluster.default_revision("istio-system") == "two"


@pytest.mark.parametrize("path", [f"{WEBHOOKS}/istio-revision-tag-prod", f"{ISTIO}/services/istiod-revision-tag-prod"])
def test_a_tag_stands_for_its_revision(server: ApiServer, cluster: Cluster, path: str) -> None:
    """A webhook, or a Service where Istio may make none."""
    server.answers[path] = labelled("canary", "prod")
    assert cluster.mesh("bookinfo", "istio-system", "prod")["revision"] == "canary"


def test_a_revision_is_itself_although_a_tag_has_its_name(server: ApiServer, cluster: Cluster) -> None:
    server.answers[f"{WEBHOOKS}/istio-revision-tag-canary"] = labelled("other")
    assert cluster.revision("istio-system", "canary") == "canary"


def test_an_unknown_revision_is_refused_by_the_names_of_the_known(server: ApiServer, cluster: Cluster) -> None:
    named = [("istio", "mesh"), ("istio-canary", "mesh"), ("istio-sidecar-injector", "values")]
    items = [{"metadata": {"name": name}, "data": {key: ""}} for name, key in named]
    server.answers[f"{ISTIO}/configmaps"] = (200, {"kind": "ConfigMapList", "metadata": {}, "items": items})
    hooks = [labelled("canary", "prod")[1]]
    server.answers[WEBHOOKS] = (200, {"kind": "MutatingWebhookConfigurationList", "metadata": {}, "items": hooks})
    with pytest.raises(ArgumentError) as caught:
        cluster.mesh("bookinfo", "istio-system", "cannary")
    assert caught.value.path == "revision"
    assert "'cannary'" in str(caught.value)
    assert "write one of canary, default, prod" in str(caught.value)


@pytest.mark.parametrize("code", [403, 404])
def test_an_unknown_revision_is_refused_where_nothing_may_be_listed(
    server: ApiServer, cluster: Cluster, code: int
) -> None:
    for path in (f"{ISTIO}/configmaps", WEBHOOKS):
        server.answers[path] = (code, status(code, "no"))
    server.answers[f"{WEBHOOKS}/istio-revision-tag-cannary"] = (403, status(403, "no"))
    with pytest.raises(ArgumentError, match="'cannary'; write one of those that `istioctl tag list` shows"):
        cluster.revision("istio-system", "cannary")


def test_given_facts_are_read_without_a_cluster() -> None:
    found = asking.mesh_facts(namespace="bookinfo", istio_namespace="istio-system", revision="canary", given=GIVEN)
    assert found == {
        "namespace": "bookinfo",
        "istioNamespace": "istio-system",
        "revision": "canary",
        "discoveryAddress": "istiod-canary.istio-system.svc:15012",
        "trustDomain": "given",
        "meshId": "",
        "clusterId": "given",
        "proxyVersion": "1.29.0",
        "rootCertificate": "PEM",
        "defaultConfig": "{}",
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("mesh_config", ["istio", "istio-sidecar-injector"]),
        ("proxy_version", ["istiod", "istio-sidecar-injector"]),
        ("cluster_id", ["istio-sidecar-injector"]),
        ("root_certificate", ["istio-ca-root-cert"]),
    ],
)
def test_only_what_was_not_given_is_asked(server: ApiServer, cluster: Cluster, part: str, expected: list[str]) -> None:
    """Whoever asks istiod's own objects asks too whether the given cluster id is the one that they have."""
    given = GIVEN._replace(**{part: None}, **({"cluster_id": "one"} if part != "cluster_id" else {}))
    cluster.mesh("bookinfo", "istio-system", "", given=given)
    of_revision = ["istio-revision-tag-default", "istiod-revision-tag-default"] if part != "root_certificate" else []
    assert sorted(asked(server)) == sorted([*of_revision, *expected])


@pytest.mark.parametrize("given", ["two", ""])
def test_a_cluster_id_that_istiod_does_not_know_is_refused(server: ApiServer, cluster: Cluster, given: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        cluster.mesh("bookinfo", "istio-system", "", given=Given(cluster_id=given))
    assert caught.value.path == "cluster_id"
    assert "'one'" in str(caught.value)


@pytest.mark.parametrize("given", ["", "Kubernetes"])
def test_without_a_name_istiod_knows_its_cluster_by_its_default(
    server: ApiServer, cluster: Cluster, given: str
) -> None:
    server.answers[f"{ISTIO}/configmaps/istio-sidecar-injector"] = config_map(values=json.dumps({"global": {}}))
    assert cluster.cluster_id("istio-system", "") == ""
    assert cluster.mesh("bookinfo", "istio-system", "", given=Given(cluster_id=given))["clusterId"] == "Kubernetes"


def test_a_cluster_id_where_the_injector_may_not_be_seen_is_believed(server: ApiServer, cluster: Cluster) -> None:
    server.answers[f"{ISTIO}/configmaps/istio-sidecar-injector"] = (403, status(403, "no"))
    assert cluster.mesh("bookinfo", "istio-system", "", given=Given(cluster_id="two"))["clusterId"] == "two"


def test_the_cluster_id_is_an_error_without_the_injector(server: ApiServer, cluster: Cluster) -> None:
    del server.answers[f"{ISTIO}/configmaps/istio-sidecar-injector"]
    with pytest.raises(ClusterError, match="istio-system/istio-sidecar-injector is not in the cluster"):
        cluster.cluster_id("istio-system", "")


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (True, ["istiod wrote no root certificate into bookinfo", "discoverySelectors"]),
        (False, ["the namespace bookinfo is not in the cluster", "create it"]),
    ],
)
def test_a_namespace_without_root_certificate_is_refused(
    server: ApiServer, cluster: Cluster, there: bool, words: list[str]
) -> None:
    del server.answers[ROOT]
    if not there:
        del server.answers["/api/v1/namespaces/bookinfo"]
    with pytest.raises(ArgumentError) as caught:
        cluster.root_certificate("bookinfo")
    assert caught.value.path == "namespace"
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_root_certificate_in_a_new_namespace_is_waited_for(
    server: ApiServer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = server.answers.pop(ROOT)

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return float(len(server.asked))

        @staticmethod
        def sleep(_: float) -> None:
            server.answers[ROOT] = certificate

    monkeypatch.setattr(asking.mesh, "time", Clock)
    assert cluster.root_certificate("bookinfo", 5) == "PEM"


def test_a_refusal_of_the_root_certificate_is_not_waited_for(
    server: ApiServer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        monotonic = staticmethod(lambda: 0.0)

        @staticmethod
        def sleep(_: float) -> None:
            pytest.fail("waited")

    monkeypatch.setattr(asking.mesh, "time", Clock)
    server.answers[ROOT] = (403, status(403, "because"))
    with pytest.raises(ClusterError, match="because"):
        cluster.root_certificate("bookinfo", 3600)


def test_the_text_of_the_mesh_config_is_istiods_own(server: ApiServer, cluster: Cluster) -> None:
    text = "# ours\ntrustDomain: mesh.example\n"
    server.answers[f"{ISTIO}/configmaps/istio"] = config_map(mesh=text)
    assert cluster.mesh_config_text("istio-system", "default") == text


def test_the_version_of_a_revision_is_its_own(server: ApiServer, cluster: Cluster) -> None:
    assert cluster.proxy_version("istio-system", "canary") == "1.31.0"
    assert f"{DEPLOYMENTS}/istiod-canary" in [path for _, path, _ in server.asked]
