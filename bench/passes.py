"""What the daemon's own recorder says of its loop's passes, read from its metrics page."""

from __future__ import annotations

import urllib.request
from typing import Final

import msgspec
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from bench.processes import START_SECONDS_MAX, RunFailed

WALL: Final = "smppd_loop_pass_seconds"
WALL_MAX: Final = "smppd_loop_pass_max_seconds"
CPU_MAX: Final = "smppd_loop_pass_cpu_max_seconds"

LONG: Final = "0.01"
"""The bucket's bound in seconds: a pause that an app may notice."""


class Passes(msgspec.Struct, frozen=True):
    """Of a run: how many passes the loop made, how many of them took longer than 10 ms, and the
    longest, by the clock and in the daemon's own CPU time, in milliseconds."""

    count: int
    long: int
    longest_ms: float
    longest_cpu_ms: float


class PassWatch:
    """Looks at the page on ``port`` of this host; made when a run begins."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._before = self._read()  # from here on the longest is this run's

    def since(self) -> Passes:
        """What there was since the watch was made, or since the last call."""
        now = self._read()
        before, self._before = self._before, now
        return Passes(
            now.count - before.count, now.long - before.long, now.longest_ms, now.longest_cpu_ms
        )

    def _read(self) -> Passes:
        try:
            with urllib.request.urlopen(self._url, timeout=START_SECONDS_MAX) as page:
                text = page.read().decode()
        except OSError as error:
            raise RunFailed(f"the daemon's page {self._url} cannot be read: {error}") from error
        return read_page(text)


def read_page(text: str) -> Passes:
    """The figures of one page, since the daemon's start and since the page before it.

    RunFailed where it has none: an older daemon's.
    """
    found = {family.name: family for family in text_string_to_metric_families(text)}
    if missing := {WALL, WALL_MAX, CPU_MAX} - found.keys():
        raise RunFailed(f"the daemon's page has no {', '.join(sorted(missing))}")
    buckets = {
        sample.labels["le"]: int(sample.value)
        for sample in found[WALL].samples
        if sample.name.endswith("_bucket")
    }
    count = buckets["+Inf"]
    return Passes(
        count,
        count - buckets[LONG],
        round(_value(found[WALL_MAX]) * 1000, 3),
        round(_value(found[CPU_MAX]) * 1000, 3),
    )


def _value(family: Metric) -> float:
    return family.samples[0].value
