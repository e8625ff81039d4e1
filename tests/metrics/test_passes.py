"""How long the loop is busy: every pass counted, by the clock and in CPU time."""

from __future__ import annotations

import trio
import trio.testing

from smppd.metrics.passes import BUCKETS, SHORT_SECONDS, LoopPasses

MANY = 50


class Clocks:
    """The two clocks; whoever works moves them on."""

    def __init__(self) -> None:
        self.wall = self.cpu = 1_000.0
        self.cpu_readings = 0

    def read_cpu(self) -> float:
        self.cpu_readings += 1
        return self.cpu

    def work(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu


def recorder() -> tuple[LoopPasses, Clocks]:
    clocks = Clocks()
    return LoopPasses(lambda: clocks.wall, clocks.read_cpu), clocks


def run_pass(passes: LoopPasses, clocks: Clocks, wall: float, cpu: float) -> None:
    passes.after_io_wait(0)
    clocks.work(wall, cpu)
    passes.before_io_wait(0)


async def test_pass_that_waited_for_the_disk_is_long_and_cost_little() -> None:
    passes, clocks = recorder()
    with passes.recording():
        run_pass(passes, clocks, wall=0.04, cpu=0.003)
    wall, cpu = passes.take()
    assert wall.counts[BUCKETS.index(0.05)] == 1
    assert cpu.counts[BUCKETS.index(0.005)] == 1
    assert (round(wall.longest, 6), round(cpu.longest, 6)) == (0.04, 0.003)
    assert sum(wall.counts) == sum(cpu.counts) == 1


async def test_cpu_time_is_read_only_where_passes_come_to_something() -> None:
    passes, clocks = recorder()
    with passes.recording():
        clocks.cpu_readings = 0
        for _ in range(MANY):
            run_pass(passes, clocks, wall=SHORT_SECONDS / 10, cpu=SHORT_SECONDS / 10)
    assert clocks.cpu_readings <= MANY // 10
    wall, cpu = passes.take()
    assert sum(wall.counts) == sum(cpu.counts) == MANY
    assert wall.counts[0] == MANY


async def test_pass_is_never_given_too_little_cpu_and_at_most_the_short_ones_before_it() -> None:
    passes, clocks = recorder()
    with passes.recording():
        for _ in range(9):
            run_pass(passes, clocks, wall=SHORT_SECONDS / 10, cpu=SHORT_SECONDS / 10)
        run_pass(passes, clocks, wall=0.03, cpu=0.015)
    longest = passes.take()[1].longest
    assert 0.015 <= longest <= 0.015 + SHORT_SECONDS


async def test_pass_is_not_given_more_cpu_than_it_took_by_the_clock() -> None:
    passes, clocks = recorder()
    with passes.recording():
        clocks.work(wall=0, cpu=0.5)  # in the wait for I/O
        run_pass(passes, clocks, wall=0.002, cpu=0.002)
    assert round(passes.take()[1].longest, 6) == 0.002


async def test_longest_begins_anew_when_it_was_taken_and_counts_go_on() -> None:
    passes, clocks = recorder()
    with passes.recording():
        run_pass(passes, clocks, wall=0.04, cpu=0.03)
        assert passes.take()[0].longest > 0.03
        run_pass(passes, clocks, wall=0.002, cpu=0.002)
    wall, cpu = passes.take()
    assert (round(wall.longest, 6), round(cpu.longest, 6)) == (0.002, 0.002)
    assert sum(wall.counts) == sum(cpu.counts) == 2
    assert round(wall.seconds, 6) == 0.042


async def test_work_on_the_loop_is_seen_while_recording_and_not_after() -> None:
    passes, clocks = recorder()

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        clocks.work(wall=0.3, cpu=0.15)
        await trio.lowlevel.checkpoint()

    with passes.recording():
        await work()
    await work()
    wall, cpu = passes.take()
    assert wall.counts[BUCKETS.index(0.5)] == cpu.counts[BUCKETS.index(0.2)] == 1
    assert round(wall.seconds, 6) == 0.3
