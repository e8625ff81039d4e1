"""Tests that documents name: tables whose rows say which tests hold them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
DOCS: Final = TESTS.parent / "docs"

_ROW: Final = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)
_TEST: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")


def read_rows(document: str) -> dict[int, str]:
    """The numbered rows of ``docs/NAME``, by their numbers, in the order of the file."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return {int(number): row for number, row in _ROW.findall(text)}


def named_tests(row: str) -> list[str]:
    """What a row names as ``file.py::test``, files from ``tests/`` on."""
    return [f"{file}::{name}" for file, name in _TEST.findall(row)]


def missing_of(named: list[str]) -> list[str]:
    """Those that are not there."""
    return [one for one in named if not _exists(*one.split("::"))]


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The functions of a module of tests, those of its classes included."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def _exists(file: str, name: str) -> bool:
    path = TESTS / file
    return path.is_file() and name in functions_of(path)
