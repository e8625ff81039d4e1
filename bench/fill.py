"""A store with many messages in it, as the daemon would have left it, made in minutes.

Run as ``python -m bench.fill --config DIR --messages N --what queued`` on a directory whose store
is empty. Everything goes through the daemon's own ledger, grant step and tables: messages are
proposed, granted, answered and receipted as always, only many in one transaction and without a
socket or a carrier. So a store of ten million is what ten million messages leave, events that an
app has taken and that were swept away included, and ``smppd verify`` has nothing to say about it.

The messages came in at RATE a second until now: ids, deadlines and ages are those of an hour, so
nothing of it is due when a daemon starts on it.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.submits import HEAD, make_text, number_of
from smppd.config import Config, load
from smppd.daemon.build import build_rules, build_state, build_table
from smppd.smpp.constants import MESSAGE_STATE_DELIVERED, TON_ALPHANUMERIC
from smppd.smpp.receipt import Receipt
from smppd.store.changes import Answered, NewMessage, Propose, ReceiptArrived, Take, Verdict
from smppd.store.environment import Environment
from smppd.store.ledger import Ledger
from smppd.store.store import Store
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.roster import OTP_RESERVE_MAX, CarrierState

RATE: Final = 5_000
"""Messages a second that the store is told of; a batch is one second's, for aging out works by the
clock. Ten million are 33 minutes."""

APP: Final = "default"

MAP_BYTES: Final = 1 << 30
"""To begin with; the map grows by itself."""


class What(StrEnum):
    """What became of the messages."""

    queued = "queued"
    """Accepted, and waiting for a carrier that has no bind."""
    outstanding = "outstanding"
    """Sent, and their receipts are still to come."""
    delivered = "delivered"
    """Delivered, and their events taken by the app."""


class Filled(msgspec.Struct, frozen=True):
    """What was made: octets of the data file in use, and what it took."""

    messages: int
    octets: int
    seconds: float


EVENT_ROWS: Final = 4 * RATE
"""More than a second's events can take."""


def read_wall_clock() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def make_message(index: int, text: str, at: int, expires_at: int, route_set: bytes) -> NewMessage:
    """The same numbers and texts as the bench's client submits."""
    return NewMessage(
        number_of(index),
        TON_ALPHANUMERIC,
        0,
        "ACME",
        HEAD % index + text,
        "transactional",
        "gsm7",
        1,
        True,
        None,
        None,
        at,
        expires_at,
        "resend",
        route_set,
    )


class Filler:
    """One store being filled, from the configuration that a daemon will run on it."""

    def __init__(self, config: Config, what: What, id_format: str) -> None:
        self._config = config
        self._what = what
        self._id_format = id_format
        self._rules = build_rules(config, config.carriers)
        self._table = build_table(config)
        self._text = make_text(1)
        self._carriers = {name: _widen(build_state(one)) for name, one in config.carriers.items()}
        self._dispatch = Dispatch(self._table, self._carriers, time.monotonic)
        if what is not What.queued:
            for carrier in self._carriers.values():
                self._dispatch.bind_up(carrier.slots[0], lambda: None)

    def run(self, messages: int, now: int) -> Filled:
        """Makes ``messages``, the last of them at ``now`` (ms)."""
        started = time.perf_counter()
        config = self._config
        Store(config.daemon.state, self._rules, map_size=MAP_BYTES).close()  # makes the tables
        environment = Environment(config.daemon.state, MAP_BYTES)
        try:
            ledger = Ledger(environment.tables, self._rules)
            environment.begin(write=True)
            ledger.load()
            self._dispatch.load(ledger)
            environment.commit()
            for first in range(0, messages, RATE):
                last = min(first + RATE, messages)
                at = now - (messages - last) * 1000 // RATE
                with _committing(environment, ledger):
                    self._fill(ledger, range(first, last), at)
            with _committing(environment, ledger):
                ledger.events.sweep(0, EVENT_ROWS)
            octets = environment.octets()
        finally:
            environment.close()
        return Filled(messages, octets, time.perf_counter() - started)

    def _fill(self, ledger: Ledger, indexes: range, at: int) -> None:
        """One second: its messages, and all that becomes of them; the events of the one before,
        which the app has taken, go at once, as they do where less than that happens in a second."""
        ledger.events.sweep(0, EVENT_ROWS)
        ledger.decide([self._propose(index, at) for index in indexes], at)
        self._dispatch.grant(ledger, at)
        if self._what is What.queued:
            return
        while answers := [*self._answer(at)]:  # a grant step looks at so many messages only
            ledger.decide([*answers], at)
            if self._what is What.delivered:
                ledger.decide([self._deliver(ledger, answer) for answer in answers], at)
            self._dispatch.grant(ledger, at)
        ledger.decide([Take(APP, ledger.events.bounds(APP).latest)], at)

    def _propose(self, index: int, at: int) -> Propose:
        route_set = self._table.route_set_for(number_of(index))
        assert route_set is not None, f"no route for +{number_of(index)}"
        expires_at = at + self._config.classes["transactional"].valid_for * 1000
        message = make_message(index, self._text, at, expires_at, route_set.key)
        return Propose(APP, f"filled-{index:08d}", index.to_bytes(16), message)

    def _answer(self, at: int) -> Iterator[Answered]:
        for carrier in self._carriers.values():
            for tag in carrier.slots[0].take_granted():
                smsc_id = uuid.uuid4().hex if self._id_format == "uuid" else tag[:8].hex().upper()
                yield Answered(carrier.name, 0, tag, Verdict.TAKEN, 0, smsc_id, at, 1)
        self._dispatch.wake_granted()

    def _deliver(self, ledger: Ledger, answer: Answered) -> ReceiptArrived:
        message = ledger.message(int.from_bytes(answer.tag[:8]))
        assert message is not None, "it was answered a moment ago"
        body = (
            f"id:{answer.smsc_id} sub:001 dlvrd:001 submit date:2611211200 done date:2611211200"
            f" stat:DELIVRD err:000 text:{message.text[:20]}"
        )
        receipt = Receipt(
            id=answer.smsc_id,
            stat="DELIVRD",
            err="000",
            state=MESSAGE_STATE_DELIVERED,
            raw=body.encode(),
        )
        return ReceiptArrived(answer.carrier, receipt, message.to, "ACME", None, answer.at)


@contextmanager
def _committing(environment: Environment, ledger: Ledger) -> Iterator[None]:
    """A transaction, as the store's own."""
    environment.begin(write=True)
    yield
    ledger.flush()
    environment.commit()
    ledger.messages.settled()


def _widen(state: CarrierState) -> CarrierState:
    """Its first bind takes a whole batch at once."""
    state.slots[0].window = RATE + OTP_RESERVE_MAX
    return state


def fill(directory: Path, messages: int, what: What, id_format: str = "hex") -> Filled:
    """Fills the empty store of the configuration in ``directory``. Ids of the carrier are ``hex``
    in order, or ``uuid``."""
    return Filler(load(directory), what, id_format).run(messages, read_wall_clock())


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    config: Annotated[Path, typer.Option(metavar="DIR", help="The configuration directory.")],
    messages: Annotated[int, typer.Option(min=1)] = 1_000_000,
    what: Annotated[What, typer.Option(help="What became of them.")] = What.queued,
    id_format: Annotated[str, typer.Option(help="The carrier's ids: hex or uuid.")] = "hex",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Fill a store."""
    if load(config).daemon.state.joinpath("data.mdb").exists():
        print(f"bench.fill: there is a store in {load(config).daemon.state}", file=sys.stderr)
        raise typer.Exit(1)
    filled = fill(config, messages, what, id_format)
    if as_json:
        print(msgspec.json.encode(filled).decode())
    else:
        rate = filled.messages / filled.seconds
        print(
            f"{messages} {what}: {filled.octets / 1e6:,.0f} MB in {filled.seconds:.0f} s"
            f" ({rate:,.0f} messages/s)"
        )


if __name__ == "__main__":
    app()
