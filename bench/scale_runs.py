"""What ``bench.scale`` measures: five ways to grow, each prepared once and measured in turn.

A run is a fresh daemon, SMSC and client on a directory that stays. Each round speaks as another
app, so that refs and events of the earlier rounds are nobody's.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.fill import MAP_BYTES, What, fill
from bench.probe import Asked, Probe
from bench.processes import Child, MemoryWatch, RunFailed
from bench.report import BUSY_SHARE
from bench.stand import CARRIERS_MAX as STAND_CARRIERS_MAX
from bench.stand import CURRENCY, Counted, Smsc, Stand
from bench.submits import PREFIX
from smppd.config import load
from smppd.daemon.build import build_rules, build_table
from smppd.store.store import Store

WARM_MESSAGES: Final = 2_000
"""Before the clock runs: the first of a country compiles its numbering plan, and the like."""

CARRIERS_MAX: Final = 30
"""Over which binds are spread; one carrier has 64 at most."""

SAMPLE_SECONDS: Final = 0.1
"""Between two looks at the daemon, a fraction of a percent of a core."""

SHEETS: Final = 2
"""Carriers with a rate sheet each, so that every number has two offers."""


class Point(msgspec.Struct, frozen=True):
    """One run of one size: figures by their names, faults of the ledgers, remarks."""

    size: int
    values: dict[str, float]
    faults: list[str]
    notes: list[str]


class Scale(ABC):
    """One way to grow. ``what`` is what a size counts."""

    what: str

    def __init__(self, **settings: object) -> None:
        self.settings = settings
        self.stands: dict[int, Stand] = {}

    @abstractmethod
    def prepare(self, size: int, directory: Path) -> None:
        """Once, in a directory that is not there yet."""

    @abstractmethod
    def measure(self, size: int, number: int) -> Point:
        """Round ``number``, from 0."""


class Loaded(Scale):
    """Measured with a client that submits ``messages``, ``client_window`` not final at a time."""

    def __init__(self, messages: int, window: int, client_window: int, **others: object) -> None:
        super().__init__(messages=messages, window=window, client_window=client_window, **others)
        self.messages = messages
        self.window = window
        self.client_window = client_window

    def measure(self, size: int, number: int) -> Point:
        """A warm daemon, what ``look`` finds, then the load."""
        stand = self.stands[size]
        stand.write_app(f"round{number}")
        with stand.smsc() as smsc, stand.daemon() as daemon:
            probe = Probe(stand, "warm")
            probe.submit(min(WARM_MESSAGES, self.messages))
            values = self.look(stand, daemon, probe)
            probe.finish()
            probe.close()
            driven, counted, note = self._drive(stand, daemon, smsc)
            daemon.stop()
            accepted = smsc.end()
        faults = [*find_faults(counted, self.messages)]
        if accepted != probe.count + self.messages:
            faults.append(f"accepted by the SMSC: {accepted}, not {probe.count + self.messages}")
        return Point(size, {**driven, **values}, faults, [note] if note else [])

    def look(self, stand: Stand, daemon: Child, probe: Probe) -> dict[str, float]:
        """Other figures of a daemon that is warm and idle."""
        return {}

    def _drive(
        self, stand: Stand, daemon: Child, smsc: Smsc
    ) -> tuple[dict[str, float], Counted, str]:
        with stand.submit(self.messages, self.client_window) as client:
            memory = MemoryWatch(daemon)
            before = daemon.cpu_seconds(), smsc.cpu_seconds()
            counted = client.run(memory.look, SAMPLE_SECONDS)
            cpu, smsc_cpu = daemon.cpu_seconds() - before[0], smsc.cpu_seconds() - before[1]
            memory.look()
        values = {
            "messages/s": counted.delivered / counted.seconds,
            "CPU s/1,000": cpu / max(counted.delivered, 1) * 1000,
            "private MB": memory.peak / 1e6,
        }
        return values, counted, find_pace(counted, cpu, smsc_cpu)


class Stored(Loaded):
    """With so many delivered messages in the store, by ``id_format`` ids of their carrier."""

    what = "messages stored"

    def __init__(self, messages: int, window: int, client_window: int, id_format: str) -> None:
        super().__init__(messages, window, client_window, id_format=id_format)
        self._id_format = id_format

    def prepare(self, size: int, directory: Path) -> None:
        """Fills the store."""
        self.stands[size] = stand = Stand(directory, window=self.window)
        if size:
            fill(stand.directory, size, What.delivered, self._id_format)

    def look(self, stand: Stand, daemon: Child, probe: Probe) -> dict[str, float]:
        """How large the store is."""
        return {"file MB": stand.status().store.octets / 1e6}


class Binds(Loaded):
    """With so many binds, over up to CARRIERS_MAX carriers."""

    what = "binds"

    def __init__(self, messages: int, window: int, client_window: int, seconds: float) -> None:
        super().__init__(messages, window, client_window, idle_seconds=seconds)
        self._seconds = seconds

    def prepare(self, size: int, directory: Path) -> None:
        """Writes the carriers; the size must be a multiple of theirs."""
        carriers = min(size, CARRIERS_MAX)
        if not size or size % carriers:
            raise RunFailed(f"{size} binds: up to {CARRIERS_MAX}, or a multiple of that")
        self.stands[size] = Stand(
            directory, carriers=carriers, binds=size // carriers, window=self.window
        )

    def look(self, stand: Stand, daemon: Child, probe: Probe) -> dict[str, float]:
        """What the daemon uses while nothing is to do but enquire_link."""
        before, started = daemon.cpu_seconds(), time.perf_counter()
        time.sleep(self._seconds)
        share = (daemon.cpu_seconds() - before) / (time.perf_counter() - started)
        return {"idle % of a core": share * 100, "idle private MB": daemon.private_bytes() / 1e6}


class Carriers(Binds):
    """With so many carriers of one bind each."""

    what = "carriers"

    def prepare(self, size: int, directory: Path) -> None:
        """Writes the carriers."""
        if not 1 <= size <= STAND_CARRIERS_MAX:
            raise RunFailed(f"{size} carriers: from 1 to {STAND_CARRIERS_MAX}")
        self.stands[size] = Stand(directory, carriers=size, window=self.window)


class Prefixes(Loaded):
    """With so many prices, in SHEETS sheets; half of them below the client's own numbers."""

    what = "prefixes"

    def __init__(
        self, messages: int, window: int, client_window: int, prices: int, probes: int
    ) -> None:
        super().__init__(messages, window, client_window, different_prices=prices, probes=probes)
        self._prices = prices
        self._probes = probes

    def prepare(self, size: int, directory: Path) -> None:
        """Writes the sheets."""
        self.stands[size] = stand = Stand(directory, carriers=SHEETS, window=self.window)
        routing = [CURRENCY]
        for number in range(SHEETS):
            name = f"c{number}"
            routing.append(f'[[route]]\nprefix = ""\ncarrier = "{name}"\n')
            routing.append(f'[[prices]]\ncarrier = "{name}"\nfile = "{name}.csv"\n')
            prices = make_prices(size // SHEETS, self._prices, seed=number)
            stand.write(f"{name}.csv", "".join(["prefix,cost\n", *prices]))
        stand.write("routing.toml", "".join(routing))

    def measure(self, size: int, number: int) -> Point:
        """Loads the configuration in this process too, as a daemon's start does."""
        directory = self.stands[size].directory
        wall, cpu = time.perf_counter(), time.process_time()
        build_table(load(directory))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        point = super().measure(size, number)
        values = {**point.values, "load s": wall, "load CPU s": cpu}
        return msgspec.structs.replace(point, values=values)

    def look(self, stand: Stand, daemon: Child, probe: Probe) -> dict[str, float]:
        """What one app waits for its answers, one by one: before a reload, and during one."""
        left = iter(range(self._probes))
        before = probe.time_while(lambda: next(left, None) is not None)
        self._change_prices(stand)
        asked = Asked(stand, b'{"type":"reload"}\n')
        during = probe.time_while(asked.is_open)
        if b'"ok":true' not in asked.answer:
            raise RunFailed(f"the reload was answered {asked.answer!r}")
        return {
            "accept p50 ms": sorted(before)[len(before) // 2] * 1000,
            "longest ms": max(before) * 1000,
            "longest ms at reload": max(during) * 1000,
            "reload s": asked.seconds,
        }

    def _change_prices(self, stand: Stand) -> None:
        """Every price of one sheet is another than before."""
        path = stand.directory / "c0.csv"
        rows = path.read_text().splitlines()
        changed = [f"{row[:-1]}{(int(row[-1]) + 1) % 10}" for row in rows[1:]]
        path.write_text("\n".join([rows[0], *changed, ""]))


class Queue(Scale):
    """With so many messages that wait for a carrier which is down; then it comes up."""

    what = "messages queued"

    def __init__(self, seconds: float, window: int) -> None:
        super().__init__(drain_seconds=seconds, window=window)
        self._seconds = seconds
        self._window = window

    def prepare(self, size: int, directory: Path) -> None:
        """Fills the store."""
        self.stands[size] = stand = Stand(directory, window=self._window)
        if size:
            fill(stand.directory, size, What.queued)

    def measure(self, size: int, number: int) -> Point:
        """Starts without the carrier, then drains for so many seconds, or until all is gone."""
        stand = self.stands[size]
        started = time.perf_counter()
        with stand.daemon(bound=False) as daemon:
            start_seconds = time.perf_counter() - started
            start_cpu, idle = daemon.cpu_seconds(), daemon.private_bytes()
            before = stand.status().store.queued
            with stand.smsc() as smsc:
                stand.wait_bound(daemon)
                drained = self._drain(stand, daemon)
                daemon.stop()
                accepted = smsc.end()
        after = count_queued(stand)
        values = {
            **drained,
            "idle private MB": idle / 1e6,
            "start s": start_seconds,
            "start CPU s": start_cpu,
        }
        faults = [] if before - after == accepted else [
            f"queued {before}, then {after}; accepted by the SMSC: {accepted}"
        ]  # fmt: skip
        notes = ["the queue was drained to its end"] if not after else []
        return Point(size, values, faults, notes)

    def _drain(self, stand: Stand, daemon: Child) -> dict[str, float]:
        memory = MemoryWatch(daemon)
        cpu, started, first = daemon.cpu_seconds(), time.perf_counter(), _count_delivered(stand)
        memory.look()
        delivered, seconds = first, 0.0
        while seconds < self._seconds and stand.status().store.queued:
            time.sleep(SAMPLE_SECONDS)
            memory.look()
            delivered, seconds = _count_delivered(stand), time.perf_counter() - started
        cpu, count = daemon.cpu_seconds() - cpu, max(delivered - first, 1)
        return {
            "messages/s": count / max(seconds, SAMPLE_SECONDS),
            "CPU s/1,000": cpu / count * 1000,
            "private MB": memory.peak / 1e6,
            "messages in memory": stand.status().store.live,
        }


def count_queued(stand: Stand) -> int:
    """What waits in the store of a daemon that has ended."""
    config = load(stand.directory)
    rules = build_rules(config, config.carriers)
    store = Store(config.daemon.state, rules, map_size=MAP_BYTES)
    try:
        return store.statistics().queued
    finally:
        store.close()


def make_prices(count: int, different: int, seed: int) -> Iterator[str]:
    """Rows of a sheet: "49", then prefixes of 3 to 8 digits, every other one below the client's, at
    so many ``different`` prices."""
    chance = random.Random(seed)
    seen = {"49"}
    yield "49,0.0500\n"
    while len(seen) < count:
        digits = chance.randrange(3, 9)
        prefix = str(chance.randrange(10 ** (digits - 1), 10**digits))
        if chance.random() < 0.5:
            prefix = PREFIX + prefix[: digits - 2][-4:]
        if prefix not in seen:
            seen.add(prefix)
            yield f"{prefix},{chance.randrange(1, different + 1) / 10_000:.4f}\n"


def _count_delivered(stand: Stand) -> int:
    return stand.status().store.told.get("delivered", 0)


def find_faults(counted: Counted, messages: int) -> Iterator[str]:
    """Where the client's ledger is not what it should be."""
    expected: Sequence[tuple[str, int, int]] = (
        ("accepted", counted.accepted, messages),
        ("told as sent", counted.sent, messages),
        ("told as delivered", counted.delivered, messages),
        ("told twice", counted.doubles, 0),
    )
    return (f"{what}: {n}, not {wanted}" for what, n, wanted in expected if n != wanted)


def find_pace(counted: Counted, cpu: float, smsc_cpu: float) -> str:
    """Who set the pace, where it was not the daemon."""
    shares = {
        "daemon": cpu / counted.seconds,
        "SMSC": smsc_cpu / counted.seconds,
        "client": counted.cpu_seconds / counted.seconds,
    }
    shown = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    for name, share in shares.items():
        if name != "daemon" and share > max(BUSY_SHARE, shares["daemon"]):
            return f"the {name} was the bottleneck: {shown} of a core"
    return "" if shares["daemon"] >= BUSY_SHARE else f"the daemon had time left: {shown} of a core"
