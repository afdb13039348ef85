"""How is the stand-in of Istio's sidecar package built: the same files, modes and effects, another program inside?"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.base.cache import kept
from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.base.toolchain import build_log, environment, find_or_install

HERE = Path(__file__).parent
VERSION = "1.30.3"


@dataclass(frozen=True)
class Package:
    """A built package.

    :param deb: the file, named like the original's.
    :param sha256: its checksum, as hexadecimal digits.
    :param built: False when it came from the cache.
    """

    deb: Path
    sha256: str
    built: bool


def package(steps: Steps, version: str = VERSION, *, broken: bool = False) -> Package:
    """The stand-in of istio-sidecar.deb for this machine's architecture.

    :param version: what the package and its agent say they are.
    :param broken: an agent that runs and never becomes ready, for trying an upgrade that fails.
    :raises LabError: when Go or dpkg-deb fails; the log has their words.
    """
    name = f"istio-sidecar {version}{' (broken on purpose)' if broken else ''}"
    with steps.step(f"package {name}, a stand-in") as found:
        kind = f"{version}{'-broken' if broken else ''}-{_digest()}"
        folder, built = kept("istio-sidecar", kind, lambda place: _build(steps, place, version, broken=broken))
        found("built" if built else "from the cache")
    deb = folder / "istio-sidecar.deb"
    return Package(deb, hashlib.sha256(deb.read_bytes()).hexdigest(), built)


def _digest() -> str:
    """What the package is made of: a change of any source makes another package."""
    files = [*sorted((HERE / "go").glob("*")), *sorted((HERE / "deb").glob("*")), Path(__file__)]
    content = b"".join(file.name.encode() + b"\0" + file.read_bytes() for file in files if file.is_file())
    return hashlib.sha256(content).hexdigest()[:12]


def _build(steps: Steps, place: Path, version: str, *, broken: bool) -> None:
    log = build_log("istio-sidecar")
    tree = place / "tree"
    _program(steps, tree / "usr/local/bin/pilot-agent", version, log, broken=broken)
    _files(tree)
    architecture = _run(["dpkg", "--print-architecture"], log, tree).strip()
    control = tree / "DEBIAN/control"
    control.parent.mkdir()
    control.write_text((HERE / "deb/control").read_text().format(version=version, architecture=architecture))
    (tree / "DEBIAN/conffiles").write_text(
        "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json\n/var/lib/istio/envoy/sidecar.env\n"
    )
    _place(HERE / "deb/postinst.sh", tree / "DEBIAN/postinst", 0o755)
    # One output for one source: the time of every file is fixed.
    words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(place / "istio-sidecar.deb")]
    _run(words, log, place, {"SOURCE_DATE_EPOCH": "1700000000"})
    shutil.rmtree(tree)


def _program(steps: Steps, output: Path, version: str, log: Path, *, broken: bool) -> None:
    go = find_or_install(steps)
    flags = f"-s -w -X main.version={version} -X main.broken={'yes' if broken else ''}"
    output.parent.mkdir(parents=True)
    variables = {**environment(go.binary), "CGO_ENABLED": "0"}  # static: runs on any machine of this architecture
    words = [str(go.binary), "build", "-trimpath", f"-ldflags={flags}", "-o", str(output), "."]
    _run(words, log, HERE / "go", variables)


def _files(tree: Path) -> None:
    (tree / "usr/local/bin/pilot-agent").chmod(0o755)
    _place(HERE / "deb/istio-start.sh", tree / "usr/local/bin/istio-start.sh", 0o755)
    _place(HERE / "deb/istio.service", tree / "lib/systemd/system/istio.service", 0o644)
    _place(HERE / "deb/sidecar.env", tree / "var/lib/istio/envoy/sidecar.env", 0o644)
    _place(HERE / "deb/envoy_bootstrap.json", tree / "var/lib/istio/envoy/envoy_bootstrap_tmpl.json", 0o644)
    _place(HERE / "deb/envoy.sh", tree / "usr/local/bin/envoy", 0o755)
    for folder in (tree, *tree.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)


def _place(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _run(words: list[str], log: Path, folder: Path, variables: dict[str, str] | None = None) -> str:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    if done.returncode != 0:
        raise LabError(f"building the sidecar package failed at `{words[0]} {words[1]}`: see the log", log)
    return done.stdout.decode()
