"""Does what is published hold what it must, and nothing else?"""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.imports import CHECKOUT, imports, sources

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))
OURS = {"meshvm", "lab", "tests"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as it would be published, built by the hatchling of the lock: no network."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    built = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = place.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_every_file_of_the_library_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Scripts and py.typed too; neither the lab nor the tests nor the examples."""
    library = {
        str(file.relative_to(CHECKOUT))
        for file in (CHECKOUT / "meshvm").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == library


def test_the_wheel_says_that_it_is_typed_and_brings_its_scripts(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "meshvm/py.typed" in names
    assert [name for name in names if re.fullmatch(r"meshvm/bootstrap/\w+\.sh", name)]


def test_the_extras_are_the_documented_ones() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"aws", "gcp", "cli", "dev"}


def test_no_cloud_is_asked_of_those_who_do_not_use_it() -> None:
    """A provider SDK in an environment is a plugin that every `pulumi up` there asks for."""
    assert not [name for name in PROJECT["dependencies"] if re.match(r"pulumi-(aws|gcp|azure|tls)", name)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_each_package_by_version_and_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *(#.*)?\n", "", lock.read_text()).strip())
    form = re.compile(r"[a-z0-9][a-z0-9._-]*==[^ ;]+( ; [^\\]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+")
    assert [entry for entry in entries if not form.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address_and_no_folder(lock: Path) -> None:
    """Where packages come from is the business of the machine that installs them."""
    assert not re.search(r"://|index-url|find-links|trusted-host|(?m:^-)| /", lock.read_text())


def test_the_lock_holds_what_the_project_asks_for() -> None:
    """A dependency that is added to pyproject.toml and not locked would be missed on every fresh machine."""
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["aws"], *extras["cli"], *extras["dev"]]
    locked = set(re.findall(r"(?m)^([a-z0-9._-]+)==", (CHECKOUT / "requirements" / "dev.txt").read_text()))
    names = {re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-") for requirement in asked}
    assert names - locked == set(), "run `make lock`"


@pytest.mark.parametrize(
    ("folders", "extras"),
    [(["meshvm"], ["aws", "gcp", "cli"]), (["meshvm", "lab", "tests"], ["aws", "gcp", "cli", "dev"])],
    ids=["library", "everything"],
)
def test_every_package_that_is_imported_is_asked_for(folders: list[str], extras: list[str]) -> None:
    """By name: what comes along with another package today may not come tomorrow."""
    requirements = [
        *PROJECT["dependencies"],
        *(name for extra in extras for name in PROJECT["optional-dependencies"][extra]),
    ]
    asked = {re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}
    holders = importlib.metadata.packages_distributions()
    missing = set()
    for source in (source for folder in folders for source in sources(folder)):
        for module in {name.split(".")[0] for name in imports(source)} - OURS - sys.stdlib_module_names:
            packages = {holder.lower().replace("_", "-") for holder in holders.get(module, [module])}
            if not packages & asked:
                missing.add((module, str(source.relative_to(CHECKOUT))))
    assert missing == set()


def test_no_module_of_the_library_postpones_its_annotations() -> None:
    """Pulumi's schema inference reads the annotations of components and args when it runs."""
    assert [source.name for source in sources("meshvm") if "__future__.annotations" in imports(source)] == []
