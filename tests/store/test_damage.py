"""Damaged data files: a start refuses, or finds all as it was; never anything in between.

The damage is random, from seeds that are the same in every run. Whatever passes the start's own
check is opened by LMDB in a process of its own, so that a page LMDB falls over is a failed test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import lmdb
import pytest
from lmdb import verify as peer

from smppd.errors import StoreDamaged, StoreError
from smppd.store import layout, startcheck
from smppd.store.environment import Environment
from smppd.store.inspection import Finding, show_key
from smppd.store.layout import DATA_FILE, FORMAT_FILE, LMDB_LOCK_FILE, NEW_FILE, TABLES
from smppd.store.startcheck import check_at_start
from smppd.store.verify import verify
from tests.processes import environment
from tests.store.damage import PAGE, damage, damaged_copy, leaf_of, leaves_of, zero, zero_pages
from tests.store.used import MAP_BYTES, REFS, Story, open_used, told, write_story

SEEDS: Final = 1_000
PEER_SEEDS: Final = 60
WHERE: Final = re.compile(
    r"data\.mdb is damaged: .*(page \d+|table \w+|row '\w+'|list|it is empty)"
)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a daemon has used and closed; not to be opened."""
    directory = tmp_path_factory.mktemp("used") / "state"
    write_story(directory)
    return directory


@pytest.fixture(scope="module")
def story(used: Path, tmp_path_factory: pytest.TempPathFactory) -> Story | str:
    """What a start on it finds."""
    return told(shutil.copytree(used, tmp_path_factory.mktemp("read") / "state"))


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    """A copy of the used store, to be damaged."""
    return shutil.copytree(used, tmp_path / "state")


Change = Callable[[bytearray], None]


def change_data(directory: Path, change: Change) -> None:
    data = bytearray((directory / DATA_FILE).read_bytes())
    change(data)
    (directory / DATA_FILE).write_bytes(data)


def refusal_of(directory: Path) -> str | None:
    """What the start's check says against it."""
    try:
        check_at_start(directory)
    except StoreDamaged as error:
        return str(error)
    return None


# --- at random ---


def test_start_on_a_damaged_store_refuses_or_finds_everything_as_it_was(
    used: Path, story: Story, tmp_path: Path
) -> None:
    original = (used / DATA_FILE).read_bytes()
    passed = []
    for seed in range(SEEDS):
        data = damage(original, seed)
        directory = damaged_copy(used, tmp_path / str(seed), data)
        reason = refusal_of(directory)
        if reason is None:
            passed.append(directory)
            continue
        assert WHERE.search(reason), (seed, reason)
        assert (directory / DATA_FILE).read_bytes() == data, seed
        shutil.rmtree(directory)
    assert 10 < len(passed) < SEEDS // 2, "the damage is too mild, or too much"
    for name, found in stories_of(passed):
        assert found == story, name


def stories_of(directories: list[Path]) -> list[tuple[str, Story | str]]:
    """What starts on them find, in another process."""
    reader = subprocess.run(
        [sys.executable, "-m", "tests.store.used"],
        input="".join(f"{directory}\n" for directory in directories),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in reader.stdout.splitlines()]
    assert reader.returncode == 0, (len(lines), reader.stderr)
    assert len(lines) == len(directories)
    return [(name, found) for name, found in lines]


def test_verify_finds_what_a_start_refuses_and_nothing_where_all_is_right(
    used: Path, tmp_path: Path
) -> None:
    original = (used / DATA_FILE).read_bytes()
    for seed in range(0, SEEDS, 3):
        directory = damaged_copy(used, tmp_path / str(seed), damage(original, seed))
        is_refused = refusal_of(directory) is not None
        assert bool(verify(directory).findings) == is_refused, seed


def test_whatever_pages_lmdbs_own_verifier_minds_a_start_minds_too(
    used: Path, tmp_path: Path
) -> None:
    original = (used / DATA_FILE).read_bytes()
    minded = 0
    for seed in range(PEER_SEEDS):
        directory = damaged_copy(used, tmp_path / str(seed), damage(original, seed))
        try:
            problems = peer.verify(str(directory))  # type: ignore[no-untyped-call]
        except peer.VerifyError as error:
            problems = [str(error)]
        minded += bool(problems)
        assert not problems or refusal_of(directory) is not None, (seed, problems)
    assert minded > PEER_SEEDS // 4


# --- where it counts ---


def test_transaction_number_that_would_bring_back_an_older_commit_is_refused(copy: Path) -> None:
    numbers = [read_transaction(copy, page) for page in (0, 1)]
    newest = numbers.index(max(numbers))

    def make_older(data: bytearray) -> None:
        data[newest * PAGE + 144 : newest * PAGE + 152] = (max(numbers) - 2).to_bytes(8, "little")

    change_data(copy, make_older)
    assert "and is of a later one" in str(refusal_of(copy))


def test_transaction_number_that_skips_one_is_refused(copy: Path) -> None:
    numbers = [read_transaction(copy, page) for page in (0, 1)]
    newest = numbers.index(max(numbers))

    def make_newer(data: bytearray) -> None:
        data[newest * PAGE + 144 : newest * PAGE + 152] = (max(numbers) + 8).to_bytes(8, "little")

    change_data(copy, make_newer)
    assert "does not follow the other" in str(refusal_of(copy))


def read_transaction(directory: Path, page: int) -> int:
    data = (directory / DATA_FILE).read_bytes()
    return int.from_bytes(data[page * PAGE + 144 : page * PAGE + 152], "little")


def test_free_list_that_names_a_page_in_use_is_refused(copy: Path) -> None:
    reason = free_list_with(copy, leaf_of(copy, "messages"))
    assert reason is not None
    assert "free list" in reason


def test_pages_that_the_free_list_does_not_name_cost_room_and_no_start(copy: Path) -> None:
    """LMDB may leave such a list, with a row that it reserved and did not need."""
    start = free_list_of(copy)
    change_data(copy, lambda data: data.__setitem__(slice(start, start + 8), bytes(8)))
    assert refusal_of(copy) is None
    assert ["are neither in use nor free" in str(found) for found in verify(copy).findings] == [
        True
    ]


def free_list_with(directory: Path, page: int) -> str | None:
    """The refusal once a page that the list names is ``page`` instead."""
    first = free_list_of(directory) + 8

    def replace(changed: bytearray) -> None:
        changed[first : first + 8] = page.to_bytes(8, "little")

    change_data(directory, replace)
    return refusal_of(directory)


def free_list_of(directory: Path) -> int:
    """Where a row of the free list begins: how many pages it names, and those."""
    data = (directory / DATA_FILE).read_bytes()
    meta = max((0, 1), key=lambda number: read_transaction(directory, number))
    root = int.from_bytes(data[meta * PAGE + 80 : meta * PAGE + 88], "little")
    entry = int.from_bytes(data[root * PAGE + 16 : root * PAGE + 18], "little")
    return root * PAGE + entry + 8 + 8


def test_row_of_another_table_does_not_pass_for_one_of_this(tmp_path: Path) -> None:
    seed, other = layout.seed_of("refs"), layout.seed_of("queue")
    sealed = layout.seal(seed, b"key", b"value")
    assert layout.is_whole(seed, b"key", sealed)
    assert not layout.is_whole(other, b"key", sealed)


def test_leaf_whose_rows_are_in_another_order_is_refused(copy: Path) -> None:
    """Every row of it is whole, and LMDB would look for some where they are not."""
    start = leaf_of(copy, "messages") * PAGE + 16

    def swap_the_first_two(data: bytearray) -> None:
        data[start : start + 4] = data[start + 2 : start + 4] + data[start : start + 2]

    change_data(copy, swap_the_first_two)
    assert "has its keys out of order" in str(refusal_of(copy))


def test_sound_store_is_never_refused_whatever_its_transactions_have_freed(tmp_path: Path) -> None:
    """The free list's keys are numbers in the host's order: 256 comes after 255. A reader keeps
    them all in it."""
    env = Environment(tmp_path / "state", MAP_BYTES)
    reader = env._env.begin()
    for number in range(300):
        env.begin(write=True)
        env.tables["refs"].put(b"%d" % (number % 97), b"v" * (number * 37 % 5_000))
        env.commit()
        if number > 250:
            assert check_at_start(tmp_path / "state")
    reader.abort()
    env.close()


# --- what a start does not read ---


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store larger than what a start reads."""
    monkeypatch.setattr(startcheck, "CHECKED_PAGES_MAX", 0)


def put_raw(directory: Path, table: str, change: Callable[[bytes, bytes], bytes | None]) -> bytes:
    """Writes the table's last row otherwise, as no Table would; its key."""
    with lmdb.open(str(directory), map_size=MAP_BYTES, max_dbs=40, lib_version=0) as env:
        db = env.open_db(table.encode(), create=False)
        with env.begin(write=True, db=db) as transaction:
            cursor = transaction.cursor()
            assert cursor.last()
            key, sealed = cursor.item()
            changed = change(key, sealed)
            assert changed is not None
            transaction.put(key, changed)
    return bytes(key)


def flip_all(directory: Path, table: str) -> None:
    """Changes every row of a table."""
    with lmdb.open(str(directory), map_size=MAP_BYTES, max_dbs=40, lib_version=0) as env:
        db = env.open_db(table.encode(), create=False)
        with env.begin(write=True, db=db) as transaction:
            for key, sealed in [*transaction.cursor()]:
                transaction.put(key, flip_first(key, sealed))


LAST_REF: Final = f"r{REFS - 1}"


def flip_first(key: bytes, sealed: bytes) -> bytes:
    return bytes((sealed[0] ^ 1,)) + sealed[1:]


@pytest.mark.usefixtures("unread")
def test_row_that_has_changed_is_named_when_it_is_read(copy: Path) -> None:
    key = put_raw(copy, "messages", lambda _, sealed: sealed.replace(b"message of", b"message 0f"))
    house = open_used(copy)
    where = rf"data\.mdb is damaged: table messages, row {key.hex()}: its checksum does not fit"
    with pytest.raises(StoreError, match=where):
        house.store.query("shop", ref=LAST_REF)
    house.close()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    "table", ["queue", "doubts", "unmatched", "grants", "refs_journal", "quarantine"]
)
def test_row_that_has_changed_ends_a_start_that_reads_it(copy: Path, table: str) -> None:
    flip_all(copy, table)
    house = None
    with pytest.raises(StoreError, match=f"table {table}, row .*: its checksum does not fit"):  # noqa: PT012
        house = open_used(copy)
        house.list_doubtful(10)
    if house is not None:
        house.close()


def test_record_that_does_not_decode_is_named_and_no_traceback(copy: Path) -> None:
    seed = layout.seed_of("messages")
    key = put_raw(copy, "messages", lambda key, _: layout.seal(seed, key, b"\xc1"))
    house = open_used(copy)
    with pytest.raises(StoreError, match=rf"table messages, row {key.hex()}: it cannot be read"):
        house.store.query("shop", ref=LAST_REF)
    house.close()
    assert any("is no row of it" in str(finding) for finding in verify(copy).findings)


# --- stores of before there were checksums ---


def take_off_checksums(directory: Path) -> None:
    """The store as an older smppd would have written it."""
    with lmdb.open(str(directory), map_size=MAP_BYTES, max_dbs=40, lib_version=0) as env:
        for table in TABLES:
            db = env.open_db(table.encode(), create=False)
            with env.begin(write=True, db=db) as transaction:
                rows = [*transaction.cursor()]
                for key, sealed in rows:
                    transaction.put(key, sealed[: -layout.CHECKSUM_OCTETS])
                transaction.delete(layout.META_CHECKSUMS)
    (directory / FORMAT_FILE).unlink()


def test_store_without_checksums_is_read_as_it_is(copy: Path, story: Story) -> None:
    take_off_checksums(copy)
    assert check_at_start(copy) is False
    assert told(copy) == story
    assert verify(copy).findings == []
    assert not verify(copy).has_checksums


def test_what_is_written_to_a_store_without_checksums_has_none(copy: Path) -> None:
    take_off_checksums(copy)
    house = open_used(copy)
    house.submit("new", to="491701234567")
    house.close()
    assert verify(copy).findings == []


# --- files that are gone, cut off, or half made ---


def test_used_store_whose_file_is_gone_does_not_start_empty(copy: Path) -> None:
    (copy / DATA_FILE).unlink()
    with pytest.raises(StoreDamaged, match=r"data\.mdb is missing, and smppd\.format says"):
        open_used(copy)
    assert not (copy / DATA_FILE).exists()


@pytest.mark.parametrize("octets", [0, 100, PAGE, 2 * PAGE, 5 * PAGE + 1])
def test_file_that_was_cut_off_does_not_start_empty(copy: Path, octets: int) -> None:
    os.truncate(copy / DATA_FILE, octets)
    with pytest.raises(StoreDamaged, match=r"data\.mdb is damaged"):
        open_used(copy)
    assert (copy / DATA_FILE).stat().st_size == octets


def test_store_that_was_being_made_when_the_process_ended_is_made_anew(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    (directory / NEW_FILE).write_bytes(b"\0" * 5_000)
    (directory / f"{NEW_FILE}-lock").write_bytes(b"\0" * 10)
    Environment(directory, MAP_BYTES).close()
    assert sorted(path.name for path in directory.iterdir()) == [
        DATA_FILE, LMDB_LOCK_FILE, FORMAT_FILE, "smppd.lock",
    ]  # fmt: skip


def test_copy_of_the_data_file_alone_starts(copy: Path, tmp_path: Path, story: Story) -> None:
    alone = tmp_path / "alone"
    with lmdb.open(str(copy), map_size=MAP_BYTES, max_dbs=40, lib_version=0) as env:
        alone.mkdir()
        env.copy(str(alone), compact=True)
    assert told(alone) == story
    assert (alone / FORMAT_FILE).exists()


@pytest.mark.parametrize("content", [b"", b"\xff" * 8192, b"\0" * 100])
def test_lock_file_of_lmdb_may_hold_anything(copy: Path, content: bytes, story: Story) -> None:
    (copy / LMDB_LOCK_FILE).write_bytes(content)
    assert told(copy) == story


# --- verify ---


def test_verify_names_page_table_and_key(copy: Path) -> None:
    page = leaf_of(copy, "messages")
    zero_pages(copy, page)
    first = verify(copy).findings[0]
    assert (first.table, first.page) == ("messages", page)
    assert str(first) == f"table messages, page {page}: says that it is page 0"


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("queue", "waits, and has no row in the queue"),
        ("grants", "has a segment that is granted, and no open grant"),
        ("events", r"events 1 to \d+ of shop are not there"),
        ("messages", "names message [0-9a-f]{16}, which is not there"),
    ],
)
def test_verify_holds_tables_against_each_other(copy: Path, table: str, wrong: str) -> None:
    with lmdb.open(str(copy), map_size=MAP_BYTES, max_dbs=40, lib_version=0) as env:
        db = env.open_db(table.encode(), create=False)
        with env.begin(write=True, db=db) as transaction:
            cursor = transaction.cursor()
            assert cursor.first()
            cursor.delete()
    assert refusal_of(copy) is None, "no page of it is damaged"
    assert any(re.search(wrong, str(finding)) for finding in verify(copy).findings)


def test_key_is_shown_as_it_reads_where_it_is_text() -> None:
    assert show_key(b"alpha\x000") == "'alpha 0'"
    assert show_key(b"\0\0\0\0\0\0\0\1") == "0000000000000001"
    assert show_key(b"shop\0\0\0\0\0\0lz") == b"shop\0\0\0\0\0\0lz".hex()
    assert str(Finding("is gone", "refs", 7, b"shop\0r1")) == (
        "table refs, page 7, row 'shop r1': is gone"
    )


def test_every_leaf_of_every_table_is_missed_when_it_is_zero(copy: Path, tmp_path: Path) -> None:
    original = (copy / DATA_FILE).read_bytes()
    for table in ("messages", "queue", "grants", "refs_journal", "meta", "events", "tags"):
        page = leaves_of(copy, table)[-1]
        data = bytearray(original)
        zero(data, page)
        reason = refusal_of(damaged_copy(copy, tmp_path / table, bytes(data)))
        assert reason is not None, table
        assert f"table {table}, page {page}" in reason
