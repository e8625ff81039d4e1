"""The harness is code too: async tests really run, on the clock they asked for, and can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import run_under_trio

DAY_SECONDS = 86_400

THREE_TESTS = """
import trio
from hypothesis import given, strategies as st

async def test_passes():
    await trio.lowlevel.checkpoint()

async def test_fails():
    await trio.lowlevel.checkpoint()
    assert False

@given(st.integers())
async def test_fails_on_some_example(number):
    await trio.lowlevel.checkpoint()
    assert number < 1000
"""


async def test_async_test_runs_inside_trio() -> None:
    assert trio.lowlevel.current_root_task() is not None
    await trio.lowlevel.checkpoint()


async def test_autojump_clock_is_the_clock_of_the_test(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun = trio.current_time()
    await trio.sleep(DAY_SECONDS)
    assert trio.current_time() - begun == DAY_SECONDS
    assert autojump_clock.current_time() == trio.current_time()


class TestMethods:
    async def test_async_method_gets_its_fixtures(self, tmp_path: Path) -> None:
        await trio.lowlevel.checkpoint()
        assert tmp_path.is_dir()


@settings(max_examples=5)
@given(st.integers())
async def test_each_hypothesis_example_is_a_run_of_its_own(number: int) -> None:
    await trio.lowlevel.checkpoint()
    assert isinstance(number, int)


def test_hypothesis_has_no_deadline() -> None:
    assert settings().deadline is None


def test_failure_of_an_async_test_is_raised() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise AssertionError("seen")

    with pytest.raises(AssertionError, match="seen"):
        run_under_trio(fail, {})


def test_pytest_reports_failed_async_tests_as_failed(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_three.py").write_text(THREE_TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "2 failed, 1 passed" in run.stdout
