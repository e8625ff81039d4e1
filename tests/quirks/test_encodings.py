"""How carriers want text written: rows 17 to 21 of docs/carriers.md."""

from __future__ import annotations

import pytest

from smppd.smpp import constants as c
from smppd.store.records import CarrierProfile
from tests.quirks.wire import OpenWire, in_base64
from tests.quirks.wire import open_wire as open_wire

LOOPBACK = "@ _ $ [ €"
"""What tells the alphabets apart: sent to oneself, it shows what data_coding 0 means."""


# -- 17: data_coding 0 is not GSM-7 everywhere --


@pytest.mark.parametrize(
    ("alphabet", "octets", "data_coding"),
    [
        ("gsm7", b"\x00 \x11 \x02 \x1b\x3c \x1b\x65", 0),
        ("latin1", LOOPBACK.encode("utf-16-be"), 8),  # of the euro sign
        ("ascii", LOOPBACK.encode("utf-16-be"), 8),
    ],
)
def test_b17_loopback_phrase_is_written_in_the_carriers_alphabet(
    open_wire: OpenWire, alphabet: str, octets: bytes, data_coding: int
) -> None:
    wire = open_wire(f'default_alphabet = "{alphabet}"')
    (pdu,) = wire.send(LOOPBACK)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)
    assert wire.read([pdu]) == LOOPBACK


@pytest.mark.parametrize(
    ("alphabet", "text", "octets", "data_coding"),
    [
        ("latin1", "@ _ $ [ é", b"@ _ $ [ \xe9", 0),
        ("latin1", "Ω", b"\x03\xa9", 8),  # GSM-7 has it, Latin-1 has not
        ("ascii", "@ _ $ [ ~", b"@ _ $ [ ~", 0),
        ("ascii", "é", b"\x00\xe9", 8),
        ("ascii", "`", b"\x00`", 8),  # ASCII has it: but it is cut and counted as GSM-7
        ("latin1", "ç", b"\x00\xe7", 8),
    ],
)
def test_b17_what_the_carriers_alphabet_lacks_goes_as_ucs2(
    open_wire: OpenWire, alphabet: str, text: str, octets: bytes, data_coding: int
) -> None:
    wire = open_wire(f'default_alphabet = "{alphabet}"')
    (pdu,) = wire.send(text)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)
    assert wire.read([pdu]) == text


@pytest.mark.parametrize("alphabet", ["latin1", "ascii"])
def test_b17_another_alphabet_is_cut_and_counted_as_the_gsm7_of_the_air(
    open_wire: OpenWire, alphabet: str
) -> None:
    wire = open_wire(f'default_alphabet = "{alphabet}"')
    text = "x" * 151 + "[" * 4  # 159 septets, of 155 octets here; two more make two segments
    assert len(wire.send(text, ref="one")) == 1
    first, second = wire.send(text + "[", ref="two")
    assert (first.data_coding, first.short_message[6:]) == (0, b"x" * 151 + b"[")
    assert second.short_message[6:] == b"[[[["


@pytest.mark.parametrize("alphabet", ["gsm7", "latin1", "ascii"])
def test_b17_flash_is_gsm7_whatever_0_means(open_wire: OpenWire, alphabet: str) -> None:
    (pdu,) = open_wire(f'default_alphabet = "{alphabet}"').send("@é", flash=True)
    assert (pdu.data_coding, pdu.short_message) == (0xF0, b"\x00\x05")


# -- 18: data_coding 1 breaks things --


@pytest.mark.parametrize("alphabet", ["gsm7", "latin1", "ascii"])
def test_b18_only_0_3_8_and_4_are_ever_sent_for_what_an_app_writes(
    open_wire: OpenWire, alphabet: str
) -> None:
    wire = open_wire(f'default_alphabet = "{alphabet}"')
    texts = ["plain", "é", "ç", "я", "😀", "\x07", "ığ" * 60]
    codings = [wire.send(one, ref=f"t{n}")[0].data_coding for n, one in enumerate(texts)]
    codings += [wire.send("é", ref="l", encoding="latin1")[0].data_coding]
    codings += [wire.send(data=in_base64(b"\xff\x00"), ref="d")[0].data_coding]
    assert set(codings) <= {0, 3, 8, 4}
    assert codings[-2:] == [3, 4]


def test_b18_national_shift_tables_go_under_data_coding_0(open_wire: OpenWire) -> None:
    (pdu,) = open_wire('national_languages = ["tr"]').send("ığ" * 60)
    assert (pdu.data_coding, pdu.esm_class & c.ESM_UDHI) == (0, c.ESM_UDHI)


# -- 19: GSM-7 packed, by few --


def test_b18_half_sent_message_keeps_its_tables_when_the_carrier_takes_none_any_more(
    open_wire: OpenWire,
) -> None:
    wire = open_wire('national_languages = ["tr"]', window=1)
    first = wire.send("ığ" * 140)
    wire.house.profiles["alpha"] = CarrierProfile()
    wire.house.store.set_rules(wire.house.rules)
    second = wire.take()
    assert wire.read(first + second) == "ığ" * 140
    assert [pdu.short_message[6] for pdu in first + second] == [0x25, 0x25]


def test_b18_quote_of_a_text_that_only_the_carriers_tables_have(open_wire: OpenWire) -> None:
    quoted = open_wire('national_languages = ["tr"]').quote("ığ" * 70, encoding="gsm7")
    assert (quoted["segments"], quoted["encoding"]) == (1, "gsm7")
    assert quoted["blocked_by"] is None


def test_b19_septets_are_unpacked_one_an_octet_unless_told(open_wire: OpenWire) -> None:
    (pdu,) = open_wire().send("hellohello")
    assert pdu.short_message == b"hellohello"


def test_b19_packed_septets_are_eight_in_seven_octets(open_wire: OpenWire) -> None:
    wire = open_wire("packed = true")
    (pdu,) = wire.send("hellohello")
    assert (pdu.data_coding, pdu.short_message.hex()) == (0, "e8329bfd4697d9ec37")
    assert wire.read([pdu]) == "hellohello"


def test_b19_packed_segments_have_fill_bits_behind_the_header(open_wire: OpenWire) -> None:
    wire = open_wire("packed = true")
    text = "@" + "abcdefgh" * 20
    first, second = wire.send(text)
    assert [len(first.short_message), len(second.short_message)] == [140, 14]
    # One fill bit, then commercial at and the low bits of "a".
    assert first.short_message[6] == (0 << 1) & 0xFF
    assert first.short_message[7] == ord("a") & 0xFF
    assert wire.read([first, second]) == text


def test_b19_seven_spare_bits_are_filled_with_a_carriage_return_and_no_commercial_at(
    open_wire: OpenWire,
) -> None:
    wire = open_wire("packed = true")
    (pdu,) = wire.send("1234567")
    assert pdu.short_message[-1] >> 1 == 0x0D
    assert wire.read([pdu]) == "1234567"


def test_b19_packed_is_for_gsm7_alone(open_wire: OpenWire) -> None:
    wire = open_wire("packed = true")
    (wide,) = wire.send("я", ref="wide")
    (data,) = wire.send(data=in_base64(b"\xff\x00"), ref="data")
    assert (wide.short_message, data.short_message) == (b"\x04\x4f", b"\xff\x00")


# -- 20: UCS-2 is big endian, without a mark --


def test_b20_ucs2_is_big_endian_and_has_no_byte_order_mark(open_wire: OpenWire) -> None:
    (pdu,) = open_wire().send("я漢😀")
    assert pdu.short_message == bytes.fromhex("044f6f22d83dde00")


def test_b20_every_ucs2_segment_begins_with_text_and_no_mark(open_wire: OpenWire) -> None:
    segments = open_wire().send("漢" * 140)
    assert [pdu.short_message[6:8] for pdu in segments] == [b"\x6f\x22"] * 3


# -- 21: pairs cut in two, and the wrong bounds of one segment --


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("a" * 160, [160]),
        ("a" * 161, [153, 8]),
        ("a" * 158 + "€", [160]),
        ("a" * 152 + "€" + "b" * 8, [152, 10]),  # the escape pair moves whole
        ("я" * 70, [140]),
        ("я" * 71, [134, 8]),
        ("я" * 66 + "😀" + "я" * 5, [132, 14]),  # so does the surrogate pair
        ("я" * 65 + "e\u0301\u0302" + "я" * 5, [130, 16]),  # and the letter with its accents
    ],
)
def test_b21_segments_end_between_characters_at_the_right_size(
    open_wire: OpenWire, text: str, sizes: list[int]
) -> None:
    wire = open_wire()
    segments = wire.send(text)
    header = 6 if len(sizes) > 1 else 0
    assert [len(pdu.short_message) - header for pdu in segments] == sizes
    assert wire.read(segments) == text


@pytest.mark.parametrize(
    ("language", "text", "sizes"),
    [
        ("tr", "ğ" * 155, [155]),
        ("tr", "ğ" * 156, [149, 7]),
        ("hi", "न" * 2 + "१" * 72 + "न" * 64, [146, 64]),
        ("es", "á" + "a" * 146 + "á" * 10, [148, 20]),  # its escape pairs move whole, too
    ],
)
def test_b21_segments_under_shift_tables_have_room_for_the_header_that_names_them(
    open_wire: OpenWire, language: str, text: str, sizes: list[int]
) -> None:
    wire = open_wire(f'national_languages = ["{language}"]')
    segments = wire.send(text)
    headers = [pdu.short_message[0] + 1 for pdu in segments]
    bodies = [pdu.short_message[octets:] for pdu, octets in zip(segments, headers, strict=True)]
    assert [len(body) for body in bodies] == sizes
    assert all(
        octets * 8 + len(body) * 7 <= 1120 for octets, body in zip(headers, bodies, strict=True)
    )
    assert wire.read(segments) == text


def test_b21_shift_tables_are_for_carriers_that_list_them_and_save_segments(
    open_wire: OpenWire,
) -> None:
    text = "ğ" * 100
    assert len(open_wire().send(text)) == 2
    listed = open_wire('national_languages = ["es", "tr"]')
    assert len(listed.send(text, ref="long")) == 1
    (short,) = listed.send("ğ", ref="short")
    assert short.data_coding == 8
