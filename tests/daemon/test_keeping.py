"""Backup, restore, export and forget on real daemons."""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from smppd import faults
from smppd.api.controls import ControlFault
from smppd.api.outbox import Outbox
from smppd.api.requests import Export
from smppd.api.views import BackupView, ExportedView
from smppd.daemon.keeping import Keeping
from smppd.routing.msisdn import NumberPlan
from smppd.store import backup as module
from smppd.store.backup import PARTIAL_FILE
from smppd.store.changes import Change, InboundArrived
from smppd.store.eventlog import JUMP
from smppd.store.known import Place, Slice
from smppd.text.header import Concatenation
from smppd.traffic.commit import Committer
from tests.house import START, Open
from tests.processes import START_SECONDS_MAX, Child, Site, ask, is_answering

Answer = dict[str, Any]

MESSAGES = 60
"""Some of which wait, some are on a wire and some have ended when the backup is made."""


def make_submit(number: int) -> Answer:
    """To a number of its own."""
    to = f"+49170{number:07}"
    text = f"Order {number}"
    return {"type": "submit", "ref": f"o-{number}", "to": to, "from": "ACME", "text": text}


class Keeper:
    """A site whose simulator writes down every submit_sm it gets."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ledger = site.directory / "ledger.jsonl"
        self.simulator = site.start_simulator("--ledger", str(self.ledger))
        self.daemon: Child = site.start_daemon()
        site.wait_bound(self.daemon)

    def ask(self, verb: str, **fields: object) -> Answer:
        return ask(self.site.socket, {"type": verb, **fields})

    def submit(self, number: int, **fields: object) -> Answer:
        return ask(self.site.socket, make_submit(number) | fields)

    def states(self, count: int) -> Counter[str]:
        return Counter(self.ask("query", ref=f"o-{number}")["state"] for number in range(count))

    def wait_ended(self, count: int) -> None:
        ends = {"delivered", "uncertain", "failed", "expired", "unconfirmed"}
        self.daemon.wait_until(
            lambda: not self.states(count).keys() - ends, "all ended", START_SECONDS_MAX
        )

    def seen(self) -> Counter[str]:
        """How often the carrier was given each number."""
        lines = self.ledger.read_text().splitlines()
        return Counter(json.loads(line)["destination"] for line in lines)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    with Site(tmp_path, carriers={"alpha": {"window": 5, "throughput": 15}}) as site:
        yield Keeper(site)


def test_restored_backup_loses_nothing_and_doubles_nothing_in_silence(keeper: Keeper) -> None:
    """A backup amid traffic; the original sends it all and is killed; the copy takes its place."""
    flood(keeper.site, [make_submit(number) for number in range(MESSAGES)])
    target = keeper.site.directory / "backup"
    made = keeper.ask("backup", directory=str(target))
    assert (made["type"], made["messages"]) == ("backed_up", MESSAGES)
    at_backup = keeper.ask("status")["store"]["queued"]
    assert at_backup, "all was sent before the backup"
    keeper.wait_ended(MESSAGES)
    last_seen = keeper.ask("subscribe")["latest"]
    assert max(keeper.seen().values()) == 1
    keeper.daemon.kill()
    state = keeper.site.directory / "state"
    state.rename(keeper.site.directory / "state.lost")
    target.rename(state)
    keeper.daemon = keeper.site.start_daemon()
    assert "store_restored" in keeper.daemon.output()
    keeper.site.wait_bound(keeper.daemon)
    keeper.wait_ended(MESSAGES)
    bounds = keeper.ask("subscribe", after=last_seen)
    assert bounds["gap"]
    assert bounds["latest"] > JUMP
    views = {number: keeper.ask("query", ref=f"o-{number}") for number in range(MESSAGES)}
    seen = keeper.seen()
    doubled = {number for number in views if seen[f"49170{number:07}"] > 1}
    told = {number for number, view in views.items() if any(p["doubted"] for p in view["parts"])}
    assert doubled
    assert doubled <= {number for number, view in views.items() if view["maybe_duplicate"]} | told
    assert all(seen[f"49170{number:07}"] for number in views), "lost"
    assert max(seen.values()) == 2


def test_second_start_on_the_restored_store_is_an_ordinary_one(keeper: Keeper) -> None:
    keeper.submit(1)
    target = keeper.site.directory / "backup"
    keeper.ask("backup", directory=str(target))
    keeper.daemon.kill()
    shutil.rmtree(keeper.site.directory / "state")
    target.rename(keeper.site.directory / "state")
    keeper.daemon = keeper.site.start_daemon()
    assert keeper.daemon.stop() == 0
    keeper.daemon = keeper.site.start_daemon()
    assert "store_restored" not in keeper.daemon.output()


@pytest.mark.parametrize("point", ["backup.copying", "backup.copied"])
def test_kill_while_a_backup_is_made_leaves_none_that_looks_whole(
    tmp_path: Path, point: str
) -> None:
    with Site(tmp_path) as site:
        daemon = site.launch_daemon(variables={"SMPPD_FAULT": point})
        daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
        text = "x" * 1_500
        lines: list[Answer] = [
            {"type": "submit", "ref": f"r{n}", "to": "+4915112345678", "from": "ACME", "text": text}
            for n in range(6_000)
        ]
        flood(site, lines)
        with pytest.raises((EOFError, OSError)):
            ask(site.socket, {"type": "backup", "directory": str(tmp_path / "copy")})
        assert daemon.wait() == -9
        assert [path.name for path in (tmp_path / "copy").iterdir()] == [PARTIAL_FILE]
        daemon = site.start_daemon()
        said = ask(site.socket, {"type": "backup", "directory": str(tmp_path / "copy")})
        assert said["code"] == "bad_request"
        assert daemon.stop() == 0


def flood(site: Site, lines: list[Answer]) -> None:
    """Submits, all in one write."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(site.socket))
        connection.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        with connection.makefile("rb") as answers:
            for _ in lines:
                assert json.loads(answers.readline())["type"] == "accepted"


async def test_backup_that_is_cancelled_leaves_nothing(
    open_house: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at SIGTERM: the daemon waits for the thread, which reads the store, and not long."""
    monkeypatch.setattr(module, "CHUNK_OCTETS", 1 << 16)
    monkeypatch.setattr(module, "SYNC_OCTETS", 1 << 16)
    house = open_house()
    for start in range(10):
        house.submit(*(f"r{start}-{number}" for number in range(500)), text="x" * 150)
    committer = Committer(house.store, house.dispatch, Outbox(), lambda: house.now)
    keeping = Keeping(
        house.store, committer, NumberPlan(), lambda: house.now, trio.to_thread.run_sync
    )
    points = []

    def cancel(point: str) -> None:
        points.append(point)
        if points == ["backup.copying"]:
            trio.from_thread.run_sync(scope.cancel)

    faults.arm(cancel)
    with trio.CancelScope() as scope:
        await keeping.backup(str(tmp_path / "copy"))
    faults.arm(None)
    assert scope.cancelled_caught
    assert "backup.copied" not in points
    assert not (tmp_path / "copy").exists()
    answer = await keeping.backup(str(tmp_path / "copy"))
    assert isinstance(answer, BackupView)


async def test_second_backup_at_once_is_refused(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    committer = Committer(house.store, house.dispatch, Outbox(), lambda: house.now)
    keeping = Keeping(
        house.store, committer, NumberPlan(), lambda: house.now, trio.to_thread.run_sync
    )
    answers: list[object] = []

    async def back_up(name: str) -> None:
        answers.append(await keeping.backup(str(tmp_path / name)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(back_up, "one")
        nursery.start_soon(back_up, "two")
    refused, made = answers
    assert isinstance(refused, ControlFault)
    assert refused.code == "busy"
    assert isinstance(made, BackupView)


def test_backup_that_cannot_be_written_says_why(keeper: Keeper) -> None:
    for directory, word in (
        ("relative", "absolute"),
        (str(keeper.site.directory), "not an empty directory"),
        (str(keeper.site.directory / "no/where"), "directory above it"),
        (str(keeper.site.directory / "state/copy"), "state directory"),
    ):
        said = keeper.ask("backup", directory=directory)
        assert (said["type"], said["code"]) == ("error", "bad_request")
        assert word in said["reason"]


# -- export and forget ---


def export(keeper: Keeper, number: str, limit: int = 100) -> list[Answer]:
    records: list[Answer] = []
    page: Answer = {"next": None}
    while True:
        more = {} if page["next"] is None else {"after": page["next"]}
        page = keeper.ask("export", number=number, limit=limit, **more)
        records += page["records"]
        assert len(page["records"]) <= limit
        if page["next"] is None:
            return records


def test_export_tells_all_of_a_number_page_by_page(keeper: Keeper) -> None:
    for number in range(7):
        keeper.submit(number, to="+4915112345678" if number % 2 else "+4915187654321")
    found = export(keeper, "+49 151 1234-5678", limit=2)
    assert [one["kind"] for one in found] == ["message"] * 3
    assert [one["message"]["ref"] for one in found] == ["o-1", "o-3", "o-5"]
    assert found[0]["message"]["text"] == "Order 1"
    assert export(keeper, "ACME") == []
    said = keeper.ask("export", number="ACME", after="elsewhere:00")
    assert said["code"] == "bad_request"


async def test_segments_that_wait_are_exported_and_forgotten(open_house: Open) -> None:
    """Two rows that wait, and what is known of a message that was told."""
    house = open_house(inbound_apps=("shop",))
    committer = Committer(house.store, house.dispatch, Outbox(), lambda: house.now)
    keeping = Keeping(
        house.store, committer, NumberPlan(), lambda: house.now, trio.to_thread.run_sync
    )
    joined = [Concatenation("udh8", 1, 3, 1), Concatenation("udh8", 1, 3, 2)]
    joined += [Concatenation("udh8", 2, 2, 1), Concatenation("udh8", 2, 2, 2)]
    house.commit([segment_of(one, "4915112345678") for one in joined])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        found = await keeping.export(Export("+4915112345678"))
        assert isinstance(found, ExportedView)
        shown = [one.inbound.text for one in found.records if one.inbound is not None]
        assert shown == [None, None, "ab"]
        done = await keeping.forget("+4915112345678")
        assert (done.inbound, done.events) == (2, 1)
        left = await keeping.export(Export("+4915112345678"))
        assert isinstance(left, ExportedView)
        assert left.records == []
        nursery.cancel_scope.cancel()
    assert house.store.know("inbound_parts", "4915112345678").found == []
    assert house.store.statistics().inbound_waiting == 0


async def test_segments_that_fall_due_meanwhile_are_not_told_of_a_number_that_is_forgotten(
    open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = open_house(inbound_apps=("shop",))
    committer = Committer(house.store, house.dispatch, Outbox(), lambda: house.now)
    keeping = Keeping(
        house.store, committer, NumberPlan(), lambda: house.now, trio.to_thread.run_sync
    )
    house.commit([segment_of(Concatenation("udh8", 1, 3, 1), "4915112345678")])
    know = house.store.know

    def know_late(place: Place, *args: Any, **named: Any) -> Slice:
        if place == "inbound":
            house.pass_time(601)
        return know(place, *args, **named)

    monkeypatch.setattr(house.store, "know", know_late)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        done = await keeping.forget("+4915112345678")
        nursery.cancel_scope.cancel()
    assert done.inbound == 1
    assert house.events() == []


def segment_of(joined: Concatenation, source: str) -> Change:
    text = "ab"[joined.number - 1]
    data = text.encode()
    return InboundArrived(
        "alpha", source, "12345", text, data, 0, 0, START, concatenation=joined
    )  # fmt: skip


def test_forget_empties_what_has_ended_and_cancels_what_waits(keeper: Keeper) -> None:
    to, other = "+4915112345678", "+4915187654321"
    keeper.submit(0, to=to, meta={"who": "Anna"})
    keeper.submit(1, to=other)
    keeper.wait_ended(2)
    keeper.ask("pause", carrier="alpha")
    keeper.submit(2, to=to)
    done = keeper.ask("forget", number=to)
    assert (done["type"], done["messages"], done["cancelled"], done["left"]) == (
        "forgotten", 2, 1, 0,
    )  # fmt: skip
    assert export(keeper, to) == []
    assert len(export(keeper, other)) == 1
    found = keeper.ask("query", ref="o-0")
    assert (found["to"], found["text"], found["meta"]) == ("", "", None)
    assert keeper.ask("query", ref="o-2")["state"] == "cancelled"
    again = keeper.submit(0, to=to, meta={"who": "Anna"})
    assert again["duplicate"]
    assert "4915112345678" not in keeper.daemon.output()
    assert "number_forgotten" in keeper.daemon.output()
    assert keeper.ask("forget", number=to)["messages"] == 0


def test_number_that_is_written_oddly_is_not_logged_either(keeper: Keeper) -> None:
    for asked in ("O15112345678", "+49151/12345678"):
        assert keeper.ask("forget", number=asked)["type"] == "forgotten"
        assert keeper.ask("export", number=asked)["type"] == "exported"
    assert keeper.daemon.output().count("O***********") == 2
    assert "12345678" not in keeper.daemon.output()


def test_forget_names_what_is_on_its_way(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.start_simulator("--lose-receipt-rate", "1")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        to = "+4915112345678"
        line = {"type": "submit", "ref": "a", "to": to, "from": "ACME", "text": "hi"}
        sent = ask(site.socket, line)
        query = {"type": "query", "ref": "a"}
        daemon.wait_until(
            lambda: ask(site.socket, query)["state"] == "sent", "sent", START_SECONDS_MAX
        )
        done: Answer = ask(site.socket, {"type": "forget", "number": to})
        assert (done["messages"], done["left"]) == (0, 1)
        assert [one["id"] for one in done["messages_left"]] == [sent["id"]]
        assert daemon.stop() == 0
