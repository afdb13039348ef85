"""Does the lab know a usable toolchain from one that is not, and say what is missing?"""

import os
import re
from io import StringIO
from pathlib import Path

import pytest

from lab import engine
from lab.base import debian, toolchain
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.base.toolchain import MODULES, Go, find_or_install, fingerprint, go_version, numbers
from lab.cluster import binaries, crds, ports


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test here reads or fills the user's cache."""
    monkeypatch.setenv("MESHVM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def steps() -> Steps:
    return Steps(StringIO())


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("go version go1.26.8 linux/amd64", "1.26.8"),
        ("go version go1.27 linux/arm64", "1.27"),
        ("go version devel go1.28-3f2a1b Mon Jun 1 linux/amd64", "1.28"),
        ("command not found", None),
    ],
)
def test_the_version_of_go_is_read_from_what_it_prints(told: str, version: str | None) -> None:
    assert go_version(told) == version


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9.7", "1.26"), ("v3.99.0", "3.259.0"), ("3.258.1-dev", "v3.259.0"), ("", "0.1")]
)
def test_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    assert numbers(older) < numbers(newer)


@pytest.mark.parametrize(
    ("told", "version"),
    [("Kubernetes v1.36.1\n", "1.36.1"), ("etcd Version: 3.4.23\nGit SHA: none", "3.4.23"), ("usage: etcd", None)],
)
def test_the_version_of_a_server_is_read_from_what_it_prints(told: str, version: str | None) -> None:
    assert binaries.said_version(told) == version


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("engine", "github.com/pulumi/pulumi/pkg/v3", engine.VERSION),
        ("kube", "k8s.io/kubernetes", binaries.VERSION),
        ("crds", "istio.io/api", crds.VERSION),
    ],
)
def test_the_version_that_is_said_is_the_version_that_is_built(module: str, path: str, version: str) -> None:
    assert f"{path} v{version}" in (MODULES / module / "go.mod").read_text()


def test_other_sums_are_another_build(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module a.test/a\n")
    (tmp_path / "go.sum").write_text("one\n")
    before = fingerprint(tmp_path)
    (tmp_path / "go.sum").write_text("two\n")
    assert fingerprint(tmp_path) != before


def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "old" / "go", "echo go version go1.21.0 linux/amd64")
    monkeypatch.setenv("PATH", str(tmp_path / "old"))
    monkeypatch.setattr(toolchain, "_FIXED", tmp_path / "nowhere")
    monkeypatch.setattr(
        toolchain, "_install", lambda folder: script(folder / "go/bin/go", "echo go version go1.27.3 linux/amd64")
    )
    go = find_or_install(steps)
    assert (go.version, go.found) == ("1.27.3", False)


def test_a_build_that_fails_is_one_sentence_and_its_log(tmp_path: Path) -> None:
    go = Go(script(tmp_path / "go", "echo main.go:3: undefined: x >&2; exit 1"), "1.26.0", found=True)
    with pytest.raises(LabError, match=r"`go build a.test/a` failed[\s\S]*undefined: x"):
        go.build(tmp_path, "a.test/a", tmp_path / "out", tmp_path / "build.log")


def test_a_build_uses_the_versions_of_go_mod_whatever_the_developer_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"GOFLAGS": "-mod=mod", "GOOS": "plan9", "GOTOOLCHAIN": "auto", "GOROOT": "/elsewhere"}.items():
        monkeypatch.setenv(name, value)
    seen = tmp_path / "seen"
    go = Go(
        script(tmp_path / "go", f'echo "$GOFLAGS $GOTOOLCHAIN $GOWORK ${{GOOS-}}${{GOROOT-}}" > {seen}'),
        "1.26.0",
        found=True,
    )
    go.build(tmp_path, "a.test/a", tmp_path / "out", tmp_path / "build.log")
    assert seen.read_text().split() == ["-mod=readonly", "local", "off"]


def test_a_pulumi_on_path_is_used(tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "pulumi", "echo v99.1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.find_or_build(steps) == engine.Engine(tmp_path / "pulumi", "99.1.0", found=True)


def test_a_pulumi_that_is_too_old_is_passed_over_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "pulumi", "echo v3.99.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine, "_build", lambda folder, _steps: script(folder / "pulumi", "true"))
    said = StringIO()
    assert not engine.find_or_build(Steps(said)).found
    assert "left out: it says version 3.99.0" in said.getvalue()


def test_a_server_under_kubebuilder_assets_comes_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "path" / "etcd", "true")
    script(tmp_path / "assets" / "etcd", "true")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.find("etcd") == tmp_path / "assets" / "etcd"


def test_packages_that_cannot_be_installed_are_named_with_the_command_that_would(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "where", lambda command: Path("/usr/bin/apt-get") if command == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="apt-get install --no-install-recommends debootstrap systemd-container"):
        debian.need(steps, "systemd-nspawn", "debootstrap")


def test_without_apt_the_missing_commands_are_named(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "where", lambda _command: None)
    with pytest.raises(LabError, match="etcd missing on this machine, and there is no apt-get"):
        debian.need(steps, "etcd")


def test_packages_are_installed_quietly_and_start_no_daemon(
    tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, policy = tmp_path / "seen", tmp_path / "policy-rc.d"
    script(
        tmp_path / "bin" / "apt-get",
        f"""echo "$DEBIAN_FRONTEND $*" >> {seen}
case "$*" in *install*)
    {policy} || echo "daemons: $?" >> {seen}
    /bin/cp "$0" {tmp_path}/bin/etcd
esac""",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(debian, "_SYSTEM", ())
    monkeypatch.setattr(debian, "_POLICY", policy)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert debian.need(steps, "etcd") == ["etcd-server"]
    update, install, daemons = seen.read_text().splitlines()
    assert re.fullmatch("noninteractive .* update", update)
    assert re.fullmatch("noninteractive .* install --no-install-recommends etcd-server", install)
    assert daemons == "daemons: 101"
    assert not policy.exists()


def test_what_is_already_there_is_not_installed(tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "etcd", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert debian.need(steps, "etcd") == []


def test_comments_alone_are_no_definition() -> None:
    text = "# generated\n---\nkind: A\n--- # second\n# note\nkind: B\n---\n"
    assert [document.strip() for document in crds.documents(text)] == ["kind: A", "# note\nkind: B"]


def test_only_a_taken_port_is_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("no space left on device\n")

    def ready() -> None:
        raise LabError("etcd ended at once", log)

    with pytest.raises(LabError, match="no space left"):
        ports.ready_or_once_more(ready, lambda: pytest.fail("started again"), log)
