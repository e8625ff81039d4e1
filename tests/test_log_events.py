"""Every event that is logged stands in docs/logs.md with its level and fields; and the reverse.

The source is read with ``ast``. A line is a call of a level's name on ``log`` or ``self._log``;
its event is a literal, one of two, or a parameter whose values are literals of the same module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import smppd
from smppd.log import LEVELS

PACKAGE = Path(smppd.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "logs.md"

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?)\| .+ \|$", re.MULTILINE)

LOGGERS = {"log", "logger", "_log"}


class Line(NamedTuple):
    event: str
    level: str
    fields: frozenset[str]


def lines_of(source: str) -> list[Line]:
    """What a module logs."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    bound = [set(_keywords(call)) for call in calls if _is_on_logger(call, {"bind"})]
    found = []
    for function in _functions(tree):
        for call in _own_calls(function):
            if not _is_on_logger(call, set(LEVELS)):
                continue
            assert isinstance(call.func, ast.Attribute)
            own = set(_keywords(call))
            if ast.unparse(call.func.value) == "self._log":
                own |= set().union(*bound)
            events = _events(call.args[0], function, calls)
            found += [Line(event, call.func.attr, frozenset(own)) for event in events]
    return found + list(_written_lines(tree))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _is_on_logger(call: ast.Call, methods: set[str]) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in methods:
        return False
    owner = call.func.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
    return name in LOGGERS


def _keywords(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        assert keyword.arg is not None, f"spell the fields out: {ast.unparse(call)}"
        yield "exception" if keyword.arg == "exc_info" else keyword.arg


def _events(
    event: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef, calls: list[ast.Call]
) -> list[str]:
    """The names an event's expression can be."""
    if isinstance(event, ast.Constant):
        return [str(event.value)]
    if isinstance(event, ast.IfExp):
        return _events(event.body, function, calls) + _events(event.orelse, function, calls)
    assert isinstance(event, ast.Name), f"name the event: {ast.unparse(event)}"
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == event.id:
            return _events(node.value, function, calls)
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    assert event.id in names, f"name the event: {event.id} in {function.name}"
    given = [call.args[names.index(event.id)] for call in calls if _calls(call, function.name)]
    return [name for value in given for name in _events(value, function, [])]


def _calls(call: ast.Call, name: str) -> bool:
    return ast.unparse(call.func) in (name, f"self.{name}")


def _written_lines(tree: ast.AST) -> Iterator[Line]:
    """Lines that are made without a logger, as dicts: the writer's own."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict):
            continue
        fields = {
            key.value: value.value if isinstance(value, ast.Constant) else None
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
        event, level = fields.pop("event", None), fields.pop("level", None)
        if isinstance(event, str) and isinstance(level, str):
            yield Line(event, level, frozenset(fields))


def logged() -> set[Line]:
    """What the whole package logs."""
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    return {line for source in sources for line in lines_of(source)}


def documented() -> set[Line]:
    """What docs/logs.md says is logged."""
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {Line(name, level, frozenset(re.findall(r"`(\w+)`", own))) for name, level, own in rows}


def test_everything_logged_is_documented_with_its_level_and_fields() -> None:
    assert logged() - documented() == set()


def test_everything_documented_is_logged() -> None:
    missing = {line.event for line in documented() - logged()}
    assert missing == set()


def test_every_event_is_documented_once() -> None:
    events = [name for name, _, _ in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))]
    assert len(events) == len(set(events))


def test_names_are_snake_case() -> None:
    names = {line.event for line in logged()} | {f for line in logged() for f in line.fields}
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)] == []


SOURCES = [
    ('def f():\n log.info("ready", socket=1)', {("ready", "info", "socket")}),
    ('def f():\n log.error("a" if x else "b")', {("a", "error", ""), ("b", "error", "")}),
    (
        'def f(self):\n self._log = log.bind(carrier=1)\n self._log.warning("lost", reason=2)',
        {("lost", "warning", "carrier reason")},
    ),
    ('def f():\n name = "a"\n log.info(name)', {("a", "info", "")}),
    (
        "def f(self, x, name):\n log.info(name, x=x)\n"
        "def g(self):\n self.f(1, 'a')\n self.f(2, 'b')",
        {("a", "info", "x"), ("b", "info", "x")},
    ),
    ('def f():\n log.error("crashed", exc_info=e)', {("crashed", "error", "exception")}),
    ('x = {"event": "a", "level": "info", "n": 1}', {("a", "info", "n")}),
    ("def f():\n other.info(1)\n log.bind(a=1)", set()),
]


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_line_is_found_in_the_source(source: str, expected: set[tuple[str, str, str]]) -> None:
    assert set(lines_of(source)) == {
        Line(event, level, frozenset(own.split())) for event, level, own in expected
    }


@pytest.mark.parametrize(
    "source", ["def f():\n log.info(name())", "def f():\n log.info('a', **fields)"]
)
def test_line_that_cannot_be_read_is_an_error(source: str) -> None:
    with pytest.raises(AssertionError):
        lines_of(source)
