"""What is asked for one machine: is it the right thing, and does what comes back say what it is?"""

import inspect
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshvm.cluster import Cluster, connect
from meshvm.errors import ClusterError
from meshvm.testing import FakeCluster
from tests.api_server import ApiServer, istio_answers, kubeconfig, status

TOKEN = "/api/v1/namespaces/bookinfo/serviceaccounts/ratings/token"
NETWORKING = "/apis/networking.istio.io/v1/namespaces/bookinfo"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    made.answers = istio_answers()
    yield made
    made.stop()


@pytest.fixture
def cluster(server: ApiServer) -> Cluster:
    return connect(kubeconfig(server.url), None)


def token(begin: datetime | None, seconds: int) -> tuple[int, dict[str, Any]]:
    """What the API server answers to a TokenRequest that it shortened to `seconds`."""
    end = (begin or datetime.now(UTC)) + timedelta(seconds=seconds)
    metadata = {"creationTimestamp": begin.isoformat()} if begin else {}
    answered = {"token": "the-token", "expirationTimestamp": end.isoformat()}
    return 201, {"metadata": metadata, "spec": {"audiences": ["istio-ca"]}, "status": answered}


def test_the_recorders_cluster_can_be_asked_all_that_a_real_one_can() -> None:
    """By the same names, in the same order, with the same defaults."""
    questions = [name for name, _ in inspect.getmembers(Cluster, inspect.isfunction) if not name.startswith("_")]
    real = {name: inspect.signature(getattr(Cluster, name)) for name in questions}
    fake = {name: inspect.signature(getattr(FakeCluster, name)) for name in questions}
    assert len(questions) > 10
    assert fake == real


def test_a_token_says_how_long_it_was_granted_for(server: ApiServer, cluster: Cluster) -> None:
    """By the API server's clock: this machine's may be another."""
    server.answers[TOKEN] = token(datetime(2026, 1, 1, tzinfo=UTC), 600)
    assert cluster.token("bookinfo", "ratings", 86400) == ("the-token", 600)


def test_a_token_without_the_time_of_its_making_counts_from_now(server: ApiServer, cluster: Cluster) -> None:
    server.answers[TOKEN] = token(None, 3600)
    before = time.time()
    seconds = cluster.token("bookinfo", "ratings", 3600).seconds
    assert 3600 - (time.time() - before) - 1 <= seconds <= 3600


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (404, ["the service account bookinfo/ratings is not in the cluster", "service_accounts"]),
        (403, ["refuses to give a token of the service account bookinfo/ratings", "because", "the right to it"]),
        (422, ["answered 422", "because"]),
    ],
)
def test_a_token_that_is_refused_names_account_and_remedy(
    server: ApiServer, cluster: Cluster, code: int, words: list[str]
) -> None:
    server.answers[TOKEN] = (code, status(code, "because"))
    with pytest.raises(ClusterError) as caught:
        cluster.token("bookinfo", "ratings", 3600)
    assert [word for word in words if word not in str(caught.value)] == []
    assert (caught.value.missing, caught.value.refused) == (code == 404, code == 403)


@pytest.mark.parametrize(("kind", "plural"), [("WorkloadEntry", "workloadentries"), ("Sidecar", "sidecars")])
def test_a_uid_is_that_of_the_object(server: ApiServer, cluster: Cluster, kind: str, plural: str) -> None:
    server.answers[f"{NETWORKING}/{plural}/one"] = (200, {"metadata": {"name": "one", "uid": "u-1"}})
    assert cluster.uid(kind, "bookinfo", "one") == "u-1"


@pytest.mark.parametrize("code", [401, 403])
def test_whoever_may_not_look_sees_no_uid(server: ApiServer, cluster: Cluster, code: int) -> None:
    server.answers[f"{NETWORKING}/sidecars/one"] = (code, status(code, "no"))
    assert cluster.uid("Sidecar", "bookinfo", "one") == ""


def test_an_object_that_is_not_there_has_no_uid_but_an_error(cluster: Cluster) -> None:
    """Of another cluster's kubeconfig, say."""
    with pytest.raises(ClusterError, match="the Sidecar bookinfo/one is not in the cluster") as caught:
        cluster.uid("Sidecar", "bookinfo", "one")
    assert caught.value.missing


def test_a_group_is_the_whole_object(server: ApiServer, cluster: Cluster) -> None:
    group = {"metadata": {"name": "g", "labels": {"a": "b"}}, "spec": {"template": {"serviceAccount": "ratings"}}}
    server.answers[f"{NETWORKING}/workloadgroups/g"] = (200, group)
    found = cluster.workload_group("bookinfo", "g")
    assert found["spec"] == group["spec"]
    assert found["metadata"]["name"] == "g"


def test_a_group_that_is_not_there_is_named(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="the WorkloadGroup bookinfo/g is not in the cluster") as caught:
        cluster.workload_group("bookinfo", "g")
    assert caught.value.missing


def test_the_health_of_an_entry_that_istiod_has_not_made_yet_is_missing(cluster: Cluster) -> None:
    with pytest.raises(ClusterError) as caught:
        cluster.entry_health("bookinfo", "group-10.0.0.7")
    assert caught.value.missing
