"""A store and its dispatch on real files, without links: what a test says is what happens.

``now`` is Unix milliseconds and moves only when told; the monotonic clock is ``now / 1000``,
unless a ``clock`` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from smppd.routing.table import Route, RoutingTable
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.receipt import Receipt
from smppd.smpp.session import Submit
from smppd.smpp.throughput import Throughput
from smppd.store.changes import (
    Accepted,
    Answered,
    CarrierMode,
    Change,
    Doubted,
    EncodingName,
    Extras,
    GivenBack,
    MessageClass,
    NewMessage,
    Propose,
    ReceiptArrived,
    Result,
    SetMode,
    UncertainPolicy,
    Verdict,
)
from smppd.store.ledger import LedgerRules
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods
from smppd.store.search import DOUBTFUL_ROWS_MAX, DoubtSlice
from smppd.store.store import Store
from smppd.store.view import FoundMessage
from smppd.text.segment import Form
from smppd.traffic.dispatch import Dispatch, doubt_restored, recover
from smppd.traffic.granting import DEFAULT_WEIGHTS
from smppd.traffic.roster import CarrierState, Slot

START = 1_795_292_101_000
ROUTES = [
    Route("49", "alpha", "0.01"),
    Route("49", "beta", "0.02"),
    Route("86", "beta", "0.03"),
]


class House:
    """``binds``, ``window``, ``throughput`` and ``bind`` are all carriers' own; so is ``profile``
    where ``profiles`` has none for one."""

    def __init__(
        self,
        directory: Path,
        *,
        window: int = 10,
        binds: int = 1,
        throughput: float = 0.0,
        routes: list[Route] | None = None,
        carriers: tuple[str, ...] = ("alpha", "beta"),
        profile: CarrierProfile | None = None,
        profiles: Mapping[str, CarrierProfile] | None = None,
        bind: str = "transceiver",
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
        reserve: int = 0,
        inbound_apps: tuple[str, ...] = (),
        backlog_max: int = 10_000_000,
        periods: RetentionPeriods | None = None,
        map_size: int = 1 << 30,
        now: int = START,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.now = now
        self.directory = directory
        self.table = RoutingTable(ROUTES if routes is None else routes, "USD")
        found = profiles or {}
        self.profiles = {name: found.get(name) or profile or CarrierProfile() for name in carriers}
        self._binds, self._window, self._bind = binds, window, bind
        self._throughput = throughput
        self.states = {name: self.make_state(name) for name in carriers}
        self.rules = LedgerRules(
            carriers=self.profiles,
            currency="USD",
            inbound_apps=inbound_apps,
            backlog_max=backlog_max,
            periods=periods or RetentionPeriods(),
            reserve=reserve,
        )
        self.store = Store(directory, self.rules, map_size=map_size)
        read_clock = clock or (lambda: self.now / 1000)
        self.dispatch = Dispatch(self.table, self.states, read_clock, weights)
        self.restored = doubt_restored(self.store, self.now)
        self.doubtful = recover(self.store, self.dispatch, self.now)
        self.woken: list[str] = []

    def make_state(self, name: str) -> CarrierState:
        """A carrier none of whose binds is up."""
        profile = self.profiles.get(name, CarrierProfile())
        return CarrierState(
            name,
            binds=self._binds,
            window=self._window,
            throughput=Throughput(self._throughput, keeps=True),
            bind=self._bind,
            form=profile.form,
            has_tlvs=profile.has_tlvs,
        )

    def set_mode(self, carrier: str, mode: CarrierMode) -> None:
        """The operator pauses, drains or resumes a carrier."""
        back = self.dispatch.set_mode(carrier, mode)
        self.commit([SetMode(carrier, mode, self.now), *back])

    def reroute(self, routes: list[Route]) -> None:
        """A reload has another routing table; the next commit acts on it."""
        self.table = RoutingTable(routes, "USD")
        self.dispatch.set_table(self.table)

    def add(self, carrier: str) -> None:
        """A reload has one carrier more."""
        self.profiles[carrier] = CarrierProfile()
        self.store.set_rules(self.rules)
        self.dispatch.add_carrier(self.make_state(carrier))
        self.commit([])

    def remove(self, carrier: str) -> None:
        """A reload has one carrier less, and its binds have ended."""
        changes = self.dispatch.remove_carrier(carrier)
        del self.profiles[carrier]
        self.store.set_rules(self.rules)
        self.commit(changes)

    def slot(self, carrier: str = "alpha", bind: int = 0) -> Slot:
        return self.states[carrier].slots[bind]

    def up(self, carrier: str = "alpha", bind: int = 0) -> None:
        """The bind comes up; what waits is granted in the next commit, made here."""
        self.dispatch.bind_up(self.slot(carrier, bind), lambda: self.woken.append(carrier))
        self.commit([])

    def down(
        self, carrier: str = "alpha", bind: int = 0, *, doubt: list[bytes] | None = None
    ) -> None:
        """The link ends: ``doubt`` was written, what is granted and not taken goes back."""
        unwritten = self.dispatch.bind_down(self.slot(carrier, bind))
        changes: list[Change] = [GivenBack(carrier, bind, unwritten, self.now)]
        if doubt:
            changes.append(Doubted(carrier, bind, doubt, self.now))
        self.commit(changes)

    def commit(self, changes: list[Change]) -> list[Result]:
        results = self.store.commit(changes, self.dispatch, self.now).results
        self.dispatch.wake_granted()
        return results

    def propose(
        self,
        ref: str,
        *,
        to: str = "491701234567",
        text: str = "hi",
        app: str = "shop",
        message_class: MessageClass = "transactional",
        encoding: EncodingName = "gsm7",
        segments: int = 1,
        valid_for: int = 600,
        uncertain: UncertainPolicy = "resend",
        receipt: bool = True,
        digest: bytes = b"d" * 16,
        tag: str | None = "t1",
        extras: Extras | None = None,
        units: int = 0,
        form: Form | None = None,
    ) -> Propose:
        route_set = self.table.route_set_for(to)
        key = b"\0" * 8 if route_set is None else route_set.key
        new = NewMessage(
            to, 5, 0, "ACME", text, message_class, encoding, segments, receipt, tag, None,
            self.now, self.now + valid_for * 1000, uncertain, key, units, extras, form,
        )  # fmt: skip
        return Propose(app, ref, digest, new)

    def submit(self, *refs: str, **fields: object) -> list[str]:
        """Accepts a message a ref; their ids."""
        proposals = [self.propose(ref, **fields) for ref in refs]  # type: ignore[arg-type]
        results = self.commit(list(proposals))
        return [result.id for result in results if isinstance(result, Accepted)]

    def take(self, carrier: str = "alpha", bind: int = 0, room: int = 1_000) -> list[Submit]:
        """What the link of this bind would write now."""
        return self.dispatch.take(self.slot(carrier, bind), self.store, room, self.now)

    def list_doubtful(self, limit: int) -> list[FoundMessage]:
        """What the control verb lists, in its slices."""
        doubts = DoubtSlice()
        while doubts.after is not None:
            doubts = self.store.look_at_doubts(doubts)
        found: list[FoundMessage] = []
        for start in range(0, len(doubts.oldest), DOUBTFUL_ROWS_MAX):
            found += self.store.show_doubtful(doubts.oldest[start : start + DOUBTFUL_ROWS_MAX])
        return found[:limit]

    def answer(
        self,
        submits: list[Submit],
        *,
        carrier: str = "alpha",
        bind: int = 0,
        verdict: Verdict = Verdict.TAKEN,
        status: int = 0,
        ids: list[str] | None = None,
    ) -> None:
        """The SMSC answers these submits in one read."""
        names = ids or [f"m{int.from_bytes(tag_of(submit), 'big')}" for submit in submits]
        self.commit(
            [
                Answered(carrier, bind, tag_of(submit), verdict, status, name, self.now, number)
                for number, (submit, name) in enumerate(zip(submits, names, strict=True), 1)
            ]
        )

    def receive(
        self,
        smsc_id: str,
        *,
        carrier: str = "alpha",
        state: int | None = 2,
        source: str = "491701234567",
        destination: str = "ACME",
        intermediate: bool = False,
    ) -> None:
        """A receipt arrives."""
        self.commit([self.receipt(smsc_id, carrier, state, source, destination, intermediate)])

    def receipt(
        self,
        smsc_id: str,
        carrier: str = "alpha",
        state: int | None = 2,
        source: str = "491701234567",
        destination: str = "ACME",
        intermediate: bool = False,
    ) -> ReceiptArrived:
        receipt = Receipt(
            id=smsc_id or None, tlv_id=None, sub=None, dlvrd=None, stat="STAT", err="000",
            text=None, submit_date=None, done_date=None, state=state, intermediate=intermediate,
            raw=b"id:" + smsc_id.encode() + b" stat:STAT err:000",
        )  # fmt: skip
        return ReceiptArrived(carrier, receipt, source, destination, None, self.now)

    def events(self, app: str = "shop", after: int = 0) -> list[dict[str, object]]:
        """Every kept event of the app."""
        events: list[dict[str, object]] = []
        while (batch := self.store.events_after(app, after, 1 << 20)) is not None:
            events += [msgspec.json.decode(line) for line in batch.lines.splitlines()]
            after = batch.last
        return events

    def told(self, app: str = "shop") -> list[tuple[str, str]]:
        """``(ref, event)`` of every kept event."""
        return [(str(event["ref"]), str(event["event"])) for event in self.events(app)]

    def pass_time(self, seconds: float) -> None:
        """The clock moves; commits run as the committer would run them."""
        self.now += int(seconds * 1000)
        self.commit([])

    def close(self) -> None:
        self.store.close()


def tag_of(submit: Submit) -> bytes:
    assert isinstance(submit.tag, bytes)
    return submit.tag


def pdu_of(submit: Submit) -> SubmitSm:
    """What goes out for a carrier that is given submit_sm, as all here but where it is said."""
    assert isinstance(submit.pdu, SubmitSm)
    return submit.pdu


def texts(submits: list[Submit]) -> list[str]:
    """What ASCII submits say, in their order."""
    return [pdu_of(submit).short_message.decode("ascii") for submit in submits]


Open = Callable[..., House]


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again and again, as restarts do; ``close`` each but the last."""
    houses: list[House] = []

    def open_house(**settings: object) -> House:
        house = House(tmp_path / "state", **settings)  # type: ignore[arg-type]
        houses.append(house)
        return house

    yield open_house
    houses[-1].close()
