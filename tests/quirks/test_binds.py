"""Binds as carriers refuse, forget, judge and drop them: ``docs/carriers.md``, rows 29 to 32."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from smppd.config import CarrierConfig, load
from smppd.daemon.build import build_endpoint, build_state
from smppd.daemon.fleet import Tools, Upkeep
from smppd.daemon.outside import Outside
from smppd.smpp import constants
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import Role, Session, Submit, Timers
from smppd.smpp.signals import BindRejected, Bound, PeerFault
from smppd.traffic.settle import LinkProfile
from tests.config.house import CARRIER, write_config
from tests.smpp.pair import (
    CREDENTIALS,
    TIMERS,
    Pair,
    frames_of,
    golden_pdus,
    raw,
    sent_by,
    session_in,
)
from tests.traffic.centre import (
    ENDLESS,
    WAIT_MAX,
    WAIT_MIN,
    WAIT_REFUSED,
    Centre,
    keep,
    open_centre,
    until,
)
from tests.traffic.line import Smsc, open_line

Clock = trio.testing.MockClock

WEEK: Final = 7 * 86_400.0


def read_carrier(directory: Path, lines: str = "") -> CarrierConfig:
    """As ``carriers/alpha.toml`` says."""
    return load(write_config(directory, carrier=CARRIER + lines)).carriers["alpha"]


def is_closed(smsc: Smsc) -> bool:
    """Whether the other side of a connection has gone, by what the kernel holds at this moment."""
    assert isinstance(smsc.stream, trio.SocketStream)
    there = socket.socket(fileno=socket.dup(smsc.stream.socket.fileno()))
    with there:
        try:
            while there.recv(65_536, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            return False
        except ConnectionResetError:
            pass
    return True


async def wait_connected(centre: Centre, clock: Clock, seconds: float) -> Smsc:
    """Nobody connects before ``seconds`` have passed, and somebody at once then."""
    await trio.testing.wait_all_tasks_blocked()
    clock.jump(seconds - 0.01)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(BlockingIOError):
        centre.accept_nowait()
    clock.jump(0.02)
    return await centre.accept()


# --- 29: refused for a bind that is gone already, for too many, and for good ---


async def test_b29_the_old_socket_is_closed_before_the_next_is_opened(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        first = await centre.accept_bound(keeper)
        await first.stream.send_all(b"\0\0\0\0" + bytes(12))  # and the carrier keeps its end open
        await until(lambda: keeper.status.state == "down")
        assert is_closed(first)
        await centre.check_wait(keeper, WAIT_MIN)
        second = await centre.accept()
        await second.refuse_bind(constants.ESME_RALYBND)
        await until(lambda: keeper.status.state == "refused")
        assert is_closed(second)
        nursery.cancel_scope.cancel()


async def test_b29_already_bound_waits_longer_than_a_lost_link_and_is_asked_again(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        for seconds in (WAIT_MAX / 2, WAIT_MAX / 2, WAIT_MAX):
            smsc = await centre.accept()
            await smsc.refuse_bind(constants.ESME_RALYBND)
            await until(lambda: keeper.status.state == "refused")
            assert keeper.status.reason.startswith("ESME_RALYBND")
            await centre.check_wait(keeper, seconds)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "status", [constants.ESME_RBINDFAIL, constants.ESME_RINVPASWD, constants.ESME_RINVSYSID]
)
async def test_b29_whoever_refuses_who_we_are_is_left_alone_for_long(
    status: int, tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept()
        await smsc.refuse_bind(status)
        await until(lambda: keeper.status.state == "refused")
        await centre.check_wait(keeper, WAIT_REFUSED)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_b29_credentials_refused_too_often_stop_the_bind_and_raise_the_alarm(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    with capture_logs() as logs:
        async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
            keeper = keep(centre, refusals_max=2)
            nursery.start_soon(keeper.run)
            for _ in range(2):
                smsc = await centre.accept()
                await smsc.refuse_bind(constants.ESME_RINVPASWD)
                await until(lambda: keeper.status.state == "refused")
                await trio.testing.wait_all_tasks_blocked()
                autojump_clock.jump(WAIT_REFUSED)
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(WEEK)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(BlockingIOError):
                centre.accept_nowait()
            assert "given up after 2 refusals" in keeper.status.reason
            keeper.try_again()
            await centre.accept_bound(keeper)
            nursery.cancel_scope.cancel()
    (alarm,) = [line for line in logs if line["event"] == "bind_stopped"]
    assert (alarm["log_level"], alarm["status"], alarm["refusals"]) == (
        "error",
        "ESME_RINVPASWD",
        2,
    )


async def test_b29_refusals_that_its_status_table_calls_passing_stop_nothing(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, refusals_max=1)
        keeper.set_profile(LinkProfile("alpha", 0, refusals=frozenset()))
        nursery.start_soon(keeper.run)
        smsc = await centre.accept()
        await smsc.refuse_bind(constants.ESME_RINVPASWD)
        await until(lambda: keeper.status.state == "refused")
        await centre.check_wait(keeper, WAIT_MIN)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_b29_a_bind_between_them_starts_the_count_of_refusals_anew(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, refusals_max=2)
        nursery.start_soon(keeper.run)
        for _ in range(3):
            smsc = await centre.accept()
            await smsc.refuse_bind(constants.ESME_RINVSYSID)
            await until(lambda: keeper.status.state == "refused")
            await centre.check_wait(keeper, WAIT_REFUSED)
            smsc = await centre.accept_bound(keeper)
            await smsc.stream.aclose()
            await until(lambda: keeper.status.state == "down")
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(WAIT_MAX)
        assert "given up" not in keeper.status.reason
        nursery.cancel_scope.cancel()


async def test_b29_a_carrier_that_wants_peace_after_an_unbind_has_it(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, reconnect_unbound=30.0)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)
        await smsc.unbind()
        await smsc.read_to_end()
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "the SMSC unbound"
        again = await wait_connected(centre, autojump_clock, 30.0)
        await again.accept_bind()
        nursery.cancel_scope.cancel()


async def test_b29_work_does_not_wake_a_sleeper_before_that_peace_is_over(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    drowsy = msgspec.structs.replace(ENDLESS, inactivity_timer=60.0)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=drowsy, reconnect_unbound=30.0)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(60.0)
        await smsc.wait_unbind()
        await smsc.stream.aclose()
        await until(lambda: keeper.status.state == "asleep")
        await centre.line.submit("r0", receipt=False)
        again = await wait_connected(centre, autojump_clock, 30.0)
        await again.accept_bind()
        await again.answer(await again.take_submits(1))
        assert await centre.line.wait_told(1) == [("r0", "sent")]
        nursery.cancel_scope.cancel()


def serve_alpha(centre: Centre, directory: Path, lines: str) -> Upkeep:
    """Alpha as its file says, in the hands of the daemon's own upkeep; not running yet."""
    directory.mkdir()
    config = msgspec.structs.replace(
        read_carrier(directory, lines), port=centre.port, session_init_timer=9e4
    )
    line = centre.line
    tools = Tools(line.house.store, line.house.dispatch, line.committer, Outside(), lambda: 1.0)
    upkeep = Upkeep(config, build_state(config), tools)
    line.house.dispatch.replace_carrier(upkeep.state)
    return upkeep


async def test_b29_a_reload_that_replaces_a_bind_keeps_the_peace_and_the_number_of_binds(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        upkeep = serve_alpha(centre, tmp_path / "config", "reconnect_unbound = 30\nwindow = 5\n")
        nursery.start_soon(upkeep.run)
        first = await centre.accept()
        await first.accept_bind()
        await until(lambda: upkeep.keepers[0].status.state == "bound")
        upkeep.want(msgspec.structs.replace(upkeep.config, window=7))
        await first.wait_unbind()
        await first.stream.aclose()
        await until(lambda: "reconnect_unbound" in upkeep.keepers[0].status.reason)
        again = await wait_connected(centre, autojump_clock, 30.0)
        await again.accept_bind()
        await until(lambda: upkeep.keepers[0].status.state == "bound")
        assert upkeep.state.slots[0].window == 7
        nursery.cancel_scope.cancel()


async def test_b29_a_bind_that_was_given_up_is_tried_when_the_operator_resumes_its_carrier(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        upkeep = serve_alpha(centre, tmp_path / "config", "refusals_max = 1\n")
        nursery.start_soon(upkeep.run)
        smsc = await centre.accept()
        await smsc.refuse_bind(constants.ESME_RINVPASWD)
        await until(lambda: "given up after 1 refusal," in upkeep.keepers[0].status.reason)
        await trio.testing.wait_all_tasks_blocked()
        upkeep.mode_changed()
        again = await centre.accept()
        await again.accept_bind()
        await until(lambda: upkeep.keepers[0].status.state == "bound")
        nursery.cancel_scope.cancel()


async def test_b29_the_end_of_the_daemon_unbinds(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)
        keeper.drain()
        await smsc.wait_unbind()
        await keeper.ended.wait()


# --- 30: links that die, or never come up, and what they held ---


async def test_b30_the_first_connect_is_tried_again_like_any_other(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        await centre.close()
        nursery.start_soon(keeper.run)
        await until(lambda: keeper.status.reconnects == 1)
        assert keeper.status.reason == "cannot connect: Connection refused"
        await centre.listen_again()
        await centre.check_wait(keeper, WAIT_MIN)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_b30_a_half_dead_socket_is_left_when_enquire_link_is_not_answered(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = msgspec.structs.replace(ENDLESS, enquire_link_timer=30.0, response_timer=10.0)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=timers)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)  # and from here on it neither reads nor writes
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(30.0)
        await trio.testing.wait_all_tasks_blocked()
        assert keeper.status.state == "bound"
        autojump_clock.jump(10.0)
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "enquire_link unanswered"
        assert is_closed(smsc)
        await centre.check_wait(keeper, WAIT_MIN)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_b30_an_unbind_of_theirs_with_a_full_window_costs_only_what_they_do_not_answer(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    refs = [f"r{number}" for number in range(7)]
    async with open_line(tmp_path, window=4, carriers=("alpha",)) as line:
        tie = await line.bind()
        await line.submit(*refs, receipt=False, uncertain="stop")
        submits = await tie.smsc.take_submits(4)
        await tie.smsc.unbind()
        await tie.smsc.answer(submits[:2])
        await line.wait_told(2)
        await tie.smsc.stream.aclose()
        end = await tie.wait_end()
        assert (end.reason, end.is_orderly) == ("the SMSC unbound", False)
        told = await line.wait_told(4)
        assert told[:2] == [("r0", "sent"), ("r1", "sent")]
        assert sorted(told[2:]) == [(ref, "uncertain") for ref in refs[2:4]]
        again = await line.bind()
        assert [one.pdu.short_message for one in await again.smsc.take_submits(3)] == [b"hi"] * 3


# --- 31: what a bind says, and what its answer says ---


def test_b31_every_field_of_the_bind_is_the_carriers(tmp_path: Path) -> None:
    lines = (
        'system_type = "VMA"\naddress_range = "^49"\naddr_ton = 1\naddr_npi = 8\n'
        'interface_version = "3.3"\n'
    )
    endpoint = build_endpoint(read_carrier(tmp_path, lines))
    session = Session("esme", window=1, timers=TIMERS, now=0.0)
    session.bind(endpoint.bind, 0.0)
    (frame,) = sent_by(session)
    assert frame.body == b"smppd\0secret\0VMA\0\x33\x01\x08^49\0"


def test_b31_without_a_word_every_field_that_may_be_empty_is(tmp_path: Path) -> None:
    session = Session("esme", window=1, timers=TIMERS, now=0.0)
    session.bind(build_endpoint(read_carrier(tmp_path)).bind, 0.0)
    (frame,) = sent_by(session)
    assert frame.body == b"smppd\0secret\0\0\x34\0\0\0"


def test_b31_a_centre_that_wants_5_0_is_told_it_and_gets_tlvs(tmp_path: Path) -> None:
    bind = build_endpoint(read_carrier(tmp_path, 'interface_version = "5.0"\n')).bind
    pair = Pair()
    pair.bind(bind=bind)
    assert pair.smsc.interface_version == 0x50
    pair.esme.submit([Submit("a", SubmitSm("44", b"x", tlvs={0x1400: b"1"}))], 0.0)
    assert sent_by(pair.esme)[0].body.endswith(b"\x14\x00\x00\x01" + b"1")


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b"centre\0\x02\x10\x00\x01\x34", 0x34),
        (b"centre\0\x02\x10\x00\x01\x33", 0x33),
        (b"centre\0\x02\x10\x00\x01\x50", 0x50),
        (b"centre\0\x10\x02\x00\x01\x34", 0x34),  # under another tag
        (b"centre\0\x02\x10\x00\x00", None),
        (b"centre\0", None),
        (b"centre", None),
        (b"", None),
    ],
)
def test_b31_no_version_of_theirs_keeps_us_from_being_bound(
    body: bytes, version: int | None
) -> None:
    session = session_in("esme", "binding")
    (bound,) = session.receive_data(raw(constants.BIND_TRANSCEIVER_RESP, 1, body=body), 0.0)
    assert isinstance(bound, Bound)
    assert (bound.interface_version, session.state) == (version, "bound")


def test_b31_the_answers_of_real_centres_are_read() -> None:
    """Their bytes are in ``golden/pdus.jsonl``: a refusal with a body, a version that is lost."""
    answers = {frames_of(one)[0].command_status: one for one in golden_pdus()[::3]}
    refusal, welcome = answers[0x53], answers[0]
    session = session_in("esme", "binding")
    assert session.receive_data(_answer_first(refusal), 0.0) == [BindRejected(0x53)]
    session = session_in("esme", "binding")
    assert session.receive_data(_answer_first(welcome), 0.0) == [Bound("Yenta1", 0x34)]


def _answer_first(pdu: bytes) -> bytes:
    """The same as the answer to our first PDU."""
    return pdu[:12] + (1).to_bytes(4) + pdu[16:]


# --- 32: enquire_link ---


@pytest.mark.parametrize("role", ["esme", "smsc"])
@pytest.mark.parametrize("state", ["open", "binding", "bound", "unbinding"])
@pytest.mark.parametrize("body", [b"", b"\0", b"\x13\x00\x00\x02ab"], ids=["bare", "nul", "tlv"])
def test_b32_enquire_link_is_answered_in_every_state_whatever_its_body(
    role: Role, state: str, body: bytes
) -> None:
    session = session_in(role, state)
    assert session.receive_data(raw(constants.ENQUIRE_LINK, 77, body=body), 0.0) == []
    (answer,) = sent_by(session)
    assert (answer.command_id, answer.sequence_number, answer.command_status, answer.body) == (
        constants.ENQUIRE_LINK_RESP,
        77,
        0,
        b"",
    )


@pytest.mark.parametrize(("timer", "silence"), [(30.0, 30.0), (300.0, 300.0)])
def test_b32_ours_goes_out_after_silence_and_has_no_body(timer: float, silence: float) -> None:
    pair = Pair(timers=msgspec.structs.replace(TIMERS, enquire_link_timer=timer))
    pair.bind()
    pair.esme.handle_timers(silence - 0.1)
    assert pair.esme.data_to_send() == b""
    pair.esme.handle_timers(silence)
    (frame,) = sent_by(pair.esme)
    assert (frame.command_id, frame.body) == (constants.ENQUIRE_LINK, b"")


def test_b32_ours_never_goes_out_before_the_bind_is_answered() -> None:
    timers = Timers(session_init_timer=1e6, enquire_link_timer=1.0)
    session = Session("esme", window=1, timers=timers, now=0.0)
    session.bind(CREDENTIALS, 0.0)
    assert [frame.command_id for frame in sent_by(session)] == [constants.BIND_TRANSCEIVER]
    assert session.handle_timers(1e5) == []
    assert session.data_to_send() == b""


def test_b32_an_answer_with_a_body_or_an_error_proves_the_peer_alive() -> None:
    pair = Pair(timers=msgspec.structs.replace(TIMERS, enquire_link_timer=30.0))
    pair.bind()
    pair.esme.handle_timers(30.0)
    (asked,) = sent_by(pair.esme)
    answer = raw(constants.ENQUIRE_LINK_RESP, asked.sequence_number, 8, b"\0")
    assert pair.esme.receive_data(answer, 31.0) == []
    assert pair.esme.handle_timers(60.9) == []
    assert pair.esme.state == "bound"


def test_b32_one_that_is_not_answered_ends_the_link() -> None:
    pair = Pair(timers=msgspec.structs.replace(TIMERS, enquire_link_timer=30.0))
    pair.bind()
    pair.esme.handle_timers(30.0)
    assert pair.esme.handle_timers(30.0 + TIMERS.response_timer) == [
        PeerFault("enquire_link unanswered")
    ]
