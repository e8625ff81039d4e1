"""What is allowed and hardly meant is warned of, with the place and what to do; nothing else is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from smppd.config import check, load
from smppd.config.check import WARNINGS_MAX, is_this_host
from smppd.config.modes import can_others_read
from tests.config.house import CARRIER, ROUTING, add_carrier, only_warning, write_config

FAR = CARRIER.replace("127.0.0.1", "smsc.example.net")
SHEET = '[[prices]]\ncarrier = "alpha"\nfile = "alpha.csv"\n'


def route(prefix: str, carrier: str = "alpha", more: str = 'cost = "1"') -> str:
    return f'[[route]]\nprefix = "{prefix}"\ncarrier = "{carrier}"\n{more}\n'


def routing(*routes: str) -> str:
    return "".join(['currency = "USD"\n', *routes])


def write_sheet(directory: Path, prices: str) -> None:
    (directory / "alpha.csv").write_text("prefix,cost\n" + prices)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user of this host can enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        if not all(parent.stat().st_mode & 0o001 for parent in path.parents):
            pytest.skip("the directory of temporary files is closed to others on this host")
        yield path


def test_plain_configuration_has_no_warning(tmp_path: Path) -> None:
    assert check(write_config(tmp_path)) == []


def test_load_gives_the_warnings_of_check(tmp_path: Path) -> None:
    add_carrier(write_config(tmp_path), "beta")

    assert load(tmp_path).warnings == check(tmp_path) != []


def test_unused_carrier_is_named(tmp_path: Path) -> None:
    add_carrier(write_config(tmp_path), "beta")

    assert str(only_warning(tmp_path)) == (
        "carriers/beta.toml: carrier beta is bound, but no route names it; "
        "add a [[route]], or bind it as receiver only"
    )


def test_receiver_needs_no_route(tmp_path: Path) -> None:
    add_carrier(write_config(tmp_path), "beta", CARRIER + 'bind = "receiver"\n')

    assert check(tmp_path) == []


def test_no_app_for_messages_from_phones_is_named(tmp_path: Path) -> None:
    warning = only_warning(write_config(tmp_path, "[apps.shop]\nuid = 1\n"))

    assert (warning.file, warning.key, warning.line) == ("smppd.toml", "apps", 1)
    assert "inbound" in warning.text


# -- prefixes and prices ----------------------------------------------------------------------


def test_prefix_whose_numbers_longer_ones_take_is_named_with_its_line(tmp_path: Path) -> None:
    longer = [route(f"49{digit}") for digit in "0123456789"]

    warning = only_warning(write_config(tmp_path, routing=routing(route("49"), *longer)))

    assert (warning.key, warning.line) == ("route[1].prefix", 3)
    assert warning.text == 'prefix "49" is never used: longer ones take all of its numbers'


def test_prefix_is_covered_at_any_depth(tmp_path: Path) -> None:
    longer = [route(f"49{digit}") for digit in "012345678"]
    longest = [route(f"499{digit}") for digit in "0123456789"]

    warning = only_warning(write_config(tmp_path, routing=routing(route("49"), *longer, *longest)))

    assert warning.key == "route[1].prefix"


def test_default_route_is_covered_by_nine_digits(tmp_path: Path) -> None:
    longer = [route(digit) for digit in "123456789"]

    warning = only_warning(write_config(tmp_path, routing=routing(route(""), *longer)))

    assert 'prefix ""' in warning.text


@pytest.mark.parametrize(
    ("first", "ninth"), [("", ""), ("fallback = true\n", "9"), ("", '9"\nfallback = true #')]
)
def test_prefix_that_is_used_somewhere_is_not_named(tmp_path: Path, first: str, ninth: str) -> None:
    longer = [route(f"49{digit}") for digit in "012345678"]
    longer += [route(f"49{ninth}")] if ninth else []

    assert check(write_config(tmp_path, routing=first + routing(route("49"), *longer))) == []


def test_route_that_its_sheet_never_prices_is_named(tmp_path: Path) -> None:
    routes = [route("49", more=""), route("44", more=""), SHEET]
    write_config(tmp_path, routing=routing(*routes))
    write_sheet(tmp_path, "4915,0.07\n")

    warning = only_warning(tmp_path)

    assert (warning.key, warning.line) == ("route[2]", 6)
    assert warning.text == (
        'alpha.csv prices no number of prefix "44": no offer from alpha, nor from another carrier'
    )


def test_price_of_a_shorter_prefix_is_a_price(tmp_path: Path) -> None:
    write_config(tmp_path, routing=routing(route("4915", more=""), route("", more=""), SHEET))
    write_sheet(tmp_path, "49,0.07\n")

    assert check(tmp_path) == []


def test_price_that_a_longer_route_takes_is_none_for_the_shorter(tmp_path: Path) -> None:
    write_config(tmp_path, routing=routing(route("49", more=""), route("4915", more=""), SHEET))
    write_sheet(tmp_path, "4915,0.07\n")

    assert only_warning(tmp_path).key == "route[1]"


def test_other_carrier_with_an_offer_is_told_from_none(tmp_path: Path) -> None:
    routes = [route("49", more=""), route("49", "beta"), route("44", more=""), SHEET]
    write_config(tmp_path, routing=routing(*routes))
    add_carrier(tmp_path, "beta")
    write_sheet(tmp_path, "44,0.07\n")

    assert only_warning(tmp_path).text == (
        'alpha.csv prices no number of prefix "49": no offer from alpha'
    )


def test_sheet_that_prices_nothing_is_named(tmp_path: Path) -> None:
    write_config(tmp_path, routing=ROUTING + SHEET)
    write_sheet(tmp_path, "49,0.07\n")

    warning = only_warning(tmp_path)

    assert (warning.key, warning.line) == ("prices[1]", 6)
    assert "prices nothing" in warning.text


def test_prices_that_no_route_reaches_are_named_once_with_an_example(tmp_path: Path) -> None:
    routes = [route("49", more=""), route("4479", "beta"), SHEET]
    write_config(tmp_path, routing=routing(*routes))
    add_carrier(tmp_path, "beta")
    write_sheet(tmp_path, "4,0.07\n49,0.07\n4915,0.06\n4477,0.04\n4478,0.04\n")

    warning = only_warning(tmp_path)

    assert (warning.key, warning.line) == ("prices[1]", 10)
    assert warning.text == (
        'alpha.csv prices 2 prefixes, such as "4477", but no route of alpha reaches them'
    )
    assert warning.remedy == 'add a [[route]] with prefix = "4477", or take the price away'


@pytest.mark.parametrize(
    ("routes", "prices"),
    [
        ([route("49", more="")], "49,0.07\n44,0.04\n33,0.05\n"),  # of the whole world
        ([route("", more="")], "49,0.07\n44,0.04\n"),
        ([route("49", more=""), route("44")], "49,0.07\n44,0.04\n"),
        ([route("4915", more="")], "49,0.07\n4,0.04\n"),
    ],
    ids=["most", "default", "own cost", "shorter"],
)
def test_price_list_that_is_meant_so_is_not_named(
    tmp_path: Path, routes: list[str], prices: str
) -> None:
    write_config(tmp_path, routing=routing(*routes, SHEET))
    write_sheet(tmp_path, prices)

    assert check(tmp_path) == []


def test_warnings_are_listed_up_to_a_bound(tmp_path: Path) -> None:
    routes = [route(str(number), more="") for number in range(100, 100 + WARNINGS_MAX + 5)]
    write_config(tmp_path, routing=routing(*routes, route("9", more=""), SHEET))
    write_sheet(tmp_path, "9,0.07\n")

    warnings = check(tmp_path)

    assert len(warnings) == WARNINGS_MAX + 1
    assert warnings[-1].text == "5 more warnings"


# -- carriers ---------------------------------------------------------------------------------


def test_throughput_out_of_reach_is_named_with_the_arithmetic(tmp_path: Path) -> None:
    lines = "binds = 2\nwindow = 10\nthroughput = 500\n"

    warning = only_warning(write_config(tmp_path, carrier=CARRIER + lines))

    assert (warning.key, warning.line) == ("throughput", 7)
    assert warning.text == (
        "500 a second is out of reach: 2 binds x window 10 = 20 unanswered submit_sm, which is "
        "20 a second where an answer takes 1 s, and 200 where it takes 0.1 s"
    )
    assert "binds x window be 50 or more" in warning.remedy


@pytest.mark.parametrize("lines", ["throughput = 100\n", "throughput = 0\n", "window = 1\n"])
def test_throughput_in_reach_is_not_named(tmp_path: Path, lines: str) -> None:
    assert check(write_config(tmp_path, carrier=CARRIER + lines)) == []


def test_transmitter_that_asks_for_receipts_is_named(tmp_path: Path) -> None:
    write_config(tmp_path, carrier=CARRIER + 'bind = "transmitter"\n')

    warning = only_warning(tmp_path)

    assert (warning.key, warning.line) == ("bind", 5)


def test_transmitter_that_asks_for_none_is_not_named(tmp_path: Path) -> None:
    lines = 'bind = "transmitter"\nreceipts = "none"\n'

    assert check(write_config(tmp_path, carrier=CARRIER + lines)) == []


def test_transceiver_of_smpp_33_is_named(tmp_path: Path) -> None:
    warning = only_warning(write_config(tmp_path, carrier=CARRIER + 'interface_version = "3.3"\n'))

    assert (warning.key, warning.line) == ("interface_version", 5)


def test_password_that_others_can_read_is_named(open_directory: Path) -> None:
    write_config(open_directory, carrier=FAR)
    (open_directory / "carriers").chmod(0o755)
    (open_directory / "carriers" / "alpha.toml").chmod(0o644)

    warning = only_warning(open_directory)

    assert (warning.file, warning.key, warning.line) == ("carriers/alpha.toml", "password", 4)
    assert "secret" not in str(warning)


def test_password_file_that_others_can_read_is_named(open_directory: Path) -> None:
    given = 'password_file = "alpha.secret"'
    (open_directory / "alpha.secret").write_text("secret\n")
    (open_directory / "alpha.secret").chmod(0o604)

    warning = only_warning(
        write_config(open_directory, carrier=FAR.replace('password = "secret"', given))
    )

    assert warning.key == "password_file"


def test_password_that_only_a_group_can_read_is_not_named(open_directory: Path) -> None:
    write_config(open_directory, carrier=FAR)
    (open_directory / "carriers" / "alpha.toml").chmod(0o640)

    assert check(open_directory) == []


def test_password_of_a_carrier_on_this_host_is_not_named(open_directory: Path) -> None:
    assert check(write_config(open_directory)) == []


def test_file_in_a_closed_directory_is_read_by_nobody_else(open_directory: Path) -> None:
    inner = open_directory / "inner"
    inner.mkdir(mode=0o700)
    (inner / "file").write_text("")
    (inner / "file").chmod(0o644)

    assert not can_others_read(inner / "file")
    inner.chmod(0o711)
    assert can_others_read(inner / "file")
    assert not can_others_read(inner / "none")


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("h", False)],
)
def test_this_host_is_known(host: str, is_here: bool) -> None:
    assert is_this_host(host) is is_here


# -- certificates -----------------------------------------------------------------------------


def write_own_certificate(directory: Path, end: datetime) -> None:
    """Alpha with a certificate of ours that is valid until ``end``."""
    write_config(directory, carrier=CARRIER + '[tls]\ncert = "ours.pem"\n')
    ours = trustme.CA().issue_cert("smppd@example.net", not_after=end)
    ours.private_key_and_cert_chain_pem.write_to_path(directory / "ours.pem")
    (directory / "ours.pem").chmod(0o600)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (13.5, "our certificate is valid for 13 days more"),
        (0.5, "our certificate is valid for 0 days more"),
        (-0.5, "our certificate has expired"),
    ],
)
def test_own_certificate_that_ends_soon_is_named(tmp_path: Path, days: float, text: str) -> None:
    end = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)
    write_own_certificate(tmp_path, end)

    (warning,) = check(tmp_path, now=end.timestamp() - days * 86_400)

    assert (warning.key, warning.line, warning.text) == ("tls.cert", 6, text)


def test_own_certificate_with_time_left_is_not_named(tmp_path: Path) -> None:
    end = datetime(2049, 12, 31, tzinfo=UTC)  # a UTCTime: from 2050 on it is a GeneralizedTime
    write_own_certificate(tmp_path, end)

    assert check(tmp_path, now=end.timestamp() - 14 * 86_400) == []
    assert check(tmp_path) == []
