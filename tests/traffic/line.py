"""A link and the SMSC at its other end, on a real store: the SMSC does only what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio
import trio.testing

from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.session import Deliver, Session, SubmitAnswer, Timers
from smppd.smpp.signals import BindReceived, DeliverAnswered, PeerUnbound, Signal, SubmitReceived
from smppd.traffic.commit import Committer
from smppd.traffic.link import Link, LinkEnd
from smppd.traffic.settle import LinkProfile
from tests.house import START, House
from tests.smpp.pair import CREDENTIALS

TIMERS = Timers(
    session_init_timer=10.0, enquire_link_timer=0.0, response_timer=30.0, inactivity_timer=0.0
)
PATIENT = Timers(
    session_init_timer=1e6, enquire_link_timer=0.0, response_timer=1e6, inactivity_timer=0.0
)
"""The SMSC's own: it never ends anything by itself."""


class Smsc:
    """One stream seen from the SMSC. Signals are kept until somebody waits for them."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.session = Session("smsc", window=1_000, timers=PATIENT, now=trio.current_time())
        self.received: list[Signal] = []
        self.at_end = False

    async def flush(self) -> None:
        """Writes what the session has to say."""
        if data := self.session.data_to_send():
            await self.stream.send_all(data)

    async def read(self) -> None:
        """One read, and what answers itself."""
        data = await self.stream.receive_some(65_536)
        self.at_end = not data
        self.received += self.session.receive_data(data, trio.current_time())
        await self.flush()

    async def read_until(self, condition: Callable[[], bool]) -> None:
        """Reads on until ``condition`` holds or the stream ends."""
        while not condition() and not self.at_end:
            await self.read()
        assert condition(), f"the stream ended with {self.received}"

    async def read_to_end(self) -> None:
        """Reads on until the other side has closed."""
        while not self.at_end:
            await self.read()

    async def accept_bind(self) -> BindReceived:
        """Waits for a bind, and lets it in."""
        await self.read_until(lambda: bool(self.received))
        signal = self.received.pop(0)
        assert isinstance(signal, BindReceived), signal
        self.session.accept_bind(signal, "centre", trio.current_time())
        await self.flush()
        return signal

    async def refuse_bind(self, command_status: int) -> None:
        """Waits for a bind, and refuses it."""
        await self.read_until(lambda: bool(self.received))
        signal = self.received.pop(0)
        assert isinstance(signal, BindReceived), signal
        self.session.refuse_bind(signal, command_status, trio.current_time())
        await self.flush()

    async def take_submits(self, count: int) -> list[SubmitReceived]:
        """Waits for ``count`` submits, and hands them out."""
        await self.read_until(lambda: len(self._of(SubmitReceived)) >= count)
        taken = [one for one in self._of(SubmitReceived) if isinstance(one, SubmitReceived)]
        self.received = [one for one in self.received if one not in taken]
        assert len(taken) == count, taken
        return taken

    async def answer(
        self, submits: list[SubmitReceived], command_status: int = 0, prefix: str = "m"
    ) -> None:
        """Answers them in one write; the message_ids are numbered from the sequence_number."""
        answers = [
            SubmitAnswer(
                submit.sequence_number,
                command_status,
                "" if command_status else f"{prefix}{submit.sequence_number}",
            )
            for submit in submits
        ]
        self.session.answer(answers)
        await self.flush()

    async def deliver(self, *pdus: DeliverSm) -> None:
        """Sends these in one write."""
        self.session.deliver([Deliver(pdu, pdu) for pdu in pdus], trio.current_time())
        await self.flush()

    async def wait_acknowledged(self, count: int) -> list[int]:
        """The command_status of ``count`` deliver_sm_resp."""
        await self.read_until(lambda: len(self._of(DeliverAnswered)) >= count)
        answers = [one for one in self.received if isinstance(one, DeliverAnswered)]
        self.received = [one for one in self.received if one not in answers]
        return [answer.command_status for answer in answers]

    async def wait_unbind(self) -> None:
        """Returns once the other side has unbound, which has been answered."""
        await self.read_until(lambda: bool(self._of(PeerUnbound)))

    async def unbind(self) -> None:
        """Asks to end the bind."""
        self.session.unbind(trio.current_time())
        await self.flush()

    def _of(self, kind: type[Signal]) -> list[Signal]:
        return [one for one in self.received if isinstance(one, kind)]


class Torrent(trio.abc.Stream):
    """A stream that, once ``octets`` are set, has them to read at every pass, without end."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.octets = b""
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if not self.octets:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        return self.octets

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Line:
    """A house with a committer, and links of it to SMSCs of ours."""

    def __init__(self, house: House, links: trio.Nursery, committing: trio.Nursery) -> None:
        self.house = house
        self.committer = Committer(house.store, house.dispatch, self, self.wall)
        self.notices: list[Signal] = []
        self._links = links
        self._committing = committing
        self._told = trio.Event()

    def wall(self) -> int:
        """The time of day follows trio's clock."""
        self.house.now = START + round(trio.current_time() * 1000)
        return self.house.now

    def wake(self, apps: object) -> None:
        """The outbox's part: events were committed."""
        self._told.set()
        self._told = trio.Event()

    def start_committing(self) -> None:
        """The disk answers from here on."""
        self._committing.start_soon(self.committer.run)

    async def submit(self, *refs: str, **fields: object) -> None:
        """Messages from an app, on disk when this returns."""
        await self.committer.commit([self.house.propose(ref, **fields) for ref in refs])  # type: ignore[arg-type]

    async def wait_told(self, count: int) -> list[tuple[str, str]]:
        """``(ref, event)`` of every event, once there are ``count``."""
        while len(self.house.told()) < count:
            await self._told.wait()
        return self.house.told()

    def open_link(
        self,
        *,
        carrier: str = "alpha",
        bind: int = 0,
        timers: Timers = TIMERS,
        lockstep: bool = False,
        profile: LinkProfile | None = None,
    ) -> Tie:
        """A link that asks to be bound, and its SMSC."""
        slot = self.house.slot(carrier, bind)
        pair = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
        ours, theirs = pair()
        torrent = Torrent(ours)
        session = Session("esme", window=slot.window, timers=timers, now=trio.current_time())
        bind_as = msgspec.structs.replace(CREDENTIALS, kind=slot.kind)
        session.bind(bind_as, trio.current_time())
        link = Link(
            torrent,
            session,
            slot,
            profile or LinkProfile(carrier, bind),
            committer=self.committer,
            dispatch=self.house.dispatch,
            store=self.house.store,
            wall=self.wall,
            write_seconds_max=timers.response_timer,
            notice=lambda signal, _: self.notices.append(signal),
        )
        tie = Tie(link, Smsc(theirs), torrent)
        self._links.start_soon(tie.run)
        return tie

    async def bind(
        self,
        *,
        carrier: str = "alpha",
        bind: int = 0,
        timers: Timers = TIMERS,
        lockstep: bool = False,
        profile: LinkProfile | None = None,
    ) -> Tie:
        """A link that is bound."""
        tie = self.open_link(
            carrier=carrier, bind=bind, timers=timers, lockstep=lockstep, profile=profile
        )
        await tie.smsc.accept_bind()
        while not self.house.slot(carrier, bind).is_up:
            await trio.lowlevel.checkpoint()
        return tie


class Tie:
    """A running link, and its SMSC at the other end of ``torrent``."""

    def __init__(self, link: Link, smsc: Smsc, torrent: Torrent) -> None:
        self.link = link
        self.smsc = smsc
        self.torrent = torrent
        self._end: LinkEnd | None = None
        self._ended = trio.Event()

    async def run(self) -> None:
        """Carries the link to its end."""
        self._end = await self.link.run()
        self._ended.set()

    async def wait_end(self) -> LinkEnd:
        """How the link ended, once it has."""
        await self._ended.wait()
        assert self._end is not None
        return self._end

    @property
    def has_ended(self) -> bool:
        """Whether the link has ended."""
        return self._end is not None


@asynccontextmanager
async def open_line(
    directory: Path, *, is_committing: bool = True, **settings: object
) -> AsyncIterator[Line]:
    """A house (``settings`` are its own) whose committer runs until the body ends, from the start
    or from ``start_committing`` on: a disk that takes its time."""
    house = House(directory / "state", clock=trio.current_time, **settings)  # type: ignore[arg-type]
    try:
        async with trio.open_nursery() as committing:
            async with trio.open_nursery() as links:
                line = Line(house, links, committing)
                if is_committing:
                    line.start_committing()
                yield line
                links.cancel_scope.cancel()
            committing.cancel_scope.cancel()
    finally:
        house.close()


def text_of(submit: SubmitReceived) -> str:
    """The text of a short submit_sm."""
    pdu: SubmitSm = submit.pdu
    return pdu.short_message.decode("ascii")
