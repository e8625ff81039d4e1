"""``docs/reliability.md`` against the suite: every fault it lists is held by tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
FAULTS: Final = 36
"""Rows of the list: kills, disks, carriers, apps, clocks."""

_ROW: Final = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)
_TEST: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> dict[int, str]:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    return {int(number): row for number, row in _ROW.findall(text)}


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The functions of a module of tests, those of its classes included."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_fault_has_its_row() -> None:
    assert list(rows()) == [*range(1, FAULTS + 1)]


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_row_names_tests_that_exist(number: int) -> None:
    named = _TEST.findall(rows()[number])
    assert named, f"row {number} names no test"
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / "tests" / file).is_file() or name not in functions_of(ROOT / "tests" / file)
    ]
    assert missing == []
