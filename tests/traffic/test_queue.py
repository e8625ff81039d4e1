"""The window on a queue, held to a sorted list: nothing lost, nothing reordered."""

from __future__ import annotations

from bisect import insort

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.traffic.queue import REFILL_ROWS, ROWS_MAX, QueueWindow, Row

NOW = 1_000

pushes = st.lists(st.integers(0, 2 * NOW), min_size=1, max_size=60)
bursts = st.tuples(st.integers(0, 2 * NOW), st.integers(1, 2 * ROWS_MAX))
pops = st.integers(1, ROWS_MAX)
steps = st.lists(st.one_of(pushes, bursts, pops), min_size=3, max_size=12)


class Disk:
    """The rows that wait, in order; a popped one is granted, and so is gone."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.reads = 0
        self._last_id = 0

    def add(self, due: int) -> Row:
        self._last_id += 1
        row = (due, self._last_id)
        insort(self.rows, row)
        return row

    def refill(self, prefix: bytes, after: Row, rows_max: int) -> list[Row]:
        self.reads += 1
        return [row for row in self.rows if row > after][:rows_max]

    def pop(self, now: int) -> int | None:
        if not self.rows or self.rows[0][0] > now:
            return None
        return self.rows.pop(0)[1]


def push(window: QueueWindow, disk: Disk, dues: list[int]) -> None:
    for due in dues:
        window.push(*disk.add(due))


@settings(max_examples=300)
@given(st.lists(st.integers(0, 2 * NOW), max_size=3 * REFILL_ROWS), steps)
def test_window_serves_what_a_sorted_list_would(
    found: list[int], steps: list[list[int] | tuple[int, int] | int]
) -> None:
    disk = Disk()
    for due in found:
        disk.add(due)
    window = QueueWindow(b"p", on_disk=True)
    for step in steps:
        if isinstance(step, int):
            served = [window.pop(NOW, disk.refill) for _ in range(step)]
            assert served == [disk.pop(NOW) for _ in range(step)]
        elif isinstance(step, tuple):
            push(window, disk, [step[0]] * step[1])
        else:
            push(window, disk, step)
        assert len(window) <= ROWS_MAX
    rest = [window.pop(2 * NOW, disk.refill) for _ in range(len(disk.rows) + 1)]
    assert rest == [disk.pop(2 * NOW) for _ in range(len(disk.rows) + 1)]
    assert window.is_empty()


def test_window_that_was_never_full_reads_no_disk() -> None:
    disk = Disk()
    window = QueueWindow(b"p")
    push(window, disk, [0] * ROWS_MAX)
    assert [window.pop(NOW, disk.refill) for _ in range(ROWS_MAX)] == list(range(1, ROWS_MAX + 1))
    assert window.pop(NOW, disk.refill) is None
    assert disk.reads == 0


def test_one_read_serves_hundreds_of_pops() -> None:
    disk = Disk()
    window = QueueWindow(b"p")
    push(window, disk, [0] * (ROWS_MAX + 2 * REFILL_ROWS))
    for _ in range(ROWS_MAX + 2 * REFILL_ROWS):
        assert window.pop(NOW, disk.refill) == disk.pop(NOW)
    assert disk.reads == 2


def test_row_that_is_not_due_waits_and_says_when() -> None:
    disk = Disk()
    window = QueueWindow(b"p")
    push(window, disk, [NOW + 5])
    assert window.pop(NOW, disk.refill) is None
    assert window.next_due() == NOW + 5
    assert not window.is_empty()
    assert window.pop(NOW + 5, disk.refill) == 1
    assert window.next_due() is None


def test_window_on_disk_rows_is_not_empty_before_it_has_looked() -> None:
    window = QueueWindow(b"p", on_disk=True)
    assert not window.is_empty()
    assert window.pop(NOW, Disk().refill) is None
    assert window.is_empty()


def test_window_says_when_its_first_row_is_due() -> None:
    window = QueueWindow(b"p")
    assert window.due_at(NOW) is None
    window.push(NOW + 5, 1)
    assert window.due_at(NOW) == NOW + 5
    assert window.due_at(NOW + 5) == NOW + 5
    window.push(NOW - 5, 2)
    assert window.due_at(NOW) == NOW


def test_rows_on_disk_alone_may_be_due() -> None:
    assert QueueWindow(b"p", on_disk=True).due_at(NOW) == NOW
