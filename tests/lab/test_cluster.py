"""Is the lab's cluster one that meshvm's objects, tokens and deletions can be tried on?"""

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace, ServiceAccount, ServiceAccountToken
from lightkube.types import CascadeType

from lab.base.errors import LabError
from lab.base.ports import answers, free_port
from lab.base.process import wait_until
from lab.base.steps import Steps
from lab.cluster import etcd
from lab.cluster.cluster import Cluster

pytestmark = pytest.mark.lab

WorkloadEntry = create_namespaced_resource("networking.istio.io", "v1", "WorkloadEntry", "workloadentries")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("run"), Steps())
    try:
        cluster.start()
        cluster.ready()
        yield cluster
    finally:
        cluster.stop()


def client(kubeconfig: Path) -> Client:
    return Client(KubeConfig.from_file(kubeconfig), trust_env=False)


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[Client]:
    with client(cluster.kubeconfig) as admin:
        yield admin


def test_the_api_server_answers_its_administrator(admin: Client) -> None:
    assert {"default", "kube-system"} <= {
        str(found.metadata and found.metadata.name) for found in admin.list(Namespace)
    }


def test_credentials_are_for_their_owner_alone(cluster: Cluster) -> None:
    files = [cluster.kubeconfig, cluster.kubeconfig_for("someone"), *cluster.ca.parent.glob("*.key")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_user_without_a_role_is_refused(cluster: Cluster) -> None:
    wish = ConfigMap(metadata=ObjectMeta(name="a", namespace="default"))
    with (
        client(cluster.kubeconfig_for("someone")) as someone,
        pytest.raises(ApiError, match=r'User "someone" cannot create resource "configmaps"'),
    ):
        someone.create(wish)


def test_a_certificate_carries_the_groups_it_was_asked_for(cluster: Cluster) -> None:
    with client(cluster.kubeconfig_for("someone", ["readers", "system:masters"])) as reader:
        assert any(True for _ in reader.list(Namespace))


def test_an_entry_with_neither_address_nor_network_is_refused(admin: Client) -> None:
    with pytest.raises(ApiError, match="Address is required"):
        admin.create(
            WorkloadEntry(metadata=ObjectMeta(name="empty", namespace="default"), spec={"labels": {"app": "a"}})
        )


def test_a_foreground_deletion_ends(admin: Client) -> None:
    """The garbage collector knows Istio's kinds from its start on."""
    entry = WorkloadEntry(metadata=ObjectMeta(name="leaving", namespace="default"), spec={"address": "10.0.0.1"})
    admin.create(entry)
    admin.delete(WorkloadEntry, "leaving", namespace="default", cascade=CascadeType.FOREGROUND)

    def gone() -> bool:
        return all(found.metadata and found.metadata.name != "leaving" for found in admin.list(WorkloadEntry))

    assert wait_until(gone, seconds=10)


def test_a_new_namespace_gets_its_default_account(admin: Client) -> None:
    admin.create(Namespace(metadata=ObjectMeta(name="fresh")))
    assert wait_until(lambda: any(True for _ in admin.list(ServiceAccount, namespace="fresh")), seconds=10)


def test_a_deleted_namespace_is_gone(admin: Client) -> None:
    admin.create(Namespace(metadata=ObjectMeta(name="short")))
    admin.delete(Namespace, "short")

    def gone() -> bool:
        return all(found.metadata and found.metadata.name != "short" for found in admin.list(Namespace))

    assert wait_until(gone, seconds=20)


def test_one_token_is_one_line_in_the_audit_log_and_not_its_text(cluster: Cluster, admin: Client) -> None:
    admin.create(ServiceAccount(metadata=ObjectMeta(name="ratings", namespace="default")))
    wish = ServiceAccountToken(
        metadata=ObjectMeta(), spec=TokenRequestSpec(audiences=["istio-ca"], expirationSeconds=3600)
    )
    minted = admin.create(wish, "ratings", namespace="default")
    assert minted.status
    token = minted.status.token or ""
    assert token.count(".") == 2

    def mints() -> list[str]:
        objects = ((event["level"], event.get("objectRef", {})) for event in cluster.audit())
        return [level for level, it in objects if it.get("subresource") == "token" and it["name"] == "ratings"]

    assert wait_until(lambda: bool(mints()), seconds=5)
    assert mints() == ["Metadata"]
    assert token not in cluster.audit_log.read_text()


def test_the_audit_log_has_what_was_written_to_an_entry(cluster: Cluster, admin: Client) -> None:
    entry = WorkloadEntry(metadata=ObjectMeta(name="logged", namespace="default"), spec={"address": "10.0.0.2"})
    admin.create(entry)

    def addresses() -> list[str]:
        events = (event for event in cluster.audit() if event["verb"] == "create" and "requestObject" in event)
        return [event["requestObject"]["spec"].get("address", "") for event in events]

    assert wait_until(lambda: "10.0.0.2" in addresses(), seconds=5)


def test_a_second_cluster_runs_beside_the_first_and_leaves_nothing(
    cluster: Cluster, admin: Client, tmp_path: Path
) -> None:
    second = Cluster(tmp_path, Steps(StringIO()), cluster.binaries)
    try:
        second.start()
        second.ready()
        with client(second.kubeconfig) as other:
            other.create(ConfigMap(metadata=ObjectMeta(name="only-second", namespace="default")))
        names = {str(found.metadata and found.metadata.name) for found in admin.list(ConfigMap)}
        assert "only-second" not in names
        assert processes_that_name(tmp_path)
    finally:
        server = urlsplit(second.server)
        second.stop()
    assert processes_that_name(tmp_path) == []
    assert {file.name for file in tmp_path.iterdir()} == {"logs"}
    assert not answers("127.0.0.1", server.port or 0)


def test_a_port_that_was_taken_meanwhile_is_left_for_another(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.binaries
    taken = urlsplit(cluster.server).port or 0
    offered = iter([taken, free_port()])
    monkeypatch.setattr(etcd, "free_port", lambda: next(offered, None) or free_port())
    piece = etcd.Etcd(cluster.binaries.etcd, tmp_path / "data", tmp_path / "etcd.log")
    try:
        piece.start()
        piece.ready()
        assert urlsplit(piece.url).port != taken
    finally:
        piece.stop()


def test_a_server_that_cannot_start_names_its_log(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert cluster.binaries
    piece = etcd.Etcd(cluster.binaries.etcd, tmp_path / "data", tmp_path / "etcd.log")
    piece.start()
    with pytest.raises(LabError, match=r"etcd ended at once[\s\S]*etcd\.log"):
        piece.ready()
    piece.stop()


def processes_that_name(folder: Path) -> list[str]:
    """The command lines of this machine's processes in which `folder` occurs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if str(folder) in line and process.name != str(os.getpid()):
            found.append(line)
    return found
