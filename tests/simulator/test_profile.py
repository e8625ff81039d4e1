"""Profiles as files: what is read, what is refused, and with which words."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.errors import ConfigError
from smppd.simulator import Behaviour, Profile, load_profile
from smppd.simulator.delay import Lognormal
from smppd.simulator.profile import Alert, Inbound, Phase, Reply, When
from smppd.smpp import constants as c
from tests.processes import toml

RATES = st.floats(0, 1)
COUNTS = st.integers(0, 1_000)


def write(directory: Path, text: str) -> Path:
    path = directory / "profile.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_profile(write(directory, text))
    name = str(directory / "profile.toml")
    return [str(problem).removeprefix(name) for problem in caught.value.problems]


def test_empty_file_is_a_carrier_that_does_all_it_should(tmp_path: Path) -> None:
    assert load_profile(write(tmp_path, "")) == Profile()


def test_keys_of_the_behaviour_are_read(tmp_path: Path) -> None:
    profile = load_profile(
        write(
            tmp_path,
            """
            response_delay = {kind = "lognormal", median = 0.05, sigma = 0.5}
            refuse_status = "ESME_RINVDSTADR"
            throttle_status = 0x14
            hang_after = 3
            """,
        )
    )
    assert profile.behaviour == Behaviour(
        response_delay=Lognormal(0.05, 0.5),
        refuse_status=c.ESME_RINVDSTADR,
        throttle_status=c.ESME_RMSGQFUL,
        hang_after=3,
    )
    assert profile.given == {"response_delay", "refuse_status", "throttle_status", "hang_after"}


def test_tables_are_read(tmp_path: Path) -> None:
    profile = load_profile(
        write(
            tmp_path,
            """
            [[phase]]
            at = 10
            for = 5
            every = 60
            refuse_rate = 1
            [[inbound]]
            rate = 5
            from = ["4477#", "4478"]
            to = "12345"
            text = "STOP"
            data_coding = 8
            [[inbound]]
            at = 3
            from = "4477"
            to = "12345"
            data = "00ff"
            [[reply]]
            contains = "yes"
            text = ["a", "b"]
            rate = 0.5
            [[alert]]
            from = "4477"
            to = "12345"
            availability = 0
            """,
        )
    )
    assert profile.phases == (Phase(When(at=10, lasting=5, every=60), {"refuse_rate": 1.0}),)
    assert profile.inbound == (
        Inbound(rate=5, sources=("4477#", "4478"), to="12345", texts=("STOP",), data_coding=8),
        Inbound(at=3, sources=("4477",), to="12345", data=b"\x00\xff"),
    )
    assert profile.replies == (Reply(contains="yes", texts=("a", "b"), rate=0.5),)
    assert profile.alerts == (Alert(source="4477", to="12345", availability=0),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("refuse_rat = 0.1", ":1: refuse_rat: unknown key 'refuse_rat'; did you mean 'refuse_rate"),
        ("refuse_rate = 2", ":1: refuse_rate: 2 is not a share from 0 to 1; write for example 0.1"),
        ("\nhang_after = -1", ":2: hang_after: -1 is not a whole number from 0"),
        ('id_format = "octal"', ':1: id_format: "octal" is not "hex", "dec" or "uuid"'),
        ('refuse_status = "NO"', ":1: refuse_status: 'NO' is no command_status; write its name"),
        ("receipt_delay = '1s'", ":1: receipt_delay: '1s' is no delay"),
        ("seed = true", ":1: seed: true is not a whole number from 0"),
        ("a = [", ": is not TOML"),
        ("phase = 1", ":1: phase: is not a list of tables; write [[phase]] with two brackets"),
        ("[[phase]]\nat = 1", ":1: phase[1]: changes nothing"),
        ("[[phase]]\nrefuse_rate = 1\nuntil = 2", ":3: phase[1].until: unknown key 'until'"),
        ("[[phase]]\nseed = 1", ":2: phase[1].seed: unknown key 'seed'"),
        ("[[phase]]\nrefuse_rate = 1\nat = -1", ":3: phase[1].at: -1 is not a number of seconds"),
        ("[[phase]]\nrefuse_rate = 1\nevery = 9", ":3: phase[1].every: stands without 'for'"),
        (
            "[[phase]]\nrefuse_rate = 1\nevery = 9\nfor = 9",
            ":4: phase[1].for: is not shorter than 'every'",
        ),
        ('[[inbound]]\nto = "1"\ntext = "x"', ":1: inbound[1].from: is missing"),
        ('[[inbound]]\nfrom = "1"\nto = "1"', "or 'data' is what is sent; write one of the two"),
        (
            '[[inbound]]\nfrom = "1"\nto = "1"\ntext = "x"\nrate = 1\nevery = 2',
            ":5: inbound[1].rate: stands beside 'every'",
        ),
        ('[[inbound]]\nfrom = "é"\nto = "1"\ntext = "x"', "at most 20 ASCII characters"),
        ('[[inbound]]\nfrom = "1"\nto = "1"\ntext = "短"\ndata_coding = 0', "GSM 03.38"),
        ('[[inbound]]\nfrom = "1"\nto = "1"\ntext = "x"\ndata_coding = 4', "only for 0, 3 and 8"),
        ('[[inbound]]\nfrom = "1"\nto = "1"\ndata = "0g"', "'0g' is not hexadecimal"),
        ('[[reply]]\ncontains = "x"', ":1: reply[1].text: is missing"),
        ("[[reply]]\ntext = []", ":2: reply[1].text: [] is no text"),
        ('[[alert]]\nfrom = "1"\nto = "2"\navailability = 3', "3 is not 0, 1 or 2"),
    ],
)
def test_problem_is_told_with_its_line_and_what_to_write(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert any(problem in found for found in problems_of(tmp_path, text)), problems_of(
        tmp_path, text
    )


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    found = problems_of(tmp_path, 'refuse_rate = 2\nx = 1\n[[phase]]\nhang_after = "a"\n')
    assert len(found) == 3


def test_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load_profile(tmp_path / "nowhere.toml")


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "refuse_rate": RATES,
            "throttle_per_second": COUNTS,
            "drop_after": COUNTS,
            "response_delay": st.floats(0, 86_400),
            "receipt": st.sampled_from(["text", "text+tlv", "tlv", "payload"]),
            "receipts_before_responses": st.booleans(),
            "bind_status": st.integers(0, 0xFFFFFFFF),
        },
    )
)
def test_whatever_keys_are_written_are_the_behaviour(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[str, object]
) -> None:
    text = "".join(f"{name} = {toml(value)}\n" for name, value in keys.items())
    path = write(tmp_path_factory.mktemp("p", numbered=True), text)
    assert load_profile(path).behaviour == msgspec.convert(keys, Behaviour)


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_text_is_more_than_a_list_of_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = write(tmp_path_factory.mktemp("p", numbered=True), text)
    with suppress(ConfigError):
        assert isinstance(load_profile(path), Profile)
