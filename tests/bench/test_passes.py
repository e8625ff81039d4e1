"""The daemon's own page, as far as the latency bench reads it."""

from __future__ import annotations

import pytest

from bench.passes import Passes, read_page
from bench.processes import RunFailed

PAGE = """\
# TYPE smppd_loop_pass_seconds histogram
smppd_loop_pass_seconds_bucket{le="0.001"} 90.0
smppd_loop_pass_seconds_bucket{le="0.01"} 97.0
smppd_loop_pass_seconds_bucket{le="+Inf"} 100.0
smppd_loop_pass_seconds_count 100.0
smppd_loop_pass_seconds_sum 0.5
# TYPE smppd_loop_pass_max_seconds gauge
smppd_loop_pass_max_seconds 0.0215
# TYPE smppd_loop_pass_cpu_max_seconds gauge
smppd_loop_pass_cpu_max_seconds 0.004
"""


def test_long_passes_are_those_above_ten_milliseconds() -> None:
    assert read_page(PAGE) == Passes(count=100, long=3, longest_ms=21.5, longest_cpu_ms=4.0)


def test_a_page_without_them_is_refused() -> None:
    with pytest.raises(RunFailed, match="has no smppd_loop_pass_cpu_max_seconds"):
        read_page(PAGE.replace("_cpu_max_", "_cpu_most_"))
