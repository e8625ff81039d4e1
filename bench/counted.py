"""A program whose instructions are counted: ``python -m bench.counted SUITE DIRECTORY [NAME...]``.

SUITE is a module with ``prepare(directory)``, which makes what is counted, warms it up and returns
a function that does it with a ``Counter``. It runs under valgrind, by ``bench.callgrind``. Beside
the suite it counts a calibration, by which the counts of two interpreters are compared.
"""

from __future__ import annotations

import gc
import importlib
import struct
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench.callgrind import Counter

CALIBRATION: Final = "calibration"
"""The name of a case that no change of ours makes slower or faster."""

STAGE: Final = "stage: "
"""Before the names of cases that add up to the whole of a message's way."""

CALIBRATION_ROWS: Final = 100
CALIBRATION_WARM: Final = 3
"""Hundreds of rows: more than the interpreter's specialising takes."""


class _Row(msgspec.Struct):
    number: int
    name: str
    words: list[str]


def _calibrate() -> None:
    """A mix of what a hot path does, of the interpreter and its libraries alone.

    NEVER CHANGE IT: every kept count of an interpreter that is not at hand is read by it.
    """
    pack, unpack = struct.Struct(">IIII").pack, struct.Struct(">IIII").unpack
    encode, decode = msgspec.json.encode, msgspec.json.Decoder(_Row).decode
    table: dict[bytes, _Row] = {}
    for number in range(CALIBRATION_ROWS):
        row = _Row(number, f"{number:08d}", ["some", "words", "of a row"])
        key = pack(number, 2, 3, 4)
        table[key] = decode(encode(row))
        octets = b"".join([key, row.name.encode(), bytes(row.number)])
        first, *_ = unpack(octets[:16])
        if table[key].number != first or not row.name.isdigit():
            raise AssertionError(row)
    sorted(table.values(), key=lambda row: row.name)


def main(suite: str, directory: str, *names: str) -> None:
    """Prepares uncounted, then counts; of ``names`` alone where there are any."""
    count = importlib.import_module(suite).prepare(Path(directory))
    for _ in range(CALIBRATION_WARM):
        _calibrate()
    counter = Counter(names)
    gc.collect()
    gc.freeze()
    gc.disable()
    counter.start()
    counter.count(CALIBRATION, CALIBRATION_ROWS, _calibrate, always=True)
    count(counter)


if __name__ == "__main__":
    main(*sys.argv[1:])
