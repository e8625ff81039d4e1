"""What an operator writes: every file of a configuration, sheets and profiles of the simulator."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from smppd.config import Config, check, load, load_daemon, load_routing
from smppd.errors import ConfigError, Problem
from smppd.log import plain
from smppd.routing.sheet import read_prices
from smppd.simulator.profile import load_profile
from tests.fuzz.feed import Feed
from tests.fuzz.ledger import MEMORY

SECRET: Final = "xK9-zq"
"""The password in what is mutated: no problem may repeat it."""

DAEMON: Final = """[daemon]
socket = "run/smppd.sock"
metrics = "127.0.0.1:9464"
map_size = "1GiB"
drain_timeout = 5.5
[retention]
events = "14d"
[classes.otp]
valid_for = 60
uncertain = "resend"
[apps.shop]
uid = [0, "root"]
default_sender = "ACME"
default_region = "DE"
throughput = 1e3
inbound = true
"""
CARRIER: Final = f"""host = "127.0.0.1"
port = 2775
system_id = "smppd"
password = "{SECRET}"
binds = 2
window = 0x20
throughput = 1_000.5
long_message = "udh16"
timezone = "Europe/Berlin"
address_range = '''
a.b.c'''
[tls]
pin_sha256 = ["00:11", "ff"]
minimum = "1.3"
"""
ROUTING: Final = """currency = "USD"
fallback = true
route = [ {prefix = "49", carrier = "alpha", cost = "0.0210"} ]
[[prices]]
carrier = "alpha"
file = "alpha.csv"
"""
SHEET: Final = "prefix,cost\n49,0.0210\n4915,0.0220\n"
PROFILE: Final = """response_delay = 0.1
refuse_rate = 0.5
refuse_status = "ESME_RTHROTTLED"
[[phase]]
at = 5
for = 10
response_delay = "0.1-0.5"
[[inbound]]
from = "+49170"
to = "12345"
text = "STOP"
every = 2
[[reply]]
text = "STOP"
"""
FILES: Final = {
    "smppd.toml": DAEMON,
    "routing.toml": ROUTING,
    "carriers/alpha.toml": CARRIER,
    "alpha.csv": SHEET,
}
WORDS: Final = (
    b"\n", b"=", b"[[", b"]]", b"[", b"{", b"}", b'"""', b"'", b".", b",", b"#", b"0x" + b"f" * 90,
    b"9" * 60, b"1e400", b"nan", b"inf", b"true", b"1979-05-27", b"07:32:00", b"\xff", b"\0",
    b"\\uD800", b"\\U0010ffff", b"\xe2\x80\xae", b"\x1b[2J", b"[" * 300, b"a." * 40, b"-1", b'""',
    b"0x" + b"f" * 5000, b"tls", b"apps", b"route", b"password_file", b"..", b"/dev/null",
)  # fmt: skip


def mutate(feed: Feed, octets: bytes) -> bytes:
    """``octets`` with a few things done to them, or something else altogether."""
    for _ in range(feed.byte() % 8):
        at, length = feed.byte() * 4 % (len(octets) + 1), feed.byte() % 32
        piece = feed.pick(WORDS) if feed.byte() & 1 else feed.take(feed.byte() % 8)
        octets = octets[:at] + piece + octets[at + length :]
    return octets


def fuzz_config(data: bytes) -> None:
    """Whatever stands in the files: a configuration, or problems that can be shown and that do
    not repeat a password."""
    feed = Feed(data)
    name = feed.pick(tuple(FILES))
    octets = mutate(feed, FILES[name].encode()) if feed.byte() & 3 else feed.rest()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as made:
        directory = Path(made)
        (directory / "carriers").mkdir()
        for other, text in FILES.items():
            (directory / other).write_bytes(octets if other == name else text.encode())
        for read in (load, check, load_daemon, load_routing):
            try:
                found = read(directory)
            except ConfigError as error:
                _check_problems(error.problems, octets)
            else:
                if isinstance(found, Config):
                    assert SECRET not in repr(found)


_INTACT: Final = re.compile(rf'^password = "{SECRET}"$'.encode(), re.MULTILINE)


def _check_problems(problems: list[Problem], octets: bytes) -> None:
    assert problems, "refused for no reason"
    shown = "\n".join(plain(str(problem)) for problem in problems)
    shown.encode()
    is_intact = SECRET.encode() not in _INTACT.sub(b"", octets, count=1)
    assert not is_intact or SECRET not in shown, "a problem repeats a password"


def fuzz_sheet(data: bytes) -> None:
    """A rate sheet is prices, or problems."""
    feed = Feed(data)
    octets = mutate(feed, SHEET.encode()) if feed.byte() & 1 else feed.rest()
    found = read_prices(octets, "alpha.csv")
    assert found
    if isinstance(found, list):
        assert all(isinstance(one, Problem) for one in found)


def fuzz_profile(data: bytes) -> None:
    """A profile of the simulator, or problems."""
    feed = Feed(data)
    octets = mutate(feed, PROFILE.encode()) if feed.byte() & 3 else feed.rest()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.NamedTemporaryFile(dir=place, suffix=".toml") as file:
        file.write(octets)
        file.flush()
        try:
            load_profile(Path(file.name))
        except ConfigError as error:
            _check_problems(error.problems, octets)
