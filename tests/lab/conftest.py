"""What do the tests of the lab's machines share: the root that machines start from, a network, a user's key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines.cloud_init import Seed
from lab.machines.machine import Machine
from lab.machines.network import Network
from lab.machines.root import Root
from tests.lab.keys import Key, make_key


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    made = Root(tmp_path_factory.mktemp("root"))
    made.start()
    return made


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("network"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(scope="module")
def machine(root: Root, network: Network, key: Key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One that tests only look at."""
    made = Machine("shared", root, network, tmp_path_factory.mktemp("logs"), Seed(authorized_keys=(key.public,)))
    made.start()
    made.ready()
    yield made
    made.stop()


@pytest.fixture
def own(root: Root, network: Network, key: Key, tmp_path: Path) -> Iterator[Machine]:
    """One that a test may change."""
    made = Machine("own", root, network, tmp_path, Seed(authorized_keys=(key.public,)))
    made.start()
    made.ready()
    yield made
    made.stop()
