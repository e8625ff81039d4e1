"""The index of random keys against a dict, across spills, crashes and tombstones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smppd.store.index import SpilledIndex


class Disk:
    """A table that survives; ``pending`` is lost by a crash before ``sync``."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._pending: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value

    def delete(self, key: bytes) -> None:
        self._pending[key] = None

    def sync(self) -> None:
        for key, value in self._pending.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self._pending.clear()

    def crash(self) -> None:
        self._pending.clear()


_KEYS = st.integers(0, 30).map(lambda number: b"k%d" % number)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _KEYS, st.integers(1, 99).map(lambda number: b"v%d" % number)),
        st.tuples(st.just("forget"), _KEYS, st.just(b"")),
        st.tuples(st.sampled_from(["commit", "crash", "restart"]), st.just(b""), st.just(b"")),
    ),
    max_size=120,
)


@given(_STEPS)
def test_index_answers_as_a_dict_does_through_spills_and_crashes(
    steps: list[tuple[str, bytes, bytes]],
) -> None:
    table, journal = Disk(), Disk()
    index = SpilledIndex(spill_at=5)
    committed: dict[bytes, bytes] = {}
    model: dict[bytes, bytes] = {}
    for step, key, value in steps:
        if step == "put":
            index.put(key, value)
            model[key] = value
        elif step == "forget":
            index.forget(key)
            model.pop(key, None)
        else:
            if step in ("commit", "restart"):
                index.write(table, journal)
                table.sync()
                journal.sync()
                committed = dict(model)
            if step in ("crash", "restart"):
                table.crash()
                journal.crash()
                model = dict(committed)
                index = SpilledIndex(spill_at=5)
                index.load(sorted(journal.rows.items()))
        for number in range(31):
            name = b"k%d" % number
            assert index.get(name, table.rows.get) == model.get(name)


def test_journal_is_emptied_once_its_entries_are_in_the_table() -> None:
    table, journal = Disk(), Disk()
    index = SpilledIndex(spill_at=10)
    for number in range(10):
        index.put(b"k%d" % number, b"v")
        index.write(table, journal)
    for _ in range(4):
        index.write(table, journal)
        table.sync()
        journal.sync()
    assert len(table.rows) == 10
    assert journal.rows == {}
    assert len(index) == 0


def test_older_generation_is_moved_in_key_order_a_chunk_a_commit() -> None:
    table, journal = Disk(), Disk()
    index = SpilledIndex(spill_at=1_000)
    for number in reversed(range(1_000)):
        index.put(b"%04d" % number, b"v")
    index.write(table, journal)
    index.write(table, journal)
    table.sync()
    assert sorted(table.rows) == [b"%04d" % number for number in range(512)]
