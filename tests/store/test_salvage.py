"""What is taken out of damaged stores: every row of every page that is whole, and none other."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from smppd.errors import StoreDamaged, StoreError, StoreRefused
from smppd.store import index, keys
from smppd.store.blocks import crcs_of, pack_block, sizes_of, unpack_block
from smppd.store.book import META_RESTORED
from smppd.store.changes import Accepted, InboundArrived
from smppd.store.environment import Environment
from smppd.store.inspection import Inspection
from smppd.store.layout import DATA_FILE
from smppd.store.offline import find_roots, opened
from smppd.store.pages import NODE_OCTETS, PageFile
from smppd.store.retention import RetentionPeriods
from smppd.store.runs import BLOCK
from smppd.store.salvage import Salvaged, salvage
from smppd.store.startcheck import check_at_start
from smppd.store.verify import verify
from smppd.text.header import Concatenation
from tests.house import START, House
from tests.store.damage import PAGE, damage, damaged_copy, leaf_of, leaves_of, zero_pages
from tests.store.test_damage import change_data, read_transaction, take_off_checksums
from tests.store.used import GROUP, MAP_BYTES, REFS, open_used, read_story, told, write_story

SEEDS: Final = 160
NOW: Final = START + 700_000

HOUR: Final = 3_600

OTP_SLOTS: Final = 4
"""Of a window, kept for the class ``otp``, of which the story has none."""

LAST_PAGE_AT: Final = 136
"""Where in a meta page the number of the last page in use stands."""

MAIN_ROOT_AT: Final = 128
"""And where that of the root of the list of tables does."""

BUILT_MIN: Final = {"queue": 80, "grants": 36, "tags": 240, "deadlines": 123, "doubts": 36}
"""Rows that follow from the messages of the story; deadlines: of those that are not final."""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("used") / "state"
    write_story(directory)
    return directory


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    return shutil.copytree(used, tmp_path / "state")


def rows_of(directory: Path) -> dict[tuple[str, bytes], tuple[bytes, int]]:
    """Every row of a sound store, and its page."""
    found: dict[tuple[str, bytes], tuple[bytes, int]] = {}

    def look(table: str, key: bytes, value: bytes, page: int) -> None:
        found[table, key] = value, page

    def note(finding: object) -> None:
        raise AssertionError(finding)

    with opened(directory) as offline:
        meta = find_roots(offline).meta
        assert meta is not None, "a sound store has one"
        file = PageFile(offline.descriptor, meta.page_size, meta.last_page + 1)
        Inspection(file, meta, note, look).run()
    return found


def messages_of(directory: Path) -> dict[bytes, bytes]:
    rows = rows_of(directory).items()
    return {key: value for (table, key), (value, _) in rows if table == "messages"}


def is_doubtful(directory: Path) -> bool:
    env = Environment(directory, MAP_BYTES)
    env.begin(write=False)
    try:
        return env.tables["meta"].get(META_RESTORED) is not None
    finally:
        env.close()


# --- what is whole ---


def test_sound_store_is_salvaged_whole(copy: Path, tmp_path: Path) -> None:
    story = told(shutil.copytree(copy, tmp_path / "other"))
    saved = salvage(copy, tmp_path / "new", NOW)
    assert (saved.findings, saved.lost, saved.is_doubtful) == ([], [], False)
    assert verify(tmp_path / "new").findings == []
    assert told(tmp_path / "new") == story


def test_store_without_checksums_gets_them(copy: Path, tmp_path: Path) -> None:
    story = told(shutil.copytree(copy, tmp_path / "other"))
    take_off_checksums(copy)
    assert salvage(copy, tmp_path / "new", NOW).findings == []
    assert check_at_start(tmp_path / "new") is True
    assert told(tmp_path / "new") == story


def test_every_row_of_undamaged_pages_comes_back_and_no_other(used: Path, tmp_path: Path) -> None:
    original = (used / DATA_FILE).read_bytes()
    rows = rows_of(used)
    salvaged = 0
    for seed in range(SEEDS):
        data = damage(original, seed)
        directory = damaged_copy(used, tmp_path / "old", data)
        if verify(directory).findings:
            saved = salvage(directory, tmp_path / "new", NOW)
            check_messages(saved, rows, messages_of(tmp_path / "new"), original, data)
            assert [one for one in verify(tmp_path / "new").findings if not is_gap(str(one))] == []
            salvaged += 1
            shutil.rmtree(tmp_path / "new")
        shutil.rmtree(directory)
    assert salvaged > SEEDS // 3


def is_gap(finding: str) -> bool:
    """Events that were lost stay lost; that they are missing is all that may be found."""
    return "events" in finding and "are not there" in finding


def check_messages(
    saved: Salvaged,
    rows: dict[tuple[str, bytes], tuple[bytes, int]],
    found: dict[bytes, bytes],
    original: bytes,
    data: bytes,
) -> None:
    was_lost = set()
    for (table, key), (value, page) in rows.items():
        if table != "messages":
            continue
        at = slice(page * PAGE, (page + 1) * PAGE)
        if data[at] == original[at]:
            assert key in found, "a page was whole, and its row is gone"
        if key in found:
            assert found[key] == value or saved.is_doubtful, "an old version passes for the newest"
        else:
            was_lost.add(keys.show_id(keys.read_u64(key)))
    assert found.keys() <= {key for table, key in rows if table == "messages"}
    assert not was_lost or saved.findings


# --- refs and ids that are in runs ---


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same story, whose refs and ids did not stay in memory."""
    monkeypatch.setattr(index, "GENERATION", 32)
    write_story(tmp_path / "runs")
    tables = {table for table, key in rows_of(tmp_path / "runs") if key[:1] == BLOCK}
    assert tables == {"refs_runs", "smsc_ids_runs"}
    return tmp_path / "runs"


def refs_that_send_again(directory: Path) -> list[str]:
    """Of the story's refs, those a submit of which is taken for a new message's."""
    house = open_used(directory)
    refs = [f"r{number}" for number in range(REFS)]
    answers = house.commit([house.propose(ref) for ref in refs])
    house.close()
    bound = zip(refs, answers, strict=True)
    return [ref for ref, answer in bound if isinstance(answer, Accepted) and not answer.duplicate]


def test_sound_store_with_runs_is_verified_and_salvaged_whole(runs: Path, tmp_path: Path) -> None:
    assert verify(runs).findings == []
    story = told(shutil.copytree(runs, tmp_path / "other"))
    saved = salvage(runs, tmp_path / "new", NOW)
    assert (saved.findings, saved.lost, saved.is_doubtful) == ([], [], False)
    assert verify(tmp_path / "new").findings == []
    assert told(shutil.copytree(tmp_path / "new", tmp_path / "copy")) == story
    assert refs_that_send_again(tmp_path / "new") == []


def test_ref_of_a_lost_block_sends_nothing_twice(runs: Path, tmp_path: Path) -> None:
    for number, page in enumerate(leaves_of(runs, "refs_runs")):
        copy, new = shutil.copytree(runs, tmp_path / f"{number}"), tmp_path / f"new{number}"
        zero_pages(copy, page)
        assert verify(copy).findings
        salvage(copy, new, NOW)
        assert verify(new).findings == []
        assert refs_that_send_again(new) == []


def test_receipts_of_a_lost_block_find_their_messages(runs: Path, tmp_path: Path) -> None:
    zero_pages(runs, *leaves_of(runs, "smsc_ids_runs"))
    salvage(runs, tmp_path / "new", NOW)
    house = open_used(tmp_path / "new")
    matched = house.store.statistics().receipts_matched
    names = [f"smsc1-{number}" for number in range(GROUP - OTP_SLOTS)]
    house.commit([house.receipt(name) for name in names])
    assert house.store.statistics().receipts_matched == matched + len(names)
    house.close()


def test_verify_misses_a_block_that_is_gone_from_a_run(runs: Path) -> None:
    change_row(runs, "refs_runs", lambda key, _: None if key[:1] == BLOCK else b"")
    assert any("of tier 0 has" in str(finding) for finding in verify(runs).findings)


def test_verify_sees_a_block_that_is_not_in_order(runs: Path) -> None:
    def swap(key: bytes, value: bytes) -> bytes | None:
        entries = unpack_block(value) if key[:1] == BLOCK else {}
        if len(entries) < 2:
            return b""
        names = [*entries]
        names[0], names[1] = names[1], names[0]
        values = [entries[name] for name in names]
        return pack_block(names, values, crcs_of(names), sizes_of(names, values))

    change_row(runs, "refs_runs", swap)
    assert any("its entries are not in order" in str(one) for one in verify(runs).findings)


def change_row(directory: Path, table: str, change: Callable[[bytes, bytes], bytes | None]) -> None:
    """Writes the first row anew of which ``change`` gives something, or deletes it for None."""
    env = Environment(directory, MAP_BYTES)
    env.begin(write=True)
    rows = [(key, change(key, value)) for key, value in env.tables[table].rows_from(b"")]
    key, value = next((key, value) for key, value in rows if value != b"")
    if value is None:
        env.tables[table].delete(key)
    else:
        env.tables[table].put(key, value)
    env.commit()
    env.close()


# --- what is not ---


def test_old_directory_stays_as_it_is(copy: Path, tmp_path: Path) -> None:
    zero_pages(copy, leaf_of(copy, "messages"))
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in copy.iterdir()}
    salvage(copy, tmp_path / "new", NOW)
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in copy.iterdir()} == before


def test_messages_that_are_gone_are_named_and_nothing_names_them_any_more(
    copy: Path, tmp_path: Path
) -> None:
    page = leaf_of(copy, "messages")
    gone = {
        keys.show_id(keys.read_u64(key))
        for (table, key), (_, number) in rows_of(copy).items()
        if table == "messages" and number == page
    }
    zero_pages(copy, page)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert {lost.id for lost in saved.lost} == gone
    assert all(lost.app == "shop" and lost.ref.startswith("r") for lost in saved.lost)
    assert not saved.is_doubtful
    assert verify(tmp_path / "new").findings == []
    house = open_used(tmp_path / "new")
    assert house.store.query("shop", ref=saved.lost[0].ref) is None
    house.close()


def test_leaves_that_no_branch_leads_to_any_more_are_found(copy: Path, tmp_path: Path) -> None:
    messages = messages_of(copy)
    root = root_of(copy, "messages")
    zero_pages(copy, root)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert messages_of(tmp_path / "new") == messages
    assert (saved.lost, saved.is_doubtful) == ([], False)
    assert verify(tmp_path / "new").findings == []


def root_of(directory: Path, table: str) -> int:
    with opened(directory) as offline:
        meta = find_roots(offline).meta
        assert meta is not None, "a sound store has one"
        file = PageFile(offline.descriptor, meta.page_size, meta.last_page + 1)
        found = Inspection(file, meta, lambda finding: None)
        found.run()
        return found.tables[table].root


@pytest.mark.parametrize("table", ["queue", "grants", "tags", "deadlines", "doubts"])
def test_table_that_follows_from_the_messages_is_built_anew(
    copy: Path, tmp_path: Path, table: str
) -> None:
    story = read_story(shutil.copytree(copy, tmp_path / "other"))
    page = leaf_of(copy, table)
    zero_pages(copy, page)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert {one.table: one.built for one in saved.tables}[table] >= BUILT_MIN[table]
    assert verify(tmp_path / "new").findings == []
    assert read_story(tmp_path / "new") == story


def test_segments_are_told_once_at_their_deadline_though_it_was_lost(tmp_path: Path) -> None:
    """Two of one message: both rows say when, and the first look tells it."""
    house = House(tmp_path / "old", inbound_apps=("shop",))
    segments = [segment_of(house, number) for number in (1, 2)]
    house.commit(list(segments))
    house.close()
    zero_pages(tmp_path / "old", *leaves_of(tmp_path / "old", "deadlines"))
    salvage(tmp_path / "old", tmp_path / "new", NOW)
    house = House(tmp_path / "new", inbound_apps=("shop",), now=START + 601_000)
    house.commit([])
    house.commit([segment_of(house, 1)])
    assert [event["segments_missing"] for event in house.events()] == [[3]]
    assert house.store.statistics().inbound_repeated == 1
    house.close()


def segment_of(house: House, number: int) -> InboundArrived:
    joined = Concatenation("udh8", 7, 3, number)
    return InboundArrived(
        "alpha", "491701234567", "12345", "x", b"x%d" % number, 0, 0, house.now,
        concatenation=joined,
    )  # fmt: skip


def test_ref_that_was_lost_still_sends_nothing_twice(copy: Path, tmp_path: Path) -> None:
    pages = leaves_of(copy, "refs_journal")
    zero_pages(copy, *pages)
    salvage(copy, tmp_path / "new", NOW)
    house = open_used(tmp_path / "new")
    (answer,) = house.commit([house.propose("r0")])
    assert type(answer).__name__ == "RefConflict"
    house.close()


def test_receipts_find_their_messages_though_the_ids_were_lost(copy: Path, tmp_path: Path) -> None:
    page = leaf_of(copy, "smsc_ids_journal")
    zero_pages(copy, page)
    salvage(copy, tmp_path / "new", NOW)
    house = open_used(tmp_path / "new")
    matched = house.store.statistics().receipts_matched
    house.receive("smsc1-0")
    assert house.store.statistics().receipts_matched == matched + 1
    house.close()


def test_what_waits_is_doubted_where_nobody_knows_the_last_commit(
    copy: Path, tmp_path: Path
) -> None:
    messages = messages_of(copy)
    zero_pages(copy, 0, 1)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert saved.is_doubtful
    assert messages_of(tmp_path / "new").keys() == messages.keys()
    assert is_doubtful(tmp_path / "new")


def test_last_commit_is_found_though_its_meta_page_is_gone(copy: Path, tmp_path: Path) -> None:
    story = read_story(shutil.copytree(copy, tmp_path / "other"))
    newest = max((0, 1), key=lambda page: read_transaction(copy, page))
    messages = messages_of(copy)
    zero_pages(copy, newest)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert messages_of(tmp_path / "new").keys() == messages.keys()
    assert saved.is_doubtful
    assert story["messages"]


def test_number_of_pages_that_is_too_small_costs_nothing(copy: Path, tmp_path: Path) -> None:
    """No checksum guards the meta page; what its trees lead to is in use, whatever it says."""
    story = read_story(shutil.copytree(copy, tmp_path / "other"))
    newest = max((0, 1), key=lambda page: read_transaction(copy, page))

    def say_less(data: bytearray) -> None:
        at = newest * PAGE + LAST_PAGE_AT
        data[at] &= 0x1F

    change_data(copy, say_less)
    assert any("pages in use" in str(one) for one in verify(copy).findings)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert [str(one) for one in saved.findings if "later ones are in use" in str(one)]
    assert (saved.lost, saved.is_doubtful) == ([], False)
    assert verify(tmp_path / "new").findings == []
    assert read_story(tmp_path / "new") == story


def test_record_of_a_table_that_no_longer_says_it_is_one_costs_no_row(
    copy: Path, tmp_path: Path
) -> None:
    story = read_story(shutil.copytree(copy, tmp_path / "other"))
    flags_at = 4
    for number, table in enumerate((b"messages", b"events")):
        damaged = shutil.copytree(copy, tmp_path / f"old{number}")
        new = tmp_path / f"new{number}"

        def flip(data: bytearray, table: bytes = table) -> None:
            page = main_root_of(copy) * PAGE
            node = data.index(table + b"\0\0\0\0", page, page + PAGE) - NODE_OCTETS
            data[node + flags_at] ^= 4

        change_data(damaged, flip)
        saved = salvage(damaged, new, NOW)
        assert any("has flags 0x6" in str(one) for one in saved.findings)
        assert (saved.lost, saved.is_doubtful) == ([], False)
        assert verify(new).findings == []
        assert read_story(new) == story


def test_rows_of_a_page_that_passes_for_the_list_of_tables_are_found(
    copy: Path, tmp_path: Path
) -> None:
    """The root of all trees is a number on the meta page, and any leaf can be taken for it."""
    messages = messages_of(copy)
    newest = max((0, 1), key=lambda page: read_transaction(copy, page))
    leaf = leaf_of(copy, "messages")

    def lead_there(data: bytearray) -> None:
        at = newest * PAGE + MAIN_ROOT_AT
        data[at : at + 8] = leaf.to_bytes(8, sys.byteorder)

    change_data(copy, lead_there)
    salvage(copy, tmp_path / "new", NOW)
    assert messages_of(tmp_path / "new").keys() == messages.keys()


def main_root_of(directory: Path) -> int:
    with opened(directory) as offline:
        meta = find_roots(offline).meta
        assert meta is not None, "a sound store has one"
        return meta.main.root


def test_old_version_of_a_message_is_taken_for_a_doubtful_one(tmp_path: Path) -> None:
    """The free pages are full of them; without a free list nobody can tell them."""
    used = tmp_path / "used"
    write_answered(used)
    messages = messages_of(used)
    with opened(used) as offline:
        meta = find_roots(offline).meta
        assert meta is not None, "a sound store has one"
    old = 0
    for number, page in enumerate(leaves_of(used, "messages")):
        state, new = shutil.copytree(used, tmp_path / f"{number}"), tmp_path / f"new{number}"
        zero_pages(state, page, meta.free.root)
        saved = salvage(state, new, NOW)
        is_old = any(value != messages[key] for key, value in messages_of(new).items())
        assert saved.is_doubtful >= is_old, number
        old += is_old
    assert old, "no old version was there to be found; the test tests nothing"


def write_answered(directory: Path) -> None:
    """Messages whose last commit has written each of them anew."""
    house = House(directory, window=60, map_size=MAP_BYTES)
    house.up()
    house.submit(*(f"r{number}" for number in range(50)), text="x" * 140)
    house.answer(house.take())
    house.close()


# --- where to, and from where ---


def test_directory_that_holds_something_is_refused(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    with pytest.raises(StoreError, match="is not an empty directory; name one"):
        salvage(copy, tmp_path / "new", NOW)


def test_store_in_use_is_left_alone(copy: Path, tmp_path: Path) -> None:
    house = open_used(copy)
    for look in (lambda: verify(copy), lambda: salvage(copy, tmp_path / "new", NOW)):
        with pytest.raises(StoreRefused, match=r"a smppd runs on .* \(pid \d+\); stop it first"):
            look()
    house.close()
    assert verify(copy).findings == []


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"data\.mdb cannot be read: No such file"):
        salvage(tmp_path, tmp_path / "new", NOW)
    assert not (tmp_path / "new").exists()


def test_store_whose_file_is_gone_is_damaged_not_merely_none(copy: Path, tmp_path: Path) -> None:
    (copy / "data.mdb").unlink()
    for look in (lambda: verify(copy), lambda: salvage(copy, tmp_path / "new", NOW)):
        with pytest.raises(StoreDamaged, match="a store was there"):
            look()


def test_file_of_nothing_but_zeros_gives_an_empty_store_that_says_so(
    copy: Path, tmp_path: Path
) -> None:
    change_data(copy, lambda data: data.__setitem__(slice(None), bytes(len(data))))
    with pytest.raises(StoreDamaged):
        check_at_start(copy)
    saved = salvage(copy, tmp_path / "new", NOW)
    assert saved.findings
    assert saved.is_doubtful
    assert messages_of(tmp_path / "new") == {}


def test_ref_that_was_used_again_is_bound_to_its_newest_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older run says what it was bound to before: that message is no answer to a retry."""
    monkeypatch.setattr(index, "GENERATION", 32)
    periods = RetentionPeriods(messages=2 * HOUR, refs=HOUR, events=HOUR)
    refs = [f"a{number}" for number in range(64)]
    house = House(tmp_path / "old", window=1_000, periods=periods)
    house.up()
    deliver(house, refs)
    for seconds in [HOUR] * 4 + [2] * 50:
        house.pass_time(seconds)
    deliver(house, refs)
    now = house.now
    house.close()
    for page in leaves_of(tmp_path / "old", "refs_journal"):
        zero_pages(tmp_path / "old", page)
    salvage(tmp_path / "old", tmp_path / "new", now)
    house = House(tmp_path / "new", window=1_000, periods=periods, now=now)
    answers = house.commit([house.propose(ref) for ref in refs])
    assert not [one for one in answers if isinstance(one, Accepted) and not one.duplicate]
    house.close()


def deliver(house: House, refs: list[str]) -> None:
    """Messages that are done, eight a commit."""
    for start in range(0, len(refs), 8):
        house.submit(*refs[start : start + 8], valid_for=900)
        submits = house.take()
        ids = [f"{house.now}-{number}" for number in range(start, start + len(submits))]
        house.answer(submits, ids=ids)
        house.commit([house.receipt(one) for one in ids])
