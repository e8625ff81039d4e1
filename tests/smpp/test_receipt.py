"""Receipts of real carriers, each held to its expected reading, and the rules they taught."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.smpp import receipt as receipt_module
from smppd.smpp.constants import (
    TLV_MESSAGE_PAYLOAD,
    TLV_MESSAGE_STATE,
    TLV_NETWORK_ERROR_CODE,
    TLV_RECEIPTED_MESSAGE_ID,
)
from smppd.smpp.pdu import DeliverSm, decode_deliver_sm
from smppd.smpp.receipt import (
    Receipt,
    is_receipt,
    looks_like_receipt,
    parse_date,
    parse_receipt,
    read_receipt,
)
from smppd.smpp.receipt_text import find_fields, latin_text

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=200)


class Row(msgspec.Struct, frozen=True):
    """A row of the golden file: a body of one octet a character, and its expected reading."""

    n: int
    body: str
    id: str | None
    sub: str | None
    dlvrd: str | None
    stat: str | None
    err: str | None
    text: str | None
    state: int | None
    submit: str | None
    done: str | None
    where: str = "short_message"
    dcs: int = 0
    esm: int = 4
    tlv_id: str | None = None
    tlv_state: int | None = None


GOLDEN = Path(__file__).parents[1] / "golden" / "receipts.jsonl"
ROWS = [msgspec.json.decode(line, type=Row) for line in GOLDEN.read_bytes().splitlines()]
STANDARD_BODY = (
    b"id:1891273321 sub:001 dlvrd:001 submit date:1305050826 done date:1305050826 "
    b"stat:DELIVRD err:000 text:DLVRD TO MOBILE"
)


def pdu_of(row: Row, body: bytes, data_coding: int, where: str) -> DeliverSm:
    tlvs: dict[int, bytes] = {}
    if where == "message_payload":
        body, tlvs[TLV_MESSAGE_PAYLOAD] = b"", body
    if row.tlv_id is not None:
        tlvs[TLV_RECEIPTED_MESSAGE_ID] = row.tlv_id.encode() + b"\0"
    if row.tlv_state is not None:
        tlvs[TLV_MESSAGE_STATE] = bytes([row.tlv_state])
    return DeliverSm(
        destination_addr="1",
        short_message=body,
        esm_class=row.esm,
        data_coding=data_coding,
        tlvs=tlvs,
    )


def check(row: Row, body: bytes, data_coding: int, where: str) -> None:
    read = read_receipt(pdu_of(row, body, data_coding, where))
    assert read is not None
    assert read == Receipt(
        id=row.id,
        tlv_id=row.tlv_id,
        sub=row.sub,
        dlvrd=row.dlvrd,
        stat=row.stat,
        err=row.err,
        text=row.text,
        submit_date=read.submit_date,
        done_date=read.done_date,
        state=row.state,
        intermediate=bool(row.esm & 0x20),
        raw=body,
    )
    assert (parse_date(read.submit_date), parse_date(read.done_date)) == (row.submit, row.done)


every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row-{row.n}")


def test_golden_file_holds_its_44_rows() -> None:
    assert len(ROWS) == 44


@every_row
def test_golden_row_reads_as_expected(row: Row) -> None:
    check(row, row.body.encode("latin-1"), row.dcs, row.where)


@every_row
def test_golden_row_reads_the_same_with_data_coding_8(row: Row) -> None:
    check(row, row.body.encode("latin-1"), 8, row.where)


@every_row
def test_golden_row_reads_the_same_when_it_really_is_ucs2(row: Row) -> None:
    check(row, row.body.encode("utf-16-be"), 8, row.where)


@every_row
def test_golden_row_reads_the_same_in_message_payload(row: Row) -> None:
    check(row, row.body.encode("latin-1"), row.dcs, "message_payload")


@every_row
def test_golden_row_has_the_same_fields_when_only_keys_are_looked_for(row: Row) -> None:
    found = find_fields(latin_text(row.body.encode("latin-1")))
    expected = {name: getattr(row, name) for name in ("id", "sub", "dlvrd", "stat", "err", "text")}
    assert {name: found.get(name) for name in expected} == expected
    assert parse_date(found.get("submit_date")) == row.submit
    assert parse_date(found.get("done_date")) == row.done


words = st.text(st.sampled_from("aZ09._-+;/|"), max_size=6)


@PROPERTY
@given(
    st.lists(words, min_size=6, max_size=6),
    st.sampled_from(["DELIVRD", "0", "WEIRD", "FAILED/no"]),
    st.text(max_size=12),
)
def test_both_readers_agree_on_every_body_of_the_standard_form(
    values: list[str], stat: str, text: str
) -> None:
    id_, sub, dlvrd, submit, done, err = values
    expected = ["7" + id_, sub, dlvrd, submit, done, stat, err, text.rstrip(" \0")]
    keys = ["id:", "sub:", "dlvrd:", "submit date:", "done date:", "stat:", "err:", "text:"]
    body = " ".join(key + value for key, value in zip(keys, expected, strict=True))
    match = receipt_module._STANDARD.fullmatch(body)
    found = find_fields(body)
    names = ["id", "sub", "dlvrd", "submit_date", "done_date", "stat", "err", "text"]
    assert match is not None
    assert list(match.groups()) == [found.get(name) for name in names] == expected


@PROPERTY
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"id:", b" stat:", b" text:", b"err:", b" sub:", b"done date:", b"\0"]
            ),
            st.sampled_from([b"DELIVRD", b" ", b"123", b"\xff"]),
            st.binary(max_size=8),
        ),
        max_size=20,
    ).map(b"".join),
    st.dictionaries(st.sampled_from([0x1E, 0x427, 0x423, 0x424]), st.binary(max_size=5)),
    st.integers(0, 255),
)
def test_no_body_fails(body: bytes, tlvs: dict[int, bytes], esm_class: int) -> None:
    read = parse_receipt(body, tlvs, esm_class, 0)
    assert all(0 < len(id_) <= 64 and id_.encode("latin-1") for id_ in read.ids)
    assert isinstance(looks_like_receipt(body), bool)
    assert parse_date(read.done_date) is None or read.done_date


def test_long_hostile_body_is_read_in_no_time() -> None:
    hostile = [b"text:sub:id: " * 5000, b"stat: " * 10000, b"err:" + b" " * 60000 + b"x"]
    assert [parse_receipt(b"id:7 " + body + b"stat:DELIVRD", {}).id for body in hostile]


# Rule 1: keys are found, not counted.


def test_rule_1_keys_are_found_in_any_order_and_case() -> None:
    read = parse_receipt(
        b"STAT:Delivered err:123 Submit_Date:1302200000 DONEDATE:1302200001 ID:9", {}
    )
    assert (read.id, read.stat, read.state, read.err) == ("9", "Delivered", 2, "123")
    assert (read.submit_date, read.done_date) == ("1302200000", "1302200001")


def test_rule_1_key_may_follow_a_date_without_a_space() -> None:
    read = parse_receipt(b"id:1 submitdate:2109151930donedate:2109151931 stat:DELIVRD", {})
    assert (read.submit_date, read.done_date) == ("2109151930", "2109151931")


def test_rule_1_stat_is_found_without_its_key() -> None:
    read = parse_receipt(
        b"id:5 submit date:1302200000 done date:1302200001 DELIVRD err:000 text:stat:UNDELIV", {}
    )
    assert (read.done_date, read.stat, read.state) == ("1302200001", "DELIVRD", 2)
    assert read.text == "stat:UNDELIV"


# Rule 2: a value ends where the next key begins.


def test_rule_2_dates_with_spaces_and_empty_values_end_at_the_next_key() -> None:
    read = parse_receipt(
        b"id:5 sub: dlvrd: submit date:2013-02-20 00:00:53 done date: stat:EXPIRED err: text:", {}
    )
    assert (read.sub, read.dlvrd, read.err, read.text) == ("", "", "", "")
    assert parse_date(read.submit_date) == "2013-02-20T00:00:53"
    assert parse_date(read.done_date) is None


# Rule 3: text takes the rest.


def test_rule_3_user_cannot_write_a_stat_into_a_receipt() -> None:
    read = parse_receipt(b"id:5 stat:UNDELIV err:001 text:id:6 stat:DELIVRD err:000", {})
    assert (read.id, read.stat, read.err) == ("5", "UNDELIV", "001")
    assert read.text == "id:6 stat:DELIVRD err:000"


def test_rule_3_user_cannot_write_a_stat_where_text_has_no_key() -> None:
    read = parse_receipt(b"id:5 stat:UNDELIV err:001 hello id:6 stat:DELIVRD sub:1", {})
    assert (read.id, read.stat, read.err) == ("5", "UNDELIV", "001")
    assert read.text == "hello id:6 stat:DELIVRD sub:1"


def test_rule_3_stat_after_text_is_found_where_there_is_none_before() -> None:
    read = parse_receipt(
        b"id:5 sub:001 text:note: id:7 submit date:1302200000 stat:DELIVRD err:002", {}
    )
    assert (read.id, read.stat, read.err, read.submit_date) == ("5", "DELIVRD", "002", "1302200000")
    assert read.text == "note: id:7 "


# Rule 5 and the header.


def test_rule_5_receipt_of_a_raw_pdu_is_read_from_message_payload() -> None:
    """Row 6 of the collection, from jookies/jasmin tests/protocols/smpp/test_pdu_decoding.py."""
    raw = bytes.fromhex(
        "0000009200000005000000000001693c00000032313635333532303730330000003737383800040000000001"
        "000000000424004f69643a30303030343336393439207375626d697420646174653a31353034323131353038"
        "20646f6e6520646174653a3135303432313135303820737461743a44454c49565244206572723a3030300000"
        "1e00063661616435000427000102"
    )
    pdu = decode_deliver_sm(raw[16:])
    assert isinstance(pdu, DeliverSm)
    read = read_receipt(pdu)
    assert read is not None
    assert read.ids == ("6aad5", "0000436949")
    assert (read.stat, read.err, read.state) == ("DELIVRD", "000", 2)


def test_user_data_header_before_a_receipt_is_skipped() -> None:
    read = parse_receipt(b"\x05\x00\x03\x01\x01\x01" + STANDARD_BODY, {}, 0x44, 0)
    assert read.id == "1891273321"


# Rules 6 and 12: TLVs.


@pytest.mark.parametrize("value", [b"18d0e03a", b"18d0e03a\0", b"18d0e03a\0\0"])
def test_receipted_message_id_is_whole_with_and_without_nul(value: bytes) -> None:
    read = parse_receipt(STANDARD_BODY, {TLV_RECEIPTED_MESSAGE_ID: value})
    assert read.ids == ("18d0e03a", "1891273321")


def test_ids_that_agree_are_one_and_a_receipt_may_have_none() -> None:
    assert parse_receipt(b"id:7 stat:DELIVRD", {TLV_RECEIPTED_MESSAGE_ID: b"7"}).ids == ("7",)
    assert parse_receipt(b"", {TLV_RECEIPTED_MESSAGE_ID: b"7"}).ids == ("7",)
    assert parse_receipt(b"stat:DELIVRD", {TLV_RECEIPTED_MESSAGE_ID: b"\0"}).ids == ()


def test_receipt_of_tlvs_alone_is_read() -> None:
    tlvs = {TLV_RECEIPTED_MESSAGE_ID: b"362d9701", TLV_MESSAGE_STATE: b"\x02"}
    read = parse_receipt(b"362d9701 2", tlvs)
    assert read == Receipt(tlv_id="362d9701", state=2, raw=b"362d9701 2")


@pytest.mark.parametrize(
    ("value", "state"),
    [
        pytest.param(b"\x05", 5, id="one-octet"),
        pytest.param(b"\x00\x05", 5, id="two-octets"),
        pytest.param(b"\x00", 0, id="scheduled"),
        pytest.param(b"\x09", 9, id="skipped"),
        pytest.param(b"", 2, id="empty-leaves-the-text"),
        pytest.param(b"\x63", 2, id="unknown-leaves-the-text"),
    ],
)
def test_rule_12_message_state_wins_by_its_actual_length_when_known(
    value: bytes, state: int
) -> None:
    read = parse_receipt(STANDARD_BODY, {TLV_MESSAGE_STATE: value})
    assert read.state == state
    assert read.is_contradictory == (state != 2)


@pytest.mark.parametrize(
    ("value", "err"), [(b"003", "003"), (b"\x03\x00\x0c", "12"), (b"\x03", None)]
)
def test_network_error_code_stands_in_for_a_missing_err(value: bytes, err: str | None) -> None:
    assert parse_receipt(b"id:7 stat:FAILED", {TLV_NETWORK_ERROR_CODE: value}).err == err
    assert parse_receipt(b"id:7 err:9", {TLV_NETWORK_ERROR_CODE: value}).err == "9"


# Rule 7: dates.


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        ("1305050826", "2013-05-05T08:26:00"),
        ("141023215253", "2014-10-23T21:52:53"),
        ("201506201641", "2015-06-20T16:41:00"),
        ("200101010030", "ambiguous"),
        ("20110314181534", "2011-03-14T18:15:34"),
        ("180711070003912+", "2018-07-11T07:00:03"),
        ("1305050826+0200", "2013-05-05T08:26:00"),
        ("120713 132848", "2012-07-13T13:28:48"),
        ("2012-07-13 13:28:48", "2012-07-13T13:28:48"),
        ("12-07-13 13:28", "2012-07-13T13:28:00"),
        ("2012-07-13T13:28:48.000Z", "2012-07-13T13:28:48"),
        ("2012-07-13-13-28-48", "2012-07-13T13:28:48"),
        ("0000000000", None),
        ("1302300000", None),
        ("19990101000000", None),
        ("", None),
        ("null", None),
        ("١٣٠٥٠٥٠٨٢٦", None),
        (None, None),
    ],
)
def test_rule_7_date_reads_as(raw: str | None, iso: str | None) -> None:
    assert parse_date(raw) == iso


# Rule 8: words of stat.


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        *[(word, 2) for word in ("DELIVRD", "DELIVERD", "DELIVERED", "Delivered", "0", "DLV")],
        *[("EXPIRED", 3), ("DELETED", 4), ("UNDELIV", 5), ("FAILED", 5)],
        *[("REJECTD", 8), ("DND_REJECTED", 8), ("ACCEPTD", 6), ("ACKED", 6), ("ENROUTE", 1)],
        *[("BUFFRED", 1), ("BUFFERD", 1), ("UNKNOWN", 7), ("BADSTAT", None), ("", None)],
    ],
)
def test_rule_8_stat_word_means(stat: str, state: int | None) -> None:
    body = f"id:7 submit date:1 done date:1 stat:{stat}   err:003 text: "
    read = parse_receipt(body.encode(), {})
    assert (read.stat, read.state) == (stat, state)


# Rule 11: finality.


def test_rule_11_intermediate_notification_is_never_final() -> None:
    read = parse_receipt(STANDARD_BODY, {}, 0x20, 0)
    assert read.intermediate
    assert not read.is_final


@pytest.mark.parametrize(
    ("stat", "final"),
    [("DELIVRD", True), ("UNDELIV", True), ("ENROUTE", False), ("ACCEPTD", False), ("X", False)],
)
def test_rule_11_final_states_are_final_and_others_not(stat: str, final: bool) -> None:
    assert parse_receipt(f"id:7 stat:{stat} err:0".encode(), {}).is_final == final


# Rule 13: unmarked receipts.


@pytest.mark.parametrize(
    ("esm_class", "marked"),
    [
        *[(esm_class, False) for esm_class in (0x00, 0x03, 0x08, 0x10, 0x18, 0x40)],
        *[(esm_class, True) for esm_class in (0x04, 0x07, 0x20, 0x44, 0x84)],
    ],
)
def test_rule_13_esm_class_is_tested_by_mask(esm_class: int, marked: bool) -> None:
    pdu = DeliverSm(destination_addr="1", short_message=STANDARD_BODY, esm_class=esm_class)
    assert is_receipt(esm_class) == marked
    assert (read_receipt(pdu) is not None) == marked


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (STANDARD_BODY, True),
        (str(STANDARD_BODY, "ascii").encode("utf-16-be"), True),
        (b"ID:1 STAT:Delivered", True),
        (b"id:1 sub:001 text:hello", False),
        (b"id: stat:DELIVRD", False),
        (b"id:1 stat:whatever", False),
        (b"what is the stat of my order?", False),
        (b"", False),
    ],
)
def test_rule_13_unmarked_receipt_is_told_by_id_and_stat_word(body: bytes, looks: bool) -> None:
    assert looks_like_receipt(body) == looks


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (b"id: sub:001 dlvrd:001 stat:DELIVRD", True),
        (b"done date:2611220901 stat:DELIVRD", True),
        (b"id:1 stat:DELIVRD", True),
        (b"stat:DELIVRD err:000", False),
        (b"id: stat:DELIVRD", False),
        (b"sub:001 dlvrd:001 stat:whatever", False),
    ],
)
def test_rule_13_without_an_id_another_field_must_stand_beside_the_stat_word(
    body: bytes, looks: bool
) -> None:
    assert looks_like_receipt(body, needs_id=False) == looks
