"""Where the output has nowhere to go, and what the shell completes."""

from __future__ import annotations

import subprocess
import sys
from typing import IO, Any

import pytest

from smppd import terminal
from tests.ctl.house import Desk
from tests.processes import SMPPCTL, START_SECONDS_MAX, environment

FULL = "/dev/full"


@pytest.mark.parametrize("arguments", [("status",), ("find", "--json"), ("-h",)])
def test_full_device_is_exit_74_and_a_line_of_why(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.send("output-1", "--wait")
    with open(FULL, "w") as full:
        done = run(desk, *arguments, stdout=full)
    assert done.returncode == terminal.OUTPUT_FAILED
    assert done.stderr.startswith("the output cannot be written\n  why: No space left")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("status",), ("pdu-tap", "alpha")])
def test_stdout_that_is_closed_is_exit_74(desk: Desk, arguments: tuple[str, ...]) -> None:
    words = [sys.executable, *SMPPCTL, "--config", str(desk.site.directory), *arguments]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words],
        env=environment(), stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == terminal.OUTPUT_FAILED
    assert done.stderr.startswith("the output cannot be written\n  why: stdout is closed")


def test_broken_pipe_ends_a_command_silently(desk: Desk) -> None:
    desk.send("output-2", "--wait")
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        done = run(desk, "find", stdout=gone.stdin)
        assert gone.stdin is not None
        gone.stdin.close()
    assert (done.returncode, done.stderr) == (terminal.PIPE_BROKEN, "")


def test_tail_into_a_closed_pipe_ends_silently(desk: Desk) -> None:
    desk.send("output-3", "--wait")
    tail = [sys.executable, *SMPPCTL, "--config", str(desk.site.directory), "tail", "--after", "0"]
    with subprocess.Popen(
        tail, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.stdout.close()
        desk.send("output-4", "--wait")
        assert follower.stderr is not None
        assert "Traceback" not in follower.stderr.read()
        assert follower.wait(START_SECONDS_MAX) == terminal.PIPE_BROKEN


def test_locale_that_cannot_say_it_all_is_no_failure(desk: Desk) -> None:
    done = run(desk, "routes", "test", "12345", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == terminal.FAILED
    assert "\\u2026" in done.stdout


def run(
    desk: Desk, *arguments: str, stdout: int | IO[Any] | None = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """smppctl as a process, with its stdout where a test wants it."""
    return subprocess.run(
        [sys.executable, *SMPPCTL, "--config", str(desk.site.directory), *arguments],
        env={**environment(), **environ},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("smppctl {} pause al", ["alpha"]),
        ("smppctl {} send --carrier b", ["beta"]),
        ("smppctl {} routes ", ["test", "diff"]),
    ],
)
def test_shell_completes_commands_and_carriers(
    desk: Desk, words: str, completed: list[str]
) -> None:
    line = words.format(f"--config {desk.site.directory}")
    environ = {
        "_SMPPCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    assert run(desk, stdout=subprocess.PIPE, **environ).stdout.split() == completed


def test_shell_completes_the_daemons_commands_too() -> None:
    environ = {"_SMPPD_COMPLETE": "complete_bash", "COMP_WORDS": "smppd ch", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from smppd.cli import app; app(prog_name='smppd')"],
        env={**environment(), **environ},
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
    )
    assert done.stdout.split() == ["check"]
