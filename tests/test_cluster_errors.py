"""Does every answer of an API server that is no answer become one sentence, and is the right thing asked?"""

import base64
import gc
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshvm.cluster import Cluster, connect, wait_healthy
from meshvm.errors import ArgumentError, ClusterError, MeshvmError
from meshvm.testing import FakeCluster
from tests.api_server import ISTIO, SECRET, ApiServer, config_map, istio_answers, kubeconfig, status


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    made.answers = istio_answers()
    yield made
    made.stop()


@pytest.fixture
def cluster(server: ApiServer) -> Cluster:
    return connect(kubeconfig(server.url), None)


def test_the_facts_of_the_mesh_are_read_from_istios_own_objects(cluster: Cluster) -> None:
    assert cluster.mesh("bookinfo", "istio-system", "") == {
        "namespace": "bookinfo",
        "istioNamespace": "istio-system",
        "revision": "",
        "discoveryAddress": "istiod.istio-system.svc:15012",
        "trustDomain": "mesh.example",
        "meshId": "mesh1",
        "clusterId": "one",
        "proxyVersion": "1.30.3",
        "rootCertificate": "PEM",
        "defaultConfig": '{"meshId":"mesh1"}',
    }


def test_a_revision_has_objects_of_its_own(server: ApiServer, cluster: Cluster) -> None:
    for path in list(server.answers):
        if "root-cert" not in path:
            server.answers[f"{path}-canary"] = server.answers.pop(path)
    assert (
        cluster.mesh("bookinfo", "istio-system", "canary")["discoveryAddress"] == "istiod-canary.istio-system.svc:15012"
    )


@pytest.mark.parametrize("image", ["pilot:1.30.3", "r.example:5000/pilot:1.30.3", "r.example/pilot:1.30.3@sha256:00"])
def test_the_version_is_the_tag_of_istiods_image(server: ApiServer, cluster: Cluster, image: str) -> None:
    deployment = server.answers["/apis/apps/v1/namespaces/istio-system/deployments/istiod"][1]
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
    assert cluster.mesh("bookinfo", "istio-system", "")["proxyVersion"] == "1.30.3"


@pytest.mark.parametrize("code", [403, 404])
def test_without_the_deployment_the_version_is_the_charts(server: ApiServer, cluster: Cluster, code: int) -> None:
    server.answers["/apis/apps/v1/namespaces/istio-system/deployments/istiod"] = (code, status(code, "no"))
    assert cluster.mesh("bookinfo", "istio-system", "")["proxyVersion"] == "1.30.2"


@pytest.mark.parametrize("text", ["", "just text", "[1]", "a: [", "\t"])
def test_a_mesh_config_that_is_no_map_is_named(server: ApiServer, cluster: Cluster, text: str) -> None:
    server.answers[f"{ISTIO}/configmaps/istio"] = config_map(mesh=text)
    with pytest.raises(ClusterError, match="'mesh' of the ConfigMap istio-system/istio is not a YAML map"):
        cluster.mesh("bookinfo", "istio-system", "")


def test_a_missing_key_is_named(server: ApiServer, cluster: Cluster) -> None:
    server.answers["/api/v1/namespaces/bookinfo/configmaps/istio-ca-root-cert"] = config_map(other="x")
    with pytest.raises(ClusterError, match=r"bookinfo/istio-ca-root-cert has no key 'root-cert\.pem'"):
        cluster.mesh("bookinfo", "istio-system", "")


def test_a_token_is_for_istiod_alone_and_for_the_declared_time(server: ApiServer, cluster: Cluster) -> None:
    path = "/api/v1/namespaces/bookinfo/serviceaccounts/ratings/token"
    answer = {
        "spec": {"audiences": ["istio-ca"]},
        "status": {"token": "the-token", "expirationTimestamp": "2026-01-01T00:00:00Z"},
    }
    server.answers[path] = (201, answer)
    assert cluster.token("bookinfo", "ratings", 900).text == "the-token"
    ((method, asked, body),) = server.asked
    assert (method, asked) == ("POST", path)
    assert body["spec"] == {"audiences": ["istio-ca"], "expirationSeconds": 900}


def test_an_answer_without_a_token_is_an_error(server: ApiServer, cluster: Cluster) -> None:
    server.answers["/api/v1/namespaces/bookinfo/serviceaccounts/ratings/token"] = (201, {"spec": {"audiences": []}})
    with pytest.raises(ClusterError, match="without a token"):
        cluster.token("bookinfo", "ratings", 900)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (404, ["the namespace bookinfo is not in the cluster", "create it"]),
        (401, ["refuses to give the namespace bookinfo", "because", "right to it"]),
        (403, ["refuses to give the namespace bookinfo", "because", "right to it"]),
        (500, ["answered 500", "the namespace bookinfo", "because", "try again"]),
        (429, ["answered 429", "the namespace bookinfo", "because", "try again"]),
    ],
)
def test_a_refusal_says_what_was_asked_what_came_and_what_to_do(
    server: ApiServer, cluster: Cluster, code: int, words: list[str]
) -> None:
    server.answers["/api/v1/namespaces/bookinfo"] = (code, status(code, "because"))
    with pytest.raises(ClusterError) as caught:
        cluster.require_namespace("bookinfo")
    assert [word for word in words if word not in str(caught.value)] == []
    assert not caught.value.unreachable
    assert caught.value.__suppress_context__
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("code", [200, 403, 502])
def test_an_answer_that_is_not_an_api_servers_is_one_sentence(server: ApiServer, cluster: Cluster, code: int) -> None:
    """A proxy on the way answers with a page."""
    server.answers["/api/v1/namespaces/bookinfo"] = (code, "<html>")
    with pytest.raises(ClusterError) as caught:
        cluster.require_namespace("bookinfo")
    assert "the namespace bookinfo" in str(caught.value)
    assert "\n" not in str(caught.value)


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_an_api_server_that_does_not_answer_is_unreachable() -> None:
    cluster = connect(kubeconfig(f"http://127.0.0.1:{closed_port()}"), None)
    with pytest.raises(ClusterError) as caught:
        cluster.require_namespace("bookinfo")
    assert caught.value.unreachable
    assert "does not answer when asked for the namespace bookinfo" in str(caught.value)
    assert "check kubeconfig" in str(caught.value)


def test_an_unreachable_api_server_is_not_taken_for_a_missing_deployment(server: ApiServer) -> None:
    """Else a short outage would change the version of every VM to the chart's."""
    cluster = connect(kubeconfig(server.url), None)
    cluster._client = connect(kubeconfig(f"http://127.0.0.1:{closed_port()}"), None)._client
    with pytest.raises(ClusterError):
        cluster.proxy_version("istio-system", "")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, (False, "the sidecar has not reported yet")),
        ([{"type": "Other", "status": "True"}], (False, "the sidecar has not reported yet")),
        ([{"type": "Healthy", "status": "True"}], (True, "no reason given")),
        ([{"type": "Healthy", "status": "False", "message": "refused"}], (False, "refused")),
        (
            [{"type": "Healthy", "status": "False", "message": 'Get "http://127.0.0.1:15000/stats?listener_manager"'}],
            (False, "it has not answered once since the sidecar's start"),
        ),
    ],
)
def test_health_is_the_condition_that_istiod_sets(
    server: ApiServer, cluster: Cluster, conditions: list[dict[str, str]] | None, expected: tuple[bool, str]
) -> None:
    path = "/apis/networking.istio.io/v1/namespaces/bookinfo/workloadentries/e"
    entry: dict[str, Any] = {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "e"}}
    server.answers[path] = (200, {**entry, "status": {"conditions": conditions}} if conditions else entry)
    assert cluster.entry_health("bookinfo", "e") == expected


def test_waiting_ends_with_the_reason_when_the_time_has_passed() -> None:
    error: Any = FakeCluster(error=ClusterError("not in the cluster"))
    unhealthy: Any = FakeCluster(unhealthy="refused")
    healthy: Any = FakeCluster()
    assert wait_healthy(error, "bookinfo", "e", 0) == "not in the cluster"
    assert wait_healthy(unhealthy, "bookinfo", "e", 0) == "refused"
    assert wait_healthy(healthy, "bookinfo", "e", 0) == ""


def load_balancer(**spec: Any) -> tuple[int, dict[str, Any]]:
    points = [{"hostname": "lb.example"}, {"ip": "192.0.2.1"}]
    ports = [{"port": 15012}, {"port": 15443}]
    return 200, {"spec": {"ports": ports, **spec}, "status": {"loadBalancer": {"ingress": points}}}


def test_a_gateways_ip_address_comes_before_its_host_name(server: ApiServer, cluster: Cluster) -> None:
    """Istioctl takes the first entry, and writes an empty file when that is a host name."""
    server.answers[f"{ISTIO}/services/gw"] = load_balancer(externalIPs=["192.0.2.2"])
    addresses, ports = cluster.gateway("istio-system", "gw")
    assert addresses == [("ip", "192.0.2.1"), ("ip", "192.0.2.2"), ("host", "lb.example")]
    assert ports == [15012, 15443]


def test_a_gateway_without_an_address_has_none(server: ApiServer, cluster: Cluster) -> None:
    server.answers[f"{ISTIO}/services/gw"] = (200, {"spec": {}})
    assert cluster.gateway("istio-system", "gw") == ([], [])


def test_a_kubeconfig_is_a_path_or_its_content(server: ApiServer, tmp_path: Path) -> None:
    content = kubeconfig(server.url)
    file = tmp_path / "config"
    file.write_text(content)
    one_line = json.dumps(yaml.safe_load(content))
    assert {connect(given, "main").server for given in (content, str(file), one_line)} == {server.url}


def test_the_ambient_kubeconfig_is_the_default(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(kubeconfig(server.url))
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert connect(None, None).server == connect("", "").server == server.url


@pytest.mark.parametrize("context", ["other", None])
def test_a_context_that_is_not_there_is_named(context: str | None) -> None:
    content = kubeconfig("http://127.0.0.1:1").replace("current-context: main\n", "")
    with pytest.raises(ArgumentError) as caught:
        connect(content, context)
    assert caught.value.path == "context"
    assert (repr(context) if context else "no context is the current one") in str(caught.value)


BROKEN = {
    "no YAML": f"a: [\n{SECRET}",
    "text": f"\n{SECRET}",
    "a list": f"- {SECRET}\n- b\n",
    "no clusters": f"users: []\ncontexts: []\ntoken: {SECRET}\n",
    "a user that is text": f"clusters: []\ncontexts: []\nusers:\n- name: a\n  user: {SECRET}\n",
    "a token that is a map": kubeconfig("http://127.0.0.1:1", token={"a": SECRET}),
    "a control character": f"a: \x07{SECRET}\n",
    "a tab": f"a:\n\t- {SECRET}\n",
    "a date that is none": f"a: 2026-99-99\nb: {SECRET}\n",
    "no certificate": kubeconfig(
        "https://127.0.0.1:1",
        **{
            "client-certificate-data": base64.b64encode(SECRET.encode()).decode(),
            "client-key-data": base64.b64encode(SECRET.encode()).decode(),
        },
    ),
    "no base64": kubeconfig(
        "https://127.0.0.1:1", **{"client-certificate-data": f"{SECRET}!", "client-key-data": SECRET}
    ),
    "a user that is not there": kubeconfig("http://127.0.0.1:1").replace("user: main", "user: other"),
    "a cluster that is not there": kubeconfig("http://127.0.0.1:1").replace("cluster: main", "cluster: other"),
    "a path that is not there": f"/nowhere/{SECRET}",
    "a folder": "/",
    "a path of a user that is not there": f"~{SECRET}/config",
    "a path with NUL": f"/{SECRET}\0",
    "a very long path": SECRET * 1000,
    "one line that is no path": '{"a": "' + SECRET + '"}',
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_kubeconfig_that_cannot_be_read_is_one_sentence_and_never_quoted(content: str) -> None:
    """It holds credentials."""
    with pytest.raises(MeshvmError) as caught:
        connect(content, None).require_namespace("bookinfo")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__
    # The client leaves the file open that it wrote a broken certificate into: closed here, and not under another test.
    del caught
    gc.collect()


def test_credentials_that_a_command_cannot_get_are_one_sentence() -> None:
    """The exec plugin of a cloud, without a login."""
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "false", "interactiveMode": "Never"}
    content = kubeconfig("http://127.0.0.1:1", token=None, exec=command)
    with pytest.raises(MeshvmError) as caught:
        connect(content, None).require_namespace("bookinfo")
    assert "false" in str(caught.value)
    assert "kubeconfig" in str(caught.value)
