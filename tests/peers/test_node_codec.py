"""What compose writes, read by node-smpp: every form, alphabet and encoding, PDU by PDU.

No daemon here: the PDUs go straight to the peer, so that hundreds of texts cost a second.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final, Literal, get_args

import pytest

from smppd.smpp.constants import (
    BIND_TRANSCEIVER_RESP,
    DATA_SM_RESP,
    ESME_RINVPASWD,
    SUBMIT_SM_RESP,
)
from smppd.smpp.data_sm import encode_data_sm
from smppd.smpp.pdu import encode_submit_sm
from smppd.smpp.rare import Bind, encode_bind
from smppd.store.changes import EncodingName, Extras
from smppd.store.records import Message, Segment
from smppd.text import gsm7
from smppd.text.segment import Alphabet, Form, LongMessage, Plan, WantedEncoding, plan, plan_data
from smppd.traffic.compose import build_data, build_submit
from tests.peers.ledger import Row, read_pdus
from tests.peers.node import NodeSmsc
from tests.processes import STOP_SECONDS_MAX, Site

NOW: Final = 1_800_000_000_000

# form feed: node-smpp 0.5.1 reads it back, as every character of both tables.
WHOLE_GSM7: Final = "".join(c for c in gsm7.BASIC if c != "\x1b") + "".join(gsm7.EXTENSION.values())
LATIN_GSM7: Final = "".join(c for c in WHOLE_GSM7 if c <= "\xff")
FAMILY: Final = "👨\u200d👩\u200d👧\u200d👦"

TEXTS: Final[dict[str, tuple[WantedEncoding, str]]] = {
    "lone": ("auto", "Your order has shipped"),
    "full": ("auto", "a" * 160),
    "escapes": ("auto", "x" + "€[]{}~|^\\" * 40),
    "whole alphabet": ("auto", WHOLE_GSM7 * 3),
    "many": ("auto", "0123456789" * 200),
    "ucs2": ("auto", "Ваш заказ отправлен"),
    "long ucs2": ("auto", "Ваш заказ отправлен. " * 12),
    "emoji": ("auto", ("я" * 11 + "😀🇸🇪" + FAMILY) * 12),
    "latin1": ("latin1", "façade ÿ" * 50),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("codec"), carriers={"gsm7": {}, "latin1": {}}) as site:
        yield site


@pytest.fixture(scope="module")
def peers(site: Site) -> dict[Alphabet, NodeSmsc]:
    """One for each meaning of data_coding 0."""
    return {
        "gsm7": NodeSmsc(site, "gsm7", site.ports["gsm7"]),
        "latin1": NodeSmsc(site, "latin1", site.ports["latin1"]),
    }


def exchange(port: int, pdus: list[bytes], password: str = "secret") -> list[tuple[int, int]]:
    """Binds, writes ``pdus``, and reads the bind's answer and one for each of them."""
    bind = Bind(system_id="smppd", password=password, system_type="", address_range="")
    answers = b""
    with socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS_MAX) as stream:
        stream.sendall(encode_bind(bind, 1) + b"".join(pdus))
        while len(headers := read_pdus(answers)) < 1 + len(pdus):
            octets = stream.recv(65536)
            assert octets, f"the peer closed after {headers}"
            answers += octets
    return headers


def message_of(
    to: str, text: str, planned: object, form: Form, extras: Extras | None = None
) -> Message:
    """A message as the store keeps it, planned for ``form``, no receipts asked."""
    assert isinstance(planned, Plan)
    return Message(
        1,
        "app",
        "ref",
        to,
        5,
        0,
        "ACME",
        text,
        "transactional",
        planned.encoding,
        False,
        None,
        None,
        NOW,
        NOW + 60_000,
        "resend",
        b"",
        tuple(Segment() for _ in range(planned.submits)),
        reference=0x01FE,
        units=planned.segments if planned.segments > planned.submits else 0,
        extras=extras,
        form=form,
    )


def submit(peer: NodeSmsc, port: int, message: Message) -> list[Row]:
    """The ledger's rows of the message's submits, all of them taken."""
    count = len(message.parts)
    pdus = [
        encode_submit_sm(build_submit(message, index, NOW), index + 2) for index in range(count)
    ]
    assert exchange(port, pdus) == [(BIND_TRANSCEIVER_RESP, 0), *[(SUBMIT_SM_RESP, 0)] * count]
    return peer.rows("submit", message.to)


@pytest.mark.parametrize("long_message", get_args(LongMessage))
@pytest.mark.parametrize("alphabet", ["gsm7", "latin1"])
@pytest.mark.parametrize("name", TEXTS)
def test_peer_reads_the_text_that_was_written(
    site: Site,
    peers: dict[Alphabet, NodeSmsc],
    name: str,
    alphabet: Literal["gsm7", "latin1"],
    long_message: LongMessage,
) -> None:
    wanted, text = TEXTS[name]
    form = Form(long_message, alphabet)
    number = list(TEXTS).index(name) * 10 + get_args(LongMessage).index(long_message)
    message = message_of(f"49151100{number:04}99", text, plan(text, wanted, form), form)
    rows = submit(peers[alphabet], site.ports[alphabet], message)
    (read,) = peers[alphabet].rows("message", message.to)
    assert read.text == text
    assert len(rows) == len(message.parts)
    assert {len(row.joint) for row in rows} == {1 if len(rows) > 1 else 0}
    assert {row.payload for row in rows} == {message.units > 0}


@pytest.mark.parametrize(
    ("long_message", "reference"), [("udh8", 0xFE), ("udh16", 0x01FE), ("sar", 0x01FE)]
)
def test_peer_reads_reference_total_and_number(
    site: Site, peers: dict[Alphabet, NodeSmsc], long_message: LongMessage, reference: int
) -> None:
    form, text = Form(long_message), "a" * 310
    to = f"4915120{get_args(LongMessage).index(long_message)}00099"
    message = message_of(to, text, plan(text, "auto", form), form)
    rows = submit(peers["gsm7"], site.ports["gsm7"], message)
    assert [row.joint for row in rows] == [[(reference, 3, number)] for number in (1, 2, 3)]


def test_whole_latin1_half_of_gsm7_is_read_in_the_carriers_alphabet(
    site: Site, peers: dict[Alphabet, NodeSmsc]
) -> None:
    form = Form("udh8", "latin1")
    message = message_of("491512100099", LATIN_GSM7, plan(LATIN_GSM7, "gsm7", form), form)
    (row,) = submit(peers["latin1"], site.ports["latin1"], message)
    assert (row.text, row.data_coding) == (LATIN_GSM7, 0)


@pytest.mark.parametrize(
    ("text", "encoding", "coding"), [("10 €", "gsm7", 0xF0), ("я", "ucs2", 0x18)]
)
def test_flash_is_read_as_the_same_text(
    site: Site, peers: dict[Alphabet, NodeSmsc], text: str, encoding: EncodingName, coding: int
) -> None:
    planned = Plan(encoding, 1, 1)
    message = message_of(f"4915122000{coding:03}99", text, planned, Form(), Extras(flash=True))
    (row,) = submit(peers["gsm7"], site.ports["gsm7"], message)
    assert (row.text, row.data_coding) == (text, coding)


def test_data_its_header_and_vendor_tlvs_arrive_as_they_were_given(
    site: Site, peers: dict[Alphabet, NodeSmsc]
) -> None:
    extras = Extras(
        data=b"\x00\xff\x1b", udh=bytes.fromhex("06050415811582"), tlvs={0x1400: b"dlt-1"}
    )
    planned = plan_data(extras.data or b"", extras.udh, Form("sar"))
    message = message_of("491512300099", "", planned, Form("sar"), extras)
    (row,) = submit(peers["gsm7"], site.ports["gsm7"], message)
    assert (row.text, row.header, row.data_coding) == ("hex:00ff1b", "050415811582", 4)
    assert (row.vendor, row.esm_class) == (b"dlt-1".hex(), 0x40)


@pytest.mark.parametrize("long_message", get_args(LongMessage))
def test_long_data_joins_to_the_data(
    site: Site, peers: dict[Alphabet, NodeSmsc], long_message: LongMessage
) -> None:
    data = bytes(range(256)) * 2
    form = Form(long_message)
    to = f"4915124{get_args(LongMessage).index(long_message)}0099"
    message = message_of(to, "", plan_data(data, b"", form), form, Extras(data=data))
    submit(peers["gsm7"], site.ports["gsm7"], message)
    (read,) = peers["gsm7"].rows("message", to)
    assert read.text.replace("hex:", "") == data.hex()


@pytest.mark.parametrize("long_message", get_args(LongMessage))
def test_data_sm_is_read_like_submit_sm(
    site: Site, peers: dict[Alphabet, NodeSmsc], long_message: LongMessage
) -> None:
    form, text = Form(long_message), WHOLE_GSM7 * 2
    to = f"4915125{get_args(LongMessage).index(long_message)}0099"
    message = message_of(to, text, plan(text, "auto", form), form)
    pdus = [
        encode_data_sm(build_data(message, index, NOW), index + 2)
        for index in range(len(message.parts))
    ]
    answers = exchange(site.ports["gsm7"], pdus)
    assert answers[1:] == [(DATA_SM_RESP, 0)] * len(pdus)
    rows = peers["gsm7"].rows("submit", to)
    assert {(row.command, row.payload, row.time_to_live) for row in rows} == {("data_sm", True, 60)}
    (read,) = peers["gsm7"].rows("message", to)
    assert read.text == text


def test_wrong_password_is_refused(site: Site, peers: dict[Alphabet, NodeSmsc]) -> None:
    answers = exchange(site.ports["gsm7"], [], password="wrong")
    assert answers == [(BIND_TRANSCEIVER_RESP, ESME_RINVPASWD)]
