"""``[status]`` of a carrier: what is read, and what is refused with a word on how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.config import CarrierConfig, compare, load, load_verdicts
from smppd.config.source import Source
from smppd.config.verdicts import PAUSE_SECONDS, StatusConfig, read_verdicts
from smppd.daemon.fleet import is_bind_kept
from smppd.errors import ConfigError
from tests.config.house import CARRIER, add_carrier, only_problem, write_config


def load_alpha(tmp_path: Path, toml: str) -> CarrierConfig:
    write_config(tmp_path, carrier=CARRIER + toml)
    return load(tmp_path).carriers["alpha"]


@pytest.mark.parametrize(
    ("name", "number"),
    [('"0x58"', 0x58), ("0x58", 0x58), ("88", 88), ("ESME_RTHROTTLED", 0x58), ('"0X4a1"', 0x4A1)],
)
def test_a_status_is_named_as_people_do(name: str, number: int, tmp_path: Path) -> None:
    carrier = load_alpha(tmp_path, f'[status.{name}]\nverdict = "retry"\n')

    assert carrier.status == {number: StatusConfig(verdict="retry")}


def test_a_pause_is_a_minute_unless_it_says_otherwise(tmp_path: Path) -> None:
    carrier = load_alpha(
        tmp_path,
        '[status]\n0x401 = { verdict = "pause" }\n'
        '0x402 = { verdict = "pause", pause = 7.5, meaning = "too much" }\n',
    )

    assert carrier.status[0x401].pause_seconds == PAUSE_SECONDS == 60
    assert carrier.status[0x402].pause_seconds == 7.5
    assert carrier.status[0x402].meaning == "too much"


@pytest.mark.parametrize(
    ("toml", "key", "words"),
    [
        ('[status."0x58"]\n', "status.0x58.verdict", "is missing"),
        ('[status."0x58"]\nverdict = "slwo"\n', "status.0x58.verdict", 'did you mean "slow"?'),
        ('[status."0x58"]\nverdict = "retry"\nmaening = ""\n', "status.0x58.maening", "'meaning'?"),
        ('[status."0x58"]\nverdict = "retry"\npause = 3\n', "status.0x58.pause", "does not pause"),
        ('[status."0x58"]\nverdict = "pause"\npause = 0\n', "status.0x58.pause", "above 0"),
        ('[status."0x58"]\nverdict = "pause"\npause = 1e6\n', "status.0x58.pause", "at most a day"),
        (
            '[status."0x58"]\nverdict = "retry"\nmeaning = "a\\nb"\n',
            "status.0x58.meaning",
            "on one line",
        ),
        ('[status."0x00"]\nverdict = "retry"\n', "status.0x00", "ESME_ROK"),
        ('[status.RTROTTLED]\nverdict = "retry"\n', "status.RTROTTLED", "not a command_status"),
        (
            '[status."0x100000000"]\nverdict = "retry"\n',
            "status.0x100000000",
            "from 1 to 0xFFFFFFFF",
        ),
        ('[status."-1"]\nverdict = "retry"\n', "status.-1", "not a command_status"),
        ("[status]\n0x58 = 1\n", "status.0x58", "is not a table"),
        ('status = "retry"\n', "status", "is not a table"),
        ("[status]\nwindow = 5\n", "status.window", "move it above [status]"),
        (
            '[status.8]\nverdict = "slow"\nwindow = 5\n',
            "status.8.window",
            "is a key of the carrier, not of [status.8]",
        ),
        (
            '[status."0x58"]\nverdict = "slow"\n[status."88"]\nverdict = "slow"\n',
            "status.88",
            "stands here twice",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    toml: str, key: str, words: str, tmp_path: Path
) -> None:
    write_config(tmp_path, carrier=CARRIER + toml)

    problem = only_problem(tmp_path)

    assert problem.key == key
    assert words in str(problem)
    assert problem.line is not None
    assert problem.line > CARRIER.count("\n")


def test_a_changed_verdict_keeps_the_bind_and_is_told_row_by_row(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = load(write_config(tmp_path / "old", carrier=CARRIER + '[status]\n8={verdict="slow"}\n'))
    new = load(
        write_config(
            tmp_path / "new",
            carrier=CARRIER + '[status]\n8={verdict="pause"}\n0x401={verdict="refuse"}\n',
        )
    )

    (change,) = [one for one in compare(old, new) if one.what == "carrier"]

    assert change.detail == "status 0x08 slow -> pause 60 s, 0x401 none -> refuse"
    assert is_bind_kept(old.carriers["alpha"], new.carriers["alpha"])


NAMES = st.one_of(
    st.sampled_from(["0x58", "88", "0", "ESME_ROK", "ESME_RSYSERR", "window", "-1", ""]),
    st.text(max_size=12),
)
ROWS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "verdict": st.one_of(st.sampled_from(["retry", "pause", "x"]), st.integers()),
            "pause": st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans()),
            "meaning": st.one_of(st.text(max_size=9), st.none()),
            "port": st.just(1),
        },
    ),
    st.integers(),
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(NAMES, ROWS, max_size=4))
def test_whatever_stands_there_is_read_or_noted(rows: dict[str, object]) -> None:
    source = Source(Path("/nowhere"), "carriers/alpha.toml")
    source.problems.clear()  # that there is no such file

    found = read_verdicts(source, rows)

    assert all(1 <= number <= 0xFFFFFFFF for number in found)
    assert len(found) == len(rows) or source.problems


def test_verdicts_are_read_without_the_rest_of_a_carrier(tmp_path: Path) -> None:
    write_config(tmp_path, carrier='[status]\n8={verdict="slow"}\n')
    add_carrier(tmp_path, "beta", CARRIER)
    add_carrier(tmp_path, "gamma", "[status]\n8 = 1\n")

    assert load_verdicts(tmp_path, None) == {
        "alpha": {8: StatusConfig(verdict="slow")},
        "beta": {},
    }
    assert list(load_verdicts(tmp_path, "alpha")) == ["alpha"]
    with pytest.raises(ConfigError) as refused:
        load_verdicts(tmp_path, "gamma")
    assert [problem.key for problem in refused.value.problems] == ["status.8"]
