"""Three hundred carriers in one daemon: idle they cost next to nothing, and one that is dead, one
that hangs and one that flaps disturb none of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from tests.market import Member, Run, play

CARRIERS: Final = 300

BAD: Final = (
    Member("dead", 0, reach="dead"),
    Member("deaf", 1, reach="deaf"),
    Member("silent", 2, {"lose_response_rate": 1.0}, then="c0"),
    Member("flapping", 3, {"drop_after": 2}),
)
"""Refuses connections; takes them and never answers the bind; binds and never answers a submit;
drops the connection at every third submit."""

MESSAGES: Final = 2
"""For each carrier, a minute apart."""

IDLE_STEPS_MAX: Final = 26.0
"""Of tasks, a bind and a minute, for two enquire_link and their answers: our reader and writer, and
those of the SMSC in the same loop. A timer that ticks would be sixty."""

ALONE_STEPS_MAX: Final = 450.0
"""Of tasks a minute of a daemon by itself: it looks at the disk, its carriers and its own lateness
some times a second."""


def good_members(count: int) -> list[Member]:
    return [Member(f"c{number}", 100 + number) for number in range(count)]


def delivered_at(run: Run, names: Sequence[str]) -> dict[str, float]:
    """When the app was told of each message's receipt."""
    wanted = set(names)
    return {
        ref: at
        for ref, event, at in run.events
        if event == "delivered" and ref.split(".")[0] in wanted
    }


def test_bad_carriers_disturb_none_of_three_hundred(tmp_path: Path) -> None:
    good = good_members(CARRIERS - len(BAD))
    names = [member.name for member in good]
    moments: dict[str, dict[str, float]] = {}

    async def act(run: Run) -> None:
        everyone = [*run.market.members]
        for number in range(MESSAGES):
            await run.submit(everyone, number)
            await trio.sleep(60.0)
        moments[str(len(everyone))] = delivered_at(run, names)
        views = [one for one in run.daemon.status().carriers if one.name in names]
        assert all(view.healthy for view in views)
        assert {bind.reconnects for view in views for bind in view.binds} == {0}
        assert {run.market.dialled[name] for name in names} == {1}

    play(tmp_path / "without", good, act)
    play(tmp_path / "with", [*good, *BAD], act)
    alone, beside = moments.values()
    assert len(beside) == MESSAGES * len(good)
    assert beside == alone


def test_each_bad_carrier_says_what_is_wrong_and_loses_nothing(tmp_path: Path) -> None:
    members = [*good_members(1), *BAD]
    names = [member.name for member in members]

    async def act(run: Run) -> None:
        for number in range(30):
            await run.submit(names, number)
        await trio.sleep(20.0)
        reasons = {name: run.view(name).binds[0].reason for name in names[1:]}
        assert reasons["dead"] == "cannot connect: Connection refused"
        assert "session_init_timer" in reasons["deaf"]
        for number in range(30, 110):
            await run.submit(["silent"], number)
            await trio.sleep(6.0)
        await trio.sleep(60.0)
        last = {ref: event for ref, event, _ in run.events}
        ends = {name: Counter(last.get(f"{name}.{n}", "") for n in range(30)) for name in names}
        assert ends["c0"] == {"delivered": 30}
        assert ends["dead"] == ends["deaf"] == {"": 30}, "they wait"
        assert run.daemon.status().store.queued == 60
        assert ends["flapping"].keys() <= {"delivered", "uncertain"}
        # Some windows without any answer, and its breaker opens: all the rest goes to c0.
        assert run.view("silent").breaker.opened >= 1
        late = Counter(last[f"silent.{number}"] for number in range(80, 110))
        assert late["delivered"] >= 28, late
        # Back-off doubles to a minute: eleven minutes are some fifteen tries, and no hammering.
        assert 10 <= run.market.dialled["dead"] <= 20

    play(tmp_path, members, act)


class Steps(trio.abc.Instrument):
    """Counts how often any task ran."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


def count_idle_steps(directory: Path, members: Sequence[Member]) -> float:
    """Steps of all tasks in a minute without a message."""
    found: list[float] = []

    async def act(run: Run) -> None:
        await trio.sleep(60.0)
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(5 * 60.0)
        trio.lowlevel.remove_instrument(steps)
        found.append(steps.count / 5)

    play(directory, members, act)
    return found[0]


def test_an_idle_bind_wakes_nobody_but_for_its_enquire_links(tmp_path: Path) -> None:
    few = count_idle_steps(tmp_path / "few", good_members(10))
    many = count_idle_steps(tmp_path / "many", good_members(60))
    assert (many - few) / 50 <= IDLE_STEPS_MAX
    assert few <= ALONE_STEPS_MAX + 10 * IDLE_STEPS_MAX
