"""Five minutes in which a carrier throttles everything: its pace before, meanwhile and after.

Run as ``python -m bench.storm``. The store, the dispatch, the committer and the bind are the real
ones, and so is the SMSC (``smppd.simulator``); the clock is a test's, which jumps to whatever is
due next. So eight minutes take seconds, nothing is ever late, and every run is the same.

There are two carriers: one with a limit that throttles with ESME_RTHROTTLED, and one without that
throttles with ESME_RMSGQFUL. A message that fails, is taken twice or overtakes another, a receipt
nobody matched and a pace that does not come back to 95 % are faults, and the exit code 1.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
import trio
import trio.testing
import typer

from bench.plot import check_plot, draw_lines
from bench.processes import RunFailed
from smppd.routing.table import Route, RoutingTable
from smppd.simulator import Behaviour, Link, SimulatedCarrier
from smppd.smpp.constants import ESME_RMSGQFUL, ESME_RTHROTTLED, status_name
from smppd.smpp.rare import Bind
from smppd.smpp.throughput import Throughput
from smppd.smpp.timers import Timers
from smppd.store.changes import Change, NewMessage, Propose
from smppd.store.records import CarrierProfile
from smppd.store.rules import LedgerRules
from smppd.store.store import Store
from smppd.terminal import print_table
from smppd.traffic.breaker import Breaker
from smppd.traffic.carrier import BindKeeper, Endpoint
from smppd.traffic.commit import Committer
from smppd.traffic.dispatch import Dispatch, recover
from smppd.traffic.roster import CarrierState
from smppd.traffic.settle import LinkProfile

CARRIER: Final = "alpha"
APP: Final = "shop"
PHONE: Final = "491701234567"
START_MILLISECONDS: Final = 1_795_292_101_000

CALM_SECONDS: Final = 30.0
"""Before the storm: long enough for a pace to be known."""

RECOVERY_SECONDS_MAX: Final = 90.0
"""By then the pace must be back."""

AFTER_SECONDS: Final = 30.0
"""Measured once it must be."""

LOOK_SECONDS: Final = 1.0
"""Between two points of the plot."""

RESPONSE_SECONDS: Final = 0.1
"""From submit_sm to its response: with a window of WINDOW it is what bounds a carrier without a
limit, at 160 a second (a fifth of the window is kept for one-time codes)."""

WINDOW: Final = 20
ENOUGH: Final = 0.95
BATCH: Final = 500
"""Messages submitted in a commit."""

Point = tuple[float, float]


class Storm(msgspec.Struct, frozen=True):
    """One run: a ``limit`` (0: none) in submits a second, and what the carrier throttles with."""

    limit: float
    status: int
    seconds: float

    @property
    def name(self) -> str:
        """As the table and the plot have it."""
        limit = f"limit {self.limit:g}/s" if self.limit else "no limit"
        return f"{limit}, {status_name(self.status)}"


class StormResult(msgspec.Struct, frozen=True):
    """``before`` and ``after`` are submits a second the carrier took; ``back_after`` the seconds
    from the storm's end until the pace allowed was ENOUGH of the former, -1: never. ``pace`` is
    what was allowed over the seconds, of a carrier without limit at most what it can take."""

    name: str
    messages: int
    taken: int
    throttled: int
    failed: int
    before: float
    after: float
    back_after: float
    faults: list[str]
    pace: list[Point]


class _Nobody:
    """The outbox's part: no app is connected."""

    def wake(self, apps: object) -> None:
        """Events are read at the end."""


class Stage:
    """A store in ``directory``, one carrier and its SMSC."""

    def __init__(self, directory: Path, storm: Storm) -> None:
        self._storm = storm
        table = RoutingTable([Route("49", CARRIER, "0.01")], "EUR")
        throughput = Throughput(storm.limit, keeps=True)
        self.state = CarrierState(
            CARRIER, binds=1, window=WINDOW, throughput=throughput, breaker=Breaker(0.5)
        )
        rules = LedgerRules(carriers={CARRIER: CarrierProfile()}, currency="EUR")
        self.store = Store(directory, rules, map_size=1 << 30)
        dispatch = Dispatch(table, {CARRIER: self.state}, trio.current_time)
        recover(self.store, dispatch, self.wall())
        self.committer = Committer(self.store, dispatch, _Nobody(), self.wall)
        self.smsc = SimulatedCarrier(
            CARRIER, "storm", "storm", self._behaviour(), ledger=True, wall=self._true_time
        )
        self._route = table.route_set_for(PHONE)
        self._keeper = BindKeeper(
            self.state.slots[0],
            Endpoint("smsc", 2775, Bind(system_id="storm", password="storm"), Timers()),
            LinkProfile(CARRIER, 0),
            committer=self.committer,
            dispatch=dispatch,
            store=self.store,
            wall=self.wall,
            dial=self._dial,
            chance=random.Random(1),
        )
        self._nursery: trio.Nursery | None = None

    def wall(self) -> int:
        """The time of day follows the test's clock."""
        return START_MILLISECONDS + round(trio.current_time() * 1000)

    async def run(self, nursery: trio.Nursery) -> None:
        """Serves until cancelled."""
        self._nursery = nursery
        nursery.start_soon(self.committer.run)
        nursery.start_soon(self._keeper.run)

    def rage(self, *, on: bool) -> None:
        """From now on the carrier throttles everything, or nothing."""
        status = self._storm.status
        storm = {"throttle_rate": 1.0, "throttle_status": status} if on else {}
        self.smsc.behaviour = self._behaviour(**storm)

    async def submit(self, count: int) -> None:
        """Messages r0, r1, ... of one app in one lane."""
        for first in range(0, count, BATCH):
            refs = range(first, min(first + BATCH, count))
            await self.committer.commit([self._propose(f"r{number}") for number in refs])

    def _propose(self, ref: str) -> Change:
        assert self._route is not None, "there is a route"
        now = self.wall()
        return Propose(
            APP,
            ref,
            b"d" * 16,
            NewMessage(
                PHONE, 5, 0, "ACME", ref, "transactional", "gsm7", 1, True, None, None,
                now, now + 86_400_000, "resend", self._route.key,
            ),
        )  # fmt: skip

    def _behaviour(self, **changes: object) -> Behaviour:
        fixed = {"response_delay": RESPONSE_SECONDS, "receipt_delay": 1.0, "first_id": 1, "seed": 1}
        return Behaviour(**(fixed | changes))  # type: ignore[arg-type]

    def _true_time(self) -> float:
        return START_MILLISECONDS / 1000 + trio.current_time()

    async def _dial(self, _host: str, _port: int) -> trio.abc.Stream:
        assert self._nursery is not None, "it runs"
        near, far = trio.testing.memory_stream_pair()
        self._nursery.start_soon(Link(far, [self.smsc]).run)
        await trio.lowlevel.checkpoint()
        return near


async def run_storm(storm: Storm, directory: Path) -> StormResult:
    """One carrier's storm; under a test's clock."""
    stage = Stage(directory, storm)
    calm = CALM_SECONDS + RECOVERY_SECONDS_MAX + AFTER_SECONDS
    rate = storm.limit or WINDOW / RESPONSE_SECONDS
    count = int(rate * calm) + WINDOW  # so that something waits to the end
    pace: list[Point] = []
    try:
        with structlog.testing.capture_logs():
            async with trio.open_nursery() as nursery:
                await stage.run(nursery)
                await stage.submit(count)
                nursery.start_soon(_watch_pace, stage.state.throughput, pace)
                await trio.sleep_until(CALM_SECONDS)
                stage.rage(on=True)
                await trio.sleep_until(CALM_SECONDS + storm.seconds)
                stage.rage(on=False)
                await trio.sleep_until(calm + storm.seconds)
                nursery.cancel_scope.cancel()
        return _judge(storm, stage, count, pace)
    finally:
        stage.store.close()


async def _watch_pace(throughput: Throughput, pace: list[Point]) -> None:
    """What is allowed, second by second."""
    while True:
        now = trio.current_time()
        throughput.allowance(now)
        pace.append((now, throughput.statistics().pace))
        await trio.sleep(LOOK_SECONDS)


def _judge(storm: Storm, stage: Stage, count: int, pace: list[Point]) -> StormResult:
    records = stage.smsc.records()
    begun = START_MILLISECONDS / 1000
    taken = [(one.time - begun, int(one.text[1:])) for one in records if one.command_status == 0]
    throttled = sum(1 for one in records if one.command_status == storm.status)
    times = [at for at, _ in taken]
    end = CALM_SECONDS + storm.seconds
    before = _rate(times, 5.0, CALM_SECONDS - 5.0)
    after = _rate(times, end + RECOVERY_SECONDS_MAX, AFTER_SECONDS)
    can_take = storm.limit or before
    capped = [(at, min(allowed, can_take)) for at, allowed in pace]
    back = [at - end for at, allowed in capped if at >= end and allowed >= ENOUGH * can_take]
    return StormResult(
        name=storm.name,
        messages=count,
        taken=len(taken),
        throttled=throttled,
        failed=_count_failed(stage.store),
        before=before,
        after=after,
        back_after=back[0] if back else -1.0,
        faults=list(_find_faults(stage, taken, before, after)),
        pace=capped,
    )


def _find_faults(
    stage: Stage, taken: list[tuple[float, int]], before: float, after: float
) -> Iterable[str]:
    numbers = [number for _, number in taken]
    if len(set(numbers)) != len(numbers):
        yield "a message was taken twice"
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        yield "a message overtook another"
    if failed := _count_failed(stage.store):
        yield f"{failed} messages failed"
    if unmatched := stage.store.statistics().receipts_unmatched:
        yield f"{unmatched} receipts were not matched"
    if stage.state.breaker.statistics(trio.current_time()).opened:
        yield "throttling opened the breaker"
    if after < ENOUGH * before:
        yield f"from {before:.1f} a second before to {after:.1f} after"


def _count_failed(store: Store) -> int:
    """Every final word but ``delivered``."""
    told = store.statistics().told
    return sum(told.get(name, 0) for name in ("failed", "expired", "cancelled", "uncertain"))


def _rate(times: list[float], start: float, seconds: float) -> float:
    return sum(start <= at < start + seconds for at in times) / seconds


def run_all(storms: Iterable[Storm], directory: Path) -> list[StormResult]:
    """Each by a clock and on a store of its own."""
    results = []
    for number, storm in enumerate(storms):
        clock = trio.testing.MockClock(autojump_threshold=0)
        results.append(trio.run(run_storm, storm, directory / str(number), clock=clock))
    return results


COLUMNS: Final = (
    "carrier",
    "taken",
    "throttled",
    "failed",
    "before_/s",
    "after_/s",
    "back_after_s",
)


def _row(result: StormResult) -> list[str]:
    return [
        result.name,
        str(result.taken),
        str(result.throttled),
        str(result.failed),
        f"{result.before:.1f}",
        f"{result.after:.1f}",
        f"{result.back_after:g}" if result.back_after >= 0 else "never",
    ]


def _draw(path: Path, results: list[StormResult], seconds: float) -> None:
    series = {one.name.split(",")[0]: one.pace for one in results}
    failed = sum(one.failed for one in results)
    minutes = f"{seconds / 60:g} minutes"
    title = f"{minutes} of throttling from second {CALM_SECONDS:g} on; messages failed: {failed}"
    draw_lines(path, title, "seconds", "pace: submit_sm a second", series)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    limit: Annotated[
        float, typer.Option(min=1, help="Submits a second, of the limited one.")
    ] = 100,
    seconds: Annotated[float, typer.Option(min=1, help="How long it throttles.")] = 300,
    directory: Annotated[
        Path | None, typer.Option(help="For its stores; default: that of temporary files.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the pace.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """A storm of throttling, by the test's clock."""
    storms = [Storm(limit, ESME_RTHROTTLED, seconds), Storm(0.0, ESME_RMSGQFUL, seconds)]
    try:
        check_plot(plot)
        with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
            results = run_all(storms, Path(place))
        if plot is not None:
            _draw(plot, results, seconds)
    except RunFailed as error:
        raise SystemExit(f"bench.storm: {error}") from None
    if as_json:
        print(msgspec.json.encode(results).decode())
    else:
        _show(results)
    raise SystemExit(1 if any(one.faults for one in results) else 0)


def _show(results: list[StormResult]) -> None:
    print_table("", [name.replace("_", " ") for name in COLUMNS], [_row(one) for one in results])
    print(f"messages failed: {sum(one.failed for one in results)}")
    for one in results:
        for fault in one.faults:
            print(f"{one.name}: {fault}")


if __name__ == "__main__":
    app()
