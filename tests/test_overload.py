"""More than there is room for: connections, descriptors, bad lines, a long line, strangers.

A real daemon each. Nothing here is a race against the clock: what is measured is counted, in
connections, lines, descriptors and octets. More messages and events: ``test_backlog``.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.crowds import (
    Line,
    Peer,
    Sent,
    anonymous_bytes,
    encode,
    open_descriptors,
    peak_bytes,
    reset_peak,
)
from tests.processes import START_SECONDS_MAX, Child, Site, is_answering

IDLE_CONNECTIONS: Final = 10_000
IDLE_BYTES_MAX: Final = 16 * 1024
"""Of the daemon's memory for a connection that says nothing; measured: 10.8 kB."""

BAD_LINES: Final = 10_000
LONG_LINE_BYTES: Final = 100 * 1000 * 1000
LONG_LINE_GROWTH_MAX: Final = 4 * 1024 * 1024
"""Of the daemon's peak while it reads over such a line: some reads."""

NOBODY_UID: Final = 65_534
SHOP_UID: Final = 64_001
BOSS_UID: Final = 64_002
SH: Final = "/bin/sh"
RUN: Final = (sys.executable, "-m", "smppd", "run", "--config")


@contextmanager
def many_descriptors(count: int) -> Iterator[None]:
    """Lets this process have ``count``; skips the test where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"the hard limit of open files is {hard}: NOT tested here; {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def start_limited(site: Site, limit: int) -> Child:
    """A daemon that may have ``limit`` descriptors, and no more by asking."""
    command = ("-c", f'ulimit -n {limit}; exec "$@"', SH, *RUN, str(site.directory))
    daemon = site.start(*command, log="daemon.log", program=SH)
    daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
    return daemon


# --- connections ---


def test_ten_thousand_idle_connections_cost_little_and_hold_up_nobody(tmp_path: Path) -> None:
    with Site(tmp_path) as site, many_descriptors(IDLE_CONNECTIONS + 500), ExitStack() as idle:
        daemon = site.start_daemon()
        before = anonymous_bytes(daemon)
        for _ in range(IDLE_CONNECTIONS):
            connection = idle.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.connect(str(site.socket))
        connection.sendall(encode({"type": "ping"}))
        assert connection.recv(100), "the last one is served, and so are all before it"
        status = site.status()
        assert status["connections"] == IDLE_CONNECTIONS + 1
        assert (anonymous_bytes(daemon) - before) / IDLE_CONNECTIONS < IDLE_BYTES_MAX
        with Peer(site.socket) as peer:
            for number in range(100):
                assert peer.ask({"type": "ping", "token": number})["token"] == number
        idle.close()
        daemon.wait_until(lambda: site.status()["connections"] == 1, "rid of them", 20)


def test_few_descriptors_bound_the_connections_and_leave_the_carriers_theirs(
    tmp_path: Path,
) -> None:
    with Site(tmp_path, carriers={"alpha": {"binds": 2}}) as site, ExitStack() as open_peers:
        site.start_simulator()
        daemon = start_limited(site, 64)
        site.wait_bound(daemon)
        assert "descriptors_few" in daemon.output()
        answers = []
        while "error" not in answers:
            peer = open_peers.enter_context(Peer(site.socket))
            answers.append(peer.ask({"type": "ping"})["type"])
        assert answers == ["pong"] * (64 - 40 - 2 * 3) + ["error"]
        assert len(open_descriptors(daemon)) < 64


def test_daemon_out_of_descriptors_says_busy_keeps_what_is_open_and_recovers(
    tmp_path: Path,
) -> None:
    with Site(tmp_path) as site, ExitStack() as open_peers:
        simulator = site.start_simulator()
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        first = open_peers.enter_context(Peer(site.socket))
        assert first.ask({"type": "subscribe"})["type"] == "subscribed"
        limit = max(open_descriptors(daemon)) + 4
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))

        refused = 0
        while refused < 200:
            peer = open_peers.enter_context(Peer(site.socket))
            answer = peer.ask({"type": "ping"})
            if answer["type"] == "error":
                assert answer["code"] == "busy"
                assert "descriptor" in str(answer["reason"])
                assert peer.read() == {}
                refused += 1
        assert daemon.output().count("descriptors_exhausted") == 1

        reloaded = first.ask({"type": "reload"})
        assert reloaded["ok"] is False
        assert "Too many open files" in str(reloaded["problems"])
        submit = {"type": "submit", "ref": "a", "to": "+8613800138000", "from": "A", "text": "x"}
        answer = first.ask(submit)
        assert answer.get("type") == "accepted", answer
        assert [first.read()["event"], first.read()["event"]] == ["sent", "delivered"]

        simulator.kill()
        daemon.wait_for_output("bind_lost")
        open_peers.enter_context(Peer(site.socket))  # which has what the bind gave back
        daemon.wait_for_output("cannot connect: Too many open files")
        site.start_simulator()
        assert first.ask({"type": "ping"})["type"] == "pong"
        open_peers.close()
        daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
        site.wait_bound(daemon)
        assert daemon.stop() == 0


# --- lines ---

SORTS: Final = (
    (b"not json at all", "bad_json"),
    (b"{", "bad_json"),
    (b"\x00\x00\x00", "bad_json"),
    (b'{"type":"ping"}\x00', "bad_json"),
    (b"[" * 10_000, "bad_json"),
    (b'{"a":' * 10_000, "bad_json"),
    (b"\xff\xfe{}", "bad_utf8"),
    (b'{"type":"ping","token":"\xc3\x28"}', "bad_utf8"),
    (b"[" * 10_000 + b"]" * 10_000, "bad_request"),
    (b"null", "bad_request"),
    (b"[]", "bad_request"),
    (b"12345678901234567890" * 3_000, "bad_request"),
    (b"1e999999", "bad_request"),
    (b'"\\ud800"', "bad_request"),
    (b'{"type":"\\ud800"}', "bad_request"),
    (b"{}", "bad_request"),
    (b'{"type":5}', "bad_request"),
    (b'{"type":"submitt"}', "bad_request"),
    (b'{"type":"submit"}', "bad_request"),
    (b'{"type":"submit","ref":5}', "bad_request"),
    (b'{"type":"submit","ref":"a\\u0000"}', "bad_request"),
    (b'{"type":"submit","ref":"\\ud83d"}', "bad_request"),
    (b'{"type":"query","id":7,"id":8}', "bad_request"),
    (b'{"type":"ping","type":"nothing"}', "bad_request"),
    (b'{"type":"taken","seq":1e400}', "bad_request"),
    (b'{"type":"taken","seq":' + b"9" * 5_000 + b"}", "bad_request"),
    (b'{"type":"subscribe","kinds":"sent"}', "bad_request"),
    (b"x" * 70_000, "line_too_long"),
)
"""Wrong lines, and what each is answered: no JSON, NULs, wrong types, invalid UTF-8, nested beyond
reason, keys that stand twice, numbers nobody can hold, half a surrogate pair, and too long."""


def test_bad_lines_of_every_sort_are_answered_one_by_one_up_to_the_budget(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        lines = [SORTS[number % len(SORTS)] for number in range(BAD_LINES)]
        with Peer(site.socket) as good:
            for start in range(0, BAD_LINES, 100):
                check_bad_lines(site, lines[start:], good, start)
        assert site.status()["store"]["queued"] == BAD_LINES // 100  # type: ignore[index]
        assert "crashed" not in daemon.output()


def check_bad_lines(site: Site, lines: list[tuple[bytes, str]], good: Peer, number: int) -> None:
    """One connection with more bad lines than its budget, beside one that says nothing wrong."""
    with Peer(site.socket) as bad:
        bad.send(*(line for line, _ in lines[:120]))
        good.send(
            {"type": "ping", "token": number},
            {
                "type": "submit",
                "ref": f"r{number}",
                "to": "+8613800138000",
                "from": "A",
                "text": "x",
            },
        )
        assert good.read() == {"type": "pong", "token": number}
        assert good.read()["type"] == "accepted"
        for place, (line, code) in enumerate(lines[:100], 1):
            answer = bad.read()
            told = (answer["type"], answer["line"], answer["code"])
            assert told == ("error", place, code), (line[:80], answer)
        assert bad.read()["code"] == "too_many_errors"
        assert bad.read() == {}


def test_hundred_megabytes_without_a_newline_are_read_over_and_kept_nowhere(
    tmp_path: Path,
) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        with Peer(site.socket) as peer:
            peer.ask({"type": "ping"})
            reset_peak(daemon)
            before = peak_bytes(daemon)
            piece = b"x" * 1_000_000
            for _ in range(LONG_LINE_BYTES // len(piece)):
                peer.socket.sendall(piece)
            answer = peer.read()
            assert (answer["code"], answer["line"]) == ("line_too_long", 2)
            assert peak_bytes(daemon) - before < LONG_LINE_GROWTH_MAX
            peer.send(b"", {"type": "ping", "token": "after"})
            assert peer.read() == {"type": "pong", "token": "after"}


# --- strangers ---

SAY: Final = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
peer.connect("smppd.sock")
try:
    peer.sendall(bytes.fromhex(sys.argv[3]))
    peer.shutdown(socket.SHUT_WR)
except BrokenPipeError:
    pass
print(os.getpid())
while data := peer.recv(65536):
    print(data.decode(), end="")
"""
"""Says something as somebody else, from a working directory they could not have reached."""


def say_as(site: Site, uid: int, *lines: Sent) -> tuple[int, list[Line]]:
    """The process id of who said it, and every answer."""
    said = b"".join(map(encode, lines)).hex()
    arguments = ("-c", SAY, str(site.socket.parent), str(uid), said)
    child = site.start(*arguments, log=f"peer-{uid}.log")
    assert child.wait() == 0, child.tail()
    pid, *answers = child.output().splitlines()
    return int(pid), [json.loads(answer) for answer in answers]


def test_strangers_are_refused_unheard_and_operating_takes_an_admin(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else: NOT tested here")
    apps = {"shop": {"uid": SHOP_UID}, "boss": {"uid": BOSS_UID, "admin": True}}
    submit = {"type": "submit", "ref": "a", "to": "+8613800138000", "from": "A", "text": "x"}
    with Site(tmp_path, apps=apps) as site:
        daemon = site.start_daemon()
        for _ in range(3):
            pid, answers = say_as(site, NOBODY_UID, submit, {"type": "status"}, b"\xff{")
            assert [answer["code"] for answer in answers] == ["not_allowed"]
            assert "line" not in answers[0]
        (line,) = [one for one in daemon.output().splitlines() if "peer_refused" in one]
        fields = json.loads(line)
        assert (fields["uid"], fields["count"]) == (NOBODY_UID, 1)
        assert 0 < fields["pid"] <= pid

        _, answers = say_as(site, SHOP_UID, submit, {"type": "status"}, {"type": "drain"})
        assert [one.get("code", one["type"]) for one in answers] == [
            "accepted", "not_allowed", "not_allowed",
        ]  # fmt: skip
        _, answers = say_as(site, BOSS_UID, {"type": "status"}, {"type": "query", "ref": "a"})
        assert [one.get("code", one["type"]) for one in answers] == ["status", "unknown_message"]
