"""Do a Deployment and its load balancer become ready where there is neither a node nor a cloud, and only they?"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.cluster.stand_ins import NodesAndCloud
from tests.lab.kubernetes_plugin import Failed, Run

pytestmark = pytest.mark.lab

ADDRESS = "198.51.100.7"
PREFIX = "urn:pulumi:stack::project::kubernetes:"
LABELS = {"app": "edge"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("run"), Steps())
    try:
        cluster.start()
        cluster.ready()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def run(cluster: Cluster) -> Iterator[Run]:
    made = Run(kubeconfig=cluster.kubeconfig.read_text())
    yield made
    made.end()


@pytest.fixture
def played(cluster: Cluster) -> Iterator[NodesAndCloud]:
    made = NodesAndCloud(cluster.admin, ADDRESS)
    made.start()
    yield made
    made.stop()


def metadata(name: str, seconds: int = 60) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "annotations": {"pulumi.com/timeoutSeconds": str(seconds)}}


def deployment(name: str, seconds: int = 60) -> dict[str, Any]:
    labels = {"app": name}
    spec = {"containers": [{"name": "one", "image": "auto"}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"selector": {"matchLabels": labels}, "replicas": 2, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(name, seconds), "spec": body}


def service(name: str, selects: str, seconds: int = 60, kind: str = "LoadBalancer") -> dict[str, Any]:
    spec = {"type": kind, "selector": {"app": selects}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(name, seconds), "spec": spec}


def test_a_deployment_and_its_load_balancer_become_ready(run: Run, cluster: Cluster, played: NodesAndCloud) -> None:
    pods = run.create(f"{PREFIX}apps/v1:Deployment::ready", deployment("ready"))
    assert pods.state["status"]["readyReplicas"] == 2
    made = run.create(f"{PREFIX}core/v1:Service::ready", service("ready", "ready"))
    assert made.state["status"]["loadBalancer"]["ingress"][0]["ip"] == ADDRESS
    assert cluster.admin.ask("GET", "/api/v1/namespaces/default/endpoints/ready").status == 200


def test_pods_of_nobodys_deployment_and_other_services_are_left_alone(
    run: Run, cluster: Cluster, played: NodesAndCloud
) -> None:
    pod = b'{"metadata":{"name":"lonely"},"spec":{"containers":[{"name":"one","image":"auto"}]}}'
    cluster.admin.ask("POST", "/api/v1/namespaces/default/pods", pod)
    made = run.create(f"{PREFIX}core/v1:Service::inside", service("inside", "nobody", kind="ClusterIP"))
    assert made.state["status"]["loadBalancer"] == {}
    run.create(f"{PREFIX}apps/v1:Deployment::later", deployment("later"))  # what came before it was looked at too
    assert cluster.admin.ask("GET", "/api/v1/namespaces/default/pods/lonely").body["status"]["phase"] == "Pending"


def test_without_nodes_a_deployment_is_not_ready_and_says_why(run: Run) -> None:
    with pytest.raises(Failed) as caught:
        run.create(f"{PREFIX}apps/v1:Deployment::pending", deployment("pending", 1))
    assert "'pending' timed out waiting to be Ready" in str(caught.value)
    assert any("minimum availability" in reason for reason in caught.value.reasons), caught.value.reasons


def test_a_load_balancer_whose_pods_are_not_ready_is_waited_for(run: Run, cluster: Cluster) -> None:
    with pytest.raises(Failed):
        run.create(f"{PREFIX}apps/v1:Deployment::slow", deployment("slow", 1))
    played = NodesAndCloud(cluster.admin, ADDRESS)
    with pytest.raises(Failed) as caught:
        run.create(f"{PREFIX}core/v1:Service::slow", service("slow", "slow", 1))
    assert [reason.partition(";")[0].partition(".")[0] for reason in caught.value.reasons[-2:]] == [
        "Service does not target any Pods",
        "Service was not allocated an IP address",
    ]
    played.start()
    try:
        path = "/apis/apps/v1/namespaces/default/deployments/slow"
        assert wait_until(lambda: cluster.admin.ask("GET", path).body["status"].get("readyReplicas") == 2, seconds=30)
    finally:
        played.stop()
