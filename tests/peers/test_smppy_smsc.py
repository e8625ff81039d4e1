"""The real daemon and smppy, a sloppy centre: no ids, no version, and one PDU of each read.

One daemon and one peer for all tests here; the digits after +49 choose the carrier: 15211 careful
(a window of one, no receipts), 15212 wide (it is sent several at once), 15213 phones (which
answer), 15214 tracked (receipts whose ids name nothing, unmarked).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.peers.app import FINAL_EVENTS, App
from tests.peers.ledger import Smsc
from tests.peers.needs import require
from tests.processes import Site, Table

CARRIERS: Final[dict[str, Table]] = {
    "careful": {"window": 1, "receipts": "none"},
    "wide": {"receipts": "none", "response_timer": 1},
    "phones": {"window": 1, "receipts": "none"},
    "tracked": {"window": 1, "unmarked_receipts": True, "match_receipts": "address"},
}
PREFIXES: Final = {name: f"4915{index}" for index, name in enumerate(CARRIERS, 211)}
ROUTES: Final = tuple(
    {"prefix": prefix, "carrier": name, "cost": "0.01"} for name, prefix in PREFIXES.items()
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require("smppy")
    with Site(tmp_path_factory.mktemp("smppy"), carriers=CARRIERS, routes=ROUTES) as site:
        yield site


@pytest.fixture(scope="module")
def peer(site: Site) -> Smsc:
    ledger = site.directory / "smppy.jsonl"
    ports = map(str, site.ports.values())
    command = ("-m", "tests.peers.smppy_smsc", str(ledger), *ports)
    return Smsc(site.start(*command, log="smppy.log"), ledger)


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


def texts(peer: Smsc, to: str) -> list[str]:
    """What it has told its application so far, which it does after it has answered."""
    return [row.text for row in peer.rows("submit", to)]


@pytest.mark.parametrize(
    "text",
    ["hello", "кратко", "Your order has shipped. " * 20, "Ваш заказ 😀 отправлен 🇸🇪. " * 9],
    ids=["short", "short UCS-2", "long", "long UCS-2"],
)
def test_text_is_sent_whole_to_a_centre_that_gives_no_id(app: App, peer: Smsc, text: str) -> None:
    to = number_of("careful", len(text))
    sent = app.wait_for(app.submit(to, text), "sent", *FINAL_EVENTS)
    assert (sent["event"], sent["receipt"]) == ("sent", False)
    peer.wait_until(lambda: "".join(texts(peer, to)) == text, "told of the whole text")


def test_submit_that_the_centre_overlooks_is_told_and_sent_again(app: App, peer: Smsc) -> None:
    """Two submits in one write: it reads the first. ``window = 1`` is the remedy."""
    numbers = [number_of("wide", 2), number_of("wide", 3)]
    first, second = app.submit_together(numbers, "hello")
    sent = app.wait_for(second, "sent")
    assert (app.story(first), app.story(second)) == (["sent"], ["uncertain", "sent"])
    assert sent["maybe_duplicate"] is True
    both = [["hello"], ["hello"]]
    peer.wait_until(lambda: [texts(peer, number) for number in numbers] == both, "told of both")


def test_answer_in_segments_of_odd_sizes_is_joined(app: App) -> None:
    """smppy cuts at a hundred octets, tells it by sar_* TLVs, and writes all in one go."""
    to, text = number_of("phones", 4, "02"), "0123456789" * 15
    app.submit(to, text)
    inbound = app.wait_for_inbound(to)
    assert (inbound["text"], inbound["segments"]) == (text, 2)


def test_unmarked_receipt_with_a_useless_id_finds_the_message_by_its_addresses(app: App) -> None:
    ref = app.submit(number_of("tracked", 5, "01"), "hello")
    assert app.wait_for(ref, *FINAL_EVENTS)["event"] == "delivered"
