"""Packed rows of ids by tag, held to a sorted list."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.store.environment import Environment
from smppd.store.records import Message
from smppd.store.tags import TAGS_ROW_MAX, Tags


def make_message(number: int, tag: str = "t") -> Message:
    return Message(
        number, "shop", f"r{number}", "49", 5, 0, "ACME", "hi", "transactional", "gsm7", True, tag,
        None, 1, 2, "stop", b"", (),
    )  # fmt: skip


class Shelf:
    """A ``tags`` table on disk, a commit a step."""

    def __init__(self, directory: str) -> None:
        self.environment = Environment(Path(directory), 1 << 24)
        self.tags = Tags(self.environment.tables["tags"])

    def add(self, numbers: list[int], tag: str = "t") -> None:
        self.environment.begin(write=True)
        for number in numbers:
            self.tags.add(make_message(number, tag))
        self.tags.flush()
        self.environment.commit()

    def forget(self, numbers: list[int]) -> None:
        self.environment.begin(write=True)
        for number in numbers:
            self.tags.forget(make_message(number))
        self.environment.commit()

    def after(self, after: int) -> list[int]:
        self.environment.begin(write=False)
        found = list(self.tags.ids_after("shop", "t", after))
        self.environment.abort()
        return found

    def before(self, before: int) -> list[int]:
        self.environment.begin(write=False)
        found = list(self.tags.ids_before("shop", "t", before))
        self.environment.abort()
        return found


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 2 * TAGS_ROW_MAX), min_size=1, max_size=6),
    st.sets(st.integers(1, 6 * TAGS_ROW_MAX)),
    st.integers(0, 1_000),
)
def test_ids_come_back_in_order_from_anywhere(
    commits: list[int], forgotten: set[int], position: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shelf = Shelf(directory)
        next_id = 1
        for count in commits:
            shelf.add(list(range(next_id, next_id + count)))
            next_id += count
        shelf.forget(sorted(forgotten))
        kept = [number for number in range(1, next_id) if number not in forgotten]
        after, before = shelf.after(position), shelf.before(position)
        shelf.environment.close()
    assert after == [number for number in kept if number > position]
    assert before == [number for number in reversed(kept) if number < position]


def test_row_whose_ids_are_all_forgotten_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path))
    shelf.add([1, 2, 3])
    shelf.forget([1, 3])
    assert shelf.after(0) == [2]
    shelf.forget([2])
    shelf.environment.begin(write=False)
    assert shelf.environment.tables["tags"].count() == 0
    shelf.environment.close()


def test_ids_of_the_commit_itself_are_found_before_they_are_on_disk(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path))
    shelf.add([1])
    shelf.environment.begin(write=True)
    shelf.tags.add(make_message(2))
    assert list(shelf.tags.ids_after("shop", "t", 0)) == [1, 2]
    shelf.environment.close()


def test_tags_with_a_common_beginning_are_apart(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path))
    shelf.add([1], "t")
    shelf.add([2], "t\0t")
    shelf.add([3], "tt")
    assert shelf.after(0) == [1]
    assert shelf.before(9) == [1]
    shelf.environment.close()


def test_id_that_only_seems_to_stand_across_two_others_takes_neither_away(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path))
    first, second, between = 0x1, 0x2_0000_0005, 0x1_0000_0002
    shelf.add([first, second])
    shelf.forget([between])
    assert shelf.after(0) == [first, second]
    shelf.environment.close()
