"""The storm of ``bench.storm``, a short one: it finds what there is, and its plot can be read."""

from __future__ import annotations

from pathlib import Path

from bench.storm import (
    CALM_SECONDS,
    RECOVERY_SECONDS_MAX,
    Stage,
    Storm,
    _draw,
    _find_faults,
    run_all,
)
from smppd.smpp.constants import ESME_RTHROTTLED

SHORT = Storm(limit=4.0, status=ESME_RTHROTTLED, seconds=20.0)


def test_a_short_storm_fails_nothing_and_is_recovered_from(tmp_path: Path) -> None:
    (result,) = run_all([SHORT], tmp_path)
    assert result.faults == []
    assert result.failed == 0
    assert result.throttled >= 15
    assert 0 <= result.back_after <= RECOVERY_SECONDS_MAX
    paces = dict(result.pace)
    assert paces[CALM_SECONDS - 1] == 4
    assert paces[CALM_SECONDS + 15] == 1
    _draw(tmp_path / "storm.svg", [result], SHORT.seconds)
    assert "messages failed: 0" in (tmp_path / "storm.svg").read_text()


async def test_what_would_be_wrong_is_a_fault(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "state", SHORT)
    taken = [(1.0, 1), (2.0, 3), (3.0, 2), (4.0, 2)]
    assert list(_find_faults(stage, taken, before=10.0, after=9.0)) == [
        "a message was taken twice",
        "a message overtook another",
        "from 10.0 a second before to 9.0 after",
    ]
    stage.store.close()
