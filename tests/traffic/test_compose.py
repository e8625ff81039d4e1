"""The PDU of a segment, by message and form, and what a changed configuration does to it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.smpp import constants
from smppd.smpp.pdu import SubmitSm, encode_submit_sm
from smppd.store.changes import EncodingName, Extras
from smppd.store.records import Message, Segment
from smppd.text.segment import Alphabet, Form, LongMessage, Plan, plan, plan_data
from smppd.traffic.compose import build_data, build_submit

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
NOW = 1_800_000_000_000
DAY = 86_400_000
LONG = "Ihr Paket [4711] kommt heute: " * 12  # 384 septets, 3 segments

FORMS = [
    Form(long_message, alphabet)
    for long_message in get_args(LongMessage)
    for alphabet in get_args(Alphabet)
]


def message_of(
    text: str,
    encoding: EncodingName = "gsm7",
    parts: int = 1,
    extras: Extras | None = None,
    reference: int = -1,
    form: Form | None = None,
    units: int = 0,
) -> Message:
    """A message as the store keeps it, accepted now and valid for a day, its receipts on each."""
    return Message(
        1,
        "app",
        "ref",
        "4915112345678",
        constants.TON_ALPHANUMERIC,
        constants.NPI_UNKNOWN,
        "ACME",
        text,
        "transactional",
        encoding,
        True,
        None,
        None,
        NOW,
        NOW + DAY,
        "resend",
        b"",
        tuple(Segment() for _ in range(parts)),
        receipts=parts,
        reference=reference,
        extras=extras,
        form=form,
        units=units,
    )


def planned(text: str, form: Form, reference: int = 7, extras: Extras | None = None) -> Message:
    """The same, cut for ``form``."""
    cut = plan(text, "auto", form.for_flash() if extras and extras.flash else form)
    assert isinstance(cut, Plan)
    units = cut.segments if cut.segments > cut.submits else 0
    return message_of(text, cut.encoding, cut.submits, extras, reference, form, units)


def planned_data(data: bytes, form: Form, **extras: object) -> Message:
    fields = Extras(data=data, **extras)  # type: ignore[arg-type]
    cut = plan_data(data, fields.udh, form)
    assert isinstance(cut, Plan)
    units = cut.segments if cut.segments > cut.submits else 0
    return message_of("", "binary", cut.submits, fields, 7, form, units)


def submits(message: Message) -> list[SubmitSm]:
    return [build_submit(message, index, NOW) for index in range(len(message.parts))]


def test_lone_segment_is_the_same_in_every_form_with_the_same_alphabet() -> None:
    built = {encode_submit_sm(submits(planned("hello", form))[0], 1) for form in FORMS}
    submit = build_submit(message_of("hello"), 0, NOW)
    assert built == {encode_submit_sm(submit, 1)}
    assert (submit.short_message, submit.esm_class, submit.data_coding) == (b"hello", 0, 0)
    assert (submit.validity_period, submit.registered_delivery) == ("000001000000000R", 1)
    assert (submit.dest_addr_ton, submit.dest_addr_npi) == (1, 1)
    assert submit.tlvs == {}


def test_udh_forms_put_the_header_into_the_text_and_say_so_in_esm_class() -> None:
    for form, head in ((Form("udh8"), "05000307030{}"), (Form("udh16"), "0608040007030{}")):
        built = submits(planned(LONG, form))
        assert [one.esm_class for one in built] == [constants.ESM_UDHI] * 3
        assert [
            one.short_message.hex().startswith(head.format(n)) for n, one in enumerate(built, 1)
        ]
        assert all(one.tlvs == {} for one in built)


def test_sar_says_it_in_tlvs_and_leaves_the_text_bare() -> None:
    built = submits(planned(LONG, Form("sar"), reference=0x1234))
    assert [one.tlvs for one in built] == [
        {0x020C: b"\x12\x34", 0x020E: b"\x03", 0x020F: bytes((number,))} for number in (1, 2, 3)
    ]
    assert [one.esm_class for one in built] == [0, 0, 0]
    assert built[0].short_message.startswith(b"Ihr Paket \x1b\x3c4711")


def test_payload_is_one_submit_with_everything_in_message_payload() -> None:
    (built,) = submits(planned("я" * 200, Form("payload")))
    assert built.short_message == b""
    assert built.tlvs == {constants.TLV_MESSAGE_PAYLOAD: ("я" * 200).encode("utf-16-be")}
    assert (built.esm_class, built.data_coding) == (0, 8)


def test_payload_form_keeps_a_lone_segment_in_short_message() -> None:
    form = Form("payload", "latin1")
    assert build_submit(planned("[" * 80, form), 0, NOW).short_message == b"[" * 80
    two = build_submit(planned("[" * 81, form), 0, NOW)
    assert two.tlvs == {constants.TLV_MESSAGE_PAYLOAD: b"[" * 81}


def test_default_alphabet_decides_the_octets_of_data_coding_zero() -> None:
    built = build_submit(planned("a@é", Form("udh8", "latin1")), 0, NOW)
    assert (built.short_message, built.data_coding) == (b"a@\xe9", 0)
    assert build_submit(message_of("a@é"), 0, NOW).short_message == b"a\x00\x05"


def test_flash_is_a_class_and_gsm7_whatever_the_alphabet() -> None:
    (built,) = submits(planned("@", Form("udh8", "latin1"), extras=Extras(flash=True)))
    assert (built.short_message, built.data_coding) == (b"\0", 0xF0)
    wide = build_submit(message_of("я", "ucs2", extras=Extras(flash=True)), 0, NOW)
    assert (wide.short_message, wide.data_coding) == (b"\x04\x4f", 0x18)


def test_latin1_goes_as_data_coding_three() -> None:
    built = build_submit(message_of("ça", "latin1"), 0, NOW)
    assert (built.short_message, built.data_coding) == (b"\xe7a", 3)


def test_data_has_its_own_header_and_coding() -> None:
    port = bytes.fromhex("06050415811582")
    built = build_submit(planned_data(b"\x01\x02", Form("sar"), udh=port, data_coding=0xF5), 0, NOW)
    assert built.short_message == port + b"\x01\x02"
    assert (built.esm_class, built.data_coding) == (constants.ESM_UDHI, 0xF5)


def test_long_data_is_cut_like_any_message_with_data_coding_four() -> None:
    first, second = submits(planned_data(bytes(140) + b"end", Form("udh8")))
    assert first.short_message == bytes.fromhex("050003070201") + bytes(134)
    assert second.short_message == bytes.fromhex("050003070202") + bytes(6) + b"end"
    assert (first.data_coding, first.esm_class) == (4, constants.ESM_UDHI)


def test_extra_tlvs_go_with_every_segment_beside_our_own() -> None:
    message = planned(LONG, Form("sar"))
    message.extras = Extras(tlvs={0x1400: b"dlt", 0x1401: b""})
    assert [list(one.tlvs) for one in submits(message)] == [
        [0x020C, 0x020E, 0x020F, 0x1400, 0x1401]
    ] * 3
    plain = message_of("hi", extras=Extras(tlvs={0x1400: b"dlt"}))
    assert build_submit(plain, 0, NOW).tlvs == {0x1400: b"dlt"}


def test_extras_that_say_nothing_of_the_wire_change_nothing_on_it() -> None:
    extras = Extras(send_at=NOW, carriers=("alpha",), max_cost="1", wanted="gsm7")
    assert build_submit(message_of("hi", extras=extras), 0, NOW) == build_submit(
        message_of("hi"), 0, NOW
    )


def test_data_sm_carries_the_octets_in_message_payload_and_the_validity_in_its_tlv() -> None:
    data = build_data(message_of("hi", extras=Extras(tlvs={0x1400: b"x"})), 0, NOW)
    assert data.tlvs == {0x0017: (86_400).to_bytes(4), 0x0424: b"hi", 0x1400: b"x"}
    assert (data.destination_addr, data.source_addr) == ("4915112345678", "ACME")
    assert (data.registered_delivery, data.data_coding, data.esm_class) == (1, 0, 0)


def test_data_sm_of_a_long_message_follows_the_form() -> None:
    last = build_data(planned(LONG, Form("udh8")), 2, NOW)
    assert last.esm_class == constants.ESM_UDHI
    assert last.tlvs[constants.TLV_MESSAGE_PAYLOAD].startswith(bytes.fromhex("050003070303"))
    whole = build_data(planned(LONG, Form("payload")), 0, NOW)
    assert len(whole.tlvs[constants.TLV_MESSAGE_PAYLOAD]) == 384


def test_validity_is_what_is_left_and_never_nothing() -> None:
    message = message_of("hi")
    assert build_submit(message, 0, NOW + DAY - 90_500).validity_period == "000000000130000R"
    assert build_submit(message, 0, NOW + DAY - 1).validity_period == "000000000001000R"
    assert build_submit(message, 0, NOW + DAY).validity_period == "000000010000000R"
    assert build_data(message, 0, NOW + DAY).tlvs[0x0017] == (3600).to_bytes(4)


def test_receipt_is_asked_on_the_trailing_segments_only() -> None:
    message = planned(LONG, Form())
    message.receipts = 1
    assert [one.registered_delivery for one in submits(message)] == [0, 0, 1]
    message.receipts = 0
    assert [one.registered_delivery for one in submits(message)] == [0, 0, 0]


def test_wide_reference_on_a_narrow_carrier_keeps_its_low_octet() -> None:
    built = submits(planned(LONG, Form("udh8"), reference=0x1234))
    assert {one.short_message[3] for one in built} == {0x34}


texts = st.integers(1, 600).flatmap(
    lambda size: st.lists(st.sampled_from("a€[éΩя😀\n"), min_size=size, max_size=size).map("".join)
) | st.integers(1, 600).map("[".__mul__)


@PROPERTY
@given(texts, st.sampled_from(FORMS), st.booleans())
def test_as_many_submits_as_planned_and_told_in_one_way_only(
    text: str, form: Form, flash: bool
) -> None:
    built = submits(planned(text, form, extras=Extras(flash=True) if flash else None))
    assert [encode_submit_sm(one, 1) for one in built]
    ways = {
        (bool(one.esm_class & constants.ESM_UDHI), *sorted(one.tlvs), bool(one.short_message))
        for one in built
    }
    assert len(ways) == 1
    assert ways <= {
        (False, True),
        (True, True),
        (False, 0x020C, 0x020E, 0x020F, True),
        (False, 0x0424, False),
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.__struct_fields__))
def test_every_long_submit_fits_its_pdu(form: Form) -> None:
    for text in ("[" * 600, "a" * 900, "я" * 300):
        for one in submits(planned(text, form)):
            assert encode_submit_sm(one, 1)
            assert len(one.short_message) <= 167
