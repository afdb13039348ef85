"""What do the tests of the command share: an API server that answers, a folder, and a run on a small WorkloadGroup."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meshvm import cluster
from meshvm.cli.commands import meshvm
from meshvm.testing import ROOT_CERTIFICATE, FakeCluster

GROUP = "kind: WorkloadGroup\nmetadata: {name: ratings, namespace: bookinfo}\n"

Configure = Callable[..., Result]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """An API server that answers; whoever asks it finds it by `meshvm.cluster.connect`."""
    made = FakeCluster()
    monkeypatch.setattr(cluster, "connect", lambda *_: made)
    return made


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a cluster was asked")

    monkeypatch.setattr(cluster, "connect", connect)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def configure(tmp_path: Path, out: Path) -> Configure:
    """Run the command on a file with a small WorkloadGroup."""
    group = tmp_path / "group.yaml"
    group.write_text(GROUP)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(meshvm, ["entry", "configure", "-f", str(group), "-o", str(out), *arguments])

    return run


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """The flags with which no cluster is asked."""
    (tmp_path / "mesh-config.yaml").write_text("trustDomain: of.the.file\n")
    (tmp_path / "root.pem").write_text(ROOT_CERTIFICATE)
    return [
        "--mesh-config",
        str(tmp_path / "mesh-config.yaml"),
        "--root-cert",
        str(tmp_path / "root.pem"),
        "--no-token",
    ]


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)
