"""A carrier's rate sheet: octets of a CSV file become prices, or problems with their lines.

A first line ``prefix,cost``, then a price a line. What can be read in one way only is read: a
byte order mark, CRLF, quotes, blanks around a field, blank lines, and ``;`` or a tab as separator
where the first line has it (spreadsheets write all of them). What a person could have meant
otherwise is refused, for a price is money: ``+49``, ``0,0210``, the same prefix twice.

What file this was and which route it prices is not known here.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Container, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from smppd.errors import Problem
from smppd.turns import in_turns

SHEET_BYTES_MAX: Final = 32 * 2**20
"""Of one file: a million rows; the widest sheets known have 200,000, in 4 MiB."""

SHEET_PROBLEMS_MAX: Final = 20
"""Reported of one file: a sheet that is wrong is mostly wrong on every line."""

PREFIX_DIGITS_MAX: Final = 15
"""Of an E.164 number (ITU-T E.164 s6.1)."""

PREFIX_PATTERN: Final = r"[1-9][0-9]{0,14}"
"""The beginning of an E.164 number, which never begins with 0."""

COST_PATTERN: Final = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
"""A segment's cost; rate sheets stop at five or six decimals."""

SORT_DIGITS: Final = 2
"""By which prefixes are parted to be sorted: 200,000 into a hundred, a millisecond each."""

HEADER: Final = ("prefix", "cost")

_PREFIX = re.compile(PREFIX_PATTERN)
_COST = re.compile(COST_PATTERN)
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]+")
_SEPARATORS = (",", ";", "\t")
_SHOWN_MAX = 40
"""Characters of a wrong line repeated in a problem."""


class RateSheet(msgspec.Struct, frozen=True):
    """What ``carrier`` takes a segment, a decimal string by prefix; ``file`` as the table names it.

    Its repr counts the prices, for there may be 200,000.
    """

    carrier: str
    file: str
    prices: dict[str, str]

    def __repr__(self) -> str:
        return f"RateSheet({self.carrier!r}, {self.file!r}, {len(self.prices)} prices)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The fields as rich prints them: of the prices their number."""
        return [("carrier", self.carrier), ("file", self.file), ("prices", len(self.prices))]


def read_prices(data: bytes, name: str) -> dict[str, str] | list[Problem]:
    """The prices in the file ``name``, in its order; or every problem, up to SHEET_PROBLEMS_MAX."""
    if len(data) > SHEET_BYTES_MAX:
        wrong = f"has {len(data)} bytes, at most {SHEET_BYTES_MAX} are read"
        return [Problem(name, "", wrong, "leave prefixes out whose price is the shorter one's")]
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte {data[error.start]:#04x} is not UTF-8"
        return [Problem(name, "", wrong, "save it as CSV in UTF-8", line)]
    return _Reading(name, text.replace("\r\n", "\n")).read()


class _Reading:
    """One sheet being read, line by line: a list of 200,000 lines beside as many prices would leave
    memory in pieces. Lines count from 1, as for people."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.problems: list[Problem] = []
        self.unlisted = 0

    def read(self) -> dict[str, str] | list[Problem]:
        lines = iter(in_turns(self._lines()))
        header = next((one for one in lines if one[1].strip()), None)
        if header is None:
            return [Problem(self.name, "", "is empty", "write prefix,cost and a price a line")]
        at, line = header
        separator = self._find_separator(at, line.removesuffix("\n"))
        if separator is None:
            return self.problems
        prices = self._read_rows(lines, at + 1, separator)
        if not prices and not self.problems:
            self._note(at, "no price follows", "write a price a line, such as 49,0.0210")
        if self.unlisted:
            wrong = f"{self.unlisted} more lines are wrong"
            self.problems.append(Problem(self.name, "", wrong, "correct these first"))
        return self.problems or prices

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Each with its number, and the line feed it ends in."""
        return enumerate(io.StringIO(self.text, newline="\n"), 1)

    def _find_separator(self, at: int, line: str) -> str | None:
        for separator in _SEPARATORS:
            if tuple(_bare(field).lower() for field in line.split(separator)) == HEADER:
                return separator
        if _PREFIX.match(_bare(line)):
            remedy = "write prefix,cost on a line above it"
        else:
            remedy = "write prefix,cost and leave out other columns"
        self._note(at, f"{_shown(line)} is not the header", remedy)
        return None

    def _read_rows(
        self, lines: Iterable[tuple[int, str]], start: int, separator: str
    ) -> dict[str, str]:
        """The hot loop: most of 200,000 rows are right, and one match tells."""
        match = re.compile(f"({PREFIX_PATTERN}){separator}({COST_PATTERN})\n?").fullmatch
        prices: dict[str, str] = {}
        costs: dict[str, str] = {}  # Few are distinct: one text for each.
        for at, line in lines:
            found = match(line)
            if found is None:
                if not line.strip():
                    continue
                prefix, _, cost = line.partition(separator)
                prefix, cost = _bare(prefix), _bare(cost)
                if self._is_wrong(at, prefix, cost):
                    continue
            else:
                prefix, cost = found.groups()
            if prefix in prices:
                self._note_doubled(at, prefix, start, separator)
                continue
            prices[prefix] = costs.setdefault(cost, cost)
        return prices

    def _is_wrong(self, at: int, prefix: str, cost: str) -> bool:
        """Notes what is wrong with a row whose form is not the plain one."""
        known = len(self.problems)
        if not _PREFIX.fullmatch(prefix):
            self._note_prefix(at, prefix)
        elif not _COST.fullmatch(cost):
            self._note_cost(at, prefix, cost)
        else:
            return False
        assert len(self.problems) > known or self.unlisted, "what is wrong was noted"
        return True

    def _note_prefix(self, line: int, prefix: str) -> None:
        digits = re.sub(r"[^0-9]", "", prefix).lstrip("0")[:15]
        remedy = f"write {digits}" if digits else "write digits such as 49"
        if not prefix:
            remedy = "write digits; the nine prefixes 1 to 9 price every number"
        wrong = f"{_shown(prefix)} is not the beginning of an E.164 number without '+'"
        self._note(line, wrong, remedy, "prefix")

    def _note_cost(self, line: int, prefix: str, cost: str) -> None:
        remedy = "write a decimal number of 0 or more with at most 6 decimals, such as 0.0210"
        if not cost:
            self._note(line, f"prefix {prefix} has no cost", remedy, "cost")
            return
        if pointed := point_cost(cost):
            remedy = f"write {pointed}, with a point"
        self._note(line, f"{_shown(cost)} is not a cost", remedy, "cost")

    def _note_doubled(self, at: int, prefix: str, start: int, separator: str) -> None:
        if len(self.problems) >= SHEET_PROBLEMS_MAX:  # no search for what is not listed
            self.unlisted += 1
            return
        rows = islice(self._lines(), start - 1, None)
        first = next(n for n, row in rows if _bare(row.partition(separator)[0]) == prefix)
        wrong = f"prefix {prefix} stands on line {first} too"
        self._note(at, wrong, "keep one of them", "prefix")

    def _note(self, line: int, wrong: str, remedy: str, key: str = "") -> None:
        if len(self.problems) < SHEET_PROBLEMS_MAX:
            self.problems.append(Problem(self.name, key, wrong, remedy, line))
        else:
            self.unlisted += 1


def point_cost(cost: str) -> str | None:
    """A cost that was written with a decimal comma, with a point; None for anything else."""
    pointed = cost.replace(",", ".")
    return pointed if _DECIMAL_COMMA.fullmatch(cost) and _COST.fullmatch(pointed) else None


def find_longest(prefixes: Container[str], digits: str) -> str | None:
    """The longest of ``prefixes`` that ``digits`` begin with, "" included; None: none of them."""
    ends = range(min(len(digits), PREFIX_DIGITS_MAX), -1, -1)
    return next((digits[:end] for end in ends if digits[:end] in prefixes), None)


def sort_prefixes(prefixes: Iterable[str]) -> Iterator[str]:
    """``prefixes`` in order of digits, each after the shorter ones it begins with.

    By their first digits, a small sort each: one of 200,000 holds the interpreter's lock for a
    tenth of a second, and other threads with it.
    """
    heaps: dict[str, list[str]] = {}
    for prefix in prefixes:
        heaps.setdefault(prefix[:SORT_DIGITS], []).append(prefix)
    for lead in sorted(heaps):
        yield from sorted(heaps[lead])


def is_same_cost(one: str | None, other: str | None) -> bool:
    """Whether two decimal strings are one price: ``0.01`` is ``0.0100``."""
    if one is None or other is None:
        return one is other
    return one == other or Decimal(one) == Decimal(other)


def _bare(field: str) -> str:
    field = field.strip()
    if len(field) >= 2 and field[0] == field[-1] == '"':
        return field[1:-1].strip()
    return field


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…")
