"""What the tests of a VM's life share: one lab for all of them, and a world of its own for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.base.steps import Steps
from lab.lab import Lab
from tests.life.world import World


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The whole lab; what it says is in a file beside its logs, which stay when a test failed."""
    said = tmp_path_factory.mktemp("lab") / "steps.log"
    with said.open("w") as out, Lab(Steps(out)) as running:
        yield running
        running.keep = request.session.testsfailed > 0


@pytest.fixture
def world(lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A namespace, a stack and machines of this test alone; gone after it."""
    request.node.user_properties += [("lab", lab.parts), ("lab logs", str(lab.logs))]
    made = World(lab, request.node.name, tmp_path)
    yield made
    made.end()
