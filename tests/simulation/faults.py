"""Everything that goes wrong, drawn from the seed: what, when, to whom, and for how long.

Not every seed has every kind: a world without crashes finds what crashes would have hidden (swarm
testing, Groce et al., ISSTA 2012). Each kind draws from a chance of its own, so that taking one
out leaves the others as they were; so a failing seed can be tried with fewer (``--without``).
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from smppd.faults import POINTS
from smppd.simulator.delay import Uniform
from smppd.smpp.constants import ESME_RALYBND, ESME_RINVPASWD, ESME_RMSGQFUL, ESME_RSYSERR
from tests.simulation.natures import STATUSES
from tests.simulation.net import Break
from tests.simulation.setup import BROKEN

if TYPE_CHECKING:
    from tests.simulation.carriers import Carrier
    from tests.simulation.world import World

HOUR: Final = 3_600.0
DAY: Final = 86_400.0

OFTEN: Final = {"carrier misbehaves": 5, "phone writes": 2}
"""Kinds of which there are many, beside those of which there is one."""

WALL_OFF_SECONDS_MAX: Final = 5 * DAY
"""All jumps together: retention, of 60 days and more, is another test's."""

FULL_RATE: Final = 0.5
"""Of commits that find no room on a full disk: others fit into pages that are free."""

POINT_COUNT_MAX: Final = 30
"""Times a point is passed before the crash that is to happen there."""


class Faults:
    """``counts`` are what happened, by kind. ``without`` are kinds that must not."""

    def __init__(self, world: World, without: frozenset[str]) -> None:
        self.world = world
        self.counts: Counter[str] = Counter()
        self.is_over = False
        self.is_disk_full = False
        self._plan: random.Random = world.chance("faults")
        self._kinds: dict[str, Callable[[random.Random], Awaitable[None]]] = {
            "link cut": self._cut_link,
            "link silent": self._silence_link,
            "carrier misbehaves": self._misbehave,
            "carrier out of reach": self._hide,
            "odd receipts": self._send_odd,
            "app cut": self._cut_app,
            "app does not read": self._stop_reading,
            "reload": self._reload,
            "broken reload": self._reload_broken,
            "mode": self._set_mode,
            "resolve": self._resolve,
            "crash at a point": self._arm_crash,
            "crash": self._crash,
            "stop": self._stop,
            "hurried stop": self._hurry,
            "disk error": self._arm_disk_error,
            "disk full": self._fill_disk,
            "clock jump": self._jump,
            "clock slew": self._slew,
            "phone writes": self._write_in,
            "rubbish": self._send_rubbish,
            "carrier asked": self._ask_carrier,
            "tap": self._tap,
            "quarantine": self._look_at_rubbish,
        }
        self._chances = {name: world.chance(f"fault {name}") for name in self._kinds}
        share = self._plan.uniform(0.3, 1.0)
        self.enabled = [
            name for name in self._kinds if (self._plan.random() < share) and name not in without
        ]
        self.every = self._plan.choice([1.0, 4.0, 15.0, 60.0])
        self._points: dict[str, tuple[int, str]] = {}
        self._off = 0.0

    async def run(self) -> None:
        """Until the world heals."""
        weights = {
            name: self._plan.choice([1, 1, 2, 5]) * OFTEN.get(name, 1) for name in self._kinds
        }
        names = list(self._kinds)
        while not self.is_over:
            await trio.sleep(self._plan.expovariate(1 / self.every))
            # Drawn from all kinds, so that one taken out shifts nothing of the others.
            (name,) = self._plan.choices(names, [weights[name] for name in names])
            if name in self.enabled and not self.is_over:
                kind = partial(self._kinds[name], self._chances[name])
                self.world.nursery.start_soon(self.world.guard, kind)

    def stop(self) -> None:
        """No more; what is pending is called off."""
        self.is_over = True
        self.is_disk_full = False
        self._points.clear()

    def at_point(self, name: str) -> str:
        """What is to happen at this fault point: nothing (""), ``kill``, ``io_error`` or
        ``no_room``."""
        if self.is_over:
            return ""
        if self.is_disk_full and self._finds_no_room(name):
            self._count(f"no room at {name}")
            return "no_room"
        pending = self._points.get(name)
        if pending is None:
            return ""
        left, what = pending
        if left > 1:
            self._points[name] = (left - 1, what)
            return ""
        del self._points[name]
        self._count(f"{'crash' if what == 'kill' else 'disk error'} at {name}")
        return what

    def _finds_no_room(self, name: str) -> bool:
        if name == "store.written":
            return self._chances["disk full"].random() < FULL_RATE
        return name == "store.allocating"

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        self.world.digest.add(f"fault {kind}")

    # -- connections ---

    async def _cut_link(self, chance: random.Random) -> None:
        self._break(chance, "carrier", chance.choice(["reset", "end"]), "link cut")

    async def _silence_link(self, chance: random.Random) -> None:
        self._break(chance, "carrier", "silence", "link silent")

    async def _cut_app(self, chance: random.Random) -> None:
        self._break(chance, "app", chance.choice(["reset", "end"]), "app cut")

    def _break(self, chance: random.Random, kind: str, how: Break, name: str) -> None:
        life = self.world.life
        found = [] if life is None else life.open_connections(kind)
        octets, way, is_now = chance.randint(0, 1_500), chance.randint(0, 1), chance.random()
        where = chance.random()
        if not found:
            return
        connection = found[int(where * len(found))]
        self._count(f"{name} ({how})" if how != "silence" else name)
        if is_now < 0.3:
            connection.break_now(how)
        else:
            connection.break_after(octets, way, how)

    async def _stop_reading(self, chance: random.Random) -> None:
        app = self.world.apps[chance.choice(list(self.world.apps))]
        self._count("app does not read")
        app.is_reading = False
        await trio.sleep(chance.expovariate(1 / 120))
        app.is_reading = True
        app._move()

    # -- carriers ---

    async def _misbehave(self, chance: random.Random) -> None:
        carrier = self._carrier(chance)
        name, changes = draw_behaviour(chance)
        self._count(f"carrier: {name}")
        carrier.behave(**changes)
        await trio.sleep(chance.expovariate(1 / 60))
        carrier.behave_as_usual()

    async def _hide(self, chance: random.Random) -> None:
        carrier = self._carrier(chance)
        carrier.reach = chance.choice(["refused", "silent", "deaf"])
        self._count(f"carrier {carrier.reach}")
        await trio.sleep(chance.expovariate(1 / 40))
        carrier.reach = "well"

    async def _send_odd(self, chance: random.Random) -> None:
        carrier = self._carrier(chance)
        self._count("odd receipts")
        carrier.smsc.is_odd = True
        await trio.sleep(chance.expovariate(1 / 60))
        carrier.smsc.is_odd = False

    async def _write_in(self, chance: random.Random) -> None:
        self._count("phone writes")
        self.world.phones.write(self._carrier(chance))

    async def _send_rubbish(self, chance: random.Random) -> None:
        carrier = self._carrier(chance)
        self._count("rubbish")
        carrier.is_noisy = True
        await trio.sleep(chance.expovariate(1 / 60))
        carrier.is_noisy = False

    def _carrier(self, chance: random.Random) -> Carrier:
        return self.world.carriers[chance.choice(list(self.world.carriers))]

    # -- the operator ---

    async def _reload(self, chance: random.Random) -> None:
        self._count(f"reload: {self.world.setup.change()}")
        self.world.note_change()
        if chance.random() < 0.3 and self.world.life is not None:
            self.world.life.signal(signal.SIGHUP)
        else:
            await self.world.operator.reload_right()

    async def _reload_broken(self, chance: random.Random) -> None:
        self._count("broken reload")
        await self.world.operator.reload_broken(chance.choice(BROKEN))

    async def _set_mode(self, chance: random.Random) -> None:
        verb = chance.choice(["pause", "drain"])
        carrier = chance.choice(list(self.world.carriers))
        seconds = chance.expovariate(1 / 60)
        self._count(verb)
        await self.world.operator.set_mode(verb, carrier)
        await trio.sleep(seconds)
        await self.world.operator.set_mode("resume", carrier)

    async def _resolve(self, _: random.Random) -> None:
        self._count("resolve")
        await self.world.operator.resolve()

    async def _ask_carrier(self, chance: random.Random) -> None:
        action = chance.choice(["query", "query", "cancel"])
        self._count(f"carrier asked: {action}")
        await self.world.operator.ask_carrier(action)

    async def _tap(self, chance: random.Random) -> None:
        self._count("tap")
        carrier = chance.choice(list(self.world.carriers))
        await self.world.operator.tap(carrier, chance.expovariate(1 / 20))

    async def _look_at_rubbish(self, _: random.Random) -> None:
        self._count("quarantine")
        await self.world.operator.look_at_rubbish()

    # -- the daemon ---

    async def _arm_crash(self, chance: random.Random) -> None:
        self._points[chance.choice(list(POINTS))] = (chance.randint(1, POINT_COUNT_MAX), "kill")

    async def _arm_disk_error(self, chance: random.Random) -> None:
        self._points["store.written"] = (chance.randint(1, POINT_COUNT_MAX), "io_error")

    async def _fill_disk(self, chance: random.Random) -> None:
        """Somebody else fills the disk, and makes room again."""
        seconds = chance.expovariate(1 / 20)
        self._count("disk full")
        self.is_disk_full = True
        await trio.sleep(seconds)
        self.is_disk_full = False

    async def _crash(self, _: random.Random) -> None:
        if self.world.life is not None:
            self._count("crash at any time")
            self.world.life.kill()

    async def _stop(self, _: random.Random) -> None:
        if self.world.life is not None:
            self._count("SIGTERM")
            self.world.life.signal(signal.SIGTERM)

    async def _hurry(self, chance: random.Random) -> None:
        seconds = chance.uniform(0.0, 5.0)
        life = self.world.life
        if life is not None:
            self._count("SIGTERM twice")
            life.signal(signal.SIGTERM)
            await trio.sleep(seconds)
            if not self.is_over:
                life.signal(signal.SIGTERM)

    # -- time ---

    async def _jump(self, chance: random.Random) -> None:
        seconds = chance.choice([HOUR, -HOUR, DAY, -DAY, 2.0, -2.0, 61.0, -61.0])
        if abs(self._off + seconds) <= WALL_OFF_SECONDS_MAX:
            self._off += seconds
            self._count(f"clock jump of {seconds:+g} s")
            self.world.wall.jump(seconds)

    async def _slew(self, chance: random.Random) -> None:
        self._count("clock slew")
        self.world.wall.slew(chance.choice([0.05, -0.05, 0.0005]))
        await trio.sleep(chance.expovariate(1 / 120))
        self.world.wall.slew(0.0)


def draw_behaviour(chance: random.Random) -> tuple[str, dict[str, object]]:
    """How a carrier misbehaves, and what that is called."""
    count = chance.randint(0, 20)
    rate = chance.choice([0.1, 0.5, 1.0])
    late = Uniform(0.1, 90.0)
    tables: dict[str, dict[str, object]] = {
        "throttles": {"throttle_rate": rate},
        "queue full": {"throttle_rate": rate, "throttle_status": ESME_RMSGQFUL},
        "throttles by the second": {"throttle_per_second": 1 + count},
        "refuses": {"refuse_rate": rate},
        "refuses for now": {"refuse_rate": rate, "refuse_status": ESME_RSYSERR},
        "says what only it means": {
            "refuse_rate": rate,
            "refuse_status": 0x401 + count % len(STATUSES),
        },
        "loses responses": {"lose_response_rate": rate},
        "slow responses": {"response_delay": Uniform(0.1, 15.0)},
        "loses receipts": {"lose_receipt_rate": rate},
        "doubles receipts": {"double_receipt_rate": rate, "receipt_delay": 1.0},
        "late receipts, out of order": {"receipt_delay": late},
        "receipts before responses": {
            "receipts_before_responses": True,
            "response_delay": 0.5,
            "receipt_delay": Uniform(0.0, 2.0),
        },
        "enroute receipts": {"enroute_rate": rate, "receipt_delay": 2.0},
        "expired": {"expired_rate": rate, "receipt_delay": 1.0},
        "undelivered": {"undelivered_rate": rate, "receipt_delay": 1.0},
        "hangs": {"hang_after": count},
        "drops": {"drop_after": count},
        "reads nothing": {"stop_reading_after": count},
        "unbinds": {"unbind_after": count},
        "unbinds with a full window": {"unbind_after": count, "response_delay": 2.5},
        "refuses binds": {"bind_status": ESME_RINVPASWD},
        "already bound": {"bind_status": ESME_RALYBND},
        "one bind at most": {"binds_max": 1},
    }
    name = chance.choice(list(tables))
    return name, tables[name]
