"""Every PDU we write, read by Net::SMPP and written again by it: equal fields, equal octets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.constants import (
    CANCEL_SM_RESP,
    ENQUIRE_LINK,
    ENQUIRE_LINK_RESP,
    GENERIC_NACK,
    UNBIND,
    UNBIND_RESP,
)
from smppd.smpp.data_sm import DataSm, encode_data_sm, encode_data_sm_resp
from smppd.smpp.pdu import (
    DeliverSm,
    ShortMessagePdu,
    SubmitSm,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.rare import (
    Bind,
    BindKind,
    encode_bind,
    encode_bind_resp,
    encode_bodiless,
)
from smppd.smpp.sundry import (
    AlertNotification,
    CancelSm,
    Outbind,
    QuerySm,
    QuerySmResp,
    encode_alert_notification,
    encode_cancel_sm,
    encode_outbind,
    encode_query_sm,
    encode_query_sm_resp,
)
from tests.peers.needs import HERE, require
from tests.peers.oracle import Oracle
from tests.smpp.test_data_sm import DATA
from tests.smpp.test_pdu import DELIVERS, SEQUENCE_NUMBER, SUBMITS, ascii_text
from tests.smpp.test_rare import BINDS
from tests.smpp.test_sundry import ALERT, CANCEL, OUTBIND, QUERY, QUERY_RESP

TAGS: Final = {
    0x0017: "qos_time_to_live",
    0x001E: "receipted_message_id",
    0x0204: "user_message_reference",
    0x020C: "sar_msg_ref_num",
    0x0427: "message_state",
    0x0423: "network_error_code",
    0x1403: "tariff",
}
"""By the names Net::SMPP has for them; what it has none for it cannot write."""

TLVS: Final = st.dictionaries(st.sampled_from(sorted(TAGS)), st.binary(max_size=40))


class Read(msgspec.Struct):
    """Net::SMPP's answer; texts and octets in hexadecimal."""

    command: str
    sequence_number: int
    status: int
    fields: dict[str, str]
    again: str


@pytest.fixture(scope="module")
def net_smpp() -> Iterator[Oracle[Read]]:
    require("Net::SMPP")
    with Oracle(Read, "perl", str(HERE / "codec.pl")) as net_smpp:
        yield net_smpp


def read(net_smpp: Oracle[Read], octets: bytes, tlvs: Sequence[str] = ()) -> Read:
    return net_smpp.ask({"pdu": octets.hex(), "tlvs": tlvs})


def fields_of(pdu: msgspec.Struct) -> dict[str, str]:
    """A PDU's fields as the oracle shows them: numbers as digits, TLVs by their names."""
    fields = {name: getattr(pdu, name) for name in pdu.__struct_fields__ if name != "tlvs"}
    tlvs = {TAGS[tag]: value for tag, value in getattr(pdu, "tlvs", {}).items()}
    return {name: shown(value) for name, value in {**fields, **tlvs}.items()}


def shown(value: str | int | bytes) -> str:
    octets = value if isinstance(value, bytes) else str(value).encode("latin-1")
    return octets.hex()


def names_of(tlvs: dict[int, bytes]) -> list[str]:
    return [TAGS[tag] for tag in tlvs]


@given(SUBMITS | DELIVERS, TLVS, SEQUENCE_NUMBER)
def test_submit_sm_and_deliver_sm_are_read_and_written_the_same(
    net_smpp: Oracle[Read], pdu: ShortMessagePdu, tlvs: dict[int, bytes], number: int
) -> None:
    pdu = msgspec.structs.replace(pdu, tlvs=tlvs)
    octets = (
        encode_submit_sm(pdu, number)
        if isinstance(pdu, SubmitSm)
        else encode_deliver_sm(DeliverSm(**msgspec.structs.asdict(pdu)), number)
    )
    answer = read(net_smpp, octets, names_of(tlvs))
    assert answer.command == ("submit_sm" if isinstance(pdu, SubmitSm) else "deliver_sm")
    assert (answer.sequence_number, answer.fields) == (number, fields_of(pdu))
    assert answer.again == octets.hex()


@given(DATA, TLVS, SEQUENCE_NUMBER)
def test_data_sm_is_read_and_written_the_same(
    net_smpp: Oracle[Read], pdu: DataSm, tlvs: dict[int, bytes], number: int
) -> None:
    pdu = msgspec.structs.replace(pdu, tlvs=tlvs)
    octets = encode_data_sm(pdu, number)
    answer = read(net_smpp, octets, names_of(tlvs))
    assert (answer.command, answer.fields) == ("data_sm", fields_of(pdu))
    assert answer.again == octets.hex()


@given(BINDS, SEQUENCE_NUMBER)
def test_bind_is_read_and_written_the_same(net_smpp: Oracle[Read], bind: Bind, number: int) -> None:
    octets = encode_bind(bind, number)
    answer = read(net_smpp, octets)
    fields = fields_of(bind)
    assert answer.command == "bind_" + bytes.fromhex(fields.pop("kind")).decode()
    assert (answer.sequence_number, answer.fields) == (number, fields)
    assert answer.again == octets.hex()


@given(QUERY | QUERY_RESP | CANCEL | OUTBIND, SEQUENCE_NUMBER)
def test_what_is_asked_beside_the_traffic_is_read_and_written_the_same(
    net_smpp: Oracle[Read], pdu: QuerySm | QuerySmResp | CancelSm | Outbind, number: int
) -> None:
    command, octets = write(pdu, number)
    answer = read(net_smpp, octets)
    assert (answer.command, answer.fields) == (command, fields_of(pdu))
    assert answer.again == octets.hex()


@given(ALERT, SEQUENCE_NUMBER)
def test_alert_notification_is_read_and_written_the_same(
    net_smpp: Oracle[Read], alert: AlertNotification, number: int
) -> None:
    octets = encode_alert_notification(alert, number)
    fields = fields_of(alert)
    del fields["availability"]
    if alert.availability is not None:
        fields["ms_availability_status"] = bytes((alert.availability,)).hex()
    names = ["ms_availability_status"] if alert.availability is not None else []
    answer = read(net_smpp, octets, names)
    assert (answer.command, answer.fields) == ("alert_notification", fields)
    assert answer.again == octets.hex()


@pytest.mark.parametrize("kind", get_args(BindKind))
@given(system_id=ascii_text(16), version=st.none() | st.integers(0, 255))
def test_answer_to_a_bind_is_read_and_written_the_same(
    net_smpp: Oracle[Read], kind: BindKind, system_id: str, version: int | None
) -> None:
    octets = encode_bind_resp(kind, 9, 0, system_id, version)
    told = {} if version is None else {"sc_interface_version": bytes((version,)).hex()}
    answer = read(net_smpp, octets, list(told))
    assert answer.command == f"bind_{kind}_resp"
    assert answer.fields == {"system_id": shown(system_id), **told}
    assert answer.again == octets.hex()


@given(ascii_text(65), SEQUENCE_NUMBER)
def test_answers_to_messages_are_read_and_written_the_same(
    net_smpp: Oracle[Read], message_id: str, number: int
) -> None:
    taken = encode_submit_sm_resp(number, 0, message_id)
    taken_data = encode_data_sm_resp(number, 0, message_id)
    answers = [read(net_smpp, octets) for octets in (taken, taken_data)]
    assert [answer.command for answer in answers] == ["submit_sm_resp", "data_sm_resp"]
    assert [answer.fields for answer in answers] == [{"message_id": shown(message_id)}] * 2
    assert [answer.again for answer in answers] == [taken.hex(), taken_data.hex()]


@given(SEQUENCE_NUMBER, st.integers(0, 0xFFFFFFFF))
def test_answer_to_deliver_sm_is_one_nul_behind_its_header(
    net_smpp: Oracle[Read], number: int, status: int
) -> None:
    octets = encode_deliver_sm_resp(number, status)
    answer = read(net_smpp, octets)
    assert (answer.command, answer.status) == ("deliver_sm_resp", status)
    assert (answer.fields, answer.again) == ({"message_id": ""}, octets.hex())


@pytest.mark.parametrize(
    ("command_id", "name"),
    [
        (GENERIC_NACK, "generic_nack"),
        (UNBIND_RESP, "unbind_resp"),
        (CANCEL_SM_RESP, "cancel_sm_resp"),
        (ENQUIRE_LINK_RESP, "enquire_link_resp"),
    ],
)
@given(number=SEQUENCE_NUMBER, status=st.integers(0, 0xFFFFFFFF))
def test_answer_without_a_body_is_read_and_written_the_same(
    net_smpp: Oracle[Read], command_id: int, name: str, number: int, status: int
) -> None:
    octets = encode_bodiless(command_id, status, number)
    answer = read(net_smpp, octets)
    assert (answer.command, answer.status, answer.fields) == (name, status, {})
    assert answer.again == octets.hex()


@pytest.mark.parametrize(
    ("command_id", "name"), [(UNBIND, "unbind"), (ENQUIRE_LINK, "enquire_link")]
)
@given(number=SEQUENCE_NUMBER)
def test_request_without_a_body_is_read_and_written_the_same(
    net_smpp: Oracle[Read], command_id: int, name: str, number: int
) -> None:
    octets = encode_bodiless(command_id, 0, number)
    answer = read(net_smpp, octets)
    assert (answer.command, answer.sequence_number, answer.again) == (name, number, octets.hex())


def write(pdu: QuerySm | QuerySmResp | CancelSm | Outbind, number: int) -> tuple[str, bytes]:
    """Its name in SMPP, and its octets."""
    match pdu:
        case QuerySm():
            return "query_sm", encode_query_sm(pdu, number)
        case QuerySmResp():
            return "query_sm_resp", encode_query_sm_resp(pdu, number)
        case CancelSm():
            return "cancel_sm", encode_cancel_sm(pdu, number)
    return "outbind", encode_outbind(pdu, number)
