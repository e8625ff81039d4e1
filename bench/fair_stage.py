"""The processes of a fairness run, and its phases as ``bench.fairness`` describes them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.centre import PASSWORD, SYSTEM_ID, SinkLedger
from bench.fair_app import AppResult, Order, Stream
from bench.fair_report import Ending, FairSettings, Ordered, Phase, Schedule
from bench.processes import (
    START_SECONDS_MAX,
    Child,
    MemoryWatch,
    RunFailed,
    ask_status,
    free_ports,
    is_listening,
    python,
)

FAST, SLOW = "fast", "slow"
DIGITS: Final = {FAST: 0, SLOW: 1}
"""What follows +4917 in the numbers of each carrier's route; then comes the stream's."""

CODES_SHARE: Final = 0.05
"""Of a carrier's pace, submitted as one-time codes."""

SHOP_SHARE: Final = 0.33
"""Of a carrier's pace, submitted as transactional messages in ``steady``: less than their share."""

NEWS_SHARE: Final = 0.05
"""Of a carrier's pace, submitted as promotional messages by the app that does not flood: less
than half of what is left to their class in each phase."""

SLOW_WAITING_SHARE: Final = 0.01
"""Of the campaign, to the slow carrier's numbers."""

LAG_SECONDS: Final = 0.002
"""What the loop that does nothing sleeps."""

WARM_SHARE: Final = 0.2
"""Of each carrier's pace, submitted before the idle phase: some to the slow one as well."""

WARM_SECONDS: Final = 3.0
"""The first messages of a process meet pages it has not yet touched (100 ms in bench.sink), and
what is compared with must not have paid for them."""

MEMORY_SECONDS: Final = 0.1
"""Between two looks at the daemon's memory."""

SETTLED_SECONDS: Final = 0.5
"""In which nothing changes any more once the carriers are paused: their answers take less."""

SETTLE_SECONDS_MAX: Final = 30.0
"""For what is on its way when the carriers are paused."""

APPS: Final = ("codes", "shop", "campaign")
STREAMS: Final = (*APPS, "news")


class FairSite:
    """The run's directory: its configuration, its ports, its socket."""

    def __init__(self, directory: Path, settings: FairSettings) -> None:
        self.directory = directory
        self.socket = directory / "smppd.sock"
        self.ports = dict(zip(settings.paces, free_ports(len(settings.paces)), strict=True))
        (directory / "carriers").mkdir()
        apps = "".join(f"[apps.{name}]\ngid = {65_000 + n}\n" for n, name in enumerate(APPS))
        self._write("smppd.toml", f'[daemon]\nsocket = "smppd.sock"\nstate = "state"\n{apps}')
        routes = "".join(
            f'[[route]]\nprefix = "4917{DIGITS[name]}"\ncarrier = "{name}"\ncost = "0.01"\n'
            for name in self.ports
        )
        self._write("routing.toml", f'currency = "EUR"\n{routes}')
        for name, port in self.ports.items():
            self._write(
                f"carriers/{name}.toml",
                f'host = "127.0.0.1"\nport = {port}\nsystem_id = "{SYSTEM_ID}"\n'
                f'password = "{PASSWORD}"\nwindow = {settings.window}\n'
                f'throughput = {settings.paces[name]:g}\nmessage_id = "same"\n'
                "reconnect_min = 0.1\n",
            )

    def report_path(self, name: str) -> Path:
        """Where the SMSC of a carrier leaves its counts."""
        return self.directory / f"sink-{name}.json"

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")


class FairRun:
    """One run's processes, and what was seen of its phases."""

    def __init__(self, site: FairSite, settings: FairSettings, stack: ExitStack) -> None:
        self._site = site
        self._settings = settings
        self._sinks = {name: self._start_sink(stack, name) for name in site.ports}
        self._daemon = self._start_daemon(stack)
        self._apps = {name: self._start_app(stack, name) for name in APPS}
        self.phases: list[Phase] = []
        self._owing: list[Child] = []

    def run(self) -> None:
        """The five phases."""
        seconds, waiting = self._settings.seconds, self._settings.waiting
        codes = self._paced("codes", "otp", CODES_SHARE)
        slow = int(waiting * SLOW_WAITING_SHARE)
        counts = {FAST: waiting - slow, SLOW: slow}
        campaign = [
            self._ordered("campaign", "promotional", name, count=counts[name]) for name in counts
        ]
        shop = self._paced("shop", "transactional", SHOP_SHARE)
        news = self._paced("shop", "promotional", NEWS_SHARE, name="news")
        flood = [
            self._ordered("shop", "transactional", name, count=int(pace * seconds * 1.2))
            for name, pace in self._settings.paces.items()
        ]
        self._order(self._paced("codes", "otp", WARM_SHARE))
        time.sleep(WARM_SECONDS)
        self._pass("idle", codes, seconds=seconds)
        self._pass("fill", [*codes, *campaign])
        self._pass("steady", [*codes, *shop, *news], campaign, seconds=seconds)
        self._pass("crowd", [*codes, *flood])
        self._pass("contest", [*codes, *news], campaign + flood, seconds=seconds)

    def finish(self) -> Ending:
        """Pauses the carriers, ends the processes and reads the ledgers."""
        self._collect_answers()
        self._order([])
        self._collect_answers()
        for name in self._site.ports:
            _ask(self._site.socket, {"type": "pause", "carrier": name})
        self._wait_settled()
        queued = self._queued()
        results = [self._conclude(child) for child in self._apps.values()]
        for process in (self._daemon, *self._sinks.values()):
            process.stop()
        taken = [self._read_ledger(name) for name in self._sinks]
        return Ending(results, taken, queued)

    def _pass(
        self,
        name: str,
        ordered: list[Ordered],
        waiting: list[Ordered] | None = None,
        seconds: float = 0.0,
    ) -> None:
        """One phase: of ``seconds``, or until everything with a count was answered; ``waiting`` is
        there the whole time."""
        self._collect_answers()
        memory, lags = MemoryWatch(self._daemon), list[float]()

        def look() -> None:
            _do_nothing(lags, MEMORY_SECONDS)
            memory.look()

        before, start = read_schedule(self._daemon.pid), time.monotonic()
        self._order(ordered)
        if not seconds:
            self._collect_answers(look)
        while time.monotonic() < start + seconds:
            look()
        self.phases.append(
            Phase(
                name=name,
                start=start,
                end=time.monotonic(),
                ordered=ordered + [one for one in waiting or [] if one not in ordered],
                waiting=[one.stream.name for one in waiting or []],
                lags_ms=lags,
                daemon=read_schedule(self._daemon.pid).since(before),
                private_peak=memory.peak,
                queued=self._queued(),
            )
        )

    def _order(self, ordered: list[Ordered]) -> None:
        for name, child in self._apps.items():
            order = Order([one.stream for one in ordered if one.app == name])
            child.write_line(msgspec.json.encode(order).decode())
        self._owing = list(self._apps.values())

    def _collect_answers(self, look: Callable[[], None] = lambda: None) -> None:
        """Returns once every app has done its last order."""
        while self._owing:
            self._owing[-1].read_line(look, LAG_SECONDS)
            self._owing.pop()

    def _conclude(self, child: Child) -> AppResult:
        child.write_line(msgspec.json.encode(Order(is_last=True)).decode())
        return msgspec.json.decode(child.read_line(lambda: None, 1.0), type=AppResult)

    def _wait_settled(self) -> None:
        """Returns once nothing is on its way any more: two looks alike at what became of messages.
        That a million of them are told ``held`` meanwhile is no part of it."""
        before: object = None
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while (now := self._outcomes()) != before:
            if time.monotonic() > deadline:
                raise RunFailed(f"the daemon has not settled in {SETTLE_SECONDS_MAX:g} s")
            before = now
            time.sleep(SETTLED_SECONDS)

    def _outcomes(self) -> dict[str, int]:
        told = _ask(self._site.socket, {"type": "status"})["store"]["told"]
        return {name: count for name, count in told.items() if name != "held"}

    def _queued(self) -> int:
        return int(_ask(self._site.socket, {"type": "status"})["store"]["queued"])

    def _paced(
        self, app: str, message_class: str, share: float, *, name: str = ""
    ) -> list[Ordered]:
        return [
            self._ordered(app, message_class, carrier, name=name, rate=pace * share)
            for carrier, pace in self._settings.paces.items()
        ]

    def _ordered(
        self,
        app: str,
        message_class: str,
        carrier: str,
        *,
        name: str = "",
        rate: float = 0.0,
        count: int = 0,
    ) -> Ordered:
        stream = Stream(
            name=f"{name or app} {carrier}",
            message_class=message_class,
            digits=f"{DIGITS[carrier]}{STREAMS.index(name or app)}",
            rate=rate,
            count=count,
        )
        return Ordered(app, carrier, stream)

    def _start_sink(self, stack: ExitStack, name: str) -> Child:
        port, report = self._site.ports[name], self._site.report_path(name)
        words = python("bench.sink", "--port", str(port), "--report", str(report))
        child = stack.enter_context(Child(words, self._site.directory / f"sink-{name}.log"))
        child.wait_until(lambda: is_listening(port), "listening")
        return child

    def _start_daemon(self, stack: ExitStack) -> Child:
        words = python("smppd", "run", "--config", str(self._site.directory))
        child = stack.enter_context(Child(words, self._site.directory / "daemon.log"))

        def is_bound() -> bool:
            status = ask_status(self._site.socket)
            return status is not None and status.is_bound()

        child.wait_until(is_bound, "bound")
        return child

    def _start_app(self, stack: ExitStack, name: str) -> Child:
        words = python("bench.fair_app", str(self._site.socket), name)
        log = self._site.directory / f"{name}.log"
        child = stack.enter_context(Child(words, log, piped=True))
        child.read_line(lambda: None, 1.0)
        return child

    def _read_ledger(self, name: str) -> SinkLedger:
        path = self._site.report_path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=SinkLedger)
        except (OSError, msgspec.DecodeError) as error:
            raise RunFailed(f"the SMSC left no report in {path}: {error}") from error


def read_schedule(pid: int) -> Schedule:
    """Of the process's first thread, in which the daemon's loop runs."""
    ran, waited, _slices = Path(f"/proc/{pid}/schedstat").read_text().split()
    return Schedule(int(ran) / 1e9, int(waited) / 1e9)


def _do_nothing(lags_ms: list[float], seconds: float) -> None:
    """For so long, and how late each of its short sleeps ended."""
    deadline = time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        time.sleep(LAG_SECONDS)
        lags_ms.append((time.monotonic() - now - LAG_SECONDS) * 1000)


def _ask(path: Path, request: dict[str, str]) -> dict[str, Any]:
    """An operator's question to the daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_SECONDS_MAX)
        connection.connect(str(path))
        connection.sendall(msgspec.json.encode(request) + b"\n")
        with connection.makefile("rb") as answers:
            answer: dict[str, Any] = msgspec.json.decode(answers.readline())
    if answer["type"] == "error":
        raise RunFailed(f"{request['type']} was answered {answer}")
    return answer
