"""What can be read in one way only is read; what could be a slip is refused with its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.errors import Problem
from smppd.routing import sheet
from smppd.routing.sheet import (
    RateSheet,
    find_longest,
    is_same_cost,
    read_prices,
    sort_prefixes,
)

PREFIXES = st.from_regex(sheet.PREFIX_PATTERN, fullmatch=True).filter(str.isascii)
COSTS = st.from_regex(sheet.COST_PATTERN, fullmatch=True).filter(str.isascii)


def problems_of(data: bytes) -> list[Problem]:
    found = read_prices(data, "beta.csv")
    assert isinstance(found, list), found
    return found


def only_problem(data: bytes) -> Problem:
    problems = problems_of(data)
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(
    "data",
    [
        b"prefix,cost\n49,0.0210\n4915,0.02\n",
        b"prefix,cost\n49,0.0210\n4915,0.02",
        b"\xef\xbb\xbfprefix,cost\n49,0.0210\n4915,0.02\n",
        b"prefix,cost\r\n49,0.0210\r\n4915,0.02\r\n",
        b"prefix;cost\n49;0.0210\n4915;0.02\n",
        b"prefix\tcost\n49\t0.0210\n4915\t0.02\n",
        b'"prefix","cost"\n"49","0.0210"\n"4915","0.02"\n',
        b" Prefix , Cost \n 49 , 0.0210 \n\t4915,\t0.02\n",
        b'\n\nprefix,cost\n\n49,0.0210\n \n"4915" ,0.02\n\n',
    ],
    ids=["plain", "noend", "bom", "crlf", "semicolon", "tab", "quoted", "blanks", "emptylines"],
)
def test_sheet_that_can_be_read_in_one_way_only_is_read(data: bytes) -> None:
    assert read_prices(data, "beta.csv") == {"49": "0.0210", "4915": "0.02"}


@settings(deadline=None, max_examples=100)
@given(prices=st.dictionaries(PREFIXES, COSTS, min_size=1, max_size=20), quoted=st.booleans())
def test_whatever_is_written_as_a_sheet_is_read(prices: dict[str, str], quoted: bool) -> None:
    mark = '"' if quoted else ""
    rows = [f"{mark}{prefix}{mark},{mark}{cost}{mark}\n" for prefix, cost in prices.items()]

    assert read_prices("".join(["prefix,cost\n", *rows]).encode(), "beta.csv") == prices


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=60))
def test_any_octets_are_prices_or_problems(data: bytes) -> None:
    found = read_prices(b"prefix,cost\n" + data, "beta.csv")

    assert found, "neither a price nor a problem"


@pytest.mark.parametrize(
    ("row", "key", "wrong", "remedy"),
    [
        (b"49,-0.02", "cost", "'-0.02' is not a cost", "decimal number of 0 or more"),
        (b"49,0,0210", "cost", "'0,0210' is not a cost", "write 0.0210, with a point"),
        (b'"49","0,0210"', "cost", "'0,0210' is not a cost", "write 0.0210, with a point"),
        (b"49,", "cost", "prefix 49 has no cost", "such as 0.0210"),
        (b"49", "cost", "prefix 49 has no cost", "such as 0.0210"),
        (b"49,1e-3", "cost", "'1e-3' is not a cost", "such as 0.0210"),
        (b"49,0.1234567", "cost", "'0.1234567' is not a cost", "at most 6 decimals"),
        (b"49,NaN", "cost", "'NaN' is not a cost", "such as 0.0210"),
        (b"49,0.02 EUR", "cost", "'0.02 EUR' is not a cost", "such as 0.0210"),
        (b"49,0.02,Germany", "cost", "'0.02,Germany' is not a cost", "such as 0.0210"),
        ("49,٠.٠٢".encode(), "cost", "is not a cost", "such as 0.0210"),
        (b"+49,0.02", "prefix", "'+49' is not the beginning of", "write 49"),
        (b"0049,0.02", "prefix", "'0049' is not the beginning of", "write 49"),
        (b"1-340,0.02", "prefix", "'1-340' is not the beginning of", "write 1340"),
        (b"Germany,0.02", "prefix", "'Germany' is not the beginning", "write digits such as 49"),
        (b",0.02", "prefix", "'' is not the beginning of", "nine prefixes 1 to 9"),
        (b"1234567890123456,0.02", "prefix", "is not the beginning", "write 123456789012345"),
        (b"4.9E+01,0.02", "prefix", "'4.9E+01' is not the beginning", "write 4901"),
        (b"49\x00,0.02", "prefix", "'49\\x00' is not the beginning", "write 49"),
    ],
)
def test_wrong_row_is_refused_with_its_line(row: bytes, key: str, wrong: str, remedy: str) -> None:
    problem = only_problem(b"prefix,cost\n44,0.01\n" + row + b"\n45,0.01\n")

    assert (problem.file, problem.line, problem.key) == ("beta.csv", 3, key)
    assert wrong in problem.wrong
    assert remedy in problem.remedy


def test_decimal_commas_between_semicolons_are_refused_with_the_point() -> None:
    problem = only_problem(b"prefix;cost\r\n49;0,0210\r\n")

    assert str(problem) == ("beta.csv:2: cost: '0,0210' is not a cost; write 0.0210, with a point")


def test_doubled_prefix_is_refused_with_both_lines_even_at_one_price() -> None:
    problem = only_problem(b'prefix,cost\n"49",0.01\n44,0.01\n\n49,0.01\n')

    assert (problem.line, problem.key) == (5, "prefix")
    assert problem.wrong == "prefix 49 stands on line 2 too"


@pytest.mark.parametrize(
    ("data", "line", "wrong", "remedy"),
    [
        (b"", None, "is empty", "write prefix,cost and a price a line"),
        (b"\xef\xbb\xbf\r\n \n", None, "is empty", "write prefix,cost"),
        (b"prefix,cost\n", 1, "no price follows", "write a price a line"),
        (b"49,0.02\n44,0.01\n", 1, "'49,0.02' is not the header", "on a line above it"),
        (b"cost,prefix\n0.02,49\n", 1, "is not the header", "write prefix,cost and leave out"),
        (b"prefix,cost,note\n49,0.02,x\n", 1, "is not the header", "leave out other columns"),
        (b"\nprefix cost\n", 2, "'prefix cost' is not the header", "write prefix,cost"),
        (b"prefix,cost\n49,\xe4\n", 2, "byte 0xe4 is not UTF-8", "save it as CSV in UTF-8"),
        ("prefix,cost\n49,1\n".encode("utf-16"), 1, "byte 0xff is not UTF-8", "in UTF-8"),
    ],
)
def test_file_that_is_no_sheet_is_refused(
    data: bytes, line: int | None, wrong: str, remedy: str
) -> None:
    problem = only_problem(data)

    assert problem.line == line
    assert wrong in problem.wrong
    assert remedy in problem.remedy


def test_every_wrong_line_is_named_up_to_a_bound() -> None:
    rows = "".join(f"{number},0,5\n" for number in range(100, 200)) + "100,0.5\n100,0.5\n"

    problems = problems_of(b"prefix,cost\n" + rows.encode())

    assert len(problems) == sheet.SHEET_PROBLEMS_MAX + 1
    assert [problem.line for problem in problems[:3]] == [2, 3, 4]
    assert str(problems[-1]) == "beta.csv: 81 more lines are wrong; correct these first"


def test_file_above_the_bound_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "SHEET_BYTES_MAX", 10)

    assert "has 16 bytes, at most 10" in only_problem(b"prefix,cost\n4,1\n").wrong


def test_repr_of_a_sheet_counts_its_prices() -> None:
    assert repr(RateSheet("beta", "beta.csv", {"49": "1"})) == (
        "RateSheet('beta', 'beta.csv', 1 prices)"
    )


@pytest.mark.parametrize(
    ("digits", "longest"), [("49151", "4915"), ("4915", "4915"), ("491", "49"), ("1", ""), ("", "")]
)
def test_longest_prefix_is_found(digits: str, longest: str) -> None:
    assert find_longest({"": 1, "49": 1, "4915": 1}, digits) == longest


def test_no_prefix_is_found_where_none_fits() -> None:
    assert find_longest({"49": 1}, "4") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.01", "0.0100", True),
        ("0.1", "0.01", False),
        ("9007199254740993", "9007199254740992", False),
        (None, None, True),
        (None, "0", False),
    ],
)
def test_costs_are_compared_as_decimals(one: str | None, other: str | None, same: bool) -> None:
    assert is_same_cost(one, other) is same


@settings(deadline=None)
@given(st.sets(st.text("0123456789", max_size=6)))
def test_prefixes_are_sorted_as_by_one_sort(prefixes: set[str]) -> None:
    assert list(sort_prefixes(prefixes)) == sorted(prefixes)
