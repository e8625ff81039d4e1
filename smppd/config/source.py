"""One TOML file: its table, where its keys stand, and the problems found in it.

The only file that reads TOML. It knows paths of keys and lines of text, not what a key means.
tomllib keeps no positions, so lines come from a simple scan of headers and keys: right for tables
and keys written one a line, None inside inline tables and multi-line strings.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from pathlib import Path

from smppd.config.values import Wrong
from smppd.errors import Problem

Key = tuple[str | int, ...]
"""A key's path; an element of a ``[[table]]`` is its index from 0."""

NESTING_MAX = 32
"""Tables and lists in one another: no file of ours has more than five."""

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
# Possessive, and with dots in one place: no line costs more than its length.
_ASSIGNMENT = re.compile(r"""\s*+([A-Za-z0-9_"'-]++(?:\s*+\.\s*+[A-Za-z0-9_"'-]++)*+)\s*+=""")
_COMMENT = re.compile(r"^[ \t]*#", re.MULTILINE)
_TOML_WORDS = {"Cannot overwrite a value": "the key or table on this line stands above too"}
"""What tomllib says, in an operator's words where its own say too little."""

_TOML_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Source:
    """A file of the configuration; ``name`` is relative to the configuration directory.

    ``table`` is empty and ``broken`` set where the file could not be read; the problem is noted
    then, so that callers go on to the next file.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.path = directory / name
        self.table: dict[str, object] = {}
        self.problems: list[Problem] = []
        self.broken = False
        self._text = ""
        self._lines: dict[Key, int] | None = None
        self._read(self.path)

    @property
    def is_all_comment(self) -> bool:
        """Whether it sets nothing at all, and says something: an example, or switched off."""
        return not self.broken and not self.table and bool(_COMMENT.search(self._text))

    def note(self, key: Key, wrong: str, remedy: str) -> None:
        """Note a problem of the value at ``key``."""
        self.problems.append(
            Problem(self.name, show_key(key), wrong, remedy, self.line_of(key) if key else None)
        )

    def note_wrong(self, key: Key, wrong: Wrong) -> None:
        """Note a refused value."""
        self.note(key, wrong.wrong, wrong.remedy)

    def _read(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            self._break(
                f"cannot be read: {error.strerror}", f"create it or make it readable: {path}"
            )
            return
        try:
            self._text = data.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._break(f"byte {data[error.start]:#04x} is not UTF-8", "save it as UTF-8", line)
            return
        try:
            self.table = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            at = _TOML_LINE.search(str(error))
            line = int(at[1]) if at and at[1] else self._text.count("\n") + 1
            wrong = _TOML_LINE.sub("", str(error))
            wrong = _TOML_WORDS.get(wrong, f"is not TOML: {wrong}")
            self._break(wrong, "correct the line (https://toml.io)", line)
        except (ValueError, RecursionError) as error:
            # Of a number with thousands of digits, or brackets as deep: tomllib's own faults.
            self._break(f"is not TOML: {error}", "correct it (https://toml.io)")
        else:
            if excess := _find_excess(self.table, NESTING_MAX):
                self.table = {}
                self._break(excess, "correct it (https://toml.io)")

    def _break(self, wrong: str, remedy: str, line: int | None = None) -> None:
        self.broken = True
        self.problems.append(Problem(self.name, "", wrong, remedy, line))

    def line_of(self, key: Key) -> int | None:
        """The line of ``key``, or of the nearest table around it that the scan has seen."""
        if self._lines is None:
            self._lines = _scan_lines(self._text)
        while key:
            if key in self._lines:
                return self._lines[key]
            key = key[:-1]
        return None


def _find_excess(value: object, levels: int) -> str | None:
    """What tomllib takes and nobody can use: dotted keys without end, and an integer beyond TOML's
    64 bits, which Python refuses to print when it is long enough."""
    if isinstance(value, dict | list):
        if not levels:
            return f"is nested deeper than {NESTING_MAX} tables and lists"
        parts = value.values() if isinstance(value, dict) else value
        return next((found for part in parts if (found := _find_excess(part, levels - 1))), None)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "holds an integer of more than 64 bits"
    return None


def show_key(key: Key) -> str:
    """``key`` as a dotted path; elements of a list count from 1."""
    shown = ""
    for part in key:
        shown += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown


def _scan_lines(text: str) -> dict[Key, int]:
    lines: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _split_key(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_split_key(assignment[1])), number)
    return lines


def _split_key(text: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
