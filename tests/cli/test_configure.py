"""Does `meshvm entry configure` do what a script that calls istioctl expects, without its defects?"""

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from meshvm.cli import folder
from meshvm.cli.commands import meshvm
from meshvm.errors import ClusterError
from meshvm.testing import ROOT_CERTIFICATE, FakeCluster
from tests.cli.conftest import GROUP, Configure

FILES = {"mesh.yaml", "cluster.env", "root-cert.pem", "istio-token", "hosts"}


def variables(out: Path) -> dict[str, str]:
    config = yaml.safe_load((out / "mesh.yaml").read_text())
    return dict(config["defaultConfig"]["proxyMetadata"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_five_files_are_written(fake: FakeCluster, configure: Configure, out: Path) -> None:
    result = configure()
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == FILES
    assert (out / "root-cert.pem").read_text() == ROOT_CERTIFICATE
    assert (out / "hosts").read_text() == "192.0.2.10 istiod.istio-system.svc\n"
    assert (out / "istio-token").read_text() == "token-1-bookinfo-default-3600"
    assert variables(out)["ISTIO_META_CLUSTER_ID"] == "Kubernetes"
    assert str(out) in result.stdout


def test_the_token_is_never_printed(fake: FakeCluster, configure: Configure, out: Path) -> None:
    result = configure()
    assert (out / "istio-token").read_text() not in result.output


@pytest.mark.usefixtures("open_umask")
def test_nobody_else_reads_the_files_whatever_the_umask(fake: FakeCluster, configure: Configure, out: Path) -> None:
    assert configure().exit_code == 0
    assert {mode(path) for path in out.iterdir()} == {0o600}
    assert mode(out) == 0o700


@pytest.mark.usefixtures("open_umask")
def test_an_older_token_that_others_read_is_never_the_new_one(
    fake: FakeCluster, configure: Configure, out: Path
) -> None:
    """Whoever has the old file open keeps the old token."""
    out.mkdir()
    (out / "istio-token").write_text("old")
    with (out / "istio-token").open() as opened:
        assert mode(out / "istio-token") == 0o666
        assert configure().exit_code == 0
        assert opened.read() == "old"
    assert mode(out / "istio-token") == 0o600


def test_a_link_in_the_folder_is_replaced_and_not_followed(
    fake: FakeCluster, configure: Configure, out: Path, tmp_path: Path
) -> None:
    out.mkdir()
    (out / "istio-token").symlink_to(tmp_path / "elsewhere")
    assert configure().exit_code == 0
    assert not (tmp_path / "elsewhere").exists()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "hosts" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="hosts"):
        folder.write(tmp_path, {"hosts": "x"})
    assert {path.name for path in tmp_path.iterdir()} == {"hosts"}


@pytest.mark.usefixtures("nobody")
def test_no_cluster_is_asked_when_everything_is_given(configure: Configure, given: list[str], out: Path) -> None:
    result = configure(*given, "--clusterID", "c1", "--ingressIP", "192.0.2.20")
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == FILES - {"istio-token"}
    assert variables(out)["TRUST_DOMAIN"] == "of.the.file"
    assert variables(out)["ISTIO_META_CLUSTER_ID"] == "c1"
    assert result.stderr == ""


@pytest.mark.usefixtures("nobody")
def test_without_a_cluster_what_is_assumed_is_said(configure: Configure, given: list[str], out: Path) -> None:
    result = configure(*given)
    assert result.exit_code == 0, result.output
    assert variables(out)["ISTIO_META_CLUSTER_ID"] == "Kubernetes"
    assert (out / "hosts").read_text() == ""
    assert "--clusterID" in result.stderr
    assert "--ingressIP" in result.stderr


def test_only_what_is_not_given_is_asked(fake: FakeCluster, configure: Configure, given: list[str], out: Path) -> None:
    fake.errors = dict.fromkeys(("mesh_config_text", "root_certificate"), ClusterError("was asked"))
    result = configure(*given[:4])
    assert result.exit_code == 0, result.output
    assert fake.tokens == 1


def test_no_token_is_minted_before_everything_else_is_at_hand(
    fake: FakeCluster, configure: Configure, out: Path
) -> None:
    fake.errors = {"root_certificate": ClusterError("the ConfigMap bookinfo/istio-ca-root-cert is not in the cluster")}
    result = configure()
    assert result.exit_code == 1
    assert fake.tokens == 0
    assert not out.exists()


def test_the_flags_of_istioctl_are_understood(fake: FakeCluster, configure: Configure, out: Path) -> None:
    result = configure(
        "--autoregister",
        "--capture-dns=false",
        "--clusterID=",
        "--tokenDuration=600",
        "--externalIP=203.0.113.7",
        "--revision=canary",
        "--istioNamespace=mesh",
        "--kubeconfig=/nowhere",
        "--context=x",
    )
    assert result.exit_code == 0, result.output
    env = (out / "cluster.env").read_text()
    assert "ISTIO_META_AUTO_REGISTER_GROUP='ratings'\n" in env
    assert "ISTIO_META_DNS_CAPTURE" not in env
    assert "ISTIO_META_CLUSTER_ID=''\n" in env
    assert "ISTIO_SVC_IP='203.0.113.7'\n" in env
    assert "CA_ADDR='istiod-canary.mesh.svc:15012'\n" in env
    assert (out / "istio-token").read_text().endswith("-600")
    assert (out / "hosts").read_text() == "192.0.2.10 istiod-canary.mesh.svc\n"


@pytest.mark.parametrize("flag", ["--capture-dns", "--capture-dns=true", "--autoregister=false"])
def test_a_switch_may_have_a_value(fake: FakeCluster, configure: Configure, out: Path, flag: str) -> None:
    assert configure(flag).exit_code == 0
    assert variables(out)["ISTIO_META_DNS_CAPTURE"] == "true"
    assert "ISTIO_META_AUTO_REGISTER_GROUP" not in variables(out)


def test_without_a_revision_the_clusters_default_one_is_taken(
    fake: FakeCluster, configure: Configure, out: Path
) -> None:
    fake.revisions = {"default": "stable", "stable": "stable"}
    assert configure().exit_code == 0
    assert (out / "hosts").read_text().endswith(" istiod-stable.istio-system.svc\n")


def test_the_group_may_be_the_clusters(fake: FakeCluster, out: Path) -> None:
    """One without spec.metadata, at which istioctl panics."""
    template = {"serviceAccount": "sa", "ports": {"http": 80}}
    fake.groups = {"r": {"metadata": {"name": "r", "namespace": "ns"}, "spec": {"template": template}}}
    arguments = ["entry", "configure", "--name", "r", "-n", "ns", "-o", str(out)]
    result = CliRunner().invoke(meshvm, arguments)
    assert result.exit_code == 0, result.output
    assert (out / "istio-token").read_text() == "token-1-ns-sa-3600"
    assert json.loads(variables(out)["ISTIO_META_POD_PORTS"])[0]["containerPort"] == 80


def test_the_group_may_come_by_standard_input(fake: FakeCluster, out: Path) -> None:
    result = CliRunner().invoke(meshvm, ["entry", "configure", "-f", "-", "-o", str(out)], input=GROUP)
    assert result.exit_code == 0, result.output


def test_a_shortened_token_is_told(fake: FakeCluster, configure: Configure) -> None:
    fake.granted = 1800
    assert "1800 s" in configure("--tokenDuration", "7200").stderr
