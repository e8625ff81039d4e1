"""The real daemon and node-smpp: texts in every mode, receipts, refusals, late and missing answers.

One daemon and one peer for all tests here; each has destinations of its own, and the digits after
+49 choose the carrier: 15111 udh8, 15112 udh16, 15113 sar, 15114 payload, 15115 one whose
data_coding 0 is Latin-1, 15116 one that speaks data_sm, 15117 one of transmitter and receiver
binds, 15118 one of 3.3, 15119 one that waits a second for answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from tests.peers.app import FINAL_EVENTS, App
from tests.peers.ledger import Row
from tests.peers.node import NodeSmsc
from tests.processes import Site, Table

CARRIERS: Final[dict[str, Table]] = {
    "udh8": {},
    "udh16": {"long_message": "udh16"},
    "sar": {"long_message": "sar"},
    "payload": {"long_message": "payload"},
    "latin1": {"default_alphabet": "latin1"},
    "datasm": {"submit_command": "data_sm", "long_message": "payload"},
    "pair": {"bind": "pair"},
    "old": {"interface_version": "3.3"},
    "hasty": {"response_timer": 1},
}
PREFIXES: Final = {name: f"4915{index}" for index, name in enumerate(CARRIERS, 111)}
ROUTES: Final = tuple(
    {"prefix": prefix, "carrier": name, "cost": "0.01"} for name, prefix in PREFIXES.items()
)

GSM7: Final = "Grüße @ [4711] {5 €} ~ ÄÖÜ ñ Ω|^\\ " * 12
UCS2: Final = "Ваш заказ 😀 отправлен 🇸🇪. " * 9
ASCII: Final = "Your order [4711] has shipped. " * 14


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("smsc")
    with Site(directory, carriers=CARRIERS, routes=ROUTES) as site:
        yield site


@pytest.fixture(scope="module")
def peer(site: Site) -> NodeSmsc:
    """The peer of every carrier but ``latin1``, which has one of its own."""
    NodeSmsc(site, "latin1", site.ports["latin1"])
    return NodeSmsc(site, "gsm7", *(site.ports[name] for name in CARRIERS if name != "latin1"))


@pytest.fixture(scope="module")
def app(site: Site, peer: NodeSmsc) -> Iterator[App]:
    """An app of a daemon that is bound to all."""
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    app = App(site.socket)
    yield app
    app.close()
    assert daemon.stop() == 0, daemon.tail()


def number_of(carrier: str, number: int, fate: str = "99") -> str:
    """A destination of a carrier's, by the peer's table of last digits."""
    return f"{PREFIXES[carrier]}{number:04}{fate}"


def text_read(peer: NodeSmsc, to: str) -> str:
    (message,) = peer.rows("message", to)
    return message.text


def submits(peer: NodeSmsc, to: str) -> list[Row]:
    return peer.rows("submit", to)


@pytest.mark.parametrize("text", [GSM7, UCS2, ASCII, "short", "кратко"])
@pytest.mark.parametrize("carrier", ["udh8", "udh16", "sar", "payload", "datasm", "pair", "old"])
def test_message_is_read_there_as_it_was_submitted_and_comes_back_delivered(
    app: App, peer: NodeSmsc, carrier: str, text: str
) -> None:
    to = number_of(carrier, [GSM7, UCS2, ASCII, "short", "кратко"].index(text))
    ref = app.submit(to, text)
    delivered = app.wait_for(ref, *FINAL_EVENTS)
    assert delivered["event"] == "delivered"
    assert delivered["carrier"] == carrier
    assert app.story(ref) == ["sent", "delivered"]
    assert text_read(peer, to) == text


@pytest.mark.parametrize(
    ("carrier", "references", "has_header", "is_payload"),
    [
        ("udh8", 1, True, False),
        ("udh16", 1, True, False),
        ("sar", 1, False, False),
        ("payload", 0, False, True),
        ("datasm", 0, False, True),
    ],
)
def test_long_message_is_told_in_one_way_only(
    app: App,
    peer: NodeSmsc,
    carrier: str,
    references: int,
    has_header: bool,
    is_payload: bool,
) -> None:
    to = number_of(carrier, 20)
    app.wait_for(app.submit(to, GSM7), "delivered")
    rows = submits(peer, to)
    assert {len(row.joint) for row in rows} == {references}
    assert {bool(row.header) for row in rows} == {has_header}
    assert {row.esm_class for row in rows} == {0x40 if has_header else 0}
    assert {row.payload for row in rows} == {is_payload}
    assert {row.command for row in rows} == {"data_sm" if carrier == "datasm" else "submit_sm"}


def test_two_long_messages_to_one_number_are_kept_apart(app: App, peer: NodeSmsc) -> None:
    to = number_of("udh16", 21)
    refs = [app.submit(to, text * 400) for text in "ab"]
    for ref in refs:
        app.wait_for(ref, "delivered")
    assert {row.text for row in peer.rows("message", to)} == {"a" * 400, "b" * 400}
    assert len({row.joint[0][0] for row in submits(peer, to)}) == 2


def test_carrier_of_another_default_alphabet_reads_the_same_text(app: App, site: Site) -> None:
    to = number_of("latin1", 1)
    app.wait_for(app.submit(to, "Grüße @ [4711] _ ÄÖÜ " * 12), "delivered")
    euro = number_of("latin1", 2)
    app.wait_for(app.submit(euro, "5 €"), "delivered")
    ledger = (site.directory / "node-latin1.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=Row) for line in ledger]
    read = {row.destination: row.text for row in rows if row.row == "message"}
    assert read == {to: "Grüße @ [4711] _ ÄÖÜ " * 12, euro: "5 €"}
    assert [row.data_coding for row in rows if row.destination == euro and row.row == "submit"] == [
        8
    ]


def test_every_receipt_is_answered_without_an_error(app: App, peer: NodeSmsc) -> None:
    to = number_of("udh8", 22)
    app.wait_for(app.submit(to, "hello"), "delivered")
    (submit,) = submits(peer, to)

    def is_answered() -> bool:
        return any(row.message_id == submit.message_id for row in peer.rows("receipt_answer"))

    peer.wait_until(is_answered, "answered for the receipt")
    assert {row.status for row in peer.rows("receipt_answer")} == {0}


@pytest.mark.parametrize("fate", ["07", "08"], ids=["tlvs-only", "data_sm"])
def test_receipt_in_another_shape_is_delivered_too(app: App, fate: str) -> None:
    ref = app.submit(number_of("udh8", 23, fate), "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"


def test_refusal_is_failed_with_its_status(app: App, peer: NodeSmsc) -> None:
    to = number_of("udh8", 30, "01")
    ref = app.submit(to, "hello")
    failed = app.wait_for(ref, *FINAL_EVENTS)
    assert (failed["event"], failed["code"]) == ("failed", "rejected_by_carrier")
    assert failed["status"] == "0x0000000B"
    assert [row.status for row in submits(peer, to)] == [0x0B]


def test_throttled_submit_goes_again_and_arrives(app: App, peer: NodeSmsc) -> None:
    to = number_of("udh8", 31, "02")
    ref = app.submit(to, "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    assert [row.status for row in submits(peer, to)] == [0x58, 0]
    assert "uncertain" not in app.story(ref)


def test_undeliverable_receipt_is_failed(app: App) -> None:
    failed = app.wait_for(app.submit(number_of("udh8", 32, "06"), "hello"), *FINAL_EVENTS)
    assert (failed["event"], failed["code"]) == ("failed", "undeliverable")


def test_answer_after_the_receipt_is_one_message_sent_once(app: App, peer: NodeSmsc) -> None:
    to = number_of("udh8", 33, "03")
    ref = app.submit(to, GSM7)
    delivered = app.wait_for(ref, *FINAL_EVENTS)
    assert (delivered["event"], app.story(ref)) == ("delivered", ["sent", "delivered"])
    assert "maybe_duplicate" not in delivered
    assert text_read(peer, to) == GSM7


def test_missing_answer_is_told_and_sent_once_more(app: App, peer: NodeSmsc) -> None:
    to = number_of("hasty", 40, "04")
    ref = app.submit(to, "hello")
    delivered = app.wait_for(ref, *FINAL_EVENTS)
    assert app.story(ref) == ["uncertain", "sent", "delivered"]
    assert app.wait_for(ref, "uncertain")["resend"] is True
    assert delivered["maybe_duplicate"] is True
    assert [row.status for row in submits(peer, to)] == [-1, 0]


def test_missing_answer_of_a_class_that_stops_is_told_and_no_more(app: App, peer: NodeSmsc) -> None:
    to = number_of("hasty", 41, "05")
    ref = app.submit(to, {"text": "hello", "class": "promotional"})
    assert app.wait_for(ref, "uncertain")["resend"] is False
    after = number_of("hasty", 42)
    app.wait_for(app.submit(after, "and on it goes"), "delivered")
    assert app.story(ref) == ["uncertain"]
    assert [row.status for row in submits(peer, to)] == [-1]


def test_binds_are_of_the_kind_and_version_of_their_configuration(
    app: App, site: Site, peer: NodeSmsc
) -> None:
    binds = {(row.port, row.kind, row.version) for row in peer.rows("bind") if row.status == 0}
    assert (site.ports["udh8"], "transceiver", 0x34) in binds
    assert (site.ports["pair"], "transmitter", 0x34) in binds
    assert (site.ports["pair"], "receiver", 0x34) in binds
    assert (site.ports["old"], "transceiver", 0x33) in binds


@pytest.mark.parametrize(
    ("number", "fields", "data_coding", "read"),
    [
        (50, {"text": "façade", "encoding": "latin1"}, 3, "façade"),
        (51, {"text": "now €", "flash": True}, 0xF0, "now €"),
        (52, {"text": "сейчас", "flash": True}, 0x18, "сейчас"),
        (53, {"data": "AP8b", "udh": "BgUEFYEVgg=="}, 4, "hex:00ff1b"),
        (54, {"data": "AP8b", "data_coding": 0xF5}, 0xF5, "hex:00ff1b"),
    ],
    ids=["latin1", "flash", "flash in UCS-2", "data with udh", "data of another coding"],
)
def test_rare_wishes_arrive_as_they_were_given(
    app: App, peer: NodeSmsc, number: int, fields: Table, data_coding: int, read: str
) -> None:
    to = number_of("udh8", number)
    app.wait_for(app.submit(to, {**fields, "tlv": {"0x1400": "6162"}}), "delivered")
    (row,) = submits(peer, to)
    assert (row.text, row.data_coding, row.vendor) == (read, data_coding, "6162")
    assert row.header == ("050415811582" if "udh" in fields else "")
