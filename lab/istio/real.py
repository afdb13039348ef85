"""Are there a real istiod and a real sidecar package, to be used in place of the stand-ins?

The stand-ins speak a protocol of their own to each other, so it is both or neither.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.base.errors import LabError
from lab.base.steps import Steps

DISCOVERY: Final = "MESHVM_LAB_PILOT_DISCOVERY"
"""Environment variable that names a `pilot-discovery`; without it the one on PATH is used."""
PACKAGE: Final = "MESHVM_LAB_SIDECAR_PACKAGE"
"""Environment variable that names an `istio-sidecar.deb`, as a file or a URL."""


@dataclass(frozen=True)
class Real:
    """Istio's own programs.

    :param discovery: `pilot-discovery`.
    :param version: what it says that it is.
    :param deb: the sidecar's package.
    """

    discovery: Path
    version: str
    deb: Path

    @functools.cached_property
    def sha256(self) -> str:
        """The package's checksum, as hexadecimal digits."""
        return hashlib.sha256(self.deb.read_bytes()).hexdigest()


def find_real(steps: Steps, folder: Path) -> tuple[Real | None, str]:
    """Both real parts, or None and why the stand-ins are used.

    :param folder: where a package that is named by its URL is fetched to: the machines have no way out to get it.
    :raises LabError: when what a variable names is not there, or is nothing that the machines can install.
    """
    discovery, package = _discovery(), os.environ.get(PACKAGE, "")
    if discovery and package:
        return Real(discovery, _version(discovery), _package(steps, package, folder)), ""
    if discovery:
        return None, f"{discovery} is real, but needs a real sidecar package: name it in {PACKAGE}"
    if package:
        return (
            None,
            f"{package} is real, but needs a real istiod: put pilot-discovery on PATH or name it in {DISCOVERY}",
        )
    return None, ""


def _discovery() -> Path | None:
    named = os.environ.get(DISCOVERY)
    found = shutil.which(named or "pilot-discovery")
    if named and not found:
        raise LabError(f"{DISCOVERY} names {named}, which is no program: correct it, or unset it to use the stand-in")
    return Path(found) if found else None


def _version(discovery: Path) -> str:
    words = [str(discovery), "version", "--short"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        raise LabError(
            f"`{' '.join(words)}` failed, so this is no pilot-discovery of this system: {done.stderr.strip()}"
        )
    return done.stdout.splitlines()[0].rpartition(":")[2].strip()


def _package(steps: Steps, named: str, folder: Path) -> Path:
    file = _fetched(steps, named, folder) if "://" in named else Path(named).absolute()
    try:
        with file.open("rb") as package:
            start = package.read(7)
    except OSError as error:
        raise LabError(f"{PACKAGE} names {named}, which cannot be read ({error.strerror}): correct it") from error
    if start != b"!<arch>":
        raise LabError(f"{PACKAGE} names {named}, which is no deb: the lab's machines are Debian or Ubuntu")
    return file


def _fetched(steps: Steps, url: str, folder: Path) -> Path:
    target = folder / (Path(urllib.parse.urlsplit(url).path).name or "istio-sidecar.deb")
    if not url.startswith(("http://", "https://")):
        raise LabError(f"{PACKAGE} names {url}, which is neither a file nor an http or https address: correct it")
    folder.mkdir(parents=True, exist_ok=True)
    with steps.step(f"sidecar package from {url}") as found:
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as file:  # noqa: S310 (checked above)
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise LabError(f"{PACKAGE} names {url}, which cannot be fetched ({error}): correct it") from error
        found(f"{target.stat().st_size // 2**20} MiB")
    return target
