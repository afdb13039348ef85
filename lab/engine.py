"""Which `pulumi` runs the lab's programs: the user's, or one built from the Go module?"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.base.cache import kept
from lab.base.steps import Steps
from lab.base.toolchain import MODULES, build_log, find_or_install, fingerprint, numbers

VERSION = "3.259.0"
"""The newest release that is served as a Go module; `lab/go/engine/go.mod` names the same."""

MODULE = MODULES / "engine"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

# What the release build sets: without it the CLI says 3.0.0 and tells plugins so.
_LDFLAGS = " ".join([
    "-s -w",
    f"-X github.com/pulumi/pulumi/pkg/v3/version.Version=v{VERSION}",
    f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}",
])  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """The Pulumi CLI, which is also the engine.

    :param binary: the `pulumi` command.
    :param version: such as `3.259.0`.
    :param found: True when it was on PATH, False when the lab built it.
    """

    binary: Path
    version: str
    found: bool

    def __str__(self) -> str:
        origin = f"found at {self.binary}" if self.found else "built from its Go module"
        return f"pulumi {self.version} ({origin})"


def find_or_build(steps: Steps) -> Engine:
    """The `pulumi` on PATH when it is at least `VERSION`, else one built into the cache.

    :raises LabError: when it does not build.
    """
    place = shutil.which("pulumi")
    version = _version(Path(place)) if place else None
    if place and version and numbers(version) >= numbers(VERSION):
        engine = Engine(Path(place), version, found=True)
        steps.say(str(engine))
        return engine
    if place:
        steps.say(f"{place} is left out: it says version {version or 'nothing'}, the lab needs {VERSION}")
    with steps.step(f"pulumi {VERSION}") as found:
        folder, built = kept("pulumi", f"{VERSION}-{fingerprint(MODULE)}", lambda folder: _build(folder, steps))
        found("built from its Go module" if built else "from the cache, built from its Go module")
    return Engine(folder / "pulumi", VERSION, found=False)


def _build(folder: Path, steps: Steps) -> None:
    steps.say(f"building pulumi {VERSION}, which takes some minutes the first time")
    find_or_install(steps).build(MODULE, PACKAGE, folder / "pulumi", build_log("pulumi"), _LDFLAGS)


def _version(binary: Path) -> str | None:
    """What `pulumi version` says, without its `v`."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            [binary, "version"], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().removeprefix("v") or None
