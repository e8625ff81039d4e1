"""What happens by the clock: phases, and what phones do by themselves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio.testing

from smppd.simulator import Behaviour, Profile, SimulatedCarrier, load_profile
from smppd.simulator.delay import Uniform
from smppd.simulator.phones import CATCH_UP_MAX, Phones
from smppd.simulator.profile import Alert, Inbound, Phase, Reply, When
from smppd.smpp import constants as c
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.signals import (
    AlertReceived,
    BindRejected,
    Bound,
    DeliverReceived,
    SubmitAnswered,
)
from smppd.text import segment
from smppd.text.segment import Alphabet
from tests.simulator.esme import (
    Client,
    bound,
    carrier_of,
    joined,
    silent,
    submit,
    submits,
)

Clock = trio.testing.MockClock


def phased(*phases: tuple[When, dict[str, object]], **base: object) -> SimulatedCarrier:
    """A carrier with these phases over a base that is given by its keys."""
    behaviour = Behaviour(first_id=0x1000, **base)  # type: ignore[arg-type]  # a test's own keys
    return carrier_of(Profile(behaviour, tuple(Phase(when, keys) for when, keys in phases)))


async def send_one(client: Client) -> int:
    """The command_status of one submit."""
    before = len(client.answers())
    await client.submit(*silent(1))
    while len(client.answers()) == before:
        await client.receive(len(client.signals) + 1)
    return client.answers()[-1].command_status


# Phases


async def test_phase_refuses_for_a_while_and_again(autojump_clock: Clock) -> None:
    alpha = phased((When(at=10, lasting=5, every=60), {"refuse_rate": 1.0}))
    statuses = []
    async with bound(alpha) as client:
        for time in (0, 10, 14, 15, 70, 75):
            await trio.sleep_until(time)
            statuses.append(await send_one(client))
    refused = c.ESME_RSUBMITFAIL
    assert statuses == [0, refused, refused, 0, refused, 0]


async def test_phase_drops_a_link_that_says_nothing_and_refuses_new_binds(
    autojump_clock: Clock,
) -> None:
    alpha = phased(
        (When(at=10, lasting=5), {"drop_after": 0, "bind_status": c.ESME_RBINDFAIL}),
    )
    async with bound(alpha) as client:
        await client.until_end()
        assert trio.current_time() == 10
    async with joined(alpha) as client:
        assert await client.bind() == BindRejected(c.ESME_RBINDFAIL)
    await trio.sleep_until(15)
    async with bound(alpha) as client:
        assert await send_one(client) == 0


async def test_fault_of_a_phase_counts_from_its_beginning(autojump_clock: Clock) -> None:
    alpha = phased((When(at=10), {"drop_after": 2}))
    async with bound(alpha) as client:
        for _ in range(5):
            assert await send_one(client) == 0
        await trio.sleep_until(10)
        assert await send_one(client) == 0
        await client.submit(*silent(2))
        await client.until_end()
    assert client.statuses() == [0] * 7
    assert alpha.statistics().unanswered == 1


async def test_phase_that_stops_reading_leaves_what_comes_unread(autojump_clock: Clock) -> None:
    alpha = phased((When(at=10), {"stop_reading_after": 0}))
    async with bound(alpha) as client:
        await trio.sleep_until(11)
        await client.submit(*silent(1))
        await client.until_quiet()
    assert client.answers() == []
    assert alpha.statistics().submits == 0


async def test_answers_held_by_a_phase_that_is_over_still_come(autojump_clock: Clock) -> None:
    alpha = phased((When(lasting=5), {"receipts_before_responses": True, "receipt_delay": 8.0}))
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.receive(2)
    assert [type(signal) for signal in client.signals] == [DeliverReceived, SubmitAnswered]


async def test_time_of_the_phases_begins_with_the_carrier_and_not_with_a_link(
    autojump_clock: Clock,
) -> None:
    alpha = phased((When(at=10), {"refuse_rate": 1.0}))
    alpha.begin(trio.current_time())
    await trio.sleep(20)
    async with bound(alpha) as client:
        assert await send_one(client) == c.ESME_RSUBMITFAIL


# Phones that write


def phones(*inbound: Inbound, seed: int = 0) -> Phones:
    return Phones(Profile(inbound=inbound), seed, "alpha")


def inbound(text: str = "hi", **fields: object) -> Inbound:
    keys = {"sources": ("447700900123",), "to": "12345", "texts": (text,), **fields}
    return Inbound(**keys)  # type: ignore[arg-type]  # a test's own fields


async def test_message_comes_at_its_time_with_nobody_asking(autojump_clock: Clock) -> None:
    alpha = carrier_of(Profile(inbound=(inbound(at=5.0, every=10.0, lasting=20.0),)))
    async with bound(alpha) as client:
        await trio.sleep(60)
        await client.until_quiet()
    assert [pdu.short_message for pdu in client.delivered()] == [b"hi"] * 2
    assert alpha.statistics().inbound_acked == 2


async def test_messages_come_while_they_are_due_and_not_in_one_heap(autojump_clock: Clock) -> None:
    alpha = carrier_of(Profile(inbound=(inbound(at=5.0, every=10.0, lasting=25.0),)))
    async with bound(alpha) as client:
        await client.receive(3)
    assert client.times[1:] == [5.0, 15.0, 25.0]


async def test_message_that_was_due_before_the_bind_waits_for_it(autojump_clock: Clock) -> None:
    alpha = carrier_of(Profile(inbound=(inbound(at=5.0),)))
    alpha.begin(trio.current_time())
    await trio.sleep(60)
    async with bound(alpha) as client:
        await client.until_quiet()
    assert len(client.delivered()) == 1


def test_rate_is_kept_on_the_average() -> None:
    some = phones(inbound(rate=5.0))
    counts = [len(some.take(float(second))) for second in range(1, 201)]
    assert 900 < sum(counts) < 1100
    assert len(set(counts)) > 5
    assert some.next_at() > 200


def test_phones_that_nobody_heard_have_written_only_so_much() -> None:
    some = phones(inbound(rate=10_000.0))
    assert len(some.take(86_400.0)) == CATCH_UP_MAX
    assert 86_400 < some.next_at() < 86_401


def test_source_is_drawn_from_its_list_and_its_digits() -> None:
    some = phones(inbound(sources=("4477#", "4978##"), every=1.0))
    sources = {delivery.pdu.source_addr for delivery in some.take(300.0)}
    assert all(len(one) == (5 if one.startswith("4477") else 6) for one in sources)
    assert len(sources) > 20


@pytest.mark.parametrize(
    ("data_coding", "octets", "written"),
    [(None, b"\x05", 0), (0, b"\x05", 0), (3, b"\xe9", 3), (8, b"\x00\xe9", 8)],
)
def test_text_is_written_in_the_data_coding_it_is_given(
    data_coding: int | None, octets: bytes, written: int
) -> None:
    (delivery,) = phones(inbound("é", data_coding=data_coding)).take(0.0)
    assert (delivery.pdu.short_message, delivery.pdu.data_coding) == (octets, written)


@pytest.mark.parametrize(
    ("alphabet", "octets", "written"),
    [("gsm7", b"\x05", 0), ("latin1", b"\xe9", 0), ("ascii", b"\x00\xe9", 8)],
)
def test_text_is_written_in_what_data_coding_0_means_there(
    alphabet: Alphabet, octets: bytes, written: int
) -> None:
    profile = Profile(Behaviour(default_alphabet=alphabet), inbound=(inbound("é"),))
    (delivery,) = Phones(profile, 0, "alpha").take(0.0)
    assert (delivery.pdu.short_message, delivery.pdu.data_coding) == (octets, written)


async def test_phone_answers_in_what_data_coding_0_means_there(autojump_clock: Clock) -> None:
    replies = (Reply(texts=("Où ?",)),)
    profile = Profile(Behaviour(default_alphabet="latin1"), replies=replies)
    async with bound(carrier_of(profile)) as client:
        await client.submit(asking(b"hi"))
        await client.receive(2)
    assert client.delivered()[0].short_message == b"O\xf9 ?"


@pytest.mark.parametrize(("data_coding", "written"), [(None, 4), (0xF5, 0xF5)])
def test_octets_are_written_as_they_stand(data_coding: int | None, written: int) -> None:
    entry = inbound(texts=(), data=b"\x00\xff", data_coding=data_coding)
    (delivery,) = phones(entry).take(0.0)
    assert (delivery.pdu.short_message, delivery.pdu.data_coding) == (b"\x00\xff", written)


def test_same_seed_writes_the_same_and_one_table_does_not_shift_another() -> None:
    one = inbound(rate=2.0, sources=("44########",))
    alone = [delivery.pdu for delivery in phones(one).take(50.0)]
    beside = [delivery.pdu for delivery in phones(one, inbound("other", rate=9.0)).take(50.0)]
    assert [pdu for pdu in beside if pdu.short_message == b"hi"] == alone
    assert [delivery.pdu for delivery in phones(one, seed=1).take(50.0)] != alone


# Phones that answer


def replying(**fields: object) -> SimulatedCarrier:
    keys = {"contains": "Reply", "texts": ("YES",), **fields}
    return carrier_of(Profile(replies=(Reply(**keys),)))  # type: ignore[arg-type]


def asking(text: bytes, number: int = 0, **fields: object) -> SubmitSm:
    """One submit of a sender that phones can answer; each number is another phone."""
    own = {"source_addr": "12345", "short_message": text, "registered_delivery": 0, **fields}
    return submit(number, **own)


async def test_phone_answers_what_it_is_asked_after_a_while(autojump_clock: Clock) -> None:
    async with bound(replying(delay=Uniform(2, 4))) as client:
        await client.submit(asking(b"please reply"), asking(b"no"))
        await client.receive(3)
    (pdu,) = client.delivered()
    assert (pdu.source_addr, pdu.destination_addr) == ("447700900000", "12345")
    assert pdu.short_message == b"YES"
    assert 2 <= client.times[-1] <= 4


async def test_phone_answers_a_long_message_once_it_is_whole(autojump_clock: Clock) -> None:
    bodies = segment.split("Please reply! " + "x" * 300, "gsm7", segment.PLAIN_FORM, 1)
    async with bound(replying()) as client:
        for body in reversed(bodies):
            assert client.delivered() == []
            await client.submit(asking(body, esm_class=c.ESM_UDHI))
            await client.until_quiet()
    assert len(client.delivered()) == 1


async def test_phone_cannot_answer_to_a_name(autojump_clock: Clock) -> None:
    async with bound(replying()) as client:
        await client.submit(asking(b"reply", source_addr="shop"))
        await client.until_quiet()
    assert client.delivered() == []


async def test_phone_does_not_answer_what_it_did_not_get(autojump_clock: Clock) -> None:
    replies = (Reply(texts=("YES",)),)
    async with bound(carrier_of(Profile(Behaviour(refuse_rate=1), replies=replies))) as client:
        await client.submit(asking(b"reply"))
        await client.until_quiet()
    assert client.delivered() == []


async def test_only_so_many_phones_answer(autojump_clock: Clock) -> None:
    async with bound(replying(rate=0.25)) as client:
        await client.submit(*(asking(b"reply", n) for n in range(200)))
        await client.until_quiet()
    assert 25 < len(client.delivered()) < 75


async def test_alerts_come_by_themselves(autojump_clock: Clock) -> None:
    alert = Alert(at=3.0, every=10.0, source="4477", to="12345", availability=2)
    alpha = carrier_of(Profile(alerts=(alert,)))
    async with bound(alpha) as client:
        await client.receive(2)
    assert client.signals == [AlertReceived("4477", "12345", 2)] * 2
    assert client.times[1:] == [3.0, 13.0]


# The profiles that come with the project

PROFILES = Path(__file__).parent.parent.parent / "examples" / "profiles"


async def test_flaky_profile_does_all_that_it_says(autojump_clock: Clock) -> None:
    alpha = carrier_of(load_profile(PROFILES / "flaky.toml"))
    chance = random.Random(1)
    async with bound(alpha) as client:
        for _ in range(20):
            await client.submit(*(submit(chance.randrange(99_999)) for _ in range(100)))
            await client.until_quiet()
        await client.until_end()
    statistics = alpha.statistics()
    assert client.session.closed
    assert statistics.accepted + statistics.refused == 2_000
    assert 15 < statistics.refused < 80
    assert statistics.receipts_doubled > 50
    assert statistics.receipts_lost > 20
    stats = {receipt.stat for receipt in client.receipts()}
    assert stats == {"DELIVRD", "UNDELIV", "EXPIRED", "ENROUTE"}
    async with bound(alpha) as client:
        await client.until_quiet()
        await trio.sleep_until(305)
        await client.until_end()


async def test_throttling_profile_lowers_its_limit(autojump_clock: Clock) -> None:
    alpha = carrier_of(load_profile(PROFILES / "throttling.toml"))
    taken = []
    async with bound(alpha) as client:
        for time in (10, 910, 1_010, 1_810):
            await trio.sleep_until(time)
            before = alpha.statistics().accepted
            await client.submit(*submits(150))
            await trio.sleep(2)
            await client.until_quiet()
            taken.append(alpha.statistics().accepted - before)
    assert [taken[0], taken[1], taken[3]] == [100, 20, 100]
    assert taken[2] < 20
    assert {0, c.ESME_RTHROTTLED, c.ESME_RMSGQFUL} == set(client.statuses())


async def test_two_way_profile_writes_and_answers(autojump_clock: Clock) -> None:
    alpha = carrier_of(load_profile(PROFILES / "two_way.toml"))
    async with bound(alpha) as client:
        await client.submit(*(asking(b"Reply YES to keep it", n) for n in range(20)))
        await trio.sleep(65)
        await client.until_quiet()
    pdus = client.delivered()
    answers = [pdu for pdu in pdus if pdu.short_message.upper().startswith(b"YES")]
    assert 8 <= len(answers) <= 20
    assert all(pdu.destination_addr == "12345" for pdu in pdus)
    assert sum(pdu.esm_class == c.ESM_UDHI for pdu in pdus) == 4
    assert AlertReceived("447700900456", "12345", 0) in client.signals


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
async def test_carrier_with_any_of_the_profiles_takes_a_message(
    autojump_clock: Clock, path: Path
) -> None:
    async with joined(carrier_of(load_profile(path))) as client:
        assert isinstance(await client.bind(), Bound)
        await client.submit(submit())
        await trio.sleep(30)
        await client.until_quiet()
    assert client.statuses() == [0]
