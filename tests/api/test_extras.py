"""The fields few submits have: what the store keeps of them, and a word on each wrong one."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.api.extras import (
    NO_EXTRAS,
    OWN_TLVS,
    SEND_AT_MAX_MS,
    find_end,
    has_extras,
    read_extras,
)
from smppd.api.fields import Submit
from smppd.smpp import constants
from smppd.store.changes import Extras
from tests.api.house import WALL_MS


def read(**fields: object) -> Extras | str:
    return read_extras(msgspec.structs.replace(Submit(ref="a"), **fields), WALL_MS)


def refuse(**fields: object) -> str:
    found = read(**fields)
    assert isinstance(found, str)
    return found


def test_submit_without_any_of_them_has_no_extras() -> None:
    plain = Submit(ref="a", to="+49", text="hi", sender="x", tag="t", receipt=True)
    assert not has_extras(plain)
    assert read_extras(plain, WALL_MS) == NO_EXTRAS


@pytest.mark.parametrize(
    "fields",
    [
        {"carrier": "alpha"},
        {"send_at": 0},
        {"valid_for": 60},
        {"max_cost": "1"},
        {"data": ""},
        {"udh": ""},
        {"data_coding": 4},
        {"flash": False},
        {"tlv": {}},
        {"encoding": "auto"},
    ],
)
def test_any_of_them_is_seen(fields: dict[str, object]) -> None:
    assert has_extras(msgspec.structs.replace(Submit(ref="a"), **fields))


def test_what_says_only_the_default_is_no_extra() -> None:
    assert read(encoding="auto", flash=False, tlv={}, valid_for=60) == NO_EXTRAS


def test_everything_a_text_may_bring_is_kept() -> None:
    assert read(
        text="hi",
        send_at=WALL_MS + 1,
        carrier=["alpha", "beta", "alpha"],
        max_cost="0.25",
        flash=True,
        encoding="ucs2",
        tlv={"0x1400": "0aFF", "0x000D": ""},
    ) == Extras(
        send_at=WALL_MS + 1,
        carriers=("alpha", "beta"),
        max_cost="0.25",
        flash=True,
        tlvs={0x1400: b"\x0a\xff", 0x0D: b""},
        wanted="ucs2",
    )


def test_data_brings_its_header_and_its_coding() -> None:
    assert read(data="AAEC", udh="BQADAQIB", data_coding=0xF5) == Extras(
        data=b"\0\1\2", udh=b"\5\0\3\1\2\1", data_coding=0xF5
    )
    assert read(data="") == Extras(data=b"", data_coding=4)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_base64_is_read_as_it_is_written(octets: bytes) -> None:
    assert read(data=b64encode(octets).decode()) == Extras(data=octets, data_coding=4)


@settings(deadline=None)
@given(st.text(alphabet="AQg=+/-_ \n", max_size=9))
def test_base64_is_read_only_if_it_is_what_would_be_written(text: str) -> None:
    found = read(data=text)
    if isinstance(found, Extras):
        assert b64encode(found.data or b"").decode() == text
    else:
        assert "base64" in found


@pytest.mark.parametrize(
    "text", ["A", "AA", "AA=", "AA==AA==", "AB==", "A A=", "AA-_", "ä", "AA==\n"]
)
def test_wrong_base64_is_told_so(text: str) -> None:
    for name in ("data", "udh"):
        fields = {"data": "", name: text}
        assert refuse(**fields).startswith(f"'{name}' must be base64")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"text": "hi", "data": ""}, "write one of them"),
        ({"udh": "AA=="}, "'udh' goes with 'data'"),
        ({"text": "hi", "udh": "AA=="}, "'udh' goes with 'data'"),
        ({"text": "hi", "data_coding": 4}, "'data_coding' goes with 'data'"),
        ({"data": "", "encoding": "gsm7"}, "'encoding' is of 'text'"),
        ({"data": "", "encoding": "auto"}, "'encoding' is of 'text'"),
        ({"data": "", "flash": True}, "'flash' is of 'text'"),
        ({"text": "hi", "flash": True, "encoding": "latin1"}, "'flash' goes with GSM-7"),
        ({"carrier": ["alpha", ""]}, "'carrier' must be"),
        ({"send_at": WALL_MS + SEND_AT_MAX_MS + 1}, "more than 366 days ahead"),
    ],
)
def test_what_contradicts_itself_is_told_so(fields: dict[str, object], word: str) -> None:
    assert word in refuse(**fields)


def test_send_at_may_be_a_leap_year_ahead_and_in_the_past() -> None:
    assert isinstance(read(send_at=WALL_MS + SEND_AT_MAX_MS), Extras)
    assert isinstance(read(send_at=1), Extras)


@pytest.mark.parametrize(
    ("tlv", "word"),
    [
        ({"1400": ""}, "write 0x and four hex digits"),
        ({"0x140": ""}, "write 0x and four hex digits"),
        ({"0x14000": ""}, "write 0x and four hex digits"),
        ({"0X1400": ""}, "write 0x and four hex digits"),
        ({"0x0000": ""}, "write 0x and four hex digits"),
        ({"0x14g0": ""}, "write 0x and four hex digits"),
        ({"": ""}, "write 0x and four hex digits"),
        ({"x" * 60_000: ""}, "write 0x and four hex digits"),
        ({"0x1400": "a"}, "hex digits, two an octet"),
        ({"0x1400": "0x0a"}, "hex digits, two an octet"),
        ({"0x1400": "0a 0b"}, "hex digits, two an octet"),
        ({"0x140a": "00", "0x140A": "00"}, "twice"),
        ({"0x1400": "00" * 513, "0x1401": "00" * 512}, "1025 octets"),
    ],
)
def test_wrong_tlv_is_told_so(tlv: dict[str, str], word: str) -> None:
    reason = refuse(tlv=tlv)
    assert word in reason
    assert len(reason) < 200


def test_tlvs_of_exactly_their_bounds_are_kept() -> None:
    found = read(tlv={f"0x14{number:02x}": "00" * 32 for number in range(32)})
    assert isinstance(found, Extras)
    assert sum(map(len, found.tlvs.values())) == 1024


@pytest.mark.parametrize("tag", sorted(OWN_TLVS))
def test_tlv_that_smppd_writes_itself_is_refused(tag: int) -> None:
    assert "which smppd writes itself" in refuse(tlv={f"0x{tag:04x}": "00"})


def test_what_joins_a_long_message_and_what_carries_it_is_smppds_own() -> None:
    assert constants.TLV_MESSAGE_PAYLOAD in OWN_TLVS
    assert constants.TLV_SAR_MSG_REF_NUM in OWN_TLVS


def test_validity_is_counted_from_send_at_or_from_now() -> None:
    assert find_end(Submit(ref="a"), WALL_MS, 300) == WALL_MS + 300_000
    assert find_end(Submit(ref="a", valid_for=60), WALL_MS, 300) == WALL_MS + 60_000
    assert find_end(Submit(ref="a", send_at=5, valid_for=60), WALL_MS, 300) == 60_005
