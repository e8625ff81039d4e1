"""``smppd demo``: a simulated message centre, a real daemon and an app, and every outcome checked.

What is sent and what must become of it stands in ``plan``, before anything runs; ``stage`` starts
and stops the two processes in a temporary directory; ``report`` compares and shows. Here is the
app: it submits everything, follows the events to each message's end, and takes them. It uses the
socket like any app, and looks into nothing else.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import trio
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smppd import terminal
from smppd.client import Connection, connect
from smppd.demo.plan import Planned, plan_messages
from smppd.demo.report import Outcome, Story, find_differences, find_surprises, show_report
from smppd.demo.stage import Stage, StageFailed, set_stage
from smppd.errors import SmppdError

APP_SECONDS_MAX: Final = 60.0
"""For the app's part: it takes three seconds, and twenty on a machine that has other worries."""

QUARTERS: Final = 4
"""Lines of progress where there is no terminal."""


def run() -> int:
    """The whole demo; 0 when every outcome was the planned one, else ``terminal.FAILED``."""
    plan = plan_messages()
    with tempfile.TemporaryDirectory(prefix="smppd-demo-") as directory:
        try:
            with set_stage(Path(directory)) as stage:
                outcomes = trio.run(_play_app, stage, plan)
        except KeyboardInterrupt:
            return terminal.INTERRUPTED
        except (StageFailed, SmppdError, trio.TooSlowError) as error:
            reason = str(error) or f"not done in {APP_SECONDS_MAX:g} s"
            terminal.complain("the demo broke off", reason, "see the logs' ends above")
            return terminal.FAILED
    show_report(plan, outcomes, stage.counts)
    surprises = find_surprises(plan, outcomes) + find_differences(outcomes, stage.counts)
    for surprise in surprises:
        print(f"not as planned: {surprise}", file=sys.stderr)
    if surprises:
        return terminal.FAILED
    print(f"all {len(plan)} outcomes are as planned")
    return terminal.OK


async def _play_app(stage: Stage, plan: list[Planned]) -> list[Outcome]:
    """Submits the plan in one go and follows every accepted message to its last event."""
    with trio.fail_after(APP_SECONDS_MAX):
        async with connect(stage.socket) as client:
            await client.subscribe(0)
            answers = await client.submit([planned.submit for planned in plan])
            outcomes = [Outcome(answer) for answer in answers]
            stories = {
                outcome.id: outcome.story
                for outcome in outcomes
                if outcome.answer["type"] == "accepted" and not outcome.answer.get("duplicate")
            }
            await _follow(client, stories, len(plan))
    return outcomes


async def _follow(client: Connection, stories: dict[str, Story], submitted: int) -> None:
    """Gives each event to its message's story, until all are told."""
    progress = _Progress(f"{submitted} submitted, {len(stories)} accepted", len(stories))
    with progress:
        ended = 0
        while ended < len(stories):
            events = await client.wait_events()
            for event in events:
                ended += stories[event["id"]].add(event)
            client.take(events[-1]["seq"])
            progress.show(ended)


class _Progress:
    """A bar on a terminal, else a line for each quarter."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._quarter = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("at their end"),
            TimeElapsedColumn(),
            console=terminal.console(),
            disable=not sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int) -> None:
        """``done`` of all are at their end."""
        self._bar.update(self._task, completed=done)
        quarter = done * QUARTERS // self._total
        if not sys.stdout.isatty() and quarter > self._quarter:
            self._quarter = quarter
            print(f"{self._title}, {done} at their end", flush=True)
