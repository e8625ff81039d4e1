"""What an operator does with a carrier by hand, on a real daemon: asks it, and looks on."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
import trio

from smppd.client import ProtocolError
from smppd.daemon.levers import TAPS_MAX
from smppd.smpp.capture import SMSC_PORT
from smppd.traffic.tap import IDLE_SECONDS_MAX
from tests.market import Member, Run, play
from tests.processes import ALPHA, START_SECONDS_MAX, Child, Site, ask
from tests.smpp.captured import carried_by, records_of

TO = "+8613800138000"
SLOW = "3600"
"""Seconds until a receipt: a message that is asked about is still on its way."""

Answer = dict[str, Any]


class Running:
    """A site whose carrier has taken ``r1``, under these keys of its file."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.start_simulator("--receipt-delay", SLOW)
        self.daemon: Child = site.start_daemon()
        site.wait_bound(self.daemon)

    def ask(self, verb: str, **fields: object) -> Answer:
        return ask(self.site.socket, {"type": verb, **fields})

    def send(self, **fields: object) -> str:
        """A message, once its carrier has it; its id."""
        submit = {"ref": "r1", "to": TO, "from": "ACME", **(fields or {"text": "hello"})}
        message_id = str(self.ask("submit", **submit)["id"])
        self.wait_for(message_id, "sent")
        return message_id

    def wait_for(self, message_id: str, state: str) -> None:
        self.daemon.wait_until(
            lambda: self.ask("query", id=message_id)["state"] == state, state, START_SECONDS_MAX
        )


def test_cancel_the_carrier_agrees_to_is_told_by_its_receipt_and_by_nothing_else(
    tmp_path: Path,
) -> None:
    with Site(tmp_path) as site:
        running = Running(site)
        message_id = running.send()
        found = running.ask("ask_carrier", id=message_id, action="query")
        assert [one["message_state"] for one in found["segments"]] == ["ENROUTE"]
        answer = running.ask("ask_carrier", id=message_id, action="cancel")
        assert [one["status"] for one in answer["segments"]] == ["ESME_ROK"]
        assert answer["state"] == "sent"
        running.wait_for(message_id, "failed")
        steps = [one["step"] for one in running.ask("trace", id=message_id)["steps"]]
        assert steps == ["accepted", "granted", "taken", "receipt", "failed"]
        assert "cancel_asked" in running.daemon.output()


def test_carrier_is_asked_with_the_source_it_was_given(tmp_path: Path) -> None:
    with Site(tmp_path, carriers={"alpha": {"addresses": {"plus": True}}}) as site:
        running = Running(site)
        message_id = running.send(**{"from": "+4915123456789", "text": "hello"})
        found = running.ask("ask_carrier", id=message_id, action="query")
        assert [one["status"] for one in found["segments"]] == ["ESME_ROK"]


def test_carrier_can_be_asked_of_a_message_whose_data_is_forgotten(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        running = Running(site)
        message_id = running.send(data=b64encode(b"\x01").decode())
        running.ask("ask_carrier", id=message_id, action="cancel")
        running.wait_for(message_id, "failed")
        assert running.ask("forget", number=TO)["messages"] == 1
        found = running.ask("ask_carrier", id=message_id, action="query")
        assert [one["status"] for one in found["segments"]] == ["ESME_ROK"]


def test_carrier_without_a_bind_is_not_asked(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        running = Running(site)
        message_id = running.send()
        running.ask("drain", carrier="alpha")
        running.daemon.wait_until(
            lambda: not running.ask("carriers")["carriers"][0]["settling"],
            "drained",
            START_SECONDS_MAX,
        )
        found = running.ask("ask_carrier", id=message_id, action="query")
        assert (found["type"], found["code"]) == ("error", "bad_request")
        assert "no bind of alpha can ask now" in found["reason"]


def test_tap_goes_on_over_a_reload_that_takes_new_binds(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        running = Running(site)
        begun = running.ask("tap", carrier="alpha")
        site._write("carriers/alpha.toml", {**ALPHA, "port": site.ports["alpha"], "window": 7})
        assert running.ask("reload")["ok"]
        pieces = b64decode(begun["data"])
        while len(ports_of(pieces)) < 2:
            more = running.ask("tap", carrier="alpha", tap=begun["tap"])
            assert more["type"] == "tapped", more
            pieces += b64decode(more["data"])
        assert any(b"smppd\0xxxxxx" in carried_by(one) for one in records_of(pieces))
        ended = running.ask("tap", carrier="alpha", tap=begun["tap"], end=True)
        assert ended["ended"]
        gone = running.ask("tap", carrier="alpha", tap=begun["tap"])
        assert (gone["type"], gone["reason"]) == (
            "error", "this tap has ended; begin another one",
        )  # fmt: skip


def test_no_more_carriers_are_tapped_at_a_time_than_memory_is_meant_for(tmp_path: Path) -> None:
    members = [Member(f"c{number}", number) for number in range(TAPS_MAX + 1)]

    async def act(run: Run) -> None:
        answers = [
            await run.client.ask({"type": "tap", "carrier": one.name}) for one in members[:-1]
        ]
        assert {one["type"] for one in answers} == {"tapped"}
        asked = {"type": "tap", "carrier": members[-1].name}
        with pytest.raises(ProtocolError, match="16 carriers are tapped now"):
            await run.client.ask(asked)
        await trio.sleep(IDLE_SECONDS_MAX)
        assert (await run.client.ask(asked))["type"] == "tapped"

    play(tmp_path, members, act)


def ports_of(capture: bytes) -> set[int]:
    """Our ports: a connection each."""
    pairs = [
        {int.from_bytes(one[20:22], "big"), int.from_bytes(one[22:24], "big")}
        for one in records_of(capture)
    ]
    return {port for pair in pairs for port in pair} - {SMSC_PORT}
