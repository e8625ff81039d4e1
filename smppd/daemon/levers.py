"""What an operator does with a carrier by hand: ask it, tap it, see what of it nobody could read.

None of it touches a message: what a carrier answers here is shown and not stored, for a receipt
decides; a tap copies octets that go their way as ever; the quarantine is evidence.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

import structlog
import trio
from msgspec import UNSET

from smppd.api.controls import ControlFault
from smppd.api.requests import AskCarrier, Quarantine, QuarantineDrop, Tap
from smppd.api.views import (
    CarrierAnswersView,
    CarrierAnswerView,
    DroppedView,
    QuarantinedView,
    TapView,
)
from smppd.daemon.build import build_dress
from smppd.daemon.fleet import Fleet, Upkeep
from smppd.smpp.asks import AskPdu
from smppd.smpp.constants import MESSAGE_STATES, status_name
from smppd.smpp.redaction import redact_password, redact_pdu
from smppd.smpp.signals import QueryAnswered
from smppd.smpp.sundry import CancelSm, QuerySm
from smppd.store import keys
from smppd.store.changes import Dropped, DropQuarantined
from smppd.store.records import STATE_NAMES, TAKEN, Message, Segment
from smppd.store.store import Store
from smppd.traffic import tap as tapping
from smppd.traffic.asking import Answer
from smppd.traffic.carrier import BindKeeper
from smppd.traffic.commit import Committer
from smppd.traffic.dressing import Addresses, Dress, find_addresses

PIECE_OCTETS_MAX: Final = 1024 * 1024
"""Of a tap in one answer, which is a third longer in base64 and may have sixteen megabytes."""

PIECE_SECONDS_MAX: Final = 1.0
"""How long an answer waits for something to show: less than whoever asks waits for an answer."""

TAPS_MAX: Final = 16
"""At a time, with what waits of each (TAP_OCTETS_MAX) 128 MiB: people look at one or two."""

DROP_ROWS_MAX: Final = 100
"""Quarantined rows deleted in one commit: a millisecond."""

log = structlog.get_logger("smppd.control")


class Levers:
    """See ``api/controls.py`` for what each verb is."""

    def __init__(
        self, store: Store, committer: Committer, fleet: Fleet, wall: Callable[[], int]
    ) -> None:
        self._store = store
        self._committer = committer
        self._fleet = fleet
        self._wall = wall
        self._taps = 0

    # -- asking ---

    async def ask_carrier(self, asked: AskCarrier) -> CarrierAnswersView | ControlFault:
        """query_sm or cancel_sm of each segment the carrier has."""
        message = self._store.message_by_id(asked.id)
        if message is None:
            reason = "no message has this id, or it was deleted by retention"
            return ControlFault("unknown_message", reason)
        taken = [
            (number, part)
            for number, part in enumerate(message.parts, 1)
            if part.state == TAKEN and part.smsc_id
        ]
        upkeep = self._fleet.upkeeps.get(message.carrier)
        keeper = None if upkeep is None else _find_bind(upkeep)
        if not taken:
            return ControlFault("bad_request", _why_unasked(message))
        if upkeep is None or keeper is None:
            reason = f"no bind of {message.carrier} can ask now; see smppctl carriers"
            return ControlFault("bad_request", reason)
        make = _query if asked.action == "query" else _cancel
        given = find_addresses(message, build_dress(upkeep.config) or Dress())
        answers = await keeper.ask([make(given, part) for _, part in taken])
        if asked.action == "cancel":
            log.info("cancel_asked", id=asked.id, carrier=message.carrier, segments=len(taken))
        return CarrierAnswersView(
            asked.id,
            message.carrier,
            asked.action,
            STATE_NAMES[message.state],
            [
                _view_answer(number, part, answer)
                for (number, part), answer in zip(taken, answers, strict=True)
            ],
        )

    # -- tapping ---

    async def tap(self, asked: Tap) -> TapView | ControlFault:
        """Begins a tap, or gives what it has had since."""
        upkeep = self._fleet.upkeeps.get(asked.carrier)
        if upkeep is None:
            return unknown("carrier", asked.carrier, self._fleet.upkeeps)
        if asked.tap is UNSET:
            return self._begin_tap(upkeep, texts=asked.texts)
        tap, now = upkeep.state.tap, trio.current_time()
        if tap is None or tap.name != asked.tap or tap.is_over(now):
            return ControlFault("bad_request", "this tap has ended; begin another one")
        if not asked.end:
            await _wait_records(tap)
        return self._take_piece(upkeep, tap, is_end=asked.end)

    def _begin_tap(self, upkeep: Upkeep, *, texts: bool) -> TapView | ControlFault:
        former, now = upkeep.state.tap, trio.current_time()
        if former is not None and former.is_wanted(now):
            reason = "somebody taps this carrier now; try again when they have ended"
            return ControlFault("busy", reason)
        self._end_forgotten(now)
        if sum(one.state.tap is not None for one in self._fleet.upkeeps.values()) >= TAPS_MAX:
            reason = f"{TAPS_MAX} carriers are tapped now; try again when one has ended"
            return ControlFault("busy", reason)
        self._taps += 1
        tap = tapping.Tap(str(self._taps), redact_password if texts else redact_pdu, now)
        upkeep.state.tap = tap
        log.info("tap_begun", carrier=upkeep.config.name, texts=texts)
        return self._take_piece(upkeep, tap, is_end=False)

    def _end_forgotten(self, now: float) -> None:
        for upkeep in self._fleet.upkeeps.values():
            tap = upkeep.state.tap
            if tap is not None and tap.is_over(now):
                upkeep.state.tap = None

    def _take_piece(self, upkeep: Upkeep, tap: tapping.Tap, *, is_end: bool) -> TapView:
        piece = tap.take(PIECE_OCTETS_MAX, trio.current_time())
        ended = is_end and not tap.has_records()
        if ended:
            upkeep.state.tap = None
            log.info("tap_ended", carrier=upkeep.config.name, dropped=tap.dropped)
        data = b64encode(piece).decode()
        return TapView(upkeep.config.name, tap.name, data, tap.dropped, ended)

    # -- the quarantine ---

    def quarantine(self, asked: Quarantine) -> QuarantinedView | ControlFault:
        """Rows, newest first, or one."""
        kept = self._store.statistics().quarantine
        if asked.id is not UNSET:
            number = keys.read_id(asked.id)
            records = [] if number is None else self._store.quarantined(number=number)
            return QuarantinedView(records, kept, more=False)
        carrier = None if asked.carrier is UNSET else asked.carrier
        records = self._store.quarantined(carrier=carrier, rows_max=asked.limit + 1)
        if not records and carrier is not None and carrier not in self._fleet.upkeeps:
            return unknown("carrier", carrier, self._fleet.upkeeps)
        return QuarantinedView(records[: asked.limit], kept, len(records) > asked.limit)

    async def quarantine_drop(self, asked: QuarantineDrop) -> DroppedView | ControlFault:
        """One row, or those of a carrier."""
        if (asked.id is UNSET) == (asked.carrier is UNSET):
            return ControlFault("bad_request", "quarantine_drop needs either 'id' or 'carrier'")
        if asked.id is not UNSET:
            number = keys.read_id(asked.id)
            return DroppedView(await self._drop([] if number is None else [number]))
        ids = self._store.quarantined_ids(str(asked.carrier))
        if not ids and asked.carrier not in self._fleet.upkeeps:
            return unknown("carrier", str(asked.carrier), self._fleet.upkeeps)
        return DroppedView(await self._drop(ids))

    async def _drop(self, ids: list[int]) -> int:
        count = 0
        for start in range(0, len(ids), DROP_ROWS_MAX):
            change = DropQuarantined(ids[start : start + DROP_ROWS_MAX])
            (result,) = await self._committer.commit([change])
            assert isinstance(result, Dropped), f"a DropQuarantined does not answer {result!r}"
            count += result.count
        log.info("quarantine_dropped", count=count)
        return count


def unknown(what: str, name: str, known: object) -> ControlFault:
    """That there is none such, and what was perhaps meant."""
    names = sorted(known)  # type: ignore[call-overload]
    near = get_close_matches(name, names, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    return ControlFault("bad_request", f"there is no {what} {name[:64]!r}; {advice}")


async def _wait_records(tap: tapping.Tap) -> None:
    """Returns when there is something to take, or after PIECE_SECONDS_MAX."""
    if tap.has_records():
        return
    come = trio.Event()
    tap.wake = come.set
    with trio.move_on_after(PIECE_SECONDS_MAX):
        await come.wait()


def _find_bind(upkeep: Upkeep) -> BindKeeper | None:
    return next((keeper for keeper in upkeep.keepers if keeper.may_ask()), None)


def _why_unasked(message: Message) -> str:
    if any(part.state == TAKEN for part in message.parts):
        return f"{message.carrier} gave no message_id for it, so it cannot be asked; see the trace"
    return "no carrier has it; smppctl trace says where it is, smppctl cancel takes it back"


def _query(given: Addresses, part: Segment) -> AskPdu:
    """Section 4.8.1: the source is that of the submit_sm, as the carrier was given it."""
    source = given.source_addr_ton, given.source_addr_npi, given.source_addr
    return QuerySm(part.smsc_id, *source)


def _cancel(given: Addresses, part: Segment) -> AskPdu:
    """By its id alone: section 4.9.1 has the destination empty then."""
    return CancelSm(
        part.smsc_id,
        source_addr_ton=given.source_addr_ton,
        source_addr_npi=given.source_addr_npi,
        source_addr=given.source_addr,
    )


def _view_answer(number: int, part: Segment, answer: Answer | None) -> CarrierAnswerView:
    if answer is None:
        return CarrierAnswerView(number, part.smsc_id, None, None)
    status = answer.command_status
    shown = CarrierAnswerView(number, part.smsc_id, f"0x{status:08X}", status_name(status))
    if not isinstance(answer, QueryAnswered) or status:
        return shown
    state = answer.message_state
    return CarrierAnswerView(
        number,
        part.smsc_id,
        shown.command_status,
        shown.status,
        None if state is None else MESSAGE_STATES.get(state, str(state)),
        answer.final_date or None,
        answer.error_code,
    )
