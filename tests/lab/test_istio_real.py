"""Which Istio does the lab use: its stand-ins, or the real parts that the user names?"""

import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.base.errors import LabError
from lab.base.steps import Steps
from lab.istio.real import DISCOVERY, PACKAGE, Real, find_real

DEB = b"!<arch>\ndebian-binary"


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (DISCOVERY, PACKAGE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def discovery(tmp_path: Path) -> Path:
    """A program that says of itself what Istio's says."""
    program = tmp_path / "pilot-discovery"
    program.write_text("#!/bin/sh\necho 'client version: 1.31.0'\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    package = tmp_path / "istio-sidecar.deb"
    package.write_bytes(DEB)
    return package


def found(folder: Path) -> tuple[Real | None, str]:
    return find_real(Steps(io.StringIO()), folder / "fetched")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, directory=str(folder), **options)  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_nothing_named_is_no_reason_to_say_anything(tmp_path: Path) -> None:
    assert found(tmp_path) == (None, "")


def test_both_parts_are_used_with_their_version_and_checksum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, discovery: Path, deb: Path
) -> None:
    monkeypatch.setenv(PACKAGE, str(deb))
    assert found(tmp_path) == (Real(discovery, "1.31.0", deb), "")
    assert Real(discovery, "1.31.0", deb).sha256 == hashlib.sha256(DEB).hexdigest()


def test_a_package_named_by_its_address_is_fetched_for_the_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, discovery: Path, deb: Path
) -> None:
    with served(tmp_path) as url:
        monkeypatch.setenv(PACKAGE, f"{url}/{deb.name}?version=1")
        real = found(tmp_path)[0]
    assert real is not None
    assert real.discovery == discovery
    assert (real.deb, real.deb.read_bytes()) == (tmp_path / "fetched" / deb.name, DEB)


def test_one_real_part_alone_is_not_used_and_the_run_says_what_the_other_one_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, discovery: Path, deb: Path
) -> None:
    real, why_not = found(tmp_path)
    assert real is None
    assert str(discovery) in why_not
    assert PACKAGE in why_not

    discovery.unlink()
    monkeypatch.setenv(PACKAGE, str(deb))
    real, why_not = found(tmp_path)
    assert real is None
    assert str(deb) in why_not
    assert DISCOVERY in why_not


def test_a_wrong_name_is_an_error_that_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, discovery: Path, deb: Path
) -> None:
    monkeypatch.setenv(PACKAGE, str(tmp_path / "none.deb"))
    with pytest.raises(LabError, match=f"{PACKAGE} names .*none.deb, which cannot be read"):
        found(tmp_path)
    deb.write_bytes(b"\xed\xab\xee\xdb")
    monkeypatch.setenv(PACKAGE, str(deb))
    with pytest.raises(LabError, match="which is no deb"):
        found(tmp_path)
    monkeypatch.setenv(PACKAGE, "ftp://127.0.0.1/istio-sidecar.deb")
    with pytest.raises(LabError, match="neither a file nor an http"):
        found(tmp_path)
    monkeypatch.setenv(PACKAGE, "http://127.0.0.1:9/istio-sidecar.deb")
    with pytest.raises(LabError, match="cannot be fetched"):
        found(tmp_path)
    monkeypatch.setenv(DISCOVERY, str(tmp_path / "none"))
    with pytest.raises(LabError, match=f"{DISCOVERY} names .*none, which is no program"):
        found(tmp_path)
    monkeypatch.setenv(DISCOVERY, "/bin/false")
    with pytest.raises(LabError, match="no pilot-discovery of this system"):
        found(tmp_path)
