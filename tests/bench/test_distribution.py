"""Percentiles by nearest rank, and a line through them."""

from __future__ import annotations

from bench.distribution import Distribution, distribute, make_curve


def test_percentiles_are_durations_that_occurred() -> None:
    seconds = [number / 1000 for number in range(1000, 0, -1)]
    assert distribute(seconds) == Distribution(1000, 500.0, 900.0, 990.0, 999.0, 1000.0)
    assert distribute([0.002]) == Distribution(1, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_nothing_has_no_percentiles() -> None:
    assert distribute([]) == Distribution(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert make_curve([]) == []


def test_a_curve_rises_to_all_of_them_and_fits_a_logarithmic_axis() -> None:
    curve = make_curve([0.0, *(number / 1000 for number in range(1, 100))])
    assert curve == sorted(curve)
    assert curve[0] == (0.001, 0.5)
    assert curve[-1] == (99.0, 100.0)
