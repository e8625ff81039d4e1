"""Smart encoding, which keeps texts out of UCS-2: from the submit to the octets."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from smppd.api.answers import AcceptedAnswer, RejectedAnswer
from tests.quirks.wire import OpenWire, in_base64
from tests.quirks.wire import open_wire as open_wire


def test_smart_encoding_replaces_what_keeps_a_text_out_of_gsm7_and_says_so(
    open_wire: OpenWire,
) -> None:
    wire = open_wire()
    text = "It’s “here” – " + "x" * 120
    answer = wire.submit(text, smart_encoding=True)
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.segments, answer.encoding, answer.segments_saved) == (1, "gsm7", 1)
    assert answer.replaced
    told = {(one.character, one.by, one.count) for one in answer.replaced}
    assert told == {("’", "'", 1), ("“", '"', 1), ("”", '"', 1), ("–", "-", 1)}
    (pdu,) = wire.take()
    assert pdu.short_message == ('It\'s "here" - ' + "x" * 120).encode()


def test_smart_encoding_is_off_unless_asked(open_wire: OpenWire) -> None:
    wire = open_wire()
    answer = wire.submit("It’s")
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.encoding, answer.replaced) == ("ucs2", UNSET)


@pytest.mark.parametrize(
    ("app", "asked", "encoding"),
    [
        ("smart", {}, "gsm7"),
        ("smart", {"smart_encoding": False}, "ucs2"),
        ("shop", {"smart_encoding": True}, "gsm7"),
        ("shop", {"smart_encoding": True, "encoding": "gsm7"}, "gsm7"),
        ("shop", {"smart_encoding": True, "encoding": "ucs2"}, "ucs2"),
    ],
)
def test_smart_encoding_is_the_apps_default_and_the_submits_word(
    open_wire: OpenWire, app: str, asked: dict[str, object], encoding: str
) -> None:
    answer = open_wire(app=app).submit("It’s", **asked)  # type: ignore[arg-type]
    assert isinstance(answer, AcceptedAnswer)
    assert answer.encoding == encoding


def test_smart_encoding_leaves_a_text_that_goes_as_ucs2_anyway(open_wire: OpenWire) -> None:
    wire = open_wire()
    (pdu,) = wire.send("“я”", smart_encoding=True)
    assert pdu.short_message.decode("utf-16-be") == "“я”"


def test_smart_encoding_never_takes_a_segment_more(open_wire: OpenWire) -> None:
    wire = open_wire()
    (pdu,) = wire.send("…" * 70, smart_encoding=True)
    assert pdu.data_coding == 8
    assert "replaced" not in wire.quote("…" * 70, smart_encoding=True)


def test_smart_encoding_that_costs_too_much_is_left_out(open_wire: OpenWire) -> None:
    wire = open_wire()
    (pdu,) = wire.send("…" * 70, smart_encoding=True, max_cost="0.01")
    assert pdu.short_message.decode("utf-16-be") == "…" * 70


def test_smart_encoding_counts_the_tables_that_the_carrier_takes(open_wire: OpenWire) -> None:
    wire = open_wire('national_languages = ["tr"]')
    text = "“Şişli’de” " + "ığ" * 60
    answer = wire.submit(text, smart_encoding=True)
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.encoding, answer.segments, answer.segments_saved) == ("gsm7", 1, 1)
    assert wire.read(wire.take()) == '"Şişli\'de" ' + "ığ" * 60


def test_smart_encoding_is_judged_by_the_carriers_alphabet(open_wire: OpenWire) -> None:
    wire = open_wire('default_alphabet = "ascii"')
    (pdu,) = wire.send("“é”", smart_encoding=True)  # GSM-7 has é, this carrier has not
    assert pdu.short_message.decode("utf-16-be") == "“é”"


def test_resubmission_is_answered_with_what_was_replaced_first(open_wire: OpenWire) -> None:
    wire = open_wire()
    first = wire.submit("It’s", smart_encoding=True)
    again = wire.submit("It’s", smart_encoding=True)
    other = wire.submit("It's", smart_encoding=True)
    assert isinstance(first, AcceptedAnswer)
    assert isinstance(again, AcceptedAnswer)
    assert (again.id, again.duplicate, again.replaced) == (first.id, True, first.replaced)
    assert isinstance(other, RejectedAnswer)
    assert other.code == "ref_conflict"


def test_quote_says_what_smart_encoding_would_do(open_wire: OpenWire) -> None:
    quoted = open_wire().quote("It’s " + "x" * 100, smart_encoding=True)
    assert quoted["replaced"] == ({"character": "’", "by": "'", "count": 1},)
    assert (quoted["segments"], quoted["encoding"], quoted["segments_saved"]) == (1, "gsm7", 1)
    assert "replaced" not in open_wire().quote("It’s " + "x" * 100)


def test_smart_encoding_is_of_text_and_refused_beside_data(open_wire: OpenWire) -> None:
    answer = open_wire().submit(data=in_base64(b"a"), smart_encoding=True)
    assert isinstance(answer, RejectedAnswer)
    assert answer.reason == "'smart_encoding' is of 'text'; leave it out"
