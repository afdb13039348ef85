"""What can this machine run? Tests marked `lab` need Linux and root, and are skipped by name elsewhere."""

import os
import sys

# hypothesis: its plugin imports it after the last test otherwise, and CPython 3.11 cannot parse a module while it frees
# what failed programs of the Automation API left ("AST constructor recursion depth mismatch").
import hypothesis  # noqa: F401
import pytest

from lab.base.debian import LAB, need
from lab.base.steps import Steps
from lab.stack import collect_program


def missing_for_the_lab() -> str | None:
    """What this machine lacks to host the lab; None when it lacks nothing."""
    if sys.platform != "linux":
        return f"the lab boots Linux machines: {sys.platform} cannot"
    if os.geteuid() != 0:
        return "the lab makes network namespaces: run `sudo make test`"
    return None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install what the lab's tests call and the machine lacks: once, before the workers begin."""
    if missing_for_the_lab() is None and not hasattr(session.config, "workerinput"):
        need(Steps(), *LAB, "sshd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the lab where there can be none."""
    reason = missing_for_the_lab()
    if reason is None:
        return
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish() -> None:
    """A program whose engine failed is collected here, and not in the middle of pytest's own last work."""
    collect_program()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which parts of the lab were real in this run, which were stand-ins, and where the logs are when a test failed."""
    lines = set()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            told = dict(report.user_properties)
            lines |= {f"{part}: {kind}" for part, kind in told.get("lab", {}).items()}
            if outcome == "failed" and "lab logs" in told:
                lines.add(f"the logs of what failed: {told['lab logs']}")
    if lines:
        terminalreporter.section("the lab")
    for line in sorted(lines):
        terminalreporter.write_line(line)
