"""``carriers/example.toml`` shows every key of a carrier, and is no carrier."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec

from smppd.config import CarrierConfig, TlsConfig, load
from smppd.config.carrier_file import PASSWORD_KEYS
from tests.config.house import CARRIER, only_problem, problems_of, write_config
from tests.config.pem import CERTIFICATE, KEY

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = (REPOSITORY / "carriers" / "example.toml").read_text(encoding="utf-8")

NO_KEYS = {"name", "files_digest", "cert_until"}
"""Fields that are found out, not written."""

ALTERNATIVES = ("password_file", "password_credential", "outbind")
"""What cannot stand beside the other keys: one password, and TLS or outbind."""


def uncommented(without: tuple[str, ...] = ()) -> str:
    lines = [line[1:] for line in EXAMPLE.splitlines() if re.match(r"#[a-z0-9_]+ =|#\[", line)]
    return "\n".join(line for line in lines if line.split()[0] not in without)


def keys_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)} - NO_KEYS


def test_example_shows_every_key_and_no_other() -> None:
    shown = tomllib.loads(uncommented())

    assert set(shown) == keys_of(CarrierConfig) | set(PASSWORD_KEYS)
    assert set(shown["tls"]) == keys_of(TlsConfig)


def test_every_key_of_the_example_has_a_comment() -> None:
    lines = EXAMPLE.splitlines()

    bare = [
        line
        for above, line in pairwise(lines)
        if re.match(r"#[a-z0-9_]+ =", line) and "  # " not in line and not above.startswith("# ")
    ]

    assert bare == ["#port = 2775"]


def test_example_loads_when_its_keys_are_uncommented(tmp_path: Path) -> None:
    write_config(tmp_path, carrier=uncommented(ALTERNATIVES))
    (tmp_path / "carriers" / "example-ca.pem").write_text(CERTIFICATE)
    (tmp_path / "carriers" / "example.pem").write_text(CERTIFICATE)
    (tmp_path / "carriers" / "example.key").write_text(KEY)

    carrier = load(tmp_path).carriers["alpha"]

    assert carrier.host == "smsc.example.net"
    assert carrier.tls is not None


def test_example_shows_the_defaults() -> None:
    shown = tomllib.loads(uncommented())

    told = {"timezone", "outbind", "tls", "uncertain", "message_id_33"}  # by default there is none
    for field in msgspec.structs.fields(CarrierConfig):
        if field.default is not msgspec.NODEFAULT and field.name not in told:
            default = msgspec.json.decode(msgspec.json.encode(field.default))
            assert shown[field.name] == default, field.name


def test_example_is_no_carrier_of_the_repository() -> None:
    assert sorted(load(REPOSITORY).carriers) == ["alpha", "beta"]


def test_repository_has_no_warning() -> None:
    assert load(REPOSITORY).warnings == []


def test_file_of_nothing_but_comments_is_no_carrier(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "carriers" / "beta.toml").write_text("# " + CARRIER.replace("\n", "\n# "))

    assert list(load(tmp_path).carriers) == ["alpha"]


def test_empty_file_is_refused_for_a_failed_write_leaves_one(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "carriers" / "beta.toml").write_text("")

    assert {problem.file for problem in problems_of(tmp_path)} == {"carriers/beta.toml"}


def test_route_to_a_file_of_comments_is_refused(tmp_path: Path) -> None:
    routing = 'currency = "USD"\n[[route]]\nprefix = ""\ncarrier = "example"\ncost = "1"\n'
    write_config(tmp_path, routing=routing)
    (tmp_path / "carriers" / "example.toml").write_text(EXAMPLE)

    problem = only_problem(tmp_path)

    assert (problem.key, problem.line) == ("route[1].carrier", 4)
    assert problem.wrong == "carriers/example.toml sets no key, so it is no carrier"
