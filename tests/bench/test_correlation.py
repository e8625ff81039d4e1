"""The bench of the index of random ids: it measures what is there, and sees what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import correlation
from bench.correlation import Ids, Shop, measure_all


@pytest.mark.parametrize("ids", ["uuid", "hex"])
def test_wrong_answer_is_a_fault(tmp_path: Path, ids: Ids) -> None:
    shop = Shop(tmp_path / "store", ids)
    shop.put(300, 100)
    shop.put(100, 100, is_aging=True)
    shop.look(range(500))
    assert shop.faults == []
    shop.count += 1  # as if one more had been put
    shop.look(range(500))
    assert shop.faults == [f"{ids}: 1 of 500 answers were wrong"]
    shop.close()


def test_figures_are_of_the_entries_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PUTS", 400), ("LOOKS", 50), ("RECENT", 50), ("LATER", 300)):
        monkeypatch.setattr(correlation, name, value)
    points, faults = measure_all(tmp_path / "store", "uuid", [2_000, 0])
    assert faults == []
    assert [point.entries for point in points] == [0, 2_000]
    assert all(point.put_octets > 60 and point.file > 4_096 for point in points)
