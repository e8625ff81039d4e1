"""The processes of a run, from their start until each has told what it counted.

A client (``bench.load``), a daemon and its SMSCs, all on one ``Site``; this process starts them,
looks at the daemon's memory from time to time, and sleeps.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from bench.ledgers import read_store
from bench.load import IDLE_SECONDS_MAX, Load, LoadResult
from bench.passes import PassWatch
from bench.processes import (
    Child,
    DaemonStatus,
    MemoryWatch,
    Usage,
    ask_status,
    is_listening,
    python,
)
from bench.report import Run, Settings
from bench.site import Site

SAMPLE_SECONDS: Final = 0.1
"""Between two looks at the daemon's memory: a fraction of a percent of a core."""


def run_once(settings: Settings, directory: Path) -> Run:
    """One run in an empty ``directory``. RunFailed where it could not be brought to its end."""
    site = Site(directory, settings)
    with ExitStack() as stack:
        stage = Stage(stack, site)
        return stage.run()


class Stage:
    """The processes of a run, started: they leave with ``stack``. ``clocks`` is a file for the
    client's times, and with it the SMSC leaves its own in the site's ``stamps``."""

    def __init__(self, stack: ExitStack, site: Site, clocks: Path | None = None) -> None:
        self._site = site
        self._sinks = [
            _start_sink(stack, site, number, words)
            for number, words in enumerate(site.sink_commands(stamps=clocks is not None))
        ]
        self.daemon = _start_daemon(stack, site)
        self._client = _start_client(stack, site, clocks)
        self._memory = MemoryWatch(self.daemon)

    def run(self) -> Run:
        """From the first message in to the last one final; then all end, and are read."""
        client, memory = self._client, self._memory
        client.read_line(memory.look, SAMPLE_SECONDS)
        watch = PassWatch(self._site.metrics_port) if self._site.has_metrics else None
        before = self._usage()
        client.write_line("go")
        load = msgspec.json.decode(client.read_line(memory.look, SAMPLE_SECONDS), type=LoadResult)
        after = self._usage()
        memory.look()
        commits = self._status().commits
        passes = None if watch is None else watch.since()
        for process in (self.daemon, *self._sinks):
            process.stop()
        return Run(
            load=load,
            sink=self._site.read_sinks(),
            store=read_store(self._site.state),
            daemon_cpu=after.daemon - before.daemon,
            daemon_waited=after.daemon_waited - before.daemon_waited,
            sink_cpu=after.sinks - before.sinks,
            private_end=memory.last,
            private_peak=memory.peak,
            commits=commits,
            passes=passes,
        )

    def _usage(self) -> Usage:
        sinks = sum(process.cpu_seconds() for process in self._sinks)
        return Usage(self.daemon.cpu_seconds(), sinks, self.daemon.core_wait_seconds())

    def _status(self) -> DaemonStatus:
        status = ask_status(self._site.socket)
        if status is None:
            raise self.daemon.failure("answers no status")
        return status


def _start_sink(stack: ExitStack, site: Site, number: int, words: list[str]) -> Child:
    ports = site.ports[number:] if not site.settings.sink else [site.ports[number]]
    child = stack.enter_context(Child(words, site.directory / f"sink{number}.log"))
    child.wait_until(lambda: all(map(is_listening, ports)), "listening")
    return child


def _start_daemon(stack: ExitStack, site: Site) -> Child:
    words = python("smppd", "run", "--config", str(site.directory))
    child = stack.enter_context(Child(words, site.directory / "daemon.log"))

    def is_bound() -> bool:
        status = ask_status(site.socket)
        return status is not None and status.is_bound()

    child.wait_until(is_bound, "bound")
    return child


def _start_client(stack: ExitStack, site: Site, clocks: Path | None) -> Child:
    settings = site.settings
    load = Load(
        socket=str(site.socket),
        messages=settings.messages,
        client_window=settings.client_window,
        segments=settings.segments,
        encoding=settings.encoding,
        rate=settings.rate,
        loss=settings.receipt_loss,
        clocks=str(clocks or ""),
        patience=IDLE_SECONDS_MAX + settings.receipt_delay,
    )
    words = python("bench.load", msgspec.json.encode(load).decode())
    return stack.enter_context(Child(words, site.directory / "client.log", piped=True))
