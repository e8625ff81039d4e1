"""Lines to a pipe that nobody reads: whoever logs goes on, and what is missing is counted."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from smppd.log import writer
from smppd.log.writer import LineWriter
from tests.processes import environment

LINE = b"x" * 99 + b"\n"

SECONDS_MAX = 20.0
"""For what takes milliseconds: a bound for a test that fails."""


PIPE_BYTES = 4096
"""One page, the least the kernel gives."""


class Pipe(NamedTuple):
    read: int
    write: int


class Ended(NamedTuple):
    code: int
    errors: bytes


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe of one page; its ends are closed again."""
    ends = Pipe(*os.pipe())
    fcntl.fcntl(ends.write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ends
    with suppress(OSError):  # a test may have closed it
        os.close(ends.read)
    os.close(ends.write)


@pytest.fixture
def lines(pipe: Pipe) -> Iterator[LineWriter]:
    """A writer to the pipe, whose thread has nothing left to write at the end."""
    own = LineWriter(pipe.write, render)
    yield own
    with suppress(OSError):
        os.close(pipe.read)
    assert own.flush(SECONDS_MAX)


def render(lines: int) -> bytes:
    return b"dropped %d\n" % lines


def read_until(descriptor: int, end: bytes) -> bytes:
    """What comes up to ``end``, which ends it."""
    data = b""
    while not data.endswith(end):
        more = os.read(descriptor, 65_536)
        assert more, data[-200:]
        data += more
    return data


def test_line_is_written_as_it_is(lines: LineWriter, pipe: Pipe) -> None:
    lines.put(b"one\n")
    lines.put(b"two\n")
    assert read_until(pipe.read, b"two\n") == b"one\ntwo\n"
    assert lines.dropped == 0


def test_flush_returns_once_everything_is_written(lines: LineWriter, pipe: Pipe) -> None:
    lines.put(LINE)
    assert lines.flush(SECONDS_MAX)
    os.set_blocking(pipe.read, False)
    assert os.read(pipe.read, 1000) == LINE


def test_flush_of_nothing_returns_at_once(lines: LineWriter) -> None:
    assert lines.flush(0)


def test_flush_gives_a_blocked_pipe_up(lines: LineWriter) -> None:
    lines.put(LINE * 100)
    assert not lines.flush(0.01)


def test_full_queue_drops_whole_lines_and_says_how_many_are_missing(
    lines: LineWriter, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_LINES_MAX", 200)
    count = 1000
    for _ in range(count):
        lines.put(LINE)
    dropped = lines.dropped
    lines.put(b"end\n")  # dropped too, or the last
    assert dropped >= count - 2 * 200 - PIPE_BYTES // len(LINE)
    data = b""
    while data.count(LINE) + told_in(data) + data.count(b"end\n") < count + 1:
        data += os.read(pipe.read, 65_536)
    assert data.count(LINE) == count - dropped
    assert data.replace(LINE, b"").replace(b"end\n", b"").startswith(b"dropped ")
    assert told_in(data) == lines.dropped


def told_in(data: bytes) -> int:
    return sum(map(int, re.findall(rb"^dropped ([0-9]+)$", data, re.MULTILINE)))


def test_queue_is_bounded_in_octets_too(lines: LineWriter) -> None:
    half = b"x" * (writer.QUEUE_BYTES_MAX // 2 - 1) + b"\n"
    for _ in range(3):
        lines.put(half)
    assert lines.dropped == 1


def test_number_of_dropped_lines_is_told_though_no_line_follows(
    lines: LineWriter, pipe: Pipe
) -> None:
    lines.put(b"x" * (writer.QUEUE_BYTES_MAX - 1) + b"\n")
    lines.put(LINE)
    assert read_until(pipe.read, b"dropped 1\n")


def test_reader_that_is_gone_costs_lines_and_nothing_else(lines: LineWriter, pipe: Pipe) -> None:
    os.close(pipe.read)
    lines.put(LINE)
    assert lines.flush(SECONDS_MAX)
    assert lines.dropped == 1


def test_descriptor_made_non_blocking_by_another_process_loses_nothing(
    lines: LineWriter, pipe: Pipe
) -> None:
    os.set_blocking(pipe.write, False)
    for _ in range(1000):
        lines.put(LINE)
    lines.put(b"end\n")
    assert read_until(pipe.read, b"end\n") == LINE * 1000 + b"end\n"
    assert lines.dropped == 0


def run(script: str, stdout: int, **environ: str) -> Ended:
    """A Python process with its stdout there, to its end."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**environment(), **environ},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=SECONDS_MAX,
        check=False,
    )
    return Ended(ended.returncode, ended.stderr)


def test_process_whose_output_nobody_reads_goes_on_and_ends(pipe: Pipe) -> None:
    script = """
        import sys
        import structlog
        from smppd import log
        log.configure()
        for number in range(30_000):
            structlog.get_logger().info("tick", number=number)
        print(log.dropped(), file=sys.stderr)
    """
    code, errors = run(script, pipe.write)
    assert code == 0, errors
    assert int(errors) > 0


def test_last_line_of_a_process_is_written(pipe: Pipe) -> None:
    script = """
        import structlog
        from smppd import log
        log.configure()
        structlog.get_logger().info("first")
        structlog.get_logger().info("last")
        raise SystemExit(3)
    """
    assert run(script, pipe.write).code == 3
    data = os.read(pipe.read, 65_536)
    assert [json.loads(line)["event"] for line in data.splitlines()] == ["first", "last"]


def test_crash_is_the_last_line_and_has_its_traceback(pipe: Pipe) -> None:
    script = """
        import sys
        from smppd import log
        log.configure()
        sys.excepthook = log.report_crash
        raise ExceptionGroup("of a nursery", [ValueError("seen")])
    """
    code, errors = run(script, pipe.write)
    assert (code, errors) == (1, b"")
    line = json.loads(os.read(pipe.read, 65_536))
    assert (line["level"], line["event"]) == ("error", "crashed")
    assert line["reason"] == "ExceptionGroup: of a nursery (1 sub-exception)"
    assert "ValueError: seen" in line["exception"]


def test_crash_goes_to_stderr_where_nobody_takes_lines(pipe: Pipe) -> None:
    script = """
        import sys
        from smppd import log
        log.configure()
        sys.excepthook = log.report_crash
        raise ValueError("seen")
    """
    os.set_blocking(pipe.write, False)
    os.write(pipe.write, b"x" * PIPE_BYTES)
    os.set_blocking(pipe.write, True)
    code, errors = run(script, pipe.write)
    assert code == 1
    assert b"ValueError: seen" in errors


@pytest.mark.parametrize("ending", ["raise ValueError('unseen')", "os.abort()"])
def test_crash_ends_the_process_though_nobody_reads_its_errors_either(
    pipe: Pipe, ending: str
) -> None:
    script = f"""
        import faulthandler, os, sys
        from smppd import log
        os.dup2(1, 2)
        log.configure()
        sys.excepthook = log.report_crash
        faulthandler.enable(log.open_for_faults())
        {ending}
    """
    os.set_blocking(pipe.write, False)
    os.write(pipe.write, b"x" * PIPE_BYTES)
    os.set_blocking(pipe.write, True)
    assert run(script, pipe.write).code in (1, -signal.SIGABRT)


def test_priority_is_in_front_of_lines_for_the_journal_and_no_others(pipe: Pipe) -> None:
    script = """
        import structlog
        from smppd import log
        log.configure("debug")
        for level in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(), level)("seen")
    """
    status = os.fstat(pipe.write)
    stream = f"{status.st_dev}:{status.st_ino}"
    assert run(script, pipe.write, JOURNAL_STREAM=stream).code == 0
    begun = [line[:4] for line in os.read(pipe.read, 65_536).splitlines()]
    assert begun == [b"<7>{", b"<6>{", b"<4>{", b"<3>{"]
    assert run(script, pipe.write, JOURNAL_STREAM=f"{stream}0").code == 0
    assert {line[:1] for line in os.read(pipe.read, 65_536).splitlines()} == {b"{"}
