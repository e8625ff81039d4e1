"""Segments joined again: whatever smppd cuts, in every form, becomes the same text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.simulator.join import MessageRecord, SubmitRecord, decode_text, join
from smppd.simulator.ledger import describe
from smppd.smpp import constants as c
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import SubmitReceived
from smppd.text import segment
from smppd.text.segment import Alphabet, Form, LongMessage

LONG_MESSAGES: tuple[LongMessage, ...] = ("udh8", "udh16", "sar", "payload")
ALPHABETS: tuple[Alphabet, ...] = ("gsm7", "latin1", "ascii")


def pdus_of(text: str, form: Form, reference: int = 7) -> list[SubmitSm]:
    """The submits of a text as SMPP has them in each form."""
    plan = segment.plan(text, "auto", form)
    assert isinstance(plan, segment.Plan)
    bodies = segment.split(text, plan.encoding, form, reference)
    coding = segment.data_coding_of(plan.encoding)
    if form.long_message == "payload" and plan.segments > 1:
        tlvs = {c.TLV_MESSAGE_PAYLOAD: bodies[0]}
        return [SubmitSm("4477", b"", source_addr="shop", data_coding=coding, tlvs=tlvs)]
    has_header = form.long_message in ("udh8", "udh16") and len(bodies) > 1
    return [
        SubmitSm(
            "4477",
            body,
            source_addr="shop",
            data_coding=coding,
            esm_class=c.ESM_UDHI if has_header else 0,
            tlvs=sar(reference, len(bodies), number)
            if form.long_message == "sar" and len(bodies) > 1
            else {},
        )
        for number, body in enumerate(bodies, 1)
    ]


def sar(reference: int, total: int, number: int) -> dict[int, bytes]:
    return {
        c.TLV_SAR_MSG_REF_NUM: reference.to_bytes(2, "big"),
        c.TLV_SAR_TOTAL_SEGMENTS: bytes([total]),
        c.TLV_SAR_SEGMENT_SEQNUM: bytes([number]),
    }


def records_of(pdus: list[SubmitSm], alphabet: Alphabet = "gsm7") -> list[SubmitRecord]:
    return [
        describe("alpha", SubmitReceived(n, pdu), SubmitAnswer(n, 0, f"m{n}"), 0.0, alphabet)
        for n, pdu in enumerate(pdus, 1)
    ]


def texts_of(messages: list[MessageRecord]) -> list[str]:
    assert all(message.is_whole for message in messages)
    return [message.text for message in messages]


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\x1b"), max_size=500),
    st.sampled_from(LONG_MESSAGES),
    st.sampled_from(ALPHABETS),
    st.integers(0, 255),
    st.randoms(use_true_random=False),
)
def test_text_in_any_form_and_any_order_is_joined_to_itself(
    text: str, long_message: LongMessage, alphabet: Alphabet, reference: int, order: random.Random
) -> None:
    records = records_of(pdus_of(text, Form(long_message, alphabet), reference), alphabet)
    order.shuffle(records)
    assert texts_of(join(records)) == [text]


def test_message_ids_stand_in_the_order_of_the_segments() -> None:
    records = records_of(pdus_of("x" * 400, Form("udh16")))
    (message,) = join(records[::-1])
    assert (message.message_ids, message.total) == (("m1", "m2", "m3"), 3)


def test_two_messages_of_different_references_are_two() -> None:
    one, other = pdus_of("a" * 200, Form(), 1), pdus_of("b" * 200, Form(), 2)
    mixed = records_of([one[0], other[0], other[1], one[1]])
    assert texts_of(join(mixed)) == ["a" * 200, "b" * 200]


def test_same_segment_again_is_a_repeat_and_other_octets_begin_anew() -> None:
    one, other = pdus_of("a" * 200, Form(), 1), pdus_of("b" * 200, Form(), 1)
    messages = join(records_of([one[0], one[1], one[1], *other]))
    assert texts_of(messages) == ["a" * 200, "b" * 200]
    assert [message.repeats for message in messages] == [1, 0]


def test_message_in_pieces_is_shown_as_such() -> None:
    (message,) = join(records_of(pdus_of("a" * 400, Form())[::2]))
    assert not message.is_whole
    assert (len(message.message_ids), message.total) == (2, 3)


@pytest.mark.parametrize(
    "header", ["05000301", "0500030102", "050003010203", "050003010100", "06080400010200", "ff0102"]
)
def test_header_that_makes_no_sense_joins_nothing(header: str) -> None:
    pdu = SubmitSm("4477", bytes.fromhex(header) + b"hi", esm_class=c.ESM_UDHI)
    (message,) = join(records_of([pdu]))
    assert (message.total, message.is_whole) == (1, True)


def test_other_elements_of_a_header_are_kept() -> None:
    header = bytes.fromhex("0b 0504 0b84 23f0 0003 01 01 01")
    pdu = SubmitSm("4477", header + b"\x01", esm_class=c.ESM_UDHI, data_coding=4)
    (message,) = join(records_of([pdu]))
    assert (message.udh, message.raw, message.text) == ("0605040b8423f0", "01", "")


def test_national_shift_tables_are_read_by_the_header_that_names_them() -> None:
    form = Form(languages=(1,))
    text = "ığdır" * 40
    bodies = segment.split(text, "gsm7", form, 7)
    pdus = [SubmitSm("4477", body, esm_class=c.ESM_UDHI) for body in bodies]
    (message,) = join(records_of(pdus))
    assert (message.text, message.total) == (text, 2)
    assert [record.text for record in records_of(pdus)] == [text[:149], text[149:]]


@pytest.mark.parametrize(
    ("octets", "data_coding", "alphabet", "text"),
    [
        (b"\x00\x1be", 0, "gsm7", "@€"),
        (b"\x00\x1be", 0xF0, "latin1", "@€"),
        (b"@\xe9", 0, "latin1", "@é"),
        (b"@e", 0, "ascii", "@e"),
        (b"@e", 1, "gsm7", "@e"),
        (b"@\xe9", 3, "gsm7", "@é"),
        (b"\x77\xed", 8, "gsm7", "短"),
        (b"\x77\xed", 0x18, "gsm7", "短"),
        (b"\x00", 4, "gsm7", None),
        (b"\x00", 0xF5, "gsm7", None),
    ],
)
def test_text_is_read_by_its_data_coding(
    octets: bytes, data_coding: int, alphabet: Alphabet, text: str | None
) -> None:
    assert decode_text(octets, data_coding, alphabet) == text
