"""Profiles and options together: which carrier gets what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from smppd.config import CarrierConfig
from smppd.config.model import TlsConfig
from smppd.errors import ConfigError
from smppd.simulator.profile import Profile
from smppd.simulator.settings import BadOption, read_profiles, read_tls
from tests.simulator.test_listen import CERTIFICATE


def carriers(**keys: object) -> dict[str, CarrierConfig]:
    """alpha with these keys, and beta."""
    own = {"host": "h", "port": 1, "system_id": "s", "password": "p"}
    return {
        "alpha": CarrierConfig(name="alpha", **own, **keys),  # type: ignore[arg-type]
        "beta": CarrierConfig(name="beta", **own),  # type: ignore[arg-type]
    }


def read(
    *files: str, numbers: Mapping[str, list[str] | None] | None = None, seed: int | None = None
) -> dict[str, Profile]:
    return read_profiles(carriers(), files, numbers or {}, seed)


def write(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text, encoding="utf-8")
    return str(directory / name)


def test_without_anything_all_carriers_do_what_they_should() -> None:
    assert read() == {"alpha": Profile(), "beta": Profile()}


def test_profile_is_for_all_or_for_one_and_the_later_one_counts(tmp_path: Path) -> None:
    first = write(tmp_path, "a.toml", "seed = 1")
    second = write(tmp_path, "b.toml", "seed = 2")
    for files, seeds in (
        ([first], [1, 1]),
        ([f"beta={second}"], [0, 2]),
        ([first, f"beta={second}"], [1, 2]),
        ([f"beta={second}", first], [1, 1]),
    ):
        assert [one.behaviour.seed for one in read(*files).values()] == seeds


def test_option_goes_over_the_profile(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", "seed = 1\nrefuse_rate = 0.5\nresponse_delay = 3")
    found = read(path, numbers={"refuse_rate": ["0.1", "beta=0.2"], "receipt_delay": None}, seed=9)
    behaviours = [one.behaviour for one in found.values()]
    assert [one.refuse_rate for one in behaviours] == [0.1, 0.2]
    assert {(one.response_delay, one.seed) for one in behaviours} == {(3.0, 9)}


@pytest.mark.parametrize("value", ["2", "-1", "much", "nobody=0.1", "alpha=x", "nan", ""])
def test_number_that_is_none_names_its_option(value: str) -> None:
    with pytest.raises(BadOption) as caught:
        read(numbers={"refuse_rate": [value]})
    assert caught.value.option == "--refuse-rate"


def test_profile_with_problems_or_for_nobody_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", "x = 1")
    with pytest.raises(ConfigError):
        read(path)
    with pytest.raises(BadOption, match="no carrier 'lossy'; there are alpha, beta"):
        read(f"lossy={path}")
    with pytest.raises(BadOption, match="no carrier 'alfa'; did you mean 'alpha'"):
        read(f"alfa={path}")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(str(tmp_path / "nowhere.toml"))


def test_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    path = write(tmp_path, "x=1.toml", "seed = 1")
    assert read(path)["alpha"].behaviour.seed == 1
    assert read(f"beta={path}")["alpha"].behaviour.seed == 0


def test_tls_is_for_whom_it_is_given() -> None:
    assert read_tls(carriers(), {}) == {}
    assert set(read_tls(carriers(), {"tls_cert": [f"beta={CERTIFICATE}"]})) == {"beta"}
    found = read_tls(carriers(), {"tls_cert": [str(CERTIFICATE)], "tls_key": None})
    assert found["alpha"] is found["beta"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tls_key": ["k.pem"]}, "needed beside"),
        ({"tls_cert": ["nowhere.pem"]}, "nowhere.pem cannot be used"),
        ({"tls_cert": [f"gamma={CERTIFICATE}"]}, "no carrier 'gamma'"),
        ({}, "carrier alpha is configured with tls"),
    ],
)
def test_tls_that_cannot_be_had_is_refused(files: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(BadOption, match=reason):
        read_tls(carriers(tls=TlsConfig()), files)
