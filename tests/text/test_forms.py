"""Every form a carrier may want: joined and decoded again, a text is the text it was.

The reader here is written from the specifications, not from the writer: it takes the octets of
each submit_sm and knows the form, as a centre does.
"""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.errors import LocalProtocolError
from smppd.text import gsm7, segment, ucs2
from smppd.text.segment import (
    Alphabet,
    Encoding,
    Form,
    LongMessage,
    NotEncodable,
    Plan,
    TooLong,
    WantedEncoding,
)

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)

FORMS = [
    Form(long_message, alphabet)
    for long_message in get_args(LongMessage)
    for alphabet in get_args(Alphabet)
]
forms = st.sampled_from(FORMS)
udh_less = st.sampled_from([form for form in FORMS if form.long_message in ("sar", "payload")])
wishes: st.SearchStrategy[WantedEncoding] = st.sampled_from(get_args(WantedEncoding))

# What is torn most easily stands as often as all else.
characters = st.sampled_from(
    [*"ab@_$é\r\n", "\r\n", *"€[~\f", *"ΔΩ", *"çß`\xa0", *"я漢", "😀", "🇸🇪"]
)
texts = st.integers(0, 420).flatmap(
    lambda size: st.lists(characters, min_size=size, max_size=size).map("".join)
)
latin_texts = st.integers(0, 420).flatmap(
    lambda size: st.text(st.characters(max_codepoint=0xFF), min_size=size, max_size=size)
)
septet_texts = st.integers(0, 420).flatmap(
    lambda size: st.lists(st.sampled_from("a€[@\n"), min_size=size, max_size=size).map("".join)
)
references = st.integers(0, 255)

HEADER_OCTETS = {"udh8": 6, "udh16": 7, "sar": 0, "payload": 0}


def bodies(parts: list[bytes], form: Form, reference: int) -> list[bytes]:
    """The user data of each part without its header, which is checked."""
    total = len(parts)
    if total == 1 or form.long_message == "sar":
        return parts
    start = {"udh8": bytes((5, 0, 3, reference)), "udh16": bytes((6, 8, 4, 0, reference))}
    heads = [start[form.long_message] + bytes((total, n)) for n in range(1, total + 1)]
    size = HEADER_OCTETS[form.long_message]
    assert [part[:size] for part in parts] == heads
    return [part[size:] for part in parts]


def read(body: bytes, encoding: Encoding, form: Form) -> str:
    """What a centre with this default alphabet reads."""
    if encoding == "ucs2":
        return body.decode("utf-16-be")
    if encoding == "latin1":
        return body.decode("latin-1")
    if form.default_alphabet == "gsm7":
        return gsm7.decode(body)
    return body.decode("ascii" if form.default_alphabet == "ascii" else "latin-1")


def on_air(text: str, encoding: Encoding) -> int:
    """Septets, octets or units of a piece."""
    if encoding == "gsm7":
        return len(gsm7.encode(text) or b"")
    return len(text) if encoding == "latin1" else len(ucs2.encode(text)) // 2


ROOM = {  # reference E16: alone, beside an 8-bit reference, beside a 16-bit one
    "gsm7": (160, 153, 152),
    "latin1": (140, 134, 133),
    "ucs2": (70, 67, 66),
}


@PROPERTY
@given(texts | latin_texts | septet_texts, wishes, forms, references)
def test_text_is_read_again_as_it_was_written(
    text: str, wanted: WantedEncoding, form: Form, reference: int
) -> None:
    plan = segment.plan(text, wanted, form)
    if not isinstance(plan, Plan):
        assert isinstance(plan, NotEncodable)
        assert wanted in ("gsm7", "latin1")
        return
    parts = segment.split(text, plan.encoding, form, reference)
    pieces = [read(body, plan.encoding, form) for body in bodies(parts, form, reference)]
    assert "".join(pieces) == text
    assert len(parts) == plan.submits
    assert plan.submits == (1 if form.long_message == "payload" else plan.segments)


@PROPERTY
@given(texts | latin_texts | septet_texts, wishes, forms, references)
def test_no_segment_is_larger_than_its_room_and_no_pair_is_split(
    text: str, wanted: WantedEncoding, form: Form, reference: int
) -> None:
    plan = segment.plan(text, wanted, form)
    if not isinstance(plan, Plan) or form.long_message == "payload":
        return
    alone, narrow, wide = ROOM[plan.encoding]
    room = alone if plan.segments == 1 else wide if form.long_message == "udh16" else narrow
    parts = bodies(segment.split(text, plan.encoding, form, reference), form, reference)
    pieces = [read(body, plan.encoding, form) for body in parts]  # strict: a torn pair raises
    assert max(on_air(piece, plan.encoding) for piece in pieces) <= room
    assert not any(
        before.endswith("\r") and after.startswith("\n") for before, after in pairwise(pieces)
    )


@PROPERTY
@given(septet_texts, st.sampled_from(get_args(LongMessage)), references)
def test_other_default_alphabet_cuts_where_gsm7_cuts(
    text: str, long_message: LongMessage, reference: int
) -> None:
    plain, other = Form(long_message), Form(long_message, "latin1")
    as_gsm7 = segment.split(text, "gsm7", plain, reference)
    plan = segment.plan(text, "gsm7", other)
    assert isinstance(plan, Plan)
    if plan.encoding == "ucs2":
        assert "€" in text
        return
    as_latin1 = segment.split(text, "gsm7", other, reference)
    assert [read(body, "gsm7", plain) for body in bodies(as_gsm7, plain, reference)] == [
        read(body, "gsm7", other) for body in bodies(as_latin1, other, reference)
    ]


@PROPERTY
@given(texts, wishes, udh_less)
def test_sar_and_payload_are_counted_as_an_8_bit_header_would_cut(
    text: str, wanted: WantedEncoding, form: Form
) -> None:
    usual = segment.plan(text, wanted, Form("udh8", form.default_alphabet))
    plan = segment.plan(text, wanted, form)
    if isinstance(plan, Plan) and isinstance(usual, Plan):
        assert (plan.encoding, plan.segments) == (usual.encoding, usual.segments)
    else:
        assert plan == usual


@PROPERTY
@given(st.binary(max_size=600), st.sampled_from(get_args(LongMessage)), references)
def test_data_joins_to_the_data(data: bytes, long_message: LongMessage, reference: int) -> None:
    form = Form(long_message)
    plan = segment.plan_data(data, b"", form)
    parts = segment.split_data(data, b"", form, reference)
    assert isinstance(plan, Plan)
    assert plan.encoding == "binary"
    assert len(parts) == plan.submits
    pieces = bodies(parts, form, reference)
    assert b"".join(pieces) == data
    if len(parts) > 1:
        room = 133 if long_message == "udh16" else 134
        assert [len(piece) for piece in pieces[:-1]] == [room] * (len(parts) - 1)
        assert 0 < len(pieces[-1]) <= room


def test_data_of_140_octets_is_one_segment_in_every_form() -> None:
    assert {segment.plan_data(bytes(140), b"", form) for form in FORMS} == {Plan("binary", 1, 1)}
    assert segment.plan_data(bytes(141), b"", Form("payload")) == Plan("binary", 2, 1)
    assert segment.plan_data(bytes(134 * 255), b"") == Plan("binary", 255, 255)
    assert isinstance(segment.plan_data(bytes(134 * 255 + 1), b""), TooLong)


def test_data_with_a_header_of_its_own_is_one_segment_or_refused() -> None:
    port = bytes.fromhex("06050415811582")
    assert segment.plan_data(bytes(133), port) == Plan("binary", 1, 1)
    assert segment.split_data(b"\x01\x02", port, Form("sar"), 3) == [port + b"\x01\x02"]
    refused = segment.plan_data(bytes(134), port)
    assert isinstance(refused, TooLong)
    assert refused.segments == 2
    assert "140" in refused.reason


@pytest.mark.parametrize("udh", [b"\x06\x05", b"\x00\x05", b"\x05\x00\x03\x01\x02\x01\x00"])
def test_header_whose_length_octet_lies_is_refused_with_the_remedy(udh: bytes) -> None:
    refused = segment.plan_data(b"x", udh)
    assert isinstance(refused, NotEncodable)
    assert f"first one says that {udh[0]} follow" in refused.reason


def test_character_the_default_alphabet_lacks_makes_it_ucs2_also_where_gsm7_was_wanted() -> None:
    assert segment.plan("Ω", "gsm7", Form("udh8", "latin1")) == Plan("ucs2", 1, 1)
    assert segment.plan("5 €", "auto", Form("udh8", "latin1")) == Plan("ucs2", 1, 1)
    assert segment.plan("é", "gsm7", Form("udh8", "ascii")) == Plan("ucs2", 1, 1)
    assert segment.plan("é", "gsm7", Form("udh8", "latin1")) == Plan("gsm7", 1, 1)
    assert isinstance(segment.plan("я", "gsm7", Form("udh8", "latin1")), NotEncodable)


def test_latin1_names_the_character_it_lacks() -> None:
    refused = segment.plan("10 €", "latin1")
    assert isinstance(refused, NotEncodable)
    assert "'€' (U+20AC, EURO SIGN) is not in ISO 8859-1" in refused.reason


def test_flash_is_gsm7_whatever_the_default_alphabet() -> None:
    form = Form("udh16", "latin1").for_flash()
    assert form == Form("udh16", "gsm7")
    assert segment.split("@", "gsm7", form, 0) == [b"\0"]
    assert segment.split("@", "gsm7", Form("udh16", "latin1"), 0) == [b"@"]


def test_reference_of_16_bits_is_written_whole_and_refused_where_8_are() -> None:
    parts = segment.split("a" * 161, "gsm7", Form("udh16"), 0xBEEF)
    assert [part[:7] for part in parts] == [
        bytes.fromhex("060804beef0201"),
        bytes.fromhex("060804beef0202"),
    ]
    assert segment.split("a" * 161, "gsm7", Form("sar"), 0xBEEF) == [b"a" * 153, b"a" * 8]
    with pytest.raises(LocalProtocolError):
        segment.split("a" * 161, "gsm7", Form("udh8"), 0x100)
    with pytest.raises(LocalProtocolError):
        segment.split("a" * 161, "gsm7", Form("udh16"), 0x10000)


def test_payload_is_the_whole_text_without_header_or_reference() -> None:
    assert segment.split("я" * 200, "ucs2", Form("payload"), 0) == [ucs2.encode("я" * 200)]


def test_split_of_a_text_planned_otherwise_is_our_bug() -> None:
    with pytest.raises(LocalProtocolError):
        segment.split("Ω", "gsm7", Form("udh8", "latin1"), 0)
    with pytest.raises(LocalProtocolError):
        segment.split("plain", "binary", Form("udh8"), 0)
