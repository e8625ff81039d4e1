"""The judge of an app's connection: ``accepted`` is true on disk when it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.life import Life

_decode = msgspec.json.Decoder().decode


class LineJudge:
    """Of one connection of an app in ``life``."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._partial = b""

    def wrote(self, data: bytes) -> None:
        """The daemon hands this to its kernel."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        accepted = [line for line in lines if line.startswith(b'{"type":"accepted"')]
        ids = [int(_decode(line)["id"], 16) for line in accepted]
        if ids and (missing := self._life.not_on_disk(ids)):
            names = [f"{number:016x}" for number in missing]
            raise Violation("accepted is on disk", f"{names} were told, and are not there")

    def read(self, data: bytes) -> None:
        """What an app says is its own business."""
