"""What running a daemon shows, or loses: ``docs/carriers.md``, rows 39 and 40."""

from __future__ import annotations

from pathlib import Path

import structlog.testing
import trio
import trio.testing

from smppd.smpp import constants
from smppd.smpp.pdu import SubmitSm, encode_submit_sm
from smppd.smpp.rare import Bind, encode_bind
from smppd.smpp.redaction import redact_pdu
from smppd.store.changes import Verdict
from smppd.store.retention import RetentionPeriods
from smppd.traffic.commit import IDLE_SECONDS_MAX
from tests.house import Open, texts
from tests.smpp.pair import raw
from tests.traffic.centre import keep, open_centre, until
from tests.traffic.line import open_line
from tests.traffic.test_link import receipt_of

Clock = trio.testing.MockClock

WAIT_SECONDS = 60.0


# -- 39: restarts, and what waits -----------------------------------------------------------------


def test_b39_restart_loses_nothing_that_waits_and_nothing_of_a_window(open_house: Open) -> None:
    house = open_house(window=3)
    house.up()
    for ref in ("r1", "r2", "r3", "r4", "r5"):
        house.submit(ref, text=ref)
    assert texts(house.take()) == ["r1", "r2", "r3"]  # on the wire, unanswered
    house.close()

    house = open_house(window=10)

    house.up()
    assert texts(house.take()) == ["r1", "r2", "r3", "r4", "r5"]
    flagged = [house.store.query("shop", ref=f"r{number}") for number in range(1, 6)]
    assert [view.maybe_duplicate for view in flagged if view is not None] == [
        True, True, True, False, False,
    ]  # fmt: skip


async def test_b39_messages_sleep_while_no_bind_is_up(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        await line.submit(*[f"r{number}" for number in range(50)])
        before = line.committer.statistics().commits
        await trio.sleep(WAIT_SECONDS)
        spent = line.committer.statistics().commits - before
        assert spent <= WAIT_SECONDS / IDLE_SECONDS_MAX + 1
        view = line.house.store.query("shop", ref="r0")
        assert view is not None
        assert (view.state, view.carrier) == ("queued", None)
        tie = await line.bind()
        assert len(await tie.smsc.take_submits(8)) == 8  # of ten, two are kept for codes


def test_b39_receipts_nobody_claims_do_not_stay(open_house: Open) -> None:
    house = open_house(periods=RetentionPeriods(unmatched=3_600))
    house.commit([house.receipt(f"nobody{number}", source="4917099") for number in range(20)])
    assert house.store.statistics().unmatched == 20
    for _ in range(3):
        house.pass_time(3_600)
        house.commit([])
    assert house.store.statistics().unmatched == 0
    with house.store._reading():
        assert [*house.store._env.tables["unmatched"].keys_from(b"")] == []


# -- 40: counts that add up, and nothing that should not be seen ---------------------------------


async def test_b40_counts_of_a_carrier_add_up_to_what_it_was_sent(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1", "r2", "r3", "r4")
        submits = await tie.smsc.take_submits(4)
        await tie.smsc.answer(submits[:2], prefix="m")
        await tie.smsc.answer(submits[2:3], constants.ESME_RX_R_APPN)
        await tie.smsc.deliver(receipt_of(f"m{submits[0].sequence_number}"))
        await line.wait_told(4)
        await tie.smsc.stream.aclose()
        await tie.wait_end()
        counts = line.house.slot().carrier.counts
        assert (counts.taken, counts.refused, counts.doubted, counts.receipts) == (2, 1, 1, 1)
        assert counts.statuses == {constants.ESME_RX_R_APPN: 1}
        assert counts.taken + counts.refused + counts.throttled + counts.doubted == len(submits)
        told = [event for _, event in line.house.told()]
        assert sorted(told) == ["delivered", "failed", "sent", "sent", "uncertain"]


def test_b40_ledger_of_receipts_adds_up(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", "r2", "r3")
    submits = house.take()
    house.answer(submits[:2], ids=["a", "b"])
    house.answer(submits[2:], verdict=Verdict.REFUSE, status=0x66)
    house.commit([house.receipt(name) for name in ("a", "b", "a", "nobody")])
    found = house.store.statistics()
    assert found.receipts_matched == 2
    assert found.receipts_without_effect == 1
    assert found.receipts_unmatched == 1
    assert found.told == {"sent": 2, "failed": 1, "delivered": 2}


async def test_b40_receipts_of_one_read_are_one_commit(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=204) as line:
        tie = await line.bind()
        await line.submit(*[f"r{number}" for number in range(200)])
        submits = await tie.smsc.take_submits(200)
        await tie.smsc.answer(submits, prefix="m")
        await line.wait_told(200)
        before = line.committer.statistics().commits
        await tie.smsc.deliver(*[receipt_of(f"m{one.sequence_number}") for one in submits])
        await line.wait_told(400)
        assert line.committer.statistics().commits - before <= 3
        assert line.committer.statistics().largest >= 200


def test_b40_trace_of_pdus_has_no_text_no_password_and_no_whole_number() -> None:
    bind = encode_bind(Bind("smppd", "s3cret", kind="transceiver"), 1)
    submit = encode_submit_sm(SubmitSm("4915112345678", b"your code is 1234"), 2)
    seen = redact_pdu(bind) + redact_pdu(submit)
    for word in (b"s3cret", b"code", b"1234"):
        assert word not in seen
    assert b"smppd" in seen
    assert b"49151" in seen


async def test_b40_log_of_a_pdu_nobody_can_read_has_none_of_its_octets(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        with structlog.testing.capture_logs() as logs:
            keeper = keep(centre)
            nursery.start_soon(keeper.run)
            smsc = await centre.accept_bound(keeper)
            body = b"your code is 1234 +4915112345678"
            await smsc.stream.send_all(raw(constants.DELIVER_SM, 9, body=body))
            await until(lambda: any(one["event"] == "pdu_refused" for one in logs))
        nursery.cancel_scope.cancel()
    (line,) = [one for one in logs if one["event"] == "pdu_refused"]
    assert line["reason"] == "the body ends inside its mandatory fields"
    assert "1234" not in str(logs)
