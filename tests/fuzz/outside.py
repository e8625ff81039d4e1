"""What else comes from outside: HTTP, the service manager's environment, and words that strangers
wrote and an operator reads on a terminal."""

from __future__ import annotations

import io
import os
import unicodedata
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Final

import trio
import trio.testing

from smppd.client import JsonObject
from smppd.ctl import options, show, tables, trace
from smppd.log import plain
from smppd.metrics.server import Page, answer
from smppd.systemd import Notifier, passed_sockets, read_environment
from smppd.terminal import complain
from tests.fuzz.feed import Feed, cut

PAGES: Final = {"/metrics": lambda: Page([b"smppd_ready 1.0\n"])}
HTTP_OCTETS_MAX: Final = 16 * 1024


def fuzz_http(data: bytes) -> None:
    """Anything is answered with a page, with an error or not at all."""
    feed = Feed(data)
    sizes = feed.chunk()
    trio.run(_ask, feed.rest(), sizes)


async def _ask(octets: bytes, sizes: bytes) -> None:
    client, server = trio.testing.memory_stream_pair()
    for piece in cut(octets[:HTTP_OCTETS_MAX], sizes):
        await client.send_all(piece)
    await client.send_eof()
    with suppress(trio.BrokenResourceError):
        await answer(server, PAGES)
    await server.aclose()
    answered = b"".join([part async for part in client])
    assert not answered or answered.startswith(b"HTTP/1.1 ")


NAMES: Final = (
    "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
    "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY",
)  # fmt: skip
PID: Final = 4242
VALUES: Final = (b"", b"4242", b"1", b"-1", b"9" * 30, b"9" * 5000, "٣".encode(), b"@", b"/" * 200)


def fuzz_environment(data: bytes) -> None:
    """The service manager's variables mean something or nothing; a descriptor that is none is an
    OSError, as at any start."""
    feed = Feed(data)
    environ = {
        name: (feed.pick(VALUES) if feed.byte() & 1 else feed.chunk()).replace(b"\0", b"")
        for name in NAMES
        if feed.byte() & 1
    }
    shown = {name: os.fsdecode(value) for name, value in environ.items()}
    if "LISTEN_FDS" in shown:
        with suppress(OSError):
            passed_sockets({**shown, "LISTEN_PID": str(PID)}, PID)
        del shown["LISTEN_FDS"]
    found = read_environment(shown, PID)
    assert found.watchdog is None or found.watchdog > 0
    notifier = Notifier(found.notify_socket)
    notifier.status("line\none " + os.fsdecode(feed.rest()))
    notifier.close()


# Nothing of these may reach a terminal: they move the cursor, hide, or turn a line round.
UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
ALLOWED: Final = frozenset("\n\t\u200c\u200d")

AT: Final = 1_795_292_101_002


def fuzz_terminal(data: bytes) -> None:
    """Words of strangers reach a terminal as words, in tables, lines, complaints and JSON."""
    feed = Feed(data)
    words = [feed.chunk().decode("utf-8", "surrogateescape") for _ in range(4)]
    words.append(feed.rest().decode("utf-16-le", "replace"))
    output = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with redirect_stdout(output), redirect_stderr(output):
        for as_json in (False, True):
            _show_all(words, as_json=as_json)
    output.seek(0)
    written = output.read()
    bad = {c for c in written if unicodedata.category(c) in UNFIT and c not in ALLOWED}
    assert not bad, f"reached the terminal: {bad!r}"
    assert all(plain(word) == plain(plain(word)) for word in words)


def _show_all(words: list[str], *, as_json: bool) -> None:
    one, two, three, four, five = words
    options.show_answer(_message(words), trace.show_trace, as_json=as_json)
    found: JsonObject = {"type": "found", "messages": [_summary(words)], "more": False}
    options.show_answer(found, tables.show_found, as_json=as_json, reveal=True)
    event: JsonObject = {
        "type": "event", "seq": 1, "event": "inbound", "id": "0f", "ref": one, "at": AT,
        "text": two, "from": three, "to": four, "meta": {five: [one]}, "carrier": "alpha",
    }  # fmt: skip
    show.show_events([event], reveal=False, as_json=as_json)
    show.show_events([event], reveal=True, as_json=as_json)
    complain(one, two, three)


def _message(words: list[str]) -> JsonObject:
    one, two, three, four, five = words
    step = {"at": AT, "step": "receipt", "message_id": two, "detail": five, "carrier": "alpha"}
    message: JsonObject = {
        **_summary(words), "held": None, "failure": one, "maybe_duplicate": False,
        "encoding": "gsm7", "from": three, "cost": "0.01", "currency": "USD",
        "send_at": None, "expires_at": AT,
    }  # fmt: skip
    return {"type": "trace", "message": message, "steps": [step], "steps_dropped": 0, "q": four}


def _summary(words: list[str]) -> JsonObject:
    one, two, three, four, five = words
    return {
        "id": "0f", "state": "sent", "ref": one, "app": "shop", "tag": two, "segments": 1,
        "to": three, "from": four, "class": "otp", "carrier": "alpha", "code": five,
        "accepted_at": AT,
    }  # fmt: skip
