"""A carrier's keys together: passwords, TLS files, and what excludes what."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import TlsConfig, check, load
from smppd.config.model import BreakerConfig
from tests.config.house import CARRIER, add_carrier, only_problem, problems_of, write_config
from tests.config.pem import CERTIFICATE, ENCRYPTED_KEY, KEY

PIN = "0123456789abcdef" * 4


def write_alpha(directory: Path, lines: str) -> Path:
    return write_config(directory, carrier=CARRIER + lines)


def write_credential_alpha(directory: Path, name: str = "alpha") -> Path:
    given = f'password_credential = "{name}"'
    return write_config(directory, carrier=CARRIER.replace('password = "secret"', given))


def write_pem_files(directory: Path) -> None:
    (directory / "ca.pem").write_text(CERTIFICATE)
    (directory / "cert.pem").write_text(CERTIFICATE)
    (directory / "key.pem").write_text(KEY)
    (directory / "both.pem").write_text(CERTIFICATE + KEY)
    (directory / "encrypted.pem").write_text(ENCRYPTED_KEY)
    (directory / "note.txt").write_text("no certificate\n")


def tls_of(directory: Path) -> TlsConfig:
    tls = load(directory).carriers["alpha"].tls
    assert tls is not None
    return tls


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("bind", ["transceiver", "transmitter", "pair"]),
        ("long_message", ["udh8", "udh16", "sar", "payload"]),
        ("default_alphabet", ["gsm7", "latin1", "ascii"]),
        ("interface_version", ["3.3", "3.4"]),
        ("submit_command", ["submit_sm", "data_sm"]),
        ("outbind", ["0.0.0.0:2776", "[::]:2776", "smppd.example.net:2776"]),
    ],
)
def test_every_value_of_the_contract_is_read(tmp_path: Path, key: str, values: list[str]) -> None:
    for number, value in enumerate(values):
        directory = tmp_path / str(number)
        directory.mkdir()
        carrier = load(write_alpha(directory, f'{key} = "{value}"\n')).carriers["alpha"]
        assert getattr(carrier, key) == value


def test_receiver_is_read_where_no_route_names_it(tmp_path: Path) -> None:
    add_carrier(write_config(tmp_path), "beta", CARRIER + 'bind = "receiver"\n')

    assert load(tmp_path).carriers["beta"].bind == "receiver"


# -- passwords --------------------------------------------------------------------------------


def test_credential_is_read_from_the_directory_given(tmp_path: Path) -> None:
    write_credential_alpha(tmp_path)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "alpha").write_bytes(b"pa ss\r\n")

    assert load(tmp_path, credentials).carriers["alpha"].password == "pa ss"


def test_credential_without_a_directory_of_them_is_a_problem(tmp_path: Path) -> None:
    problem = only_problem(write_credential_alpha(tmp_path))

    assert (problem.key, problem.line) == ("password_credential", 4)
    assert "there is no $CREDENTIALS_DIRECTORY" in problem.wrong
    assert problem.remedy == "add LoadCredential=alpha:PATH to smppd's unit"


def test_credential_without_a_directory_of_them_is_a_warning_in_a_trial(tmp_path: Path) -> None:
    warnings = check(write_credential_alpha(tmp_path))

    assert [(warning.key, warning.line) for warning in warnings] == [("password_credential", 4)]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("gamma", "credential 'gamma' cannot be read: No such file or directory"),
        ("../alpha", "'../alpha' is not a credential's name"),
        ("", "'' is not a credential's name"),
    ],
)
def test_wrong_credential_is_refused(tmp_path: Path, name: str, wrong: str) -> None:
    write_credential_alpha(tmp_path, name)

    problems = problems_of(tmp_path, tmp_path)

    assert [problem.wrong for problem in problems] == [wrong]


def test_password_in_three_places_is_refused_twice(tmp_path: Path) -> None:
    lines = 'password_file = "a"\npassword_credential = "b"\n'

    problems = problems_of(write_alpha(tmp_path, lines))

    assert [(problem.key, problem.wrong) for problem in problems] == [
        ("password_file", "stands beside 'password'"),
        ("password_credential", "stands beside 'password'"),
    ]


def test_too_long_password_of_a_credential_is_not_shown(tmp_path: Path) -> None:
    write_credential_alpha(tmp_path)
    (tmp_path / "alpha").write_text("far too long a password")

    problems = problems_of(tmp_path, tmp_path)

    assert [problem.key for problem in problems] == ["password"]
    assert "far too long" not in str(problems)


# -- TLS --------------------------------------------------------------------------------------


def test_tls_has_the_defaults_of_the_contract(tmp_path: Path) -> None:
    write_alpha(tmp_path, "tls = {}\n")

    assert tls_of(tmp_path) == TlsConfig(
        ca=None,
        cert=None,
        key=None,
        server_name=None,
        pin_sha256=(),
        minimum="1.2",
        files_digest="",
    )


def test_every_key_of_tls_is_read_and_paths_become_absolute(tmp_path: Path) -> None:
    write_alpha(
        tmp_path,
        '[tls]\nca = "ca.pem"\ncert = "cert.pem"\nkey = "key.pem"\nserver_name = "smsc"\n'
        f'pin_sha256 = "{PIN}"\nminimum = "1.3"\n',
    )
    write_pem_files(tmp_path)

    tls = tls_of(tmp_path)

    assert (tls.ca, tls.cert) == (tmp_path / "ca.pem", tmp_path / "cert.pem")
    assert (tls.key, tls.server_name, tls.minimum) == (tmp_path / "key.pem", "smsc", "1.3")
    assert tls.pin_sha256 == (PIN,)


def test_key_may_stand_in_the_certificates_file(tmp_path: Path) -> None:
    write_alpha(tmp_path, '[tls]\ncert = "both.pem"\n')
    write_pem_files(tmp_path)

    assert tls_of(tmp_path).cert == tmp_path / "both.pem"


def test_exchanged_certificate_is_another_configuration(tmp_path: Path) -> None:
    write_alpha(tmp_path, '[tls]\nca = "ca.pem"\n')
    write_pem_files(tmp_path)
    before = tls_of(tmp_path)

    assert tls_of(tmp_path) == before
    (tmp_path / "ca.pem").write_text("renewed\n" + CERTIFICATE)
    assert tls_of(tmp_path) != before


def test_pins_are_read_as_openssl_writes_them(tmp_path: Path) -> None:
    colons = ":".join(PIN[at : at + 2].upper() for at in range(0, 64, 2))
    write_alpha(tmp_path, f'[tls]\npin_sha256 = ["{colons}", "{PIN}", "{"f" * 64}"]\n')

    assert tls_of(tmp_path).pin_sha256 == (PIN, "f" * 64)


@pytest.mark.parametrize(
    ("lines", "key", "wrong"),
    [
        ('ca = "none.pem"', "tls.ca", "cannot be read: No such file or directory"),
        ('ca = "note.txt"', "tls.ca", "holds no certificate"),
        ('cert = "cert.pem"', "tls.cert", "and its key cannot be used"),
        ('cert = "note.txt"', "tls.cert", "and its key cannot be used"),
        ('cert = "cert.pem"\nkey = "encrypted.pem"', "tls.cert", "and its key cannot be used"),
        ('key = "key.pem"', "tls.cert", "is missing beside 'key'"),
        ("ca = 3", "tls.ca", "3 is not a path"),
        ('minimum = "1.1"', "tls.minimum", '"1.1" is not "1.2" or "1.3"'),
        ('server_name = ""', "tls.server_name", '"" is not a host name or an address'),
        ('pin_sha256 = "abc"', "tls.pin_sha256", "'abc' is not a SHA-256 digest"),
        ("pin_sha256 = []", "tls.pin_sha256", "0 pins"),
        ("pin_sha256 = [7]", "tls.pin_sha256", "7 is not a SHA-256 digest"),
        ('servername = "smsc"', "tls.servername", "unknown key 'servername'"),
        ('files_digest = "a"', "tls.files_digest", "unknown key 'files_digest'"),
    ],
)
def test_wrong_tls_is_refused_with_its_line(
    tmp_path: Path, lines: str, key: str, wrong: str
) -> None:
    write_alpha(tmp_path, f"[tls]\n{lines}\n")
    write_pem_files(tmp_path)

    problem = only_problem(tmp_path)

    assert problem.key == key
    assert problem.line is not None
    assert wrong in problem.wrong


def test_tls_that_is_no_table_is_refused(tmp_path: Path) -> None:
    problem = only_problem(write_alpha(tmp_path, "tls = true\n"))

    assert (problem.key, problem.wrong) == ("tls", "is not a table")


# -- what excludes what -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('long_message = "sar"', "long_message"),
        ('long_message = "payload"', "long_message"),
        ('submit_command = "data_sm"', "submit_command"),
    ],
)
def test_what_smpp_33_does_not_have_is_refused_beside_it(
    tmp_path: Path, line: str, key: str
) -> None:
    problem = only_problem(write_alpha(tmp_path, f'interface_version = "3.3"\n{line}\n'))

    assert (problem.key, problem.line) == (key, 6)
    assert 'needs interface_version "3.4"' in problem.wrong


def test_outbind_beside_tls_is_refused(tmp_path: Path) -> None:
    problem = only_problem(write_alpha(tmp_path, 'outbind = "0.0.0.0:2776"\ntls = {}\n'))

    assert (problem.key, problem.line) == ("outbind", 5)


def test_two_carriers_cannot_wait_on_one_address(tmp_path: Path) -> None:
    write_alpha(tmp_path, 'outbind = "0.0.0.0:2776"\n')
    add_carrier(tmp_path, "beta", CARRIER + 'outbind = "0.0.0.0:2776"\n')

    problem = only_problem(tmp_path)

    assert (problem.file, problem.key, problem.line) == ("carriers/beta.toml", "outbind", 5)
    assert problem.wrong == "carrier 'alpha' waits on 0.0.0.0:2776 too"


@pytest.mark.parametrize("table", ["breaker", "addresses", "tlvs", 'tlvs."0x1400"', "status"])
def test_keys_below_any_table_are_sent_above_it(tmp_path: Path, table: str) -> None:
    row = 'type = "string"\nvalue = "5"\n' if "." in table else ""

    problem = only_problem(write_alpha(tmp_path, f"[{table}]\n{row}throughput = 100\n"))

    shown = table.replace('"', "")
    assert problem.key == f"{shown}.throughput"
    assert problem.wrong == f"is a key of the carrier, not of [{shown}]"
    assert problem.remedy == f"move it above [{shown}]"


def test_window_of_the_breaker_is_its_own(tmp_path: Path) -> None:
    alpha = load(write_alpha(tmp_path, "[breaker]\nwindow = 90\n")).carriers["alpha"]

    assert (alpha.breaker.window, alpha.window) == (90.0, 10)


def test_keys_below_tls_are_sent_above_it(tmp_path: Path) -> None:
    problem = only_problem(write_alpha(tmp_path, '[tls]\nminimum = "1.3"\nwindow = 5\n'))

    assert (problem.key, problem.line) == ("tls.window", 7)
    assert problem.remedy == "move it above [tls]"


def test_breaker_is_read_with_its_defaults(tmp_path: Path) -> None:
    write_alpha(tmp_path, "[breaker]\nshare = 0.8\nminimum = 100\n")

    breaker = load(tmp_path).carriers["alpha"].breaker

    assert breaker == BreakerConfig(share=0.8, window=60.0, minimum=100, cool_down=30.0)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("share = 1.5", "1.5 is not a share from 0 (off) to 1"),
        ("minimum = 0", "0 is not a number of segments from 1 to 1000000"),
        ("cool_down = 0", "0 is not a number of seconds above 0, at most a day"),
        ("cooldown = 5", "unknown key 'cooldown'"),
    ],
)
def test_breaker_that_makes_no_sense_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    problem = only_problem(write_alpha(tmp_path, f"[breaker]\n{line}\n"))

    assert problem.key.startswith("breaker.")
    assert problem.wrong == wrong
