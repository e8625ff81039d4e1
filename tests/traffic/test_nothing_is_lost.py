"""Whatever carriers, apps, operators, reloads and crashes do, in any order: every message has a
place or has come to its end, and no segment goes out again that a carrier is known to have."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.routing.table import Route
from smppd.smpp.session import Submit
from smppd.store.changes import Cancel, Cancelled, Doubted, Extras, GivenBack, Resolve, Verdict
from smppd.store.records import CarrierProfile
from smppd.text.segment import Form
from tests.house import START, House, tag_of

NAMES = ("alpha", "beta")
TABLES = (
    [Route("49", "alpha", "0.01"), Route("49", "beta", "0.02")],
    [Route("49", "beta", "0.01"), Route("49", "alpha", "0.02")],
    [Route("49", "beta", "0.05")],
)
PROFILES = {"beta": CarrierProfile(form=Form("udh16", "latin1"))}
ENDS = {"sent", "delivered", "failed", "expired", "cancelled", "uncertain", "unconfirmed"}

carriers = st.sampled_from(NAMES)
verdicts = st.sampled_from([Verdict.TAKEN, Verdict.SLOW, Verdict.RETRY, Verdict.REROUTE])
wishes = st.sampled_from(
    [
        None,
        None,
        Extras(carriers=("alpha",)),
        Extras(max_cost="0.04"),
        Extras(send_at=START + 5_000),
        Extras(tlvs={0x1400: b"x"}, flash=True),
    ]
)
steps = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from([1, 1, 3]), wishes),
    st.tuples(st.just("submit"), st.sampled_from([1, 3]), st.none()),
    st.tuples(st.just("begin"), carriers),
    st.tuples(st.just("up"), carriers),
    st.tuples(st.just("take"), carriers, st.integers(1, 3)),
    st.tuples(st.just("take"), carriers, st.integers(1, 3)),
    st.tuples(st.just("down"), carriers, st.booleans()),
    st.tuples(st.just("answer"), carriers, verdicts, st.integers(1, 4)),
    st.tuples(st.just("mode"), carriers, st.sampled_from(["running", "paused", "drained"])),
    st.tuples(st.just("table"), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("remove"), carriers),
    st.tuples(st.just("replace"), carriers),
    st.tuples(st.just("cancel"), st.integers(0, 8)),
    st.tuples(st.just("resolve"), st.integers(0, 8), st.sampled_from(["resend", "drop"])),
    st.tuples(st.just("pass"), st.sampled_from([1, 5, 61])),
    st.tuples(st.just("crash")),
)


class World:
    """A house, what was written to each carrier and not answered, and what was taken."""

    def __init__(self, directory: Path, window: int) -> None:
        self.directory = directory
        self.window = window
        self.table = 0
        self.now = START
        self.configured = list(NAMES)
        self.house = self.open()
        self.written: dict[str, list[Submit]] = {name: [] for name in NAMES}
        self.known_taken: set[bytes] = set()
        self.refs: list[str] = []
        self.ids: list[str] = []

    def open(self) -> House:
        return House(
            self.directory,
            window=self.window,
            carriers=tuple(self.configured),
            profiles=PROFILES,
            routes=TABLES[self.table],
            now=self.now,
        )

    def take(self, name: str, room: int) -> None:
        """The link writes what it was granted."""
        state = self.house.states.get(name)
        if state is None:
            return
        submits = self.house.take(name, room=room)
        assert not (submits and state.mode == "paused"), "a paused carrier was granted"
        for submit in submits:
            assert tag_of(submit) not in self.known_taken, "a taken segment went out again"
        self.written[name] += submits

    def cancel(self, number: int) -> None:
        """An app takes one back: never what a carrier has, or may have."""
        (result,) = self.house.commit([Cancel("shop", ref=f"r{number}")])
        if isinstance(result, Cancelled) and result.count:
            outstanding = {tag_of(submit) for one in self.written.values() for submit in one}
            of_message = bytes.fromhex(self.ids[number])
            assert not [tag for tag in outstanding | self.known_taken if tag[:8] == of_message]

    def submit(self, segments: int, extras: Extras | None) -> None:
        ref = f"r{len(self.refs)}"
        self.refs.append(ref)
        text = "x" * (150 * segments)
        self.ids += self.house.submit(ref, text=text, segments=segments, extras=extras)

    def begin(self, name: str) -> None:
        """One segment of a long message is taken; what else was granted is not written yet."""
        self.submit(3, None)
        self.up(name)
        self.take(name, 1)
        self.answer(name, Verdict.TAKEN, 1)

    def up(self, name: str) -> None:
        if name in self.house.states and not self.house.slot(name).is_up:
            self.house.up(name)

    def down(self, name: str, doubts: bool) -> None:
        """The link ends: what was written is doubt; or, where none of it left, given back."""
        if name not in self.house.states or not self.house.slot(name).is_up:
            return
        tags = [tag_of(submit) for submit in self.written[name]]
        self.written[name].clear()
        back = self.house.dispatch.bind_down(self.house.slot(name))
        kind = Doubted if doubts else GivenBack
        now = self.house.now
        self.house.commit([GivenBack(name, 0, back, now), kind(name, 0, tags, now)])

    def answer(self, name: str, verdict: Verdict, count: int) -> None:
        if name not in self.house.states:
            return
        submits, self.written[name] = self.written[name][:count], self.written[name][count:]
        if verdict is Verdict.TAKEN:
            self.known_taken.update(tag_of(submit) for submit in submits)
        status = 0 if verdict is Verdict.TAKEN else 0x45
        self.house.answer(submits, carrier=name, verdict=verdict, status=status)

    def mode(self, name: str, mode: Literal["running", "paused", "drained"]) -> None:
        if name in self.house.states:
            self.house.set_mode(name, mode)

    def remove(self, name: str) -> None:
        """A reload takes the carrier away, or has it again."""
        if name in self.configured:
            self.down(name, True)
            self.configured.remove(name)
            self.house.remove(name)
        else:
            self.configured.append(name)
            self.house.add(name)

    def replace(self, name: str) -> None:
        if name in self.house.states:
            self.down(name, True)
            state = self.house.make_state(name)
            state.mode = self.house.states[name].mode
            self.house.commit(self.house.dispatch.replace_carrier(state))

    def crash(self) -> None:
        self.house.close()
        self.now = self.house.now
        for written in self.written.values():
            written.clear()
        self.house = self.open()

    def step(self, step: tuple[object, ...]) -> None:
        kind, *rest = step
        house = self.house
        match kind:
            case "table":
                self.table = int(str(rest[0]))
                house.reroute(TABLES[self.table])
                house.commit([])
            case "resolve":
                number = int(str(rest[0]))
                if number < len(self.ids):
                    house.commit([Resolve(self.ids[number], rest[1], house.now)])  # type: ignore[arg-type]
            case "pass":
                house.pass_time(float(str(rest[0])))
            case _:
                getattr(self, str(kind))(*rest)
        self.check()

    def check(self) -> None:
        """Every message that waits has its row, and no other has."""
        waiting = 0
        for ref in self.refs:
            view = self.house.store.query("shop", ref=ref)
            assert view is not None
            states = [part.state for part in view.parts]
            waiting += view.state == "queued" and "waiting" in states and "refused" not in states
        assert self.house.store.statistics().queued == waiting

    def finish(self) -> None:
        """What is configured works again, long enough: every message comes to its end."""
        if not self.configured:
            self.remove("beta")
        for name in self.configured:
            self.mode(name, "running")
            self.up(name)
        self.house.commit([])
        for _ in range(200):
            for name in NAMES:
                self.take(name, 100)
            if not any(self.written.values()) and not self.house.store.statistics().queued:
                break
            for name in NAMES:
                self.answer(name, Verdict.TAKEN, 100)
            self.house.pass_time(10)
        told = self.house.told()
        for ref in self.refs:
            events = [event for of, event in told if of == ref]
            assert events, f"{ref} was never heard of again"
            assert events[-1] in ENDS, f"{ref} ended {events}"
            closing = {"delivered", "failed", "expired", "cancelled"}
            assert sum(event in closing for event in events) <= 1
            assert events.count("sent") <= 1


@settings(max_examples=60)
@given(st.lists(steps, min_size=5, max_size=50), st.sampled_from([1, 2, 5]))
def test_every_message_comes_to_an_end_whatever_happens(
    taken: list[tuple[object, ...]], window: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "state", window)
        try:
            for step in taken:
                world.step(step)
            world.finish()
        finally:
            world.house.close()
