"""The table of fault points against the code, and what arming one asks for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smppd
from smppd import faults

PACKAGE = Path(smppd.__file__).parent
PHASED = ("response", "receipt", "inbound", "doubt")


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def reached_names() -> set[str]:
    """Every name the code hands to ``faults.reach``; a link builds some from phase and moment."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_reach = isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.reach"
            if is_reach:
                assert isinstance(node, ast.Call)
                names |= {
                    one.value
                    for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant)
                    and isinstance(one.value, str)
                    and len(one.value) > 1
                }
    return names


def test_every_point_of_the_table_is_in_the_code_and_every_one_there_in_the_table() -> None:
    phased = {f"{phase}.{moment}_commit" for phase in PHASED for moment in ("before", "after")}
    assert reached_names() | phased == set(faults.POINTS)


def test_unarmed_point_does_nothing() -> None:
    assert not faults.is_armed()
    faults.reach("commit.before")


def test_armed_hook_sees_every_point() -> None:
    seen: list[str] = []
    faults.arm(seen.append)
    assert faults.is_armed()
    faults.reach("commit.before")
    faults.reach("commit.after")
    assert seen == ["commit.before", "commit.after"]


def test_environment_without_the_variable_arms_nothing() -> None:
    assert faults.arm_from({}) is None
    assert faults.arm_from({faults.VARIABLE: ""}) is None
    assert not faults.is_armed()


@pytest.mark.parametrize("value", ["commit.befor", "commit.before:0", "commit.before:x", ":3"])
def test_point_that_does_not_exist_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=faults.VARIABLE):
        faults.arm_from({faults.VARIABLE: value})
