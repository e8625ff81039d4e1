"""Configurations for the tests: a directory with one carrier, and what a test wants otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import ConfigWarning, check, load
from smppd.errors import ConfigError, Problem

CARRIER = 'host = "127.0.0.1"\nport = 2775\nsystem_id = "smppd"\npassword = "secret"\n'
ROUTING = 'currency = "USD"\n[[route]]\nprefix = "49"\ncarrier = "alpha"\ncost = "0.0210"\n'


def write_config(
    directory: Path, daemon: str = "", routing: str = ROUTING, carrier: str = CARRIER
) -> Path:
    """A directory with one carrier, alpha, and what a test wants otherwise."""
    (directory / "carriers").mkdir()
    (directory / "smppd.toml").write_text(daemon, encoding="utf-8")
    (directory / "routing.toml").write_text(routing, encoding="utf-8")
    (directory / "carriers" / "alpha.toml").write_text(carrier, encoding="utf-8")
    return directory


def problems_of(directory: Path, credentials: Path | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as refused:
        load(directory, credentials)
    return refused.value.problems


def only_problem(directory: Path) -> Problem:
    problems = problems_of(directory)
    assert len(problems) == 1, problems
    return problems[0]


def add_carrier(directory: Path, name: str, carrier: str = CARRIER) -> None:
    (directory / "carriers" / f"{name}.toml").write_text(carrier, encoding="utf-8")


def only_warning(directory: Path) -> ConfigWarning:
    warnings = check(directory)
    assert len(warnings) == 1, warnings
    return warnings[0]
