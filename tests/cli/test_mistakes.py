"""Is a mistake, or a refusal of the API server, one sentence to whoever runs the command?"""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from meshvm.cli.commands import meshvm
from meshvm.errors import ClusterError
from meshvm.testing import FakeCluster
from tests.cli.conftest import Configure
from tests.imports import CHECKOUT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--internalIP", "10.0.0.1", "--externalIP", "10.0.0.2"], "exclude each other"),
        (["--internalIP", "host.name"], "'host.name' is no IP address"),
        (["--tokenDuration", "long"], "--tokenDuration"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_ends_with_2(fake: FakeCluster, configure: Configure, arguments: list[str], said: str) -> None:
    result = configure(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.usefixtures("fake")
def test_a_group_must_be_named(out: Path) -> None:
    for arguments in ([], ["--name", "a"], ["-n", "b"]):
        result = CliRunner().invoke(meshvm, ["entry", "configure", "-o", str(out), *arguments])
        assert (result.exit_code, "--file" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "error",
    [
        ClusterError(
            "the API server does not answer when asked for a thing (refused); check kubeconfig", unreachable=True
        ),
        ClusterError("the API server refuses to give a thing (no right); give these credentials the right to it"),
    ],
)
def test_a_refusal_is_one_sentence_and_ends_with_1(
    fake: FakeCluster, configure: Configure, error: ClusterError
) -> None:
    fake.error = error
    result = configure()
    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


@pytest.mark.usefixtures("nobody")
def test_a_file_that_is_not_there_is_named_before_a_cluster_is_asked(out: Path) -> None:
    result = CliRunner().invoke(meshvm, ["entry", "configure", "-f", "nowhere.yaml", "-o", str(out)])
    assert (result.exit_code, "nowhere.yaml" in result.stderr) == (1, True)


@pytest.mark.parametrize("content", ["", "a: [", "kind: Service", "\xff\xfe"])
def test_a_file_that_is_no_group_is_one_sentence(fake: FakeCluster, tmp_path: Path, out: Path, content: str) -> None:
    (tmp_path / "bad.yaml").write_text(content, encoding="latin-1")
    result = CliRunner().invoke(meshvm, ["entry", "configure", "-f", str(tmp_path / "bad.yaml"), "-o", str(out)])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_one_sentence(fake: FakeCluster, tmp_path: Path, out: Path) -> None:
    result = CliRunner().invoke(meshvm, ["entry", "configure", "-f", str(tmp_path / "no.yaml"), "-o", str(out)])
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path / 'no.yaml'}: No such file or directory\n")


def test_a_folder_that_is_a_file_is_one_sentence(fake: FakeCluster, configure: Configure, out: Path) -> None:
    out.write_text("x")
    result = configure()
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, f"Error: {out}: File exists")


def test_a_cluster_without_an_id_says_how_to_give_one(fake: FakeCluster, configure: Configure) -> None:
    fake.errors = {"cluster_id": ClusterError("the ConfigMap a/b is not in the cluster; check it", missing=True)}
    result = configure()
    assert (result.exit_code, "--clusterID" in result.stderr) == (1, True)


def test_the_installed_command_is_this_one() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["meshvm"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("package", ["click", "rich"])
def test_a_missing_extra_is_one_sentence(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from meshvm.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "meshvm[cli]" in done.stderr
