"""Which etcd, kube-apiserver and kube-controller-manager run, and which of them were built?"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.base.cache import kept
from lab.base.debian import need, where
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.base.toolchain import MODULES, build_log, find_or_install, fingerprint

VERSION = "1.36.1"
"""The Kubernetes that is built; `lab/go/kube/go.mod` names the same."""

MODULE = MODULES / "kube"

# What the release build sets: without it the API server calls itself v0.0.0-master.
_LDFLAGS = " ".join([
    "-s -w",
    f"-X k8s.io/component-base/version.gitVersion=v{VERSION}",
    f"-X k8s.io/component-base/version.gitMajor={VERSION.split('.', maxsplit=1)[0]}",
    f"-X k8s.io/component-base/version.gitMinor={VERSION.split('.')[1]}",
    "-X k8s.io/component-base/version.gitTreeState=clean",
])  # fmt: skip


@dataclass(frozen=True)
class Binary:
    """A program of the cluster.

    :param path: where it is.
    :param version: what it says when it is asked.
    :param found: True when the machine had it or got it as a package, False when the lab built it.
    """

    path: Path
    version: str
    found: bool

    def __str__(self) -> str:
        origin = f"found at {self.path}" if self.found else "built from its Go module"
        return f"{self.path.name} {self.version} ({origin})"


@dataclass(frozen=True)
class Binaries:
    """The programs of a cluster."""

    etcd: Binary
    apiserver: Binary
    controller_manager: Binary


def find_or_build(steps: Steps) -> Binaries:
    """Each program from `$KUBEBUILDER_ASSETS` or PATH; etcd else from its Debian package, the others else built.

    :raises LabError: when one is missing and can't be installed or built.
    """
    return Binaries(_etcd(steps), _kubernetes("kube-apiserver", steps), _kubernetes("kube-controller-manager", steps))


def find(command: str) -> Path | None:
    """Where `command` is: in the folder that `$KUBEBUILDER_ASSETS` names, as for controllers' tests, or on PATH."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    place = shutil.which(command, path=assets) if assets else None
    return Path(place) if place else where(command)


def said_version(text: str) -> str | None:
    """The version in what `--version` prints: `Kubernetes v1.36.1`, `etcd Version: 3.4.23`."""
    match = re.search(r"(?:Kubernetes v|etcd Version: )(\S+)", text)
    return match.group(1) if match else None


def _etcd(steps: Steps) -> Binary:
    if find("etcd") is None:
        need(steps, "etcd")
    place = find("etcd")
    if place is None:
        raise LabError("etcd is not on PATH: install the package etcd-server")
    return _announced(Binary(place, _version(place), found=True), steps)


def _kubernetes(command: str, steps: Steps) -> Binary:
    place = find(command)
    if place:
        return _announced(Binary(place, _version(place), found=True), steps)
    with steps.step(f"{command} {VERSION}") as found:
        folder, built = kept(command, f"{VERSION}-{fingerprint(MODULE)}", lambda folder: _build(command, folder, steps))
        found("built from its Go module" if built else "from the cache, built from its Go module")
    return Binary(folder / command, VERSION, found=False)


def _build(command: str, folder: Path, steps: Steps) -> None:
    steps.say(f"building {command} {VERSION}, which takes some minutes the first time")
    package = f"k8s.io/kubernetes/cmd/{command}"
    find_or_install(steps).build(MODULE, package, folder / command, build_log(command), _LDFLAGS)


def _announced(binary: Binary, steps: Steps) -> Binary:
    steps.say(str(binary))
    return binary


def _version(place: Path) -> str:
    done = subprocess.run([place, "--version"], capture_output=True, text=True, timeout=30, check=False)
    version = said_version(done.stdout)
    if version is None:
        raise LabError(f"`{place} --version` says no version: put a working {place.name} on PATH or take it away")
    return version
