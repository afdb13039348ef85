"""Where does this machine's own apt get the packages of its release: which mirror, checked with which keys?"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.base.errors import LabError


@dataclass(frozen=True)
class Source:
    """One archive.

    :param uri: its address, as apt has it.
    :param keyring: the file of keys that sign it; None when apt's own are meant.
    """

    uri: str
    keyring: Path | None = None


def own_source(codename: str, etc: Path = Path("/etc/apt")) -> Source:
    """The archive of `codename` (component main) that apt on this machine uses.

    :raises LabError: when no source names the release.
    """
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for file in (f for f in lists if f.is_file()):
        for source in one_line(file.read_text(errors="replace"), codename):
            return source
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        for source in deb822(file.read_text(errors="replace"), codename):
            return source
    raise LabError(
        f"no apt source under {etc} has the suite {codename!r} with component main: add one for the machines"
    )


def one_line(text: str, codename: str) -> Iterator[Source]:
    """The archives of a `sources.list` that hold `codename`."""
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>[^#]*)", line)
        if found is None or found["suite"] != codename or "main" not in found["rest"].split():
            continue
        options = dict(option.partition("=")[::2] for option in (found["options"] or "").split())
        for uri in _reachable(found["uri"]):
            yield Source(uri, _keyring(options.get("signed-by", "")))


def deb822(text: str, codename: str) -> Iterator[Source]:
    """The archives of a `.sources` file that hold `codename`."""
    kept = "\n".join(line.rstrip() for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n{2,}", kept):
        fields = {
            key.lower(): value for key, value in re.findall(r"^(\S+?):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if (
            fields.get("enabled", "yes").strip().lower() in ("no", "false", "0", "off")
            or "deb" not in fields.get("types", "").split()
            or codename not in fields.get("suites", "").split()
            or "main" not in fields.get("components", "").split()
        ):
            continue
        for word in fields.get("uris", "").split():
            for uri in _reachable(word):
                yield Source(uri, _keyring(fields.get("signed-by", "")))


def _reachable(uri: str) -> Iterator[str]:
    """Addresses that debootstrap can read: a list of mirrors in a file, as CI images have, is opened."""
    if uri.startswith("mirror+file:"):
        lines = Path(uri.removeprefix("mirror+file:")).read_text().splitlines()
        words = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        uri = next(iter(words), "")
    if uri.startswith(("http:", "https:", "file:")):
        yield uri


def _keyring(signed_by: str) -> Path | None:
    """The file that Signed-By names; a key written into the sources themselves is left to debootstrap's default."""
    word = signed_by.strip().split(",")[0].split("\n")[0].strip()
    return Path(word) if word.startswith(os.sep) else None
