"""What the tests of a VM's life share: one lab for all of them, and a world of its own for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.base.steps import Steps
from lab.lab import Lab
from tests.life.world import World


_PARTS = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    """The whole lab; what it says is in a file that a failure names."""
    said = tmp_path_factory.mktemp("lab") / "steps.log"
    with said.open("w") as out, Lab(Steps(out)) as running:
        pytestconfig.stash[_PARTS] = running.parts
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which parts of the lab were real, and which were stand-ins."""
    parts = config.stash.get(_PARTS, {})
    if parts:
        terminalreporter.section("the lab of tests/life")
    for part, kind in sorted(parts.items()):
        terminalreporter.write_line(f"{part}: {kind}")


@pytest.fixture
def world(lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A namespace, a stack and machines of this test alone; gone after it."""
    made = World(lab, request.node.name, tmp_path)
    yield made
    made.end()
