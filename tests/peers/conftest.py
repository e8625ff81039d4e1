"""Says aloud, at the end of the run, which peers were not asked."""

from __future__ import annotations

import pytest

from tests.peers.needs import find_missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A red line for each peer whose tests were skipped for want of it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not any("tests/peers/" in report.nodeid for report in skipped):
        return
    for name, remedy in find_missing().items():
        terminalreporter.write_line(f"NOT TESTED against {name}: {remedy}", red=True)
