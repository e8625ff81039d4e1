"""Which ids of responses and receipts may name one message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.smpp.message_id import (
    ALL_WIDTHS,
    MessageIdRule,
    candidate_ids,
    inverse_candidate_ids,
)

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=300)
RULES: list[MessageIdRule] = ["same", "hex_to_dec", "dec_to_hex", "auto"]

# The id of the response, that of the receipt, and the rule that joins them: from issues of
# jookies/jasmin (#1034, #586, #916, #375, #643) and rows 31, 6, 7 and 13 of the receipts.
PAIRS: list[tuple[str, str, MessageIdRule]] = [
    ("39f99dd5", "0972660181", "hex_to_dec"),
    ("812FC7470000001B", "9308878062554710043", "hex_to_dec"),
    ("666C7CEC78", "439906790520", "hex_to_dec"),
    ("0000436949", "6aad5", "dec_to_hex"),
    ("0416342074", "18d0e03a", "dec_to_hex"),
    ("0059113978", "38601fa", "dec_to_hex"),
    ("000024", "24", "auto"),
    ("24", "000024", "auto"),
    ("1101c1-", "1101C1-", "auto"),
    ("0e999f21-8a3f-4c1d-9e57-0123456789ab", "E999F21-8A3F-4C1D-9E57-0123456789AB", "auto"),
    ("any thing", "any thing", "same"),
]

hex_ids = st.text(st.sampled_from("0123456789abcdef"), min_size=1, max_size=20)
numbers = st.integers(0, 2**80).flatmap(lambda n: st.sampled_from([str(n), f"{n:x}", f"{n:X}"]))
spelt = st.one_of(
    numbers,
    st.tuples(numbers, st.sampled_from(ALL_WIDTHS)).map(lambda pair: pair[0].zfill(pair[1])),
    st.tuples(numbers, st.integers(0, 3)).map(lambda pair: "0" * pair[1] + pair[0]),
    hex_ids,
    st.uuids().map(str),
    st.uuids().map(lambda uuid: str(uuid).upper().lstrip("0")),
    st.text(max_size=12),
)


def is_canonical(receipt_id: str) -> bool:
    """The proviso of the second invariant: one case, no zeros in front or a known width."""
    one_case = receipt_id in (receipt_id.lower(), receipt_id.upper())
    padded = receipt_id[:1] == "0" and len(receipt_id) > 1
    return one_case and (not padded or len(receipt_id) in ALL_WIDTHS)


@pytest.mark.parametrize(("response_id", "receipt_id", "rule"), PAIRS)
def test_reference_pair_is_found_both_ways(
    response_id: str, receipt_id: str, rule: MessageIdRule
) -> None:
    assert response_id in candidate_ids(receipt_id, rule)
    assert receipt_id in inverse_candidate_ids(response_id, rule)
    assert response_id in candidate_ids(receipt_id, "auto")
    assert receipt_id in inverse_candidate_ids(response_id, "auto")


@PROPERTY
@given(spelt, st.sampled_from(RULES))
def test_every_id_of_the_inverse_has_the_response_among_its_candidates(
    response_id: str, rule: MessageIdRule
) -> None:
    receipts = inverse_candidate_ids(response_id, rule)
    assert all(response_id in candidate_ids(receipt_id, rule) for receipt_id in receipts)


@PROPERTY
@given(spelt.filter(is_canonical), st.sampled_from(RULES))
def test_every_candidate_has_a_canonical_receipt_in_its_inverse(
    receipt_id: str, rule: MessageIdRule
) -> None:
    responses = candidate_ids(receipt_id, rule)
    assert all(receipt_id in inverse_candidate_ids(response, rule) for response in responses)


@PROPERTY
@given(spelt, st.sampled_from(RULES))
def test_lists_are_short_and_without_repetition_and_hold_the_id_itself(
    id_: str, rule: MessageIdRule
) -> None:
    for ids in (candidate_ids(id_, rule), inverse_candidate_ids(id_, rule)):
        assert id_ in ids
        assert len(set(ids)) == len(ids) <= 48


def test_same_gives_the_id_alone() -> None:
    assert candidate_ids("0a", "same") == inverse_candidate_ids("0a", "same") == ["0a"]


def test_auto_looks_for_the_identical_id_first() -> None:
    assert candidate_ids("0972660181", "auto")[0] == "0972660181"
    assert inverse_candidate_ids("0972660181", "auto")[0] == "0972660181"


def test_known_conversion_comes_before_the_same_digits_of_another_message() -> None:
    assert candidate_ids("10", "hex_to_dec")[0] == "a"
    assert candidate_ids("10", "hex_to_dec")[-1] == "10"
    assert candidate_ids("10", "dec_to_hex")[0] == "16"
    assert candidate_ids("10", "dec_to_hex")[-1] == "10"


@pytest.mark.parametrize("id_", ["", "0", "-1", "+1", "1_000", " 7", "٣", "²", "0x1f", "1e5", "ß"])
@pytest.mark.parametrize("rule", RULES)
def test_odd_ids_raise_nothing_and_are_not_taken_for_numbers(id_: str, rule: MessageIdRule) -> None:
    assert id_ in candidate_ids(id_, rule)
    assert id_ in inverse_candidate_ids(id_, rule)


@pytest.mark.parametrize("rule", RULES)
def test_digits_without_end_are_no_number(rule: MessageIdRule) -> None:
    assert (
        candidate_ids("9" * 5000, rule) == inverse_candidate_ids("9" * 5000, rule) == ["9" * 5000]
    )


@pytest.mark.parametrize("rule", RULES)
def test_ids_of_64_octets_are_numbers_still(rule: MessageIdRule) -> None:
    assert candidate_ids("9" * 64, rule)
    assert inverse_candidate_ids("f" * 64, rule)
