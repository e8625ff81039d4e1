"""The daemon's whole work on a batch of messages, in one thread and without a socket.

Submit lines in; commit; submit_sm out to an SMSC session in memory; its responses and receipts
in; commit; events out. Every stage is the daemon's own function on the daemon's own list, timed
by itself, so what the event loop and the sockets cost is the difference to a throughput run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from bench.submits import make_lines, make_text
from smppd.api.conversation import Conversation
from smppd.api.intake import Intake
from smppd.api.peers import Rights, find_apps
from smppd.api.protocol import AppProtocol
from smppd.api.replies import Pending, conclude
from smppd.config.model import DEFAULT_CLASSES
from smppd.routing.msisdn import NumberPlan
from smppd.routing.table import Route, RoutingTable
from smppd.simulator import SimulatedCarrier
from smppd.simulator.schedule import Schedule
from smppd.smpp.session import Bind, Deliver, Session, SubmitAnswer, Timers
from smppd.smpp.signals import BindReceived, Signal, SubmitReceived
from smppd.smpp.throughput import Throughput
from smppd.store.changes import Change
from smppd.store.ledger import LedgerRules
from smppd.store.records import CarrierProfile, Message
from smppd.store.store import Store
from smppd.traffic.dispatch import Dispatch, recover
from smppd.traffic.roster import OTP_RESERVE_MAX, CarrierState
from smppd.traffic.settle import LinkProfile, settle

MAP_BYTES: Final = 1 << 30
APP: Final = "default"
CARRIER: Final = "alpha"
PREFIXES: Final = 1_000
"""Of the routing table: a small operator's."""

_T = TypeVar("_T")


class Meter(Protocol):
    """Does one stage of one step, and measures it or does not."""

    def __call__(self, stage: str, call: Callable[[], _T], /) -> _T: ...


class StopWatch:
    """A meter of seconds: one time a step under the name of each stage."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, stage: str, call: Callable[[], _T], /) -> _T:
        start = time.perf_counter()
        result = call()
        self.times.setdefault(stage, []).append(time.perf_counter() - start)
        return result

    def us_per_message(self, batch: int) -> dict[str, float]:
        """The median of each stage over all steps but the first, which has nothing to settle."""
        return {
            name: statistics.median(times[1:]) / batch * 1e6 for name, times in self.times.items()
        }


def pass_through(_stage: str, call: Callable[[], _T], /) -> _T:
    """A meter that measures nothing: for steps that only warm up."""
    return call()


def read_wall() -> int:
    """Milliseconds since 1970, by the clock on the wall."""
    return time.time_ns() // 1_000_000


def make_table() -> RoutingTable:
    """Routes for +49 and for PREFIXES longer prefixes of it, none of which is the client's."""
    routes = [Route(f"493{number:04d}", CARRIER, "0.02") for number in range(PREFIXES)]
    return RoutingTable([Route("49", CARRIER, "0.01"), *routes], "EUR")


def make_intake(table: RoutingTable) -> Intake:
    """An intake for one app without rules of its own."""
    return Intake("smppd/bench", find_apps({}), DEFAULT_CLASSES, table, NumberPlan())


class Pipeline:
    """One app, one bound carrier, one store in ``directory``; ``step`` moves a batch through.

    ``meter`` does every stage of a step and may be changed between steps. ``wall`` tells
    milliseconds since 1970: from it come the message ids, and all else is the same in every run.
    """

    def __init__(
        self,
        directory: Path,
        batch: int,
        meter: Meter = pass_through,
        wall: Callable[[], int] = read_wall,
    ) -> None:
        self.batch, self.meter, self._wall = batch, meter, wall
        self._text = make_text(1)
        self._first = 0
        self._table = make_table()
        self._protocol = AppProtocol()
        self._conversation = Conversation(make_intake(self._table), Rights((APP,), True))
        self._profile = LinkProfile(CARRIER, 0)
        window = batch + OTP_RESERVE_MAX  # so that a step grants what it accepts
        state = CarrierState(CARRIER, binds=1, window=window, throughput=Throughput(0))
        self._slot = state.slots[0]
        self._dispatch = Dispatch(self._table, {CARRIER: state}, lambda: 0.0)
        self.store = Store(
            directory, LedgerRules({CARRIER: CarrierProfile()}, "EUR"), map_size=MAP_BYTES
        )
        recover(self.store, self._dispatch, self._wall())
        self._centre = SimulatedCarrier(CARRIER, "bench", "bench")
        self._esme = Session("esme", window=window, timers=Timers(), now=0.0)
        self._smsc = Session("smsc", window=window, timers=Timers(), now=0.0)
        self._bind()
        self._settled: list[Change] = []
        self._signals: list[Signal] = []
        self._seq = 0

    def step(self) -> None:
        """A batch in, the batch before answered and receipted, all in one commit."""
        lines = make_lines(self._first, self._first + self.batch, self._text)
        self._first += self.batch
        time_of, wall = self.meter, self._wall()
        requests = time_of("receive lines", lambda: self._protocol.receive_data(lines))
        admission = time_of(
            "admit", lambda: self._conversation.admit(requests, wall, self.batch, self.batch)
        )
        changes = [*admission.changes, *self._settled]
        committed = time_of(
            "commit, with its fsync", lambda: self.store.commit(changes, self._dispatch, wall)
        )
        time_of("acknowledge", lambda: self._esme.acknowledge(self._signals))
        answers = [
            answer
            for answer in time_of(
                "conclude", lambda: conclude(admission.replies, committed.results)
            )
            if not isinstance(answer, Pending)
        ]
        time_of("encode answers", lambda: self._protocol.encode_answers(answers))
        events = time_of("read events", lambda: self.store.events_after(APP, self._seq, 1 << 20))
        self._seq = self._seq if events is None else events.last
        self._exchange()

    def accepted_message(self) -> Message:
        """A message that was granted and not answered yet."""
        found = self.store.message_of(self._last_tag)
        assert found is not None, "a granted message is kept"
        return found[0]

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def _exchange(self) -> None:
        """What was granted goes out; the SMSC answers all of it, and sends the receipts."""
        esme, time_of, now = self._esme, self.meter, 0.0
        wall = self._wall()
        submits = time_of(
            "take and build",
            lambda: self._dispatch.take(self._slot, self.store, esme.room, wall),
        )
        assert isinstance(submits[0].tag, bytes), "our tags are octets"
        self._last_tag = submits[0].tag
        time_of("submit", lambda: esme.submit(submits, now))
        octets = time_of("data to send", esme.data_to_send)
        answered = self._answer(octets)
        self._signals = time_of("receive PDUs", lambda: esme.receive_data(answered, now))
        settlement = time_of("settle", lambda: settle(self._signals, self._profile, wall))
        self._settled = settlement.changes

    def _answer(self, octets: bytes) -> bytes:
        smsc, centre, now = self._smsc, self._centre, 0.0
        signals = smsc.receive_data(octets, now)
        answers: Schedule[SubmitAnswer] = Schedule(lambda: None)
        centre.answer([one for one in signals if isinstance(one, SubmitReceived)], answers, now)
        smsc.answer(answers.take(now))
        room = smsc.deliver_room
        deliveries = [Deliver(one, one.pdu) for one in centre.take_deliveries(room, now)]
        smsc.deliver(deliveries, now)
        return smsc.data_to_send()

    def _bind(self) -> None:
        self._esme.bind(Bind("bench", "bench"), 0.0)
        (asked,) = self._smsc.receive_data(self._esme.data_to_send(), 0.0)
        assert isinstance(asked, BindReceived), repr(asked)
        self._smsc.accept_bind(asked, "bench", 0.0)
        self._esme.receive_data(self._smsc.data_to_send(), 0.0)
        self._dispatch.bind_up(self._slot, lambda: None)
