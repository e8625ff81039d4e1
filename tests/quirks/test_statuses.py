"""docs/carriers.md, row 35: any command_status is read, and a carrier may mean by it what it likes.

Bytes of a scripted SMSC go through a real session, link and store; what the carrier means by its
numbers comes from its TOML.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import trio
import trio.testing
from msgspec import structs

from smppd.config import load
from smppd.daemon.build import build_link_profile
from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.store.records import CarrierProfile
from smppd.traffic.carrier import BindKeeper, Endpoint
from smppd.traffic.settle import LinkProfile
from tests.config.house import CARRIER, write_config
from tests.smpp.pair import CREDENTIALS, raw
from tests.traffic.line import PATIENT, TIMERS, Line, Smsc, Tie, open_line

Clock = trio.testing.MockClock

OUT_OF_LIST: tuple[int, ...] = (0x09, 0x22, 0x200, 0x401, 0x412, 1375, 0xFFFFFFFF)
"""Two that ended other programs (34 and 1375), and one of every other range."""


def profile_of(tmp_path: Path, toml: str, carrier: str = "alpha") -> LinkProfile:
    """As a daemon has it of a carrier with ``toml`` below its keys."""
    directory = tmp_path / "config"
    directory.mkdir()
    write_config(directory, carrier=CARRIER + toml)
    return build_link_profile(load(directory).carriers[carrier], 0)


async def answer_one(tie: Tie, status: int, body: bytes = b"") -> int:
    """Answers the next submit_sm; its sequence_number."""
    (submit,) = await tie.smsc.take_submits(1)
    number = submit.sequence_number
    await tie.smsc.stream.send_all(raw(constants.SUBMIT_SM_RESP, number, status, body))
    return number


@pytest.mark.parametrize("status", OUT_OF_LIST)
async def test_b35_status_outside_every_list_fails_no_link_and_is_told(
    status: int, tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        alpha, beta = await line.bind(), await line.bind(carrier="beta")
        await line.submit("r1")
        await answer_one(alpha, status)
        await answer_one(beta, status, body=b"0A00\0")  # some send a body all the same
        assert await line.wait_told(1) == [("r1", "failed")]
        assert line.house.events()[0]["status"] == f"0x{status:08X}"
        await line.submit("r2")
        await answer_one(alpha, constants.ESME_ROK, b"m1\0")
        assert (await line.wait_told(2))[1] == ("r2", "sent")


async def test_b35_generic_nack_with_our_sequence_number_settles_that_submit(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, '[status.ESME_RINVCMDID]\nverdict = "refuse"\n')
    async with open_line(tmp_path) as line:
        tie = await line.bind(profile=profile)
        await line.submit("r1")
        (submit,) = await tie.smsc.take_submits(1)
        await tie.smsc.stream.send_all(
            raw(constants.GENERIC_NACK, submit.sequence_number, constants.ESME_RINVCMDID)
        )
        assert await line.wait_told(1) == [("r1", "failed")]
        assert line.house.store.open_grants("alpha", 0) == 0
        assert trio.current_time() == 0, "no response_timer was needed"


async def test_b35_generic_nack_without_a_sequence_number_of_ours_costs_nothing(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await tie.smsc.stream.send_all(raw(constants.GENERIC_NACK, 0, constants.ESME_RINVCMDLEN))
        await tie.smsc.stream.send_all(raw(constants.GENERIC_NACK, 4711, 1375))
        await line.submit("r1")
        await answer_one(tie, constants.ESME_ROK, b"m1\0")
        assert await line.wait_told(1) == [("r1", "sent")]


async def test_b35_carrier_that_means_refused_by_a_number_is_believed(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, '[status."0x58"]\nverdict = "refuse"\n')
    async with open_line(tmp_path) as line:
        alpha, _ = await line.bind(profile=profile), await line.bind(carrier="beta")
        await line.submit("r1")
        await answer_one(alpha, constants.ESME_RTHROTTLED)
        assert await line.wait_told(1) == [("r1", "failed")]
        event = line.house.events()[0]
        assert (event["code"], event["status"]) == ("rejected_by_carrier", "0x00000058")
        assert line.house.states["alpha"].throughput.statistics().cuts == 0


async def test_b35_carrier_that_means_slower_by_a_number_is_believed(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, '[status."1039"]\nverdict = "slow"\n')
    async with open_line(tmp_path) as line:
        alpha = await line.bind(profile=profile)
        await line.submit("r1")
        await answer_one(alpha, 1039)
        await answer_one(alpha, constants.ESME_ROK, b"m1\0")
        assert await line.wait_told(1) == [("r1", "sent")]
        assert line.house.states["alpha"].throughput.statistics().cuts == 1
        assert line.house.states["alpha"].counts.throttled == 1


async def test_b35_carrier_that_means_taken_by_a_number_is_believed_and_its_receipt_matched(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, '[status."0x400"]\nverdict = "taken"\n')
    async with open_line(tmp_path) as line:
        tie = await line.bind(profile=profile)
        await line.submit("r1")
        await answer_one(tie, 0x400, b"m7\0")
        assert await line.wait_told(1) == [("r1", "sent")]
        body = b"id:m7 stat:DELIVRD err:000"
        receipt = DeliverSm("ACME", body, source_addr="491701234567", esm_class=4)
        await tie.smsc.deliver(receipt)
        assert (await line.wait_told(2))[1] == ("r1", "delivered")
        counts = line.house.states["alpha"].counts
        assert (counts.taken, counts.refused, counts.statuses) == (1, 0, {0x400: 1})


async def test_b35_passing_fault_goes_to_the_next_offer_and_comes_back(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, '[status."0x22"]\nverdict = "retry"\n')
    async with open_line(tmp_path) as line:
        alpha, beta = await line.bind(profile=profile), await line.bind(carrier="beta")
        await line.submit("r1")
        await answer_one(alpha, 0x22)
        await answer_one(beta, constants.ESME_RSYSERR)
        await answer_one(alpha, constants.ESME_ROK, b"m1\0")
        assert await line.wait_told(1) == [("r1", "sent")]


# --- pause ---

NO_CREDIT = '[status."0xFF"]\nverdict = "pause"\npause = 120\nmeaning = "no credit left"\n'


async def test_b35_paused_carrier_gets_nothing_new_and_the_next_offer_does(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, NO_CREDIT)
    async with open_line(tmp_path) as line:
        alpha, beta = await line.bind(profile=profile), await line.bind(carrier="beta")
        await line.submit("r1")
        await answer_one(alpha, 0xFF)
        await answer_one(beta, constants.ESME_ROK, b"b1\0")
        state = line.house.states["alpha"]
        assert state.explain_health().endswith("ESME_RUNKNOWNERR: no credit left")
        await line.submit("r2")
        await answer_one(beta, constants.ESME_ROK, b"b2\0")
        assert await line.wait_told(2) == [("r1", "sent"), ("r2", "sent")]


async def test_b35_pause_ends_with_one_message_that_is_tried(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, NO_CREDIT)
    async with open_line(tmp_path) as line:
        alpha = await line.bind(profile=profile)
        await line.submit("r1", "r2", "r3")
        submits = await alpha.smsc.take_submits(3)
        await alpha.smsc.answer(submits, 0xFF)
        (probe,) = await alpha.smsc.take_submits(1)
        assert trio.current_time() >= 120
        assert line.house.states["alpha"].breaker.statistics(trio.current_time()).opened == 1
        await alpha.smsc.answer([probe])
        rest = await alpha.smsc.take_submits(2)
        await alpha.smsc.answer(rest)
        assert sorted(await line.wait_told(3)) == [(f"r{one}", "sent") for one in (1, 2, 3)]


async def test_b35_probe_that_is_answered_so_again_is_one_pause_more_and_no_failure_besides(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, NO_CREDIT)
    async with open_line(tmp_path) as line:
        alpha = await line.bind(profile=profile)
        await line.submit("r1")
        for _ in range(2):
            await alpha.smsc.answer(await alpha.smsc.take_submits(1), 0xFF)
        await alpha.smsc.take_submits(1)
        changes = line.house.states["alpha"].breaker.take_changes()
        opened = [(one.state, one.seconds) for one in changes]
        assert opened == [("open", 120.0), ("half_open", 0.0)] * 2


async def test_b35_answers_to_one_window_are_one_pause(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    profile = profile_of(tmp_path, NO_CREDIT)
    async with open_line(tmp_path) as line:
        alpha = await line.bind(profile=profile)
        await line.submit("r1", "r2", "r3")
        for submit in await alpha.smsc.take_submits(3):
            await alpha.smsc.answer([submit], 0xFF)
            await trio.sleep(0.5)
        statistics = line.house.states["alpha"].breaker.statistics(trio.current_time())
        assert (statistics.opened, statistics.until) == (1, 120.0)


# --- rebind ---


async def test_b35_rebind_ends_the_bind_once_all_is_answered_and_nothing_is_in_doubt(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1", "r2", "r3", receipt=False)
        first, second, third = await tie.smsc.take_submits(3)
        await tie.smsc.answer([first], constants.ESME_RINVBNDSTS)
        await line.submit("r4", receipt=False)
        with trio.move_on_after(TIMERS.response_timer / 2) as silence:
            await tie.smsc.read()
        assert silence.cancelled_caught, "it said something before all was answered"
        await tie.smsc.answer([second, third])
        await tie.smsc.wait_unbind()
        end = await tie.wait_end()
        assert (end.was_bound, end.is_orderly) == (True, False)
        assert end.reason == "a submit_sm was answered ESME_RINVBNDSTS, which asks for a new bind"
        assert line.house.told() == [("r2", "sent"), ("r3", "sent")]
        again = await line.bind()
        await again.smsc.answer(await again.smsc.take_submits(2))
        assert sorted(await line.wait_told(4))[::3] == [("r1", "sent"), ("r4", "sent")]


async def test_b35_carrier_that_means_a_lost_session_by_a_number_gets_a_new_bind(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    toml = '[status."0x0D"]\nverdict = "rebind"\nmeaning = "session expired"\n'
    profile = profile_of(tmp_path, toml)
    async with open_line(tmp_path) as line:
        tie = await line.bind(profile=profile)
        await line.submit("r1")
        await answer_one(tie, constants.ESME_RBINDFAIL)
        await tie.smsc.wait_unbind()
        assert "ESME_RBINDFAIL (session expired)" in (await tie.wait_end()).reason


@pytest.mark.parametrize("verdict", ["retry", "slow", "rebind", "pause"])
async def test_b35_no_passing_verdict_loses_a_message_or_its_place_in_a_long_one(
    verdict: str, tmp_path: Path, autojump_clock: Clock
) -> None:
    """The second of two segments is thrown back three times, wherever it is sent again."""
    profile = profile_of(tmp_path, f'[status."1039"]\nverdict = "{verdict}"\n')
    async with open_line(tmp_path, carriers=("alpha",)) as line:
        tie = await line.bind(profile=profile)
        await line.submit("r1", text="x" * 200, segments=2, valid_for=3_600)
        first, second = await tie.smsc.take_submits(2)
        await tie.smsc.answer([first])
        for _ in range(3):
            number = second.sequence_number
            await tie.smsc.stream.send_all(raw(constants.SUBMIT_SM_RESP, number, 1039))
            if verdict == "rebind":
                await tie.smsc.wait_unbind()
                await tie.wait_end()
                tie = await line.bind(profile=profile)
            (second,) = await tie.smsc.take_submits(1)
        await tie.smsc.answer([second])
        assert await line.wait_told(1) == [("r1", "sent")]


async def test_b35_rebind_waits_no_longer_than_response_timer_for_the_rest(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1", "r2", receipt=False)
        first, _ = await tie.smsc.take_submits(2)
        await tie.smsc.answer([first], constants.ESME_RINVBNDSTS)
        await tie.smsc.wait_unbind()
        await tie.wait_end()
        assert [told for told in line.house.told() if told[0] == "r2"] == [("r2", "uncertain")]


async def test_b35_carrier_that_always_wants_a_new_bind_gets_few(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        binds: list[float] = []

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(refuse_submits, Smsc(theirs), binds)
            return ours

        keeper = make_keeper(line, dial)
        nursery.start_soon(keeper.run)
        await line.submit("r1", valid_for=600)
        assert await line.wait_told(1) == [("r1", "expired")]
        nursery.cancel_scope.cancel()
    # 0.7 to 1 s, then up to twice as long each time, up to 60: by chance, not by the machine.
    fewest, most = math.floor(600 / 60), 6 + math.ceil(600 / (0.7 * 60))
    assert fewest <= len(binds) <= most


async def refuse_submits(smsc: Smsc, binds: list[float]) -> None:
    """Lets a bind in, and answers each submit_sm that it is on none."""
    await smsc.accept_bind()
    binds.append(trio.current_time())
    while not smsc.at_end:
        await smsc.read()
        if submits := [one for one in smsc.received if hasattr(one, "pdu")]:
            smsc.received.clear()
            await smsc.answer(submits, constants.ESME_RINVBNDSTS)  # type: ignore[arg-type]


def make_keeper(line: Line, dial: object, interface_version: int = 0x34) -> BindKeeper:
    """A keeper of alpha's one bind."""
    house = line.house
    bind = structs.replace(CREDENTIALS, interface_version=interface_version)
    return BindKeeper(
        house.slot("alpha", 0),
        Endpoint("smsc.example.net", 2775, bind, PATIENT),
        LinkProfile("alpha", 0),
        committer=line.committer,
        dispatch=house.dispatch,
        store=house.store,
        wall=line.wall,
        dial=dial,  # type: ignore[arg-type]
    )


async def test_b35_new_verdicts_change_nothing_of_what_the_bind_has_agreed(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    """Above all not that it speaks SMPP 3.3, where ids may be of another base (row 3)."""
    rules = CarrierProfile(message_id="same", message_id_33="hex_to_dec")
    async with open_line(tmp_path, profile=rules) as line, trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return ours

        keeper = make_keeper(line, dial, interface_version=0x33)
        nursery.start_soon(keeper.run)
        smsc = Smsc(theirs)
        await smsc.accept_bind()
        await line.submit("r1")
        keeper.set_profile(profile_of(tmp_path, '[status.8]\nverdict = "refuse"\n'))
        (submit,) = await smsc.take_submits(1)
        response = raw(constants.SUBMIT_SM_RESP, submit.sequence_number, body=b"1A\0")
        await smsc.stream.send_all(response)
        assert await line.wait_told(1) == [("r1", "sent")]
        body = b"id:26 stat:DELIVRD err:000"
        await smsc.deliver(DeliverSm("ACME", body, source_addr="491701234567", esm_class=4))
        assert (await line.wait_told(2))[1] == ("r1", "delivered")
        nursery.cancel_scope.cancel()


# --- a bind that is refused ---


@pytest.mark.parametrize(
    ("status", "toml", "seconds"),
    [
        (constants.ESME_RINVSYSTYP, "", 300.0),
        (0x401, "", 1.0),
        (0x401, '[status."0x401"]\nverdict = "refuse"\nmeaning = "blocked"\n', 300.0),
        (constants.ESME_RINVPASWD, '[status."0x0E"]\nverdict = "retry"\n', 1.0),
    ],
)
async def test_b35_refused_bind_goes_by_the_carriers_verdicts_too(
    status: int, toml: str, seconds: float, tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        binds: list[float] = []
        tried_again = trio.Event()

        async def refuse(smsc: Smsc) -> None:
            binds.append(trio.current_time())
            if len(binds) > 1:
                tried_again.set()
            else:
                await smsc.refuse_bind(status)

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(refuse, Smsc(theirs))
            return ours

        keeper = make_keeper(line, dial)
        keeper.set_profile(profile_of(tmp_path, toml))
        nursery.start_soon(keeper.run)
        await trio.testing.wait_all_tasks_blocked()
        assert keeper.status.reason.startswith(constants.status_name(status))
        assert keeper.status.reason.endswith("blocked") == ("blocked" in toml)
        await tried_again.wait()
        nursery.cancel_scope.cancel()
    assert 0.7 * seconds <= binds[1] - binds[0] <= seconds
