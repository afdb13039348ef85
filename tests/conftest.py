"""What can this machine run? Tests marked `lab` need Linux and root, and are skipped by name elsewhere."""

import os
import sys

import pytest


def missing_for_the_lab() -> str | None:
    """What this machine lacks to host the lab; None when it lacks nothing."""
    if sys.platform != "linux":
        return f"the lab boots Linux machines: {sys.platform} cannot"
    if os.geteuid() != 0:
        return "the lab makes network namespaces: run `sudo make test`"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the lab where there can be none."""
    reason = missing_for_the_lab()
    if reason is None:
        return
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason=reason))
