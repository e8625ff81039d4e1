"""The tables, against smpplib's and against themselves."""

from __future__ import annotations

import pytest
from smpplib import command_codes, consts

from smppd.smpp import constants


def test_every_status_of_smpplib_has_the_same_number_here() -> None:
    theirs = {
        name.removeprefix("SMPP_"): value
        for name, value in vars(consts).items()
        if name.startswith("SMPP_ESME_")
    }
    ours = {name: value for name, value in vars(constants).items() if name.startswith("ESME_")}
    of_50 = {name: value for name, value in ours.items() if 0x100 <= value <= 0x112}
    assert ours == theirs | of_50
    assert len(of_50) == 0x13


def test_every_status_has_a_name_and_a_text() -> None:
    assert set(constants.STATUS_NAMES) == set(constants.STATUS_TEXTS)
    assert all(text and "<" not in text for text in constants.STATUS_TEXTS.values())


def test_every_tag_of_smpplib_has_the_same_number_here() -> None:
    theirs = {f"TLV_{name.upper()}": value for name, value in consts.OPTIONAL_PARAMS.items()}
    ours = {name: value for name, value in vars(constants).items() if name.startswith("TLV_")}
    assert ours == theirs


def test_every_command_of_smpplib_has_the_same_number_here() -> None:
    ours = {name: command_id for command_id, name in constants.COMMAND_NAMES.items()}
    assert {name: ours.get(name) for name in command_codes.commands} == command_codes.commands


@pytest.mark.parametrize(
    ("command_status", "name", "text"),
    [
        (0x00, "ESME_ROK", "No Error"),
        (0x14, "ESME_RMSGQFUL", "Message Queue is full"),
        (0x07, "ESME_RINVREGDLVFLG", "Invalid Registered Delivery Flag"),
        (0x22, "0x00000022", "Error code outside SMPP 3.4"),
        (0x410, "0x00000410", "Carrier's own error code"),
        (1375, "0x0000055F", "Error code outside SMPP 3.4"),
        (0xFFFFFFFF, "0xFFFFFFFF", "Error code outside SMPP 3.4"),
    ],
)
def test_every_status_can_be_named(command_status: int, name: str, text: str) -> None:
    assert constants.status_name(command_status) == name
    assert constants.status_text(command_status) == text


def test_a_command_is_named_as_the_specification_does() -> None:
    assert constants.command_name(constants.SUBMIT_SM_RESP) == "submit_sm_resp"
    assert constants.command_name(constants.GENERIC_NACK) == "generic_nack"
    assert constants.command_name(0x00010203) == "0x00010203"
