"""The keys of a carrier that say how its receipts are, from its file to what the store goes by."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from smppd.config import CarrierConfig, check, load
from smppd.daemon.build import build_profile
from smppd.daemon.fleet import is_bind_kept
from smppd.store.records import CarrierProfile
from tests.config.house import CARRIER, only_problem, only_warning, write_config

KEYS = {
    "message_id_33": "hex_to_dec",
    "match_receipts": "address",
    "unmarked_receipts": True,
    "accepted_is_final": True,
    "receipt_covers": "message",
}


def carrier_of(directory: Path, lines: str = "") -> CarrierConfig:
    return load(write_config(directory, carrier=CARRIER + lines)).carriers["alpha"]


def test_receipts_are_by_default_as_the_standard_has_them(tmp_path: Path) -> None:
    assert build_profile(carrier_of(tmp_path)) == CarrierProfile()


@pytest.mark.parametrize(("key", "value"), KEYS.items())
def test_key_of_receipts_reaches_the_store_and_keeps_the_binds(
    tmp_path: Path, key: str, value: str | bool
) -> None:
    shown = msgspec.json.encode(value).decode()
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = carrier_of(tmp_path / "old"), carrier_of(tmp_path / "new", f"{key} = {shown}\n")
    assert getattr(build_profile(new), key) == value
    assert is_bind_kept(old, new)


@pytest.mark.parametrize("key", KEYS)
def test_word_that_a_key_of_receipts_does_not_know_is_refused(tmp_path: Path, key: str) -> None:
    problem = only_problem(write_config(tmp_path, carrier=CARRIER + f'{key} = "perhaps"\n'))
    assert (problem.key, problem.line) == (key, 5)


@pytest.mark.parametrize("key", ["message_id", "message_id_33"])
def test_id_rule_beside_addresses_is_named(tmp_path: Path, key: str) -> None:
    lines = f'match_receipts = "address"\n{key} = "same"\n'
    warning = only_warning(write_config(tmp_path, carrier=CARRIER + lines))
    assert (warning.key, warning.line) == (key, 6)


def test_addresses_alone_are_not_named(tmp_path: Path) -> None:
    lines = 'match_receipts = "address"\n'
    assert check(write_config(tmp_path, carrier=CARRIER + lines)) == []
