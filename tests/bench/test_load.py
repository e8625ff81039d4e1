"""The client of a throughput run: that it counts what comes back, and when it stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from bench.load import Client, Clocks, Load, LoadResult, differences
from bench.submits import is_lost, number_of


def run_client(*lines: dict[str, object], **settings: Any) -> LoadResult:
    """What a client of two messages makes of these lines, after which the daemon is gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        load = Load(**{"socket": "", "messages": 2, "client_window": 2, **settings})
        return Client(ours, load).run()


def accepted(ref: str) -> dict[str, object]:
    return {"type": "accepted", "ref": ref}


def event(name: str, ref: str, seq: int) -> dict[str, object]:
    return {"type": "event", "event": name, "ref": ref, "seq": seq}


def test_a_client_counts_answers_and_finals_and_ends_when_all_are_final() -> None:
    result = run_client(
        accepted("00000000"),
        accepted("00000001"),
        event("sent", "00000000", 1),
        event("sent", "00000001", 2),
        event("delivered", "00000000", 3),
        event("delivered", "00000000", 4),
        event("failed", "00000001", 5),
    )
    assert (result.accepted, result.rejected, result.errors) == (2, 0, 0)
    assert (result.sent, result.delivered, result.other_finals, result.doubles) == (2, 2, 1, 1)
    assert result.undelivered == [1]
    assert len(result.accepted_ms) == len(result.final_ms) == 2


def test_a_client_gives_up_when_the_daemon_is_gone() -> None:
    result = run_client(accepted("00000000"))
    assert (result.accepted, result.delivered) == (1, 0)
    assert result.undelivered == [0, 1]


def test_a_client_gives_up_when_nothing_comes_any_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        load = Load(socket="", messages=2, client_window=2, patience=0.01)
        result = Client(ours, load).run()
        assert theirs.recv(1 << 16).count(b"\n") == 2
    assert result.accepted == 0


def test_for_a_message_whose_receipt_is_lost_sent_is_the_end() -> None:
    assert [is_lost(number_of(index), 0.01) for index in range(2)] == [True, False]
    result = run_client(
        event("sent", "00000000", 1),
        event("sent", "00000001", 2),
        event("delivered", "00000001", 3),
        loss=0.01,
    )
    assert (result.delivered, result.undelivered) == (1, [0])


def deliver_all(peer: socket.socket) -> None:
    """A daemon that delivers each message as soon as it has read it."""
    seq = 0
    with peer, peer.makefile("rb") as lines:
        for line in lines:
            if (ref := json.loads(line).get("ref")) is not None:
                seq += 1
                peer.sendall(json.dumps(event("delivered", ref, seq)).encode() + b"\n")


def run_delivered(load: Load) -> Clocks:
    """The clocks of a client whose messages are all delivered."""
    ours, theirs = socket.socketpair()
    daemon = threading.Thread(target=deliver_all, args=(theirs,))
    daemon.start()
    with ours:
        ours.setblocking(False)
        client = Client(ours, load)
        assert client.run().delivered == load.messages
    daemon.join()
    return client.clocks


def test_a_paced_client_writes_no_message_before_it_is_due() -> None:
    before = time.monotonic()
    clocks = run_delivered(Load(socket="", messages=20, client_window=0, rate=1_000.0))
    assert all(at >= before + index / 1_000 for index, at in enumerate(clocks.written))


def test_no_more_messages_are_out_than_the_window_has_room_for() -> None:
    clocks = run_delivered(Load(socket="", messages=20, client_window=2))
    for written, final in zip(clocks.written[2:], clocks.final, strict=False):
        assert written >= final


def test_clocks_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    clocks = Clocks(3)
    clocks.written[1], clocks.accepted[1], clocks.sent[2], clocks.final[0] = 1.0, 1.5, 2.0, 3.0
    clocks.save(tmp_path / "clocks")
    read = Clocks.load(tmp_path / "clocks")
    assert list(read.written) == [0.0, 1.0, 0.0]
    assert list(read.accepted) == [0.0, 1.5, 0.0]
    assert (list(read.sent), list(read.final)) == ([0.0, 0.0, 2.0], [3.0, 0.0, 0.0])
    assert differences(read.written, read.accepted) == [0.5]
