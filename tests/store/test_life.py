"""What a message goes through, step by step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.receipt import Receipt
from smppd.store import life, records, said
from smppd.store.changes import Verdict
from smppd.store.events import encode_event
from smppd.store.records import (
    CANCELLED,
    GRANTED,
    QUEUED,
    STEPS_MAX,
    TAKEN,
    UNCERTAIN,
    WAITING,
    Message,
    Segment,
)


def make_message(segments: int = 1) -> Message:
    message = Message(
        1, "shop", "r1", "491701234567", 5, 0, "ACME", "hi", "transactional", "gsm7", True, None,
        None, 1_000, 61_000, "resend", b"12345678", tuple(Segment() for _ in range(segments)),
    )  # fmt: skip
    message.carrier = "alpha"
    message.cost = "0.01"
    message.receipts = segments
    for part in message.parts:
        part.state = GRANTED
    return message


def make_receipt(state: int | None, *, intermediate: bool = False, err: str = "000") -> Receipt:
    return Receipt(
        id="m1", tlv_id=None, sub=None, dlvrd=None, stat="X", err=err, text=None,
        submit_date=None, done_date=None, state=state, intermediate=intermediate,
    )  # fmt: skip


def take(message: Message, index: int = 0) -> list[said.Fact]:
    return life.answer(message, index, Verdict.TAKEN, 0, f"m{index}", 2_000)


def test_message_is_sent_when_every_segment_is_taken() -> None:
    message = make_message(2)
    assert take(message, 0) == []
    assert [fact.event for fact in take(message, 1)] == ["sent"]
    assert message.state == records.SENT
    assert message.first_taken_at == 2_000


def test_message_without_receipts_is_done_when_sent() -> None:
    message = make_message()
    message.receipts = 0
    take(message)
    assert message.state == records.DONE


def test_throttled_message_waits_again_and_leaves_its_carrier() -> None:
    message = make_message()
    assert life.answer(message, 0, Verdict.SLOW, 0x58, "", 2_000) == []
    assert life.is_waiting(message)
    assert message.carrier == ""
    assert message.attempts == 0


def test_half_sent_message_that_is_throttled_stays_on_its_carrier() -> None:
    message = make_message(2)
    take(message, 0)
    life.answer(message, 1, Verdict.SLOW, 0x58, "", 2_000)
    assert life.is_waiting(message)
    assert message.carrier == "alpha"


def test_passing_fault_waits_longer_each_time() -> None:
    message = make_message()
    delays = []
    for _ in range(9):
        message.parts[0].state = GRANTED
        life.answer(message, 0, Verdict.RETRY, 8, "", 0)
        delays.append(message.retry_at)
    assert delays[:4] == [1_000, 2_000, 4_000, 8_000]
    assert delays[-1] == life.RETRY_MILLISECONDS_MAX


def test_refused_message_is_offered_to_the_next_carrier() -> None:
    message = make_message()
    assert life.answer(message, 0, Verdict.REROUTE, 0x45, "", 2_000) == []
    assert message.refused_by == ("alpha",)
    assert life.is_waiting(message)


def test_message_refused_for_what_it_is_fails_at_once() -> None:
    message = make_message()
    facts = life.answer(message, 0, Verdict.REFUSE, 1, "", 2_000)
    assert [(fact.event, fact.code, fact.status) for fact in facts] == [
        ("failed", "rejected_by_carrier", 1)
    ]


def test_half_sent_message_that_is_refused_fails_once_nothing_is_outstanding() -> None:
    message = make_message(3)
    take(message, 0)
    assert life.answer(message, 1, Verdict.REROUTE, 0x45, "", 2_000) == []
    facts = life.answer(message, 2, Verdict.TAKEN, 0, "m2", 2_000)
    assert [(fact.event, fact.code) for fact in facts] == [("failed", "rejected_by_carrier")]


def test_doubt_is_told_and_resent_once() -> None:
    message = make_message()
    facts = life.doubt(message, [0], 2_000, "resend")
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", True)]
    assert life.is_waiting(message)
    message.parts[0].state = GRANTED
    facts = life.doubt(message, [0], 3_000, "resend")
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", False)]
    assert message.state == records.UNCERTAIN


def test_doubt_is_not_resent_by_policy_stop() -> None:
    message = make_message()
    facts = life.doubt(message, [0], 2_000, "stop")
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", False)]


def test_doubt_is_not_resent_after_the_validity() -> None:
    message = make_message()
    facts = life.doubt(message, [0], message.expires_at, "resend")
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", False)]


def test_only_the_doubtful_segments_are_sent_again() -> None:
    message = make_message(3)
    take(message, 0)
    life.doubt(message, [1, 2], 2_000, "resend")
    assert [part.state for part in message.parts] == [TAKEN, WAITING, WAITING]
    assert message.carrier == "alpha"


def test_promised_resend_that_is_not_made_is_told_as_uncertain() -> None:
    message = make_message()
    life.doubt(message, [0], 2_000, "resend")
    facts = life.expire(message, message.expires_at)
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", False)]


def test_refused_resend_leaves_the_doubt() -> None:
    message = make_message()
    life.doubt(message, [0], 2_000, "resend")
    message.parts[0].state = GRANTED
    facts = life.answer(message, 0, Verdict.REROUTE, 0x45, "", 3_000)
    assert [(fact.event, fact.resend) for fact in facts] == [("uncertain", False)]


def test_message_expires_here_when_nothing_was_taken() -> None:
    message = make_message()
    message.parts[0].state = WAITING
    assert life.expire(message, message.expires_at - 1) == []
    facts = life.expire(message, message.expires_at)
    assert [(fact.event, fact.where) for fact in facts] == [("expired", "here")]


def test_expiry_waits_for_what_is_outstanding() -> None:
    message = make_message()
    assert life.expire(message, message.expires_at + 1) == []
    assert [fact.event for fact in take(message)] == ["sent"]


def test_half_sent_message_expires_at_the_receipt_timeout() -> None:
    message = make_message(2)
    take(message, 0)
    message.receipt_deadline = message.expires_at + 5_000
    message.parts[1].state = WAITING
    assert life.expire(message, message.expires_at) == []
    facts = life.expire(message, message.receipt_deadline)
    assert [(fact.event, fact.where) for fact in facts] == [("expired", "here")]


def test_message_is_delivered_when_every_receipt_says_so() -> None:
    message = make_message(2)
    take(message, 0)
    take(message, 1)
    assert said.receive(message, 0, make_receipt(2), 3_000, 0) == []
    facts = said.receive(message, 1, make_receipt(2), 3_100, 0)
    assert [(fact.event, fact.err) for fact in facts] == [("delivered", "000")]


def test_receipt_of_a_segment_before_the_message_is_sent_counts_once_it_is() -> None:
    message = make_message(2)
    take(message, 0)
    assert said.receive(message, 0, make_receipt(5), 2_100, 0) == []
    assert [fact.event for fact in take(message, 1)] == ["sent", "failed"]


def test_intermediate_receipt_closes_nothing_and_is_kept() -> None:
    message = make_message()
    take(message)
    assert said.receive(message, 0, make_receipt(2, intermediate=True), 3_000, 0) == []
    assert message.state == records.SENT
    assert len(message.late) == 1


def test_contradicting_receipt_changes_nothing_and_is_kept() -> None:
    message = make_message()
    take(message)
    said.receive(message, 0, make_receipt(2), 3_000, 0)
    assert said.receive(message, 0, make_receipt(5), 4_000, 0) == []
    assert message.state == records.DELIVERED
    assert message.late[0].state == 5


def test_unknown_receipt_is_unconfirmed_and_a_late_one_still_counts() -> None:
    message = make_message()
    take(message)
    facts = said.receive(message, 0, make_receipt(7), 3_000, 0)
    assert [fact.event for fact in facts] == ["unconfirmed"]
    facts = said.receive(message, 0, make_receipt(2), 4_000, 0)
    assert [fact.event for fact in facts] == ["delivered"]


def test_late_receipt_settles_a_doubt() -> None:
    message = make_message()
    life.doubt(message, [0], 2_000, "stop")
    facts = said.receive(message, 0, make_receipt(5, err="011"), 3_000, 0)
    assert [(fact.event, fact.code, fact.err) for fact in facts] == [
        ("failed", "undeliverable", "011")
    ]


def test_late_events_are_kept_only_up_to_their_bound() -> None:
    message = make_message()
    take(message)
    for _ in range(records.LATE_RECEIPTS_MAX + 5):
        said.receive(message, 0, make_receipt(1), 3_000, 0)
    assert len(message.late) == records.LATE_RECEIPTS_MAX


def test_words_of_a_receipt_are_kept_only_as_long_as_an_event_can_carry_them() -> None:
    message = make_message()
    take(message)
    (fact,) = said.receive(message, 0, make_receipt(5, err="\x01" * 60_000), 3_000, 0)
    said.receive(message, 0, make_receipt(2, err="\x01" * 60_000), 4_000, 0)
    assert fact.err == "\x01" * records.RECEIPT_WORD_MAX
    assert message.late[0].err == fact.err
    assert len(encode_event(message, fact, 1, 3_000, "USD")) <= 65_536


def test_message_is_told_held_once_until_it_is_granted() -> None:
    message = make_message()
    message.parts[0].state = WAITING
    facts = life.hold(message, "carrier_paused", 2_000)
    assert [(fact.event, fact.code) for fact in facts] == [("held", "carrier_paused")]
    assert life.hold(message, "carrier_paused", 3_000) == []


def test_message_is_cancellable_until_a_segment_is_granted() -> None:
    message = make_message(2)
    assert not life.is_cancellable(message)
    for part in message.parts:
        part.state = WAITING
    assert life.is_cancellable(message)
    message.parts[1].state = TAKEN
    assert not life.is_cancellable(message)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["taken", "slow", "retry", "reroute", "refuse", "doubt", "back", "grant",
                         "receipt", "expire", "cancel", "hold", "resend", "drop"]),
        st.integers(0, 2),
        st.sampled_from([0, 1, 2, 3, 5, 7, 8]),
        st.integers(0, 100_000),
    ),
    max_size=40,
)  # fmt: skip


@given(_STEPS)
def test_no_order_of_steps_brings_two_of_the_closing_events(
    steps: list[tuple[str, int, int, int]],
) -> None:
    message = make_message(3)
    closing = {"delivered", "failed", "expired", "cancelled"}
    told: list[str] = []
    resends = 0
    for step, index, state, at in steps:
        resends += step == "resend" and message.state == UNCERTAIN
        told += [fact.event for fact in _take_step(message, step, index, state, at)]
    assert sum(event in closing for event in told) <= 1
    assert told.count("sent") <= 1
    assert told.count("uncertain") <= 2 + 2 * resends
    assert len(message.steps) <= STEPS_MAX
    if message.state == CANCELLED:
        assert not any(part.doubted or part.state != WAITING for part in message.parts)
    if message.resent:
        assert sum(part.doubted for part in message.parts) > 0


def _take_step(message: Message, step: str, index: int, state: int, at: int) -> list[said.Fact]:
    verdicts = {
        "taken": Verdict.TAKEN,
        "slow": Verdict.SLOW,
        "retry": Verdict.RETRY,
        "reroute": Verdict.REROUTE,
        "refuse": Verdict.REFUSE,
    }
    if step in verdicts:
        return life.answer(message, index, verdicts[step], 0x45, "m", at)
    if step == "doubt":
        return life.doubt(message, [index], at, "resend")
    if step == "back":
        return life.give_back(message, index, at)
    if step == "receipt":
        return said.receive(message, index, make_receipt(state), at, 0)
    if step == "expire":
        return life.expire(message, at)
    if step == "cancel":
        return life.cancel(message, at) if life.is_cancellable(message) else []
    if step == "hold":
        return life.hold(message, "carrier_paused", at) if life.is_waiting(message) else []
    if step == "resend":
        return life.resend_doubtful(message, at) if message.state == UNCERTAIN else []
    if step == "drop":
        return life.drop_resend(message, at) if _is_promised(message) else []
    if life.is_waiting(message) and message.parts[index].state == WAITING:
        message.carrier = "alpha"
        message.parts[index].state = GRANTED
    return []


def _is_promised(message: Message) -> bool:
    is_on_its_way = any(part.state == GRANTED for part in message.parts)
    return message.state == QUEUED and not is_on_its_way and life.is_resend_waiting(message)


def test_time_of_delivery_is_that_of_the_receipt_that_counts() -> None:
    message = make_message(2)
    take(message, 0)
    take(message, 1)
    said.receive(message, 0, make_receipt(7), 3_000, 1_000_000)  # UNKNOWN, with a done date
    said.receive(message, 0, make_receipt(2), 4_000, 0)
    (fact,) = said.receive(message, 1, make_receipt(2), 4_000, 0)
    assert (fact.event, fact.done_at) == ("delivered", 0)
