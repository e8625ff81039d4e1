"""A message goes out in the form of whoever takes it, and is counted and charged as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp import constants
from smppd.store.changes import Accepted, Extras, Verdict
from smppd.store.fitting import fit_message, plan_message
from smppd.store.records import CarrierProfile, Message, Segment, segments_of
from smppd.text.segment import PLAIN_FORM, Form, Plan
from tests.house import House, Open, pdu_of

PAYLOAD = CarrierProfile(form=Form("payload"))
WIDE = CarrierProfile(form=Form("udh16"))
SAR = CarrierProfile(form=Form("sar"))
LATIN = CarrierProfile(form=Form(default_alphabet="latin1"))
EURO = "€" * 100  # an escape and a character each in GSM-7, and not in Latin-1

forms = st.builds(
    Form,
    st.sampled_from(["udh8", "udh16", "sar", "payload"]),
    st.sampled_from(["gsm7", "latin1", "ascii"]),
)


def make_message(text: str, extras: Extras | None = None) -> Message:
    message = Message(
        1, "shop", "r1", "491701234567", 5, 0, "ACME", text, "transactional", "gsm7", True, None,
        None, 1_000, 61_000, "resend", b"12345678", (Segment(),),
    )  # fmt: skip
    message.extras = extras
    message.form = Form("udh8", "ascii") if message.form is None else message.form
    assert fit_message(message, None)
    return message


@given(st.text(alphabet="aé€\n[😀", max_size=400), st.lists(forms, max_size=4))
def test_message_is_always_what_its_last_form_makes_of_it(text: str, tried: list[Form]) -> None:
    message = make_message(text)
    for form in tried:
        assert fit_message(message, form)
        plan = plan_message(message, form)
        assert isinstance(plan, Plan)
        assert (segments_of(message), len(message.parts)) == (plan.segments, plan.submits)
        assert message.encoding == plan.encoding


def test_message_that_cannot_be_written_in_a_form_stays_as_it_was() -> None:
    message = make_message("x" * 153 * 255)
    before = len(message.parts), message.encoding, message.form
    message.text = message.text[:-1] + "é"
    assert not fit_message(message, Form(default_alphabet="ascii"))
    assert (len(message.parts), message.encoding, message.form) == before


def test_data_is_planned_as_data() -> None:
    message = make_message("", Extras(data=b"\xff" * 300))
    assert (message.encoding, len(message.parts)) == ("binary", 3)
    assert plan_message(message, PLAIN_FORM) == Plan("binary", 3, 3)


# --- in the store ---


def test_carrier_with_message_payload_gets_one_submit_and_is_paid_for_all(
    open_house: Open,
) -> None:
    house = open_house(profile=PAYLOAD)
    house.up()
    house.submit("r1", text="x" * 300, segments=1, units=2, form=Form("payload"))
    submits = house.take()
    assert [pdu_of(submit).tlvs[constants.TLV_MESSAGE_PAYLOAD] for submit in submits] == [
        b"x" * 300
    ]
    house.answer(submits)
    event = house.events()[0]
    assert (event["segments"], event["cost"]) == (2, "0.02")
    assert "segments_taken" not in event
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.segments, len(view.parts), view.cost) == (2, 1, "0.02")


def test_answer_names_the_segments_that_arrive(open_house: Open) -> None:
    house = open_house(profile=PAYLOAD)
    proposal = house.propose("r1", text="x" * 300, units=2, form=Form("payload"))
    (accepted,) = house.commit([proposal])
    assert isinstance(accepted, Accepted)
    assert accepted.segments == 2
    (again,) = house.commit([proposal])
    assert isinstance(again, Accepted)
    assert (again.segments, again.duplicate) == (2, True)


def planned_for_alpha(house: House) -> None:
    house.submit("r1", text=EURO, segments=2, encoding="gsm7")


def test_other_carrier_that_reads_latin1_gets_it_planned_anew(open_house: Open) -> None:
    house = open_house(profiles={"beta": LATIN})
    planned_for_alpha(house)
    house.up("beta")
    submits = house.take("beta")
    assert [pdu_of(submit).data_coding for submit in submits] == [8, 8]
    house.answer(submits, carrier="beta")
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.encoding, view.segments) == ("ucs2", 2)


def test_refused_message_is_planned_back_for_a_plain_carrier(open_house: Open) -> None:
    house = open_house(profiles={"alpha": LATIN})
    house.up("alpha")
    house.up("beta")
    house.submit("r1", text="€" * 150, segments=3, encoding="ucs2", form=LATIN.form)
    refused = house.take("alpha")
    assert len(refused) == 3
    house.answer(refused, verdict=Verdict.REROUTE, status=0x0B)
    submits = house.take("beta")
    assert [pdu_of(submit).data_coding for submit in submits] == [0, 0]
    house.answer(submits, carrier="beta")
    assert house.events()[0]["segments"] == 2


def test_sixteen_bit_references_are_drawn_for_forms_that_have_room(open_house: Open) -> None:
    house = open_house(profile=WIDE)
    house.up()
    house.submit("r1", text="x" * 300, segments=2, form=Form("udh16"))
    first, second = (pdu_of(submit) for submit in house.take())
    assert first.short_message[:3] == second.short_message[:3] == b"\x06\x08\x04"
    assert first.short_message[3:5] == second.short_message[3:5]


def test_half_sent_message_keeps_its_form_over_a_reload_and_a_restart(open_house: Open) -> None:
    house = open_house(window=1, profile=SAR)
    house.up()
    house.submit("r1", text="x" * 300, segments=2, form=Form("sar"))
    (first,) = house.take()
    house.answer([first])
    house.close()
    house = open_house(window=1)
    house.up()
    house.down(doubt=[])
    house.up()
    (second,) = house.take()
    assert pdu_of(second).tlvs[constants.TLV_SAR_SEGMENT_SEQNUM] == b"\x02"
    assert (
        pdu_of(first).tlvs[constants.TLV_SAR_MSG_REF_NUM]
        == pdu_of(second).tlvs[constants.TLV_SAR_MSG_REF_NUM]
    )


def test_message_that_no_form_of_a_carrier_can_hold_goes_to_the_next_offer(
    open_house: Open,
) -> None:
    house = open_house(profiles={"alpha": CarrierProfile(form=Form(default_alphabet="ascii"))})
    house.submit("r1", text="é" * 153 * 250, segments=250, valid_for=60)
    house.up("alpha")
    house.up("beta")
    assert house.take("alpha") == []
    assert house.take("beta")


@pytest.mark.parametrize("wanted", ["auto", "ucs2"])
def test_encoding_that_was_asked_for_is_kept_by_every_form(open_house: Open, wanted: str) -> None:
    house = open_house(profiles={"beta": WIDE})
    extras = Extras(wanted="ucs2") if wanted == "ucs2" else None
    house.submit("r1", text="hello", encoding="ucs2", extras=extras)
    house.up("beta")
    (submit,) = house.take("beta")
    assert pdu_of(submit).data_coding == (8 if wanted == "ucs2" else 0)
