"""How the tests run: ``async def`` tests under Trio, Hypothesis without a stopwatch.

A test that asks for ``autojump_clock`` runs on it: whenever every task waits, time jumps to the
next deadline, so an hour costs nothing and no test ever sleeps for real.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps

import pytest
import trio
import trio.testing
from hypothesis import settings

# No deadline: on a shared core it measures the neighbours. In CI the same examples every time,
# so that a red run is the change's own fault; at a desk new ones at each run.
settings.register_profile("smppd", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("smppd")


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    """The test's clock: it jumps to the next deadline as soon as every task waits."""
    return trio.testing.MockClock(autojump_threshold=0)


def run_under_trio(test: Callable[..., Awaitable[object]], arguments: Mapping[str, object]) -> None:
    """Run one async test to its end; what it raises is raised here."""
    clock = arguments.get("autojump_clock")
    assert clock is None or isinstance(clock, trio.testing.MockClock), repr(clock)
    trio.run(partial(test, **arguments), clock=clock)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run async tests here and leave the others to pytest (``None``)."""
    hypothesis = getattr(pyfuncitem.obj, "hypothesis", None)
    if hypothesis is not None and inspect.iscoroutinefunction(hypothesis.inner_test):
        hypothesis.inner_test = _one_run_an_example(hypothesis.inner_test)
        return None
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    funcargs = pyfuncitem.funcargs
    run_under_trio(pyfuncitem.obj, {name: funcargs[name] for name in names if name in funcargs})
    return True


def _one_run_an_example(test: Callable[..., Awaitable[object]]) -> Callable[..., None]:
    @wraps(test)
    def run_example(*args: object, **kwargs: object) -> None:
        run_under_trio(partial(test, *args), kwargs)

    return run_example
