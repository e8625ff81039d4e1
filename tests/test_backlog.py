"""More messages than carriers take, more events than an app reads, more log than anybody wants.

A real daemon each, and what is measured is counted: messages between two others at the carrier,
octets of memory that no file backs, lines. A carrier here is a raw socket of the test, that answers
when and what the test says.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.pdu import HEADER
from tests.crowds import Line, Peer, address_space_bytes, anonymous_bytes, encode
from tests.processes import START_SECONDS_MAX, Child, Site, is_answering, toml
from tests.smpp.pair import raw

SMALL_BACKLOG: Final = 100_000
LARGE_BACKLOG: Final = 160_000
GROWTH_MAX: Final = 6 * 1024 * 1024
"""Of the daemon's memory by the 60,000 messages from the small backlog to the large one, 100 octets
each; measured: 27. Up to the small one it is filled with what it keeps of recent messages."""

READER_BYTES_MAX: Final = 8 * 1024 * 1024
"""For a subscriber that reads nothing, however much waits for it."""

UNREAD_BYTES_MAX: Final = 4 * 1024 * 1024
"""That a client can write while it reads none of its answers: the answers that may wait (1 MiB),
what both sockets hold, one read; pongs are as long as their pings."""

BATCH: Final = 1_000
WINDOW: Final = 20
OTP_SLOTS: Final = 4
"""Of the window, kept for one-time codes: a fifth, at most four."""

PATIENT: Final = {"window": WINDOW, "response_timer": 600, "enquire_link_timer": 600}
BETA: Final = {"prefix": "", "carrier": "beta", "cost": "0.02"}

SH: Final = "/bin/sh"
RUN: Final = (sys.executable, "-m", "smppd", "run", "--config")


def submit(ref: str, **fields: object) -> Line:
    """A submit that is accepted; its text is its ref, for the carrier to tell it by."""
    sound: Line = {"type": "submit", "to": "+8613800138000", "from": "ACME", "text": f"<{ref}>"}
    return sound | {"ref": ref} | fields


def fill(peer: Peer, count: int, name: str, **fields: object) -> None:
    """``count`` accepted messages, of refs ``name-N`` from where the last filling ended."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        peer.send(*(submit(f"{name}-{number}", **fields) for number in numbers))
        for _ in numbers:
            answer = peer.read()
            assert answer["type"] == "accepted", answer


class SlowSmsc:
    """A carrier on ``port`` that takes one bind, and answers when told."""

    def __init__(self, port: int) -> None:
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", port)))
        self._listener.settimeout(START_SECONDS_MAX)

    def __enter__(self) -> SlowSmsc:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def accept_bind(self) -> None:
        """Its one link."""
        self._stream = self._open.enter_context(self._listener.accept()[0])
        self._stream.settimeout(START_SECONDS_MAX)
        self._octets = self._open.enter_context(self._stream.makefile("rb"))
        _, _, number, _ = self._read_pdu()
        self._stream.sendall(raw(constants.BIND_TRANSCEIVER_RESP, number, body=b"slow\0"))
        self._unanswered: list[int] = []

    def read_refs(self, count: int) -> list[str]:
        """The refs of the next ``count`` submit_sm."""
        refs: list[str] = []
        while len(refs) < count:
            command_id, _, number, body = self._read_pdu()
            if command_id == constants.ENQUIRE_LINK:
                self._stream.sendall(raw(constants.ENQUIRE_LINK_RESP, number))
                continue
            assert command_id == constants.SUBMIT_SM
            self._unanswered.append(number)
            refs.append(body.partition(b"<")[2].partition(b">")[0].decode())
        return refs

    def answer(self, count: int) -> None:
        """Takes the ``count`` oldest."""
        numbers, self._unanswered = self._unanswered[:count], self._unanswered[count:]
        answers = [raw(constants.SUBMIT_SM_RESP, one, body=b"s%d\0" % one) for one in numbers]
        self._stream.sendall(b"".join(answers))

    def _read_pdu(self) -> tuple[int, int, int, bytes]:
        length, command_id, status, number = HEADER.unpack(self._octets.read(16))
        return command_id, status, number, self._octets.read(length - 16)


@contextmanager
def slow_carrier(directory: Path, **site: object) -> Iterator[tuple[Site, SlowSmsc]]:
    """A daemon bound to a carrier of one bind that answers when told."""
    with ExitStack() as stack:
        own = stack.enter_context(Site(directory, carriers={"alpha": PATIENT}, **site))  # type: ignore[arg-type]
        smsc = stack.enter_context(SlowSmsc(own.ports["alpha"]))
        daemon = own.start_daemon()
        smsc.accept_bind()
        own.wait_bound(daemon)
        yield own, smsc


# --- messages ---


def test_memory_is_the_same_whatever_waits_and_events_wait_on_disk_for_a_slow_reader(
    tmp_path: Path,
) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        with Peer(site.socket) as app, Peer(site.socket) as slow, Peer(site.socket) as quick:
            fill(app, SMALL_BACKLOG, "a", tag="campaign")
            small = anonymous_bytes(daemon)
            fill(app, LARGE_BACKLOG - SMALL_BACKLOG, "b", tag="campaign")
            large = anonymous_bytes(daemon)
            assert large - small < GROWTH_MAX

            slow.ask({"type": "subscribe", "after": 0})
            quick.ask({"type": "subscribe", "after": 0})
            app.send({"type": "cancel", "tag": "campaign"})
            assert read_kinds(quick, LARGE_BACKLOG) == {"cancelled": LARGE_BACKLOG}
            assert app.read()["count"] == LARGE_BACKLOG
            assert app.ask({"type": "ping", "token": 1})["token"] == 1
            assert anonymous_bytes(daemon) - large < READER_BYTES_MAX
            assert read_kinds(slow, LARGE_BACKLOG) == {"cancelled": LARGE_BACKLOG}


class Event(msgspec.Struct):
    event: str
    seq: int


class Ref(msgspec.Struct):
    ref: str


def decode_ref(line: bytes) -> str:
    """Of an answer; msgspec.DecodeError where the connection has ended."""
    return msgspec.json.decode(line, type=Ref).ref


def read_kinds(peer: Peer, count: int) -> Counter[str]:
    """The next ``count`` events by kind; their numbers leave none out."""
    decode = msgspec.json.Decoder(Event).decode
    kinds: Counter[str] = Counter()
    for number in range(1, count + 1):
        event = decode(peer.read_raw())
        assert event.seq == number
        kinds[event.event] += 1
    return kinds


def test_full_backlog_is_refused_with_a_time_and_taken_when_there_is_room(tmp_path: Path) -> None:
    limits = {"backlog_max": 100}
    with slow_carrier(tmp_path, daemon=limits) as (site, smsc), Peer(site.socket) as app:
        app.send(*(submit(f"a-{number}") for number in range(150)))
        answers = [app.read() for _ in range(150)]
        accepted = sum(answer["type"] == "accepted" for answer in answers)
        assert 100 <= accepted <= 100 + WINDOW, "what is granted waits no more"
        for answer in answers[accepted:]:
            assert answer.get("code") == "backlog_full", answer
            assert isinstance(answer["retry_after"], int | float)
        smsc.read_refs(WINDOW - OTP_SLOTS)
        smsc.answer(10)
        smsc.read_refs(10)
        assert app.ask(submit("a-149"))["type"] == "accepted"


def test_client_that_only_writes_is_held_back_and_not_buffered(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        before = anonymous_bytes(daemon)
        with Peer(site.socket) as greedy, Peer(site.socket) as other:
            line = encode({"type": "ping", "token": "x" * 1_000})
            written = 0
            while written < 2 * UNREAD_BYTES_MAX:
                if not select.select((), (greedy.socket,), (), 0)[1]:
                    # Two turns of the loop that read nothing more of it are all turns.
                    other.ask({"type": "ping"})
                    other.ask({"type": "ping"})
                    if not select.select((), (greedy.socket,), (), 0)[1]:
                        break
                written += greedy.socket.send(line, socket.MSG_DONTWAIT)
            assert written < UNREAD_BYTES_MAX
            assert anonymous_bytes(daemon) - before < UNREAD_BYTES_MAX
            for number in range(written // len(line)):
                assert greedy.read()["type"] == "pong", number


def test_one_time_code_is_next_at_the_carrier_whatever_waits(tmp_path: Path) -> None:
    with slow_carrier(tmp_path) as (site, smsc), Peer(site.socket) as app:
        fill(app, 50_000, "promo", **{"class": "promotional"})
        campaign = smsc.read_refs(WINDOW - OTP_SLOTS)
        assert all(ref.startswith("promo") for ref in campaign)
        codes = [f"otp-{number}" for number in range(6)]
        app.send(*(submit(code, **{"class": "otp"}) for code in codes))
        assert smsc.read_refs(OTP_SLOTS) == codes[:4], "not one submit in between"
        smsc.answer(1)
        assert smsc.read_refs(1) == codes[4:5]
        smsc.answer(1)
        assert smsc.read_refs(1) == codes[5:]
        smsc.answer(WINDOW)
        assert all(ref.startswith("promo") for ref in smsc.read_refs(WINDOW - OTP_SLOTS))


def test_app_that_floods_takes_turns_with_one_that_does_not(tmp_path: Path) -> None:
    apps = {"flood": {"gid": 65_534}, "quiet": {"gid": 65_533}}
    with (
        slow_carrier(tmp_path, apps=apps) as (site, smsc),
        Peer(site.socket) as flood,
        Peer(site.socket) as quiet,
    ):
        flood.ask({"type": "hello", "app": "flood"})
        quiet.ask({"type": "hello", "app": "quiet"})
        fill(flood, 20_000, "flood")
        smsc.read_refs(WINDOW - OTP_SLOTS)
        fill(quiet, 10, "quiet")
        seen: list[str] = []
        for _ in range(20):
            smsc.answer(1)
            seen += smsc.read_refs(1)
        assert sum(ref.startswith("quiet") for ref in seen) == 10, seen


def test_carrier_that_is_taken_out_answers_for_its_window_and_the_rest_goes_elsewhere(
    tmp_path: Path,
) -> None:
    carriers = {"alpha": PATIENT, "beta": {}}
    both = ({"prefix": "", "carrier": "alpha", "cost": "0.01"}, BETA)
    with (
        Site(tmp_path, carriers=carriers, routes=both) as site,
        SlowSmsc(site.ports["alpha"]) as smsc,
        SlowSmsc(site.ports["beta"]) as other,
    ):
        daemon = site.start_daemon()
        smsc.accept_bind()
        other.accept_bind()
        site.wait_bound(daemon)
        with Peer(site.socket) as app, Peer(site.socket) as listener:
            listener.ask({"type": "subscribe"})
            fill(app, 100, "a")
            kept = smsc.read_refs(WINDOW - OTP_SLOTS)
            routes = 'currency = "USD"\nroute = [' + toml(BETA) + "]\n"
            (site.directory / "routing.toml").write_text(routes)
            (site.directory / "carriers" / "alpha.toml").unlink()
            assert app.ask({"type": "reload"})["ok"] is True
            moved: list[str] = []
            while len(moved) < 100 - len(kept):
                moved += other.read_refs(1)
                other.answer(1)
            smsc.answer(len(kept))
            events = [listener.read() for _ in range(100)]
            assert {event["event"] for event in events} == {"sent"}
            assert sorted(kept + moved) == sorted(str(event["ref"]) for event in events)
            of_alpha = [event["ref"] for event in events if event["carrier"] == "alpha"]
            assert sorted(map(str, of_alpha)) == sorted(kept)


def test_daemon_out_of_memory_ends_and_has_lost_nothing_it_accepted(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        size = address_space_bytes(daemon) + 16 * 1024 * 1024
        resource.prlimit(daemon.pid, resource.RLIMIT_AS, (size, size))
        accepted: list[str] = []
        with Peer(site.socket) as app, suppress(ConnectionResetError, msgspec.DecodeError):
            for start in range(0, LARGE_BACKLOG, BATCH):
                app.send(*(submit(f"a-{start + number}") for number in range(BATCH)))
                accepted += [decode_ref(app.read_raw()) for _ in range(BATCH)]
        assert daemon.wait() not in (0, 78), daemon.tail()
        assert len(accepted) < LARGE_BACKLOG
        site.start_daemon()
        with Peer(site.socket) as app:
            for start in range(0, len(accepted), BATCH):
                app.send(*({"type": "query", "ref": ref} for ref in accepted[start:][:BATCH]))
                for _ in accepted[start:][:BATCH]:
                    assert app.read()["state"] == "queued"


# --- logs ---


def test_log_that_nobody_reads_is_dropped_and_counted_where_it_is_missing(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            fill_pipe(pipe)
            command = f'exec "$@" >{pipe} 2>&1'
            arguments = ("-c", command, SH, *RUN, str(site.directory))
            daemon = site.start(*arguments, log="daemon.log", program=SH)
            daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
            break_configuration(site)
            with Peer(site.socket) as operator:
                while not (dropped := operator.ask({"type": "status"})["log_dropped"]):
                    assert operator.ask({"type": "reload"})["ok"] is False
            log = read_until(reader, b"log_dropped", daemon)
            assert f'"event":"log_dropped","lines":{dropped}' in log
            assert daemon.stop() == 0
        finally:
            os.close(reader)


def fill_pipe(pipe: Path) -> None:
    """The next octet written to it would wait."""
    writer = os.open(pipe, os.O_WRONLY)
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * (size - 1) + b"\n")
    os.close(writer)


def break_configuration(site: Site) -> None:
    """Fifty problems with long names: a reload of it logs a tenth of what may wait."""
    lines = [f"{'k' * 4_000}{number} = 1" for number in range(50)]
    (site.directory / "smppd.toml").write_text("\n".join(("[daemon]", *lines)))


def read_until(reader: int, words: bytes, daemon: Child) -> str:
    """What the pipe holds, to the end of the line with ``words``."""
    log = b""
    while not (words in log and log.endswith(b"\n")):
        assert select.select((reader,), (), (), START_SECONDS_MAX)[0], daemon.tail()
        log += os.read(reader, 1 << 20)
    return log.decode()
