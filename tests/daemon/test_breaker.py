"""A carrier's breaker, from ``[breaker]`` in its file to what an operator sees of it."""

from __future__ import annotations

from pathlib import Path

import trio
from msgspec import to_builtins

from smppd.ctl.show import _bind_rows
from smppd.metrics.lag import LoopLag
from smppd.metrics.measures import Measures, render
from smppd.metrics.passes import LoopPasses
from smppd.smpp.constants import ESME_RSYSERR
from tests.market import Member, Run, play, write_config

FAILS = {"refuse_rate": 1.0, "refuse_status": ESME_RSYSERR}
QUICK = {"breaker": {"minimum": 5, "cool_down": 10.0}}
BETA = Member("beta", 2)


def told(run: Run) -> list[tuple[str, object]]:
    return [
        (line["event"], line.get("seconds"))
        for line in run.logged
        if line["event"].startswith("breaker_") and line["carrier"] == "alpha"
    ]


def metrics(run: Run) -> list[str]:
    passes = LoopPasses()
    measures = Measures(run.daemon.status(), 0, {}, True, LoopLag(), *passes.take())
    page = b"".join(render(measures)).decode()
    return [line for line in page.splitlines() if line.startswith("smppd_breaker")]


async def submit_some(run: Run, first: int, count: int) -> None:
    for number in range(first, first + count):
        await run.submit(["alpha"], number)
    await trio.sleep(4.0)


def test_what_a_failing_carrier_would_have_goes_to_the_next_and_everybody_can_see_why(
    tmp_path: Path,
) -> None:
    members = [Member("alpha", 1, FAILS, keys=QUICK, then="beta"), BETA]

    async def act(run: Run) -> None:
        await submit_some(run, 0, 20)
        ends = {ref: event for ref, event, _ in run.events}
        assert len(ends) == 20
        assert set(ends.values()) == {"delivered"}
        view = run.view("alpha")
        assert (view.healthy, view.breaker.state, view.breaker.opened) == (False, "open", 1)
        assert view.breaker.probe_in is not None
        assert 5.0 < view.breaker.probe_in <= 7.0
        asked = {"type": "explain", "to": members[0].phone}
        offers = (await run.client.ask(asked))["offers"]
        assert offers[0]["reason"].startswith("its breaker is open: ")
        assert [offer["verdict"] for offer in offers] == ["next", "chosen"]
        assert metrics(run) == [
            'smppd_breaker_open{carrier="alpha"} 1.0',
            'smppd_breaker_open{carrier="beta"} 0.0',
            'smppd_breaker_opened_total{carrier="alpha"} 1.0',
            'smppd_breaker_opened_total{carrier="beta"} 0.0',
        ]
        assert told(run) == [("breaker_opened", 10.0)]
        status = to_builtins(run.daemon.status())
        reasons = {row[0]: row[-1] for row in _bind_rows(status["carriers"], status["now"])}
        assert reasons["alpha"].startswith("breaker open: ")
        assert reasons["beta"] == "-"
        await run.client.ask({"type": "resume", "carrier": "alpha"})
        await trio.sleep(2.0)  # less than its time had yet to run
        assert told(run)[1:] == [("breaker_half_open", None)]

    play(tmp_path, members, act)


def test_a_probe_goes_by_itself_and_what_it_finds_is_in_the_log(tmp_path: Path) -> None:
    members = [Member("alpha", 1, FAILS, keys=QUICK, then="beta"), BETA]

    async def act(run: Run) -> None:
        await submit_some(run, 0, 20)
        await trio.sleep(10.0)
        await submit_some(run, 20, 1)
        run.market.behave("alpha")
        await trio.sleep(20.0)
        await submit_some(run, 30, 1)
        assert told(run) == [
            ("breaker_opened", 10.0),
            ("breaker_half_open", None),
            ("breaker_opened", 20.0),
            ("breaker_half_open", None),
            ("breaker_closed", None),
        ]
        assert run.view("alpha").healthy
        assert run.view("alpha").breaker.state == "closed"
        assert len(run.market.smscs["alpha"].records()) <= 5 + 8 + 2

    play(tmp_path, members, act)


def test_a_reload_changes_the_rules_under_a_bind_that_stays(tmp_path: Path) -> None:
    alpha = Member("alpha", 1, FAILS, keys=QUICK, then="beta")

    async def act(run: Run) -> None:
        off = Member("alpha", 1, then="beta", keys={"breaker": {"share": 0.0}})
        write_config(tmp_path, [off, BETA])
        answer = await run.client.ask({"type": "reload"})
        changes = [change["detail"] for change in answer["changes"]]
        assert changes == [
            "breaker.share 0.5 -> 0, breaker.minimum 5 -> 20, breaker.cool_down 10 -> 30"
        ]
        await submit_some(run, 0, 40)
        assert run.view("alpha").breaker.opened == 0
        assert run.market.dialled["alpha"] == 1

    play(tmp_path, [alpha, BETA], act)
