"""What the store keeps, for the operator: a backup of it, and what it knows of one phone number.

The copying and the walking are the store's; here they run beside the traffic, a slice or a thread
at a time, and are told in the log without the number they are about.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
import structlog
import trio
from msgspec import UNSET

from smppd.api.controls import ControlFault
from smppd.api.requests import Export
from smppd.api.views import BackupView, ExportedView, ForgottenView, FoundMessage, KnownRecord
from smppd.log import mask
from smppd.routing.msisdn import NumberPlan
from smppd.store import keys
from smppd.store.backup import Backup, Copied, NotCopied
from smppd.store.changes import FORGET_MAX, Cancel, Cancelled, Change, Forget, Forgotten
from smppd.store.known import SLICE_ROWS, Place, Slice
from smppd.store.store import Store
from smppd.traffic.commit import Committer
from smppd.traffic.compose import forget_texts

PAGE_ROWS_MAX: Final = 100_000
"""Rows looked at for one page of an export: a second or two, then its asker hears of it."""

PAGE_OCTETS_MAX: Final = 4 * 1024 * 1024
"""Of a page's records, past which it ends: a record has up to a megabyte, an answer sixteen."""

LEFT_SHOWN_MAX: Final = 100
"""Messages on their way that ``forget`` names."""

EVENT_ROWS: Final = 50
"""Rows of events looked at in one slice: some three thousand lines, five milliseconds."""

ROUND_MAX: Final = 10_000
"""Messages forgotten in one round, which reads all events that are kept: their ids are in memory
until its end."""

EXPORTED: Final[tuple[Place, ...]] = (
    "messages",
    "inbound_parts",
    "inbound",
    "unmatched",
    "quarantine",
)
"""What an export walks through, in this order: what is told meanwhile is not missed."""

_PUNCTUATION: Final = re.compile(r"[ ().\-]")
"""What people write numbers with."""

_DIGIT: Final = re.compile(r"\d")

Item = TypeVar("Item")

ALIVE_STATES: Final = frozenset({"queued", "sent"})
"""Of messages that are on their way."""

log = structlog.get_logger("smppd.control")


class RunsInThread(Protocol):
    """As ``daemon/outside.py`` has it."""

    def __call__(
        self, work: Callable[[], Copied | NotCopied], /
    ) -> Awaitable[Copied | NotCopied]: ...


class Keeping:
    """See ``api/controls.py`` for what each verb is."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        numbers: NumberPlan,
        wall: Callable[[], int],
        run_in_thread: RunsInThread,
    ) -> None:
        self._store = store
        self._committer = committer
        self._numbers = numbers
        self._wall = wall
        self._run_in_thread = run_in_thread
        self._is_copying = False

    # -- backup ---

    async def backup(self, directory: str) -> BackupView | ControlFault:
        """A whole copy of the store; traffic goes on meanwhile."""
        if self._is_copying:
            return ControlFault("busy", "a backup is being made already; wait for its end")
        self._is_copying = True
        started = trio.current_time()
        try:
            copy = self._store.backup(Path(directory), self._wall())
            try:
                made = await self._run(copy)
            finally:
                self._store.end_backup()
        finally:
            self._is_copying = False
        seconds = round(trio.current_time() - started, 3)
        if isinstance(made, NotCopied):
            log.warning("backup_failed", directory=directory, reason=made.reason)
            return ControlFault(made.code, made.reason)
        log.info("backup_made", directory=directory, octets=made.octets, duration_s=seconds)
        return BackupView(made.path, made.octets, made.messages, seconds)

    async def _run(self, copy: Backup) -> Copied | NotCopied:
        """Waits for the thread also when cancelled, as it reads the store; but then not long."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_when_cancelled, copy)
            made = await self._run_in_thread(copy.run)
            nursery.cancel_scope.cancel()
        return made

    # -- export ---

    async def export(self, asked: Export) -> ExportedView | ControlFault:
        """A page of what is known of a number."""
        cursor = _read_cursor("" if asked.after is UNSET else asked.after)
        if cursor is None:
            reason = "export: 'after' must be the 'next' of the page before"
            return ControlFault("bad_request", reason)
        number = self._read_number(asked.number)
        page = _Page(asked.limit)
        looked = 0
        while not page.is_full and looked < PAGE_ROWS_MAX:
            part = self._store.know(cursor.place, number, cursor.after)
            cursor = self._show(part, cursor, page)
            if cursor is None:
                log.info("number_exported", number=hide(number))
                return ExportedView(page.records, None)
            looked += SLICE_ROWS
            await trio.lowlevel.checkpoint()
        return ExportedView(page.records, f"{cursor.place}:{cursor.after.hex()}")

    def _show(self, part: Slice, cursor: _Cursor, page: _Page) -> _Cursor | None:
        """Puts what was found on the page; where to go on, None at the end of all."""
        for found in part.found:
            if page.is_full:
                return cursor
            record = self._store.show_known(cursor.place, found)
            if record is not None:
                page.add(record)
            cursor = _Cursor(cursor.place, found.key)
        if part.after is not None:
            return _Cursor(cursor.place, part.after)
        return next(
            (_Cursor(after, b"") for before, after in pairwise(EXPORTED) if before == cursor.place),
            None,
        )

    # -- forget ---

    async def forget(self, asked: str) -> ForgottenView:
        """What can be cancelled is, what has ended is emptied or deleted, what is left is named."""
        number = self._read_number(asked)
        forgetting = _Forgetting()
        await self._delete("inbound_parts", number, forgetting)  # before they can be told
        after: bytes | None = b""
        while after is not None:
            after = await self._forget_messages(number, after, forgetting)
        deleted: tuple[Place, ...] = ("inbound", "unmatched", "quarantine")
        for place in deleted:
            await self._delete(place, number, forgetting)
        await self._commit(Forget(number, is_last=not forgetting.left), forgetting)
        forget_texts()
        done = forgetting
        log.info(
            "number_forgotten",
            number=hide(number),
            messages=done.messages,
            cancelled=done.cancelled,
            events=done.events,
            inbound=done.inbound,
            unmatched=done.unmatched,
            quarantined=done.quarantined,
            left=done.left,
        )
        return ForgottenView(
            done.messages,
            done.cancelled,
            done.events,
            done.inbound,
            done.unmatched,
            done.left,
            done.messages_left,
            done.quarantined,
        )

    async def _forget_messages(
        self, number: str, after: bytes, forgetting: _Forgetting
    ) -> bytes | None:
        """One round: what ROUND_MAX messages said, their events, their number; where the next one
        begins, None where there is none. The order is ``store/privacy.py``'s."""
        ended: list[int] = []
        goes_on: bytes | None = after
        while goes_on is not None and len(ended) < ROUND_MAX:
            part = self._store.know("messages", number, goes_on)
            ended += await self._end([found.id for found in part.found], forgetting)
            goes_on = part.after
            await trio.lowlevel.checkpoint()
        for batch in _cut(ended):
            await self._commit(Forget(number, contents=batch), forgetting)
        await self._empty_events(number, ended, forgetting)
        for batch in _cut(ended):
            await self._commit(Forget(number, messages=batch), forgetting)
        return goes_on

    async def _end(self, ids: list[int], forgetting: _Forgetting) -> list[int]:
        """Those of the messages that have ended; who can be cancelled is among them."""
        found = [message for one in ids if (message := self._store.find_by_id(one)) is not None]
        alive = [message for message in found if message.state in ALIVE_STATES]
        for batch in _cut(alive):
            cancels: list[Change] = [Cancel(one.app, message_id=one.id) for one in batch]
            for message, result in zip(batch, await self._committer.commit(cancels), strict=True):
                if isinstance(result, Cancelled) and result.count:
                    forgetting.cancelled += 1
                else:
                    forgetting.leave(message)
        left = {message.id for message in forgetting.messages_seen}
        forgetting.messages_seen.clear()
        return [one for one in ids if keys.show_id(one) not in left]

    async def _empty_events(self, number: str, ids: list[int], forgetting: _Forgetting) -> None:
        told = frozenset(map(keys.show_id, ids))
        after: bytes | None = b""
        while after is not None:
            part = self._store.know("events", number, after, told=told, rows_max=EVENT_ROWS)
            if part.found:
                rows = [found.key for found in part.found]
                await self._commit(Forget(number, events=rows, told=told), forgetting)
            after = part.after
            await trio.lowlevel.checkpoint()

    async def _delete(self, place: Place, number: str, forgetting: _Forgetting) -> None:
        after: bytes | None = b""
        while after is not None:
            part = self._store.know(place, number, after)
            for batch in _cut(part.found):
                if place in ("inbound", "inbound_parts"):  # of these several rows have one id
                    change = Forget(number, inbound=list({found.id: None for found in batch}))
                elif place == "quarantine":
                    change = Forget(number, quarantined=[found.id for found in batch])
                else:
                    change = Forget(number, unmatched=[found.key for found in batch])
                await self._commit(change, forgetting)
            after = part.after
            await trio.lowlevel.checkpoint()

    async def _commit(self, change: Forget, forgetting: _Forgetting) -> None:
        (result,) = await self._committer.commit([change])
        assert isinstance(result, Forgotten), f"a Forget does not answer {result!r}"
        forgetting.add(result)

    def _read_number(self, number: str) -> str:
        """E.164 digits where it is such a number, else as it was written."""
        judged = self._numbers.judge(number, None, False)
        if isinstance(judged, str):
            return judged.removeprefix("+")
        digits = _PUNCTUATION.sub("", number).removeprefix("+")
        return digits if digits.isdecimal() else number


class _Cursor(msgspec.Struct, frozen=True):
    """Where a page begins: after this key of this table."""

    place: Place
    after: bytes


class _Page:
    """Records of an export, as many as one answer may hold."""

    def __init__(self, limit: int) -> None:
        self.records: list[KnownRecord] = []
        self._limit = limit
        self._octets = 0

    @property
    def is_full(self) -> bool:
        return len(self.records) >= self._limit or self._octets > PAGE_OCTETS_MAX

    def add(self, record: KnownRecord) -> None:
        self.records.append(record)
        self._octets += len(msgspec.json.encode(record))


class _Forgetting:
    """What a ``forget`` has come to so far."""

    def __init__(self) -> None:
        self.messages = self.events = self.inbound = self.unmatched = 0
        self.cancelled = self.left = self.quarantined = 0
        self.messages_left: list[FoundMessage] = []
        self.messages_seen: list[FoundMessage] = []

    def add(self, result: Forgotten) -> None:
        """What one change did."""
        self.messages += result.messages
        self.events += result.events
        self.inbound += result.inbound
        self.unmatched += result.unmatched
        self.quarantined += result.quarantined

    def leave(self, message: FoundMessage) -> None:
        """It is on its way, and stays as it is."""
        self.left += 1
        self.messages_seen.append(message)
        if len(self.messages_left) < LEFT_SHOWN_MAX:
            self.messages_left.append(message)


def hide(number: str) -> str:
    """As the log may have it, whatever an operator wrote: no number is whole in it.

    >>> hide("4915112345678"), hide("O151/12345678"), hide("ACME")
    ('4915****5678', 'O***/********', 'ACME')
    """
    masked = mask(number)
    return _DIGIT.sub("*", number) if masked == number else masked


async def _stop_when_cancelled(copy: Backup) -> None:
    try:
        await trio.sleep_forever()
    finally:
        copy.stop()


def _cut(items: list[Item]) -> Iterator[list[Item]]:
    """What one change may be given of each kind."""
    return (items[start : start + FORGET_MAX] for start in range(0, len(items), FORGET_MAX))


def _read_cursor(text: str) -> _Cursor | None:
    """Where a page begins; None where it was no ``next`` of ours."""
    if not text:
        return _Cursor(EXPORTED[0], b"")
    name, _, after = text.partition(":")
    try:
        return next(_Cursor(place, bytes.fromhex(after)) for place in EXPORTED if place == name)
    except (StopIteration, ValueError):
        return None
