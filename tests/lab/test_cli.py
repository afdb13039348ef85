"""Does `meshvm entry configure` get a machine's files from a real API server, as Istio's own tool does?

A real istioctl is asked the same when one is on PATH or named by MESHVM_LAB_ISTIOCTL.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authentication_v1 import TokenReview
from lightkube.resources.core_v1 import ConfigMap, ServiceAccount

from lab.base.steps import Steps
from lab.cluster.cluster import Cluster
from lab.istio import install, objects

pytestmark = pytest.mark.lab

WorkloadGroup = create_namespaced_resource("networking.istio.io", "v1", "WorkloadGroup", "workloadgroups")

ROOT = "-----BEGIN CERTIFICATE-----\nb2YgdGhlIG1lc2g=\n-----END CERTIFICATE-----\n"
ANNOTATION = "concurrency: 0\ntracing: {sampling: 99.5}\nproxyMetadata: {THEIRS: it's \\ kept}\n"
GROUP: dict[str, Any] = {
    "metadata": {"labels": {"app": "ratings", "note": "<a&b>"}, "annotations": {"proxy.istio.io/config": ANNOTATION}},
    "template": {"serviceAccount": "ratings", "network": "vm-net", "ports": {"http": 9080, "grpc": 70, "tcp": 9}},
    "probe": {"httpGet": {"port": 9080, "path": "/health"}, "periodSeconds": 5},
}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One with two control planes, a namespace as istiod leaves it, and a WorkloadGroup."""
    made = Cluster(tmp_path_factory.mktemp("run"), Steps())
    try:
        made.start()
        made.ready()
        install.install(made, "192.0.2.10")
        install.install_revision(made, "canary", tags=["next"])
        with objects.connected(made.kubeconfig) as api:
            objects.ensure_namespace(api, "bookinfo")
            root = ObjectMeta(name=objects.ROOT_CONFIGMAP, namespace="bookinfo")
            objects.ensure(api, ConfigMap(metadata=root, data={"root-cert.pem": ROOT}))
            objects.ensure(api, ServiceAccount(metadata=ObjectMeta(name="ratings", namespace="bookinfo")))
            api.create(WorkloadGroup(metadata=ObjectMeta(name="ratings", namespace="bookinfo"), spec=GROUP))
        yield made
    finally:
        made.stop()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def configure(cluster: Cluster, out: Path) -> Command:
    """The console script, as the cluster's administrator unless told otherwise."""

    def run(*arguments: str, kubeconfig: Path = cluster.kubeconfig) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from meshvm.cli import main; main()", "entry", "configure"]
        flags = ["--kubeconfig", str(kubeconfig), "--name", "ratings", "-n", "bookinfo", "-o", str(out), *arguments]
        return subprocess.run([*program, *flags], capture_output=True, text=True, check=False)

    return run


def metadata(out: Path) -> dict[str, str]:
    return dict(yaml.safe_load((out / "mesh.yaml").read_text())["defaultConfig"]["proxyMetadata"])


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def review(api: Client, token: str, audience: str) -> Any:
    return api.create(TokenReview(spec=TokenReviewSpec(token=token, audiences=[audience]))).status


def test_the_files_are_made_of_what_the_cluster_holds(configure: Command, out: Path) -> None:
    done = configure("--internalIP", "10.0.0.7")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {path.name for path in out.iterdir()} == {
        "mesh.yaml",
        "cluster.env",
        "root-cert.pem",
        "istio-token",
        "hosts",
    }
    assert (out / "root-cert.pem").read_text() == ROOT
    assert (out / "hosts").read_text() == "192.0.2.10 istiod.istio-system.svc\n"
    assert {"THEIRS": "it's \\ kept", "ISTIO_META_MESH_ID": "mesh1", "TRUST_DOMAIN": "cluster.local"}.items() <= (
        metadata(out).items()
    )


def test_the_token_is_good_for_istiod_alone_and_for_the_time_that_was_asked(
    cluster: Cluster, configure: Command, out: Path
) -> None:
    done = configure("--tokenDuration", "1200")
    token = (out / "istio-token").read_text()
    said = claims(token)
    assert said["aud"] == ["istio-ca"]
    assert said["sub"] == "system:serviceaccount:bookinfo:ratings"
    assert said["exp"] - said["iat"] == 1200
    assert token not in done.stdout + done.stderr
    with objects.connected(cluster.kubeconfig) as api:
        assert review(api, token, "istio-ca").authenticated
        assert not review(api, token, cluster.server).authenticated


def test_only_its_owner_reads_the_token(configure: Command, out: Path) -> None:
    assert configure().returncode == 0
    assert (out / "istio-token").stat().st_mode & 0o777 == 0o600
    assert out.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("revision", ["canary", "next"])
def test_a_revision_is_found_by_its_name_and_by_its_tag(configure: Command, out: Path, revision: str) -> None:
    done = configure("--revision", revision)
    assert done.returncode == 0, done.stderr
    assert (out / "hosts").read_text() == "192.0.2.10 istiod-canary.istio-system.svc\n"
    assert "CA_ADDR='istiod-canary.istio-system.svc:15012'\n" in (out / "cluster.env").read_text()


def test_a_gateway_with_a_host_name_is_resolved(cluster: Cluster, configure: Command, out: Path) -> None:
    install.set_load_balancer(cluster, install.SYSTEM, install.GATEWAY, [{"hostname": "localhost"}])
    try:
        done = configure()
    finally:
        install.set_load_balancer(cluster, install.SYSTEM, install.GATEWAY, [{"ip": "192.0.2.10"}])
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1 istiod.istio-system.svc\n" in (out / "hosts").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "nobody"], "the WorkloadGroup bookinfo/nobody is not in the cluster"),
        (["--revision", "nothing"], "'nothing'"),
        (["--tokenDuration", "10"], "a token of the service account bookinfo/ratings"),
        (["-i", "nowhere"], "nowhere"),
        (["--context", "nowhere"], "context"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_files(
    configure: Command, out: Path, arguments: list[str], said: str
) -> None:
    done = configure(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert said in done.stderr
    assert not out.exists()


def test_who_may_not_read_the_mesh_is_told_what_is_refused(cluster: Cluster, configure: Command, out: Path) -> None:
    done = configure(kubeconfig=cluster.kubeconfig_for("someone"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert 'User "someone" cannot get resource "workloadgroups"' in done.stderr
    assert not out.exists()


def test_the_files_are_those_of_a_real_istioctl(
    cluster: Cluster, configure: Command, out: Path, tmp_path: Path
) -> None:
    """But for the order of the ports, and the backslash that bash would drop."""
    istioctl = shutil.which(os.environ.get("MESHVM_LAB_ISTIOCTL", "istioctl"))
    if istioctl is None:
        pytest.skip("there is no istioctl on PATH")
    flags = ["--internalIP", "10.0.0.7", "--revision", "canary", "--autoregister"]
    group = tmp_path / "group.yaml"
    # The mesh has no proxyMetadata: that an annotation brings some is the one at which istioctl panics.
    plain = {**GROUP, "metadata": {"labels": GROUP["metadata"]["labels"]}}
    document = {"kind": "WorkloadGroup", "metadata": {"name": "ratings", "namespace": "bookinfo"}, "spec": plain}
    group.write_text(yaml.safe_dump({"apiVersion": "networking.istio.io/v1", **document}))
    theirs = tmp_path / "theirs"
    words = [istioctl, "x", "workload", "entry", "configure", "--kubeconfig", str(cluster.kubeconfig)]
    subprocess.run([*words, "-f", str(group), "-o", str(theirs), *flags], check=True, capture_output=True)
    done = configure("-f", str(group), *flags)
    assert done.returncode == 0, done.stderr
    env = (theirs / "cluster.env").read_text()
    ascending = re.sub(r"(?m)^ISTIO_INBOUND_PORTS='.*'$", "ISTIO_INBOUND_PORTS='9,70,9080'", env)
    assert (out / "cluster.env").read_text() == ascending
    assert (out / "hosts").read_bytes() == (theirs / "hosts").read_bytes()
    assert (out / "root-cert.pem").read_bytes() == (theirs / "root-cert.pem").read_bytes()
    assert yaml.safe_load((out / "mesh.yaml").read_text()) == yaml.safe_load((theirs / "mesh.yaml").read_text())
    assert claims((theirs / "istio-token").read_text())["aud"] == claims((out / "istio-token").read_text())["aud"]
