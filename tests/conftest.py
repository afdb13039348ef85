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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which parts of the lab were real in this run, and which were stand-ins."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    parts = {
        f"{part}: {kind}"
        for report in reports
        for name, value in report.user_properties
        if name == "lab"
        for part, kind in value.items()
    }
    if parts:
        terminalreporter.section("the lab")
    for line in sorted(parts):
        terminalreporter.write_line(line)
