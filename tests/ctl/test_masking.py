"""What is hidden without --reveal: numbers wherever they stand, and what receipts quote."""

from __future__ import annotations

import pytest

from smppd.ctl.masking import hide, hide_number


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+4915123456789", "+4915****6789"),
        ("+49 151 23-45.67(89)", "+4915****6789"),
        ("12345", "****5"),
        ("ACME", "ACME"),
        ("ACME 24-7", "ACME 24-7"),
    ],
)
def test_number_is_masked_and_a_name_is_not(number: str, shown: str) -> None:
    assert hide_number(number) == shown


def test_numbers_are_masked_however_deep_and_all_else_is_kept() -> None:
    answer = {"messages": [{"to": "+4915123456789", "ref": "4915123456789", "segments": 2}]}
    assert hide(answer) == {
        "messages": [{"to": "+4915****6789", "ref": "4915123456789", "segments": 2}]
    }


def test_of_a_text_its_length_is_shown() -> None:
    assert hide({"event": "inbound", "text": "my card is 4111"})["text"] == "(15 characters)"
    assert hide({"event": "inbound", "text": None})["text"] is None
    assert hide({"type": "trace", "text": ""})["text"] == ""


def test_of_octets_that_are_no_text_their_number_is_shown() -> None:
    assert hide({"event": "inbound", "text": "", "data": "01020304"})["data"] == "(4 octets)"
    assert hide({"type": "trace", "message": {"data": None}})["message"] == {"data": None}


def test_meta_is_the_apps_own_and_kept() -> None:
    assert hide({"meta": {"to": "+4915123456789"}}) == {"meta": {"to": "+4915123456789"}}


def test_number_that_a_reason_quotes_is_masked() -> None:
    reason = "'+49 151 23' is in no known number range; nor is 4915123456789"
    assert hide({"reason": reason})["reason"] == (
        "'+4****23' is in no known number range; nor is 4915****6789"
    )


@pytest.mark.parametrize(
    "reason", ["127.0.0.1:2775: Connection refused", "its key is ab12345678cd, not ef", "'a' is 12"]
)
def test_reason_without_a_number_is_whole(reason: str) -> None:
    assert hide({"reason": reason})["reason"] == reason


@pytest.mark.parametrize(
    ("receipt", "shown"),
    [
        ("id:1 stat:DELIVRD err:000 text:Your code is 1234", "id:1 stat:DELIVRD err:000 text:"),
        ("id:1 err:000 Text:Your\ncode", "id:1 err:000 Text:"),
        ("id:1 TEXT=Your code", "id:1 TEXT="),
        ("\0i\0d\0:\x001\0 \0t\0e\0x\0t\0:\0c\0o\0d\0e", "\0i\0d\0:\x001\0 \0t\0e\0x\0t\0:"),
        ("id:1 stat:DELIVRD", "id:1 stat:DELIVRD"),
    ],
)
def test_receipt_is_shown_up_to_the_words_of_the_message(receipt: str, shown: str) -> None:
    assert hide({"steps": [{"detail": receipt}]}) == {"steps": [{"detail": shown}]}
