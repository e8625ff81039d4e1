"""Says aloud, at the end of the run, that the peers were not asked."""

from __future__ import annotations

import pytest

from tests.peers.node import find_missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One red line where the tests here were skipped for want of node."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = find_missing()
    if missing and any("tests/peers/" in report.nodeid for report in skipped):
        terminalreporter.write_line(f"NOT TESTED against npm's smpp: {missing}", red=True)
