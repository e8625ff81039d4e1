"""The real daemon and smpp34's server: strict where others are not, in Rust, with its own timers.

One daemon and one peer for all tests here; the digits after +49 choose the carrier: 15211 udh8,
15212 udh16, 15213 sar, 15214 payload, 15215 one of transmitter and receiver binds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.peers.app import FINAL_EVENTS, App
from tests.peers.ledger import Row, Smsc
from tests.peers.needs import require
from tests.processes import Site, Table

CARRIERS: Final[dict[str, Table]] = {
    "udh8": {},
    "udh16": {"long_message": "udh16"},
    "sar": {"long_message": "sar"},
    "payload": {"long_message": "payload"},
    "pair": {"bind": "pair"},
}
PREFIXES: Final = {name: f"4915{index}" for index, name in enumerate(CARRIERS, 211)}
ROUTES: Final = tuple(
    {"prefix": prefix, "carrier": name, "cost": "0.01"} for name, prefix in PREFIXES.items()
)

GSM7: Final = "Grüße @ [4711] {5 €} ~ ÄÖÜ ñ Ω|^\\ " * 12
UCS2: Final = "Ваш заказ 😀 отправлен 🇸🇪. " * 9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require("smpp34")
    with Site(tmp_path_factory.mktemp("smpp34"), carriers=CARRIERS, routes=ROUTES) as site:
        yield site


@pytest.fixture(scope="module")
def peer(site: Site) -> Smsc:
    ledger = site.directory / "smpp34.jsonl"
    ports = map(str, site.ports.values())
    command = ("-m", "tests.peers.smpp34_smsc", str(ledger), *ports)
    return Smsc(site.start(*command, log="smpp34.log"), ledger)


@pytest.fixture(scope="module")
def app(site: Site, peer: Smsc) -> Iterator[App]:
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


def submits(peer: Smsc, to: str) -> list[Row]:
    """In the order of their parts, whatever order they were read in."""
    return sorted(peer.rows("submit", to), key=lambda row: row.joint)


@pytest.mark.parametrize("text", [GSM7, UCS2, "short", "кратко"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_text_arrives_whole_and_is_delivered(app: App, peer: Smsc, carrier: str, text: str) -> None:
    to = number_of(carrier, [GSM7, UCS2, "short", "кратко"].index(text) + 1)
    ref = app.submit(to, text)
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
    rows = submits(peer, to)
    assert "".join(row.text for row in rows) == text
    assert [row.joint[0][1:] for row in rows if row.joint] == [
        (len(rows), number + 1) for number in range(len(rows)) if len(rows) > 1
    ]


def test_receipt_of_tlvs_alone_is_delivered_too(app: App) -> None:
    ref = app.submit(number_of("udh8", 23, "07"), "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"


def test_refusal_is_failed_with_its_status(app: App, peer: Smsc) -> None:
    to = number_of("udh8", 30, "01")
    failed = app.wait_for(app.submit(to, "hello"), *FINAL_EVENTS)
    assert (failed["event"], failed["status"]) == ("failed", "0x0000000B")
    assert [row.status for row in submits(peer, to)] == [0x0B]


def test_throttled_submit_goes_again_and_arrives(app: App, peer: Smsc) -> None:
    to = number_of("udh8", 31, "02")
    assert app.wait_for(app.submit(to, "hello"), *FINAL_EVENTS)["event"] == "delivered"
    assert [row.status for row in submits(peer, to)] == [0x58, 0]


def test_submit_that_hits_a_system_error_goes_again_and_arrives(app: App, peer: Smsc) -> None:
    to = number_of("udh8", 34, "04")
    assert app.wait_for(app.submit(to, "hello"), *FINAL_EVENTS)["event"] == "delivered"
    assert [row.status for row in submits(peer, to)] == [0x08, 0]


def test_undeliverable_receipt_is_failed(app: App) -> None:
    failed = app.wait_for(app.submit(number_of("udh8", 32, "06"), "hello"), *FINAL_EVENTS)
    assert (failed["event"], failed["code"]) == ("failed", "undeliverable")


def test_centre_that_unbinds_is_bound_to_again(app: App, site: Site, peer: Smsc) -> None:
    to = number_of("udh16", 33, "11")
    assert app.wait_for(app.submit(to, "hello"), *FINAL_EVENTS)["event"] == "delivered"
    port = site.ports["udh16"]

    def count(row: str) -> int:
        return len([one for one in peer.rows(row) if one.port == port])

    peer.wait_until(lambda: (count("bind"), count("unbind")) == (2, 1), "bound to again")


def test_every_receipt_is_answered_without_an_error(app: App, peer: Smsc) -> None:
    to = number_of("udh8", 36)
    app.wait_for(app.submit(to, "hello"), "delivered")
    (submit,) = submits(peer, to)

    def is_answered() -> bool:
        return any(row.message_id == submit.message_id for row in peer.rows("receipt_answer"))

    peer.wait_until(is_answered, "answered for the receipt")
    assert {row.status for row in peer.rows("receipt_answer")} == {0}


def test_vendor_tlvs_and_data_arrive_as_they_were_given(app: App, peer: Smsc) -> None:
    to = number_of("udh8", 53)
    fields = {"data": "AP8b", "udh": "BgUEFYEVgg==", "tlv": {"0x1400": "6162"}}
    app.wait_for(app.submit(to, fields), "delivered")
    (row,) = submits(peer, to)
    assert (row.text, row.header, row.vendor) == ("hex:00ff1b", "050415811582", "6162")
    assert (row.data_coding, row.esm_class) == (4, 0x40)
