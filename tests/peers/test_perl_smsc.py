"""The real daemon and Net::SMPP: a codec of another age, which speaks 3.3, refuses binds, calls us.

One daemon and one peer for all tests here; the digits after +49 choose the carrier: 15211 udh8,
15212 udh16, 15213 sar, 15214 payload, 15215 one that speaks data_sm, 15216 one of transmitter and
receiver binds, 15217 one of 3.3, 15218 and 15219 two whose first bind is refused (ESME_RALYBND,
ESME_RBINDFAIL), 15220 one that calls us (outbind).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from smppd.demo.stage import free_ports
from tests.peers.app import FINAL_EVENTS, App
from tests.peers.ledger import Row
from tests.peers.perl import PerlSmsc
from tests.processes import Site, Table

CARRIERS: Final[dict[str, Table]] = {
    "udh8": {},
    "udh16": {"long_message": "udh16"},
    "sar": {"long_message": "sar"},
    "payload": {"long_message": "payload"},
    "datasm": {"submit_command": "data_sm", "long_message": "payload"},
    "pair": {"bind": "pair"},
    "old": {"interface_version": "3.3"},
    "already": {"system_id": "already", "reconnect_refused": 0.2},
    "failing": {"system_id": "failing", "reconnect_refused": 0.2},
}
PREFIXES: Final = {name: f"4915{index}" for index, name in enumerate([*CARRIERS, "calling"], 211)}
ROUTES: Final = tuple(
    {"prefix": prefix, "carrier": name, "cost": "0.01"} for name, prefix in PREFIXES.items()
)
APPS: Final[dict[str, Table]] = {"default": {"inbound": True}}

GSM7: Final = "Grüße @ [4711] {5 €} ~ ÄÖÜ ñ Ω|^\\ " * 12
UCS2: Final = "Ваш заказ 😀 отправлен 🇸🇪. " * 9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    (port,) = free_ports(1)
    carriers = {**CARRIERS, "calling": {"outbind": f"127.0.0.1:{port}"}}
    with Site(tmp_path_factory.mktemp("perl"), carriers=carriers, routes=ROUTES) as site:
        site.ports["calling"] = port
        yield site


@pytest.fixture(scope="module")
def peer(site: Site) -> PerlSmsc:
    return PerlSmsc(site, [site.ports[name] for name in CARRIERS], [site.ports["calling"]])


@pytest.fixture(scope="module")
def app(site: Site, peer: PerlSmsc) -> Iterator[App]:
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


def submits(peer: PerlSmsc, to: str) -> list[Row]:
    return peer.rows("submit", to)


def binds(site: Site, peer: PerlSmsc, carrier: str) -> list[Row]:
    return [row for row in peer.rows("bind") if row.port == site.ports[carrier]]


@pytest.mark.parametrize("text", [GSM7, UCS2, "short", "кратко"])
@pytest.mark.parametrize("carrier", PREFIXES)
def test_text_arrives_whole_and_is_delivered(
    app: App, peer: PerlSmsc, carrier: str, text: str
) -> None:
    to = number_of(carrier, [GSM7, UCS2, "short", "кратко"].index(text) + 1)
    ref = app.submit(to, text)
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    assert [row.text for row in peer.rows("message", to)] == [text]
    assert {row.registered_delivery & 3 for row in submits(peer, to)} == {1}


@pytest.mark.parametrize(
    ("carrier", "references", "element"),
    [
        ("udh8", 1, "0003"),
        ("udh16", 1, "0804"),
        ("sar", 1, ""),
        ("payload", 0, ""),
        ("old", 1, "0003"),
    ],
)
def test_long_message_is_told_in_one_way_only(
    app: App, peer: PerlSmsc, carrier: str, references: int, element: str
) -> None:
    to = number_of(carrier, 20)
    app.wait_for(app.submit(to, GSM7), "delivered")
    rows = submits(peer, to)
    assert {len(row.joint) for row in rows} == {references}
    assert {row.header[:4] for row in rows} == {element}
    assert {row.esm_class for row in rows} == {0x40 if element else 0}


@pytest.mark.parametrize(
    ("carrier", "version", "tags"),
    [("old", 0x33, []), ("sar", 0x34, [0x20C, 0x20E, 0x20F]), ("payload", 0x34, [0x424])],
)
def test_only_a_bind_of_3_4_is_sent_tlvs(
    app: App, site: Site, peer: PerlSmsc, carrier: str, version: int, tags: list[int]
) -> None:
    to = number_of(carrier, 21)
    app.wait_for(app.submit(to, GSM7), "delivered")
    assert {tuple(row.tags) for row in submits(peer, to)} == {tuple(tags)}
    assert {row.version for row in binds(site, peer, carrier)} == {version}


@pytest.mark.parametrize(
    ("carrier", "status"), [("already", 0x05), ("failing", 0x0D)], ids=["RALYBND", "RBINDFAIL"]
)
def test_refused_bind_is_tried_again_and_stands(
    app: App, site: Site, peer: PerlSmsc, carrier: str, status: int
) -> None:
    assert [row.status for row in binds(site, peer, carrier)] == [status, 0]


def test_centre_that_calls_us_is_bound_to_on_its_own_stream(
    app: App, site: Site, peer: PerlSmsc
) -> None:
    (bind,) = binds(site, peer, "calling")
    assert (bind.kind, bind.system_id, bind.status) == ("transceiver", "smppd", 0)


@pytest.mark.parametrize("kind", ["transmitter", "receiver"])
def test_pair_is_one_bind_of_each_kind(app: App, site: Site, peer: PerlSmsc, kind: str) -> None:
    assert [row.status for row in binds(site, peer, "pair") if row.kind == kind] == [0]


@pytest.mark.parametrize("fate", ["07", "08", "09"], ids=["tlvs-only", "data_sm", "payload"])
def test_receipt_in_another_shape_is_delivered_too(app: App, fate: str) -> None:
    ref = app.submit(number_of("udh8", 23, fate), "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"


def test_intermediate_notification_of_a_failed_attempt_closes_nothing(app: App) -> None:
    ref = app.submit(number_of("udh8", 24, "10"), "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    assert [name for name in app.story(ref) if name in FINAL_EVENTS] == ["delivered"]


@pytest.mark.parametrize(
    ("fate", "status"),
    [("01", 0x0B), ("03", 0x0A), ("04", 0x0B)],
    ids=["header alone", "with a body", "generic_nack"],
)
def test_refusal_in_any_shape_is_failed_with_its_status(app: App, fate: str, status: int) -> None:
    failed = app.wait_for(app.submit(number_of("udh8", 30, fate), "hello"), *FINAL_EVENTS)
    assert (failed["event"], failed["code"]) == ("failed", "rejected_by_carrier")
    assert failed["status"] == f"0x{status:08X}"


def test_throttled_submit_goes_again_and_arrives(app: App, peer: PerlSmsc) -> None:
    to = number_of("udh8", 31, "02")
    ref = app.submit(to, "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    assert [row.status for row in submits(peer, to)] == [0x58, 0]


def test_undeliverable_receipt_is_failed(app: App) -> None:
    failed = app.wait_for(app.submit(number_of("udh8", 32, "06"), "hello"), *FINAL_EVENTS)
    assert (failed["event"], failed["code"]) == ("failed", "undeliverable")


def test_receipt_after_the_centre_has_unbound_finds_its_message(
    app: App, site: Site, peer: PerlSmsc
) -> None:
    to = number_of("udh16", 33, "11")
    ref = app.submit(to, "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    assert app.story(ref) == ["sent", "delivered"]
    assert [row.port for row in peer.rows("unbind")] == [site.ports["udh16"]]
    assert [row.status for row in binds(site, peer, "udh16")] == [0, 0]


def test_enquire_link_of_the_centre_is_answered(app: App, site: Site, peer: PerlSmsc) -> None:
    app.wait_for(app.submit(number_of("udh8", 34, "12"), "hello"), "delivered")
    assert site.ports["udh8"] in {row.port for row in peer.rows("alive")}


def test_answer_from_the_phone_is_read_in_its_alphabet(app: App) -> None:
    to = number_of("udh8", 35, "13")
    app.submit(to, {"text": "hello", "from": "12345"})
    inbound = app.wait_for_inbound(to)
    assert (inbound["to"], inbound["text"]) == ("12345", "Straße [€] @home")


@pytest.mark.parametrize(
    ("fate", "segments"), [("15", 4), ("16", 7)], ids=["GSM-7 by header", "UCS-2 by TLVs"]
)
def test_answer_in_segments_the_last_one_first_is_joined(
    app: App, fate: str, segments: int
) -> None:
    """Cut in the middle of an escape and of a UCS-2 unit, as some phones do."""
    to = number_of("udh8", 37, fate)
    app.submit(to, {"text": "hello", "from": "12345"})
    inbound = app.wait_for_inbound(to)
    assert (inbound["text"], inbound["segments"]) == ("Straße [€] @home ~ " * 20, segments)


def test_every_receipt_is_answered_without_an_error(app: App, peer: PerlSmsc) -> None:
    to = number_of("udh8", 36)
    app.wait_for(app.submit(to, "hello"), "delivered")
    (submit,) = submits(peer, to)

    def is_answered() -> bool:
        return any(row.message_id == submit.message_id for row in peer.rows("receipt_answer"))

    peer.wait_until(is_answered, "answered for the receipt")
    assert {row.status for row in peer.rows("receipt_answer")} == {0}


def test_query_shows_what_the_centre_says_of_a_message(
    app: App, site: Site, peer: PerlSmsc
) -> None:
    sent = app.wait_for(app.submit(number_of("udh16", 40, "14"), "hello"), "sent")
    shown = site.smppctl("query", str(sent["id"]), "--carrier", "--json")
    (segment,) = msgspec.json.decode(shown.stdout)["segments"]
    (submit,) = submits(peer, number_of("udh16", 40, "14"))
    assert (segment["message_id"], segment["message_state"]) == (submit.message_id, "DELIVERED")
    assert [(row.command, row.message_id) for row in asked(peer, submit)] == [
        ("query_sm", submit.message_id)
    ]


def test_cancel_shows_that_the_centre_could_not(app: App, site: Site, peer: PerlSmsc) -> None:
    sent = app.wait_for(app.submit(number_of("udh16", 41, "14"), "hello"), "sent")
    shown = site.smppctl("cancel", str(sent["id"]), "--at-carrier", "--json")
    (segment,) = msgspec.json.decode(shown.stdout)["segments"]
    (submit,) = submits(peer, number_of("udh16", 41, "14"))
    assert (shown.returncode, segment["status"]) == (1, "ESME_RCANCELFAIL")
    assert [(row.command, row.source) for row in asked(peer, submit)] == [("cancel_sm", "ACME")]


def asked(peer: PerlSmsc, submit: Row) -> list[Row]:
    return [row for row in peer.rows("asked") if row.message_id == submit.message_id]


@pytest.mark.parametrize(
    ("number", "fields", "data_coding", "read"),
    [
        (50, {"text": "façade", "encoding": "latin1"}, 3, "façade"),
        (51, {"text": "now €", "flash": True}, 0xF0, "now €"),
        (52, {"text": "сейчас", "flash": True}, 0x18, "сейчас"),
        (53, {"data": "AP8b", "udh": "BgUEFYEVgg=="}, 4, "hex:00ff1b"),
    ],
    ids=["latin1", "flash", "flash in UCS-2", "data with udh"],
)
def test_rare_wishes_arrive_as_they_were_given(
    app: App, peer: PerlSmsc, number: int, fields: Table, data_coding: int, read: str
) -> None:
    to = number_of("udh8", number)
    app.wait_for(app.submit(to, {**fields, "tlv": {"0x1400": "6162"}}), "delivered")
    (row,) = submits(peer, to)
    assert (row.text, row.data_coding, row.vendor) == (read, data_coding, "6162")
    assert row.header == ("050415811582" if "udh" in fields else "")
