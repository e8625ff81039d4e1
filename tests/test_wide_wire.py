"""Every kind of bind and every form of a long message, from an app to what a phone would show.

A real daemon with a carrier for each, and their simulated SMSCs in this process: what is accepted
comes out there as the same text, its receipts come back as ``delivered``, and what a phone writes
reaches the app.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from smppd.client import Connection, connect
from smppd.config import load
from smppd.demo.stage import free_ports
from smppd.simulator import Behaviour, SimulatedCarrier, carriers_from_config, serve
from tests.ledgers import JsonObject
from tests.processes import Site, Table

SECONDS_MAX: Final = 40.0
"""Of one test, on slow cores; every wait in it ends with what it waits for."""

CARRIERS: Final[dict[str, Table]] = {
    "plain": {},
    "wide": {"long_message": "udh16", "bind": "pair", "default_alphabet": "latin1"},
    "sar": {"long_message": "sar", "bind": "pair", "binds": 2, "default_alphabet": "ascii"},
    "payload": {"long_message": "payload"},
    "old": {"interface_version": "3.3", "bind": "pair"},
    "data": {"long_message": "payload", "submit_command": "data_sm", "binds": 2},
    "national": {"national_languages": ["hi", "tr"], "submit_command": "data_sm"},
}
"""``data`` is also the one that calls."""

TEXTS: Final = (
    "Hi [€] @ there",
    "x" * 300 + "€",
    "Grüße aus Köln, déjà vu " * 20,
    "短信" * 60 + "🎉" * 20,
    "Iğdır'ın ışığı çok güzel " * 12,
)

PHONE: Final = "447700900123"


def number_of(name: str) -> str:
    """A phone of which all belong to that carrier alone."""
    return f"+49170{list(CARRIERS).index(name)}234567"


@asynccontextmanager
async def running(
    directory: Path, behaviour: Behaviour
) -> AsyncIterator[tuple[Connection, dict[str, SimulatedCarrier]]]:
    """An app at a daemon that is bound to every carrier, and the carriers."""
    (port,) = free_ports(1)
    own = {name: {"system_id": name, **keys} for name, keys in CARRIERS.items()}
    own["data"]["outbind"] = f"127.0.0.1:{port}"
    routes = tuple(
        {"prefix": number_of(name)[1:8], "carrier": name, "cost": "0.01"} for name in CARRIERS
    )
    apps = {"shop": {"uid": os.getuid(), "inbound": True}}
    with Site(directory, carriers=own, routes=routes, apps=apps) as site:
        places = carriers_from_config(load(directory), behaviour, ledger=True)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, places)
            with trio.fail_after(SECONDS_MAX):
                site.start_daemon()
                async with connect(site.socket) as client:
                    await client.subscribe(after=0)
                    yield client, {place.carrier.name: place.carrier for place in places}
            nursery.cancel_scope.cancel()


async def test_every_text_comes_out_as_it_went_in_and_its_receipt_comes_back(
    tmp_path: Path,
) -> None:
    submits = [
        {"ref": f"{name}-{n}", "to": number_of(name), "from": "ACME", "text": text}
        for name in CARRIERS
        for n, text in enumerate(TEXTS)
    ]
    async with running(tmp_path, Behaviour(receipt="text+tlv")) as (client, carriers):
        answers = await client.submit(submits)
        assert {answer["type"] for answer in answers} == {"accepted"}, answers
        ended: dict[str, str] = {}
        while len(ended) < len(submits):
            events = await client.wait_events()
            ended |= {one["ref"]: one["event"] for one in events if one["event"] != "sent"}
        assert set(ended.values()) == {"delivered"}
    for name, carrier in carriers.items():
        messages = carrier.messages()
        assert sorted(message.text for message in messages) == sorted(TEXTS), name
        assert all(message.is_whole and not message.repeats for message in messages), name
        assert carrier.statistics().outbinds == (2 if name == "data" else 0)
        turkish = [message for message in messages if message.text == TEXTS[-1]]
        coding, total = (
            (0, 3)
            if name == "national"
            else (8, 1 if CARRIERS[name].get("long_message") == "payload" else 5)
        )
        assert [(one.data_coding, one.total) for one in turkish] == [(coding, total)], name


async def test_what_phones_write_reaches_the_app_over_every_kind_of_bind(tmp_path: Path) -> None:
    async with running(tmp_path, Behaviour(deliver_command="data_sm")) as (client, carriers):
        for carrier in carriers.values():
            carrier.inbound(PHONE, "12345", "Où est ma commande ?")
        events: list[JsonObject] = []
        while len(events) < len(CARRIERS):
            events += await client.wait_events()
    assert {event["event"] for event in events} == {"inbound"}
    assert {event["text"] for event in events} == {"Où est ma commande ?"}
    assert sorted(event["carrier"] for event in events) == sorted(CARRIERS)
