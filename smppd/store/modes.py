"""What the operator wants of each carrier: running, paused or drained, kept over restarts."""

from __future__ import annotations

from typing import Final, cast

from smppd.store.changes import CarrierMode
from smppd.store.environment import Table

_META: Final = b"mode\0"


class Modes:
    """Rows of ``meta``, one a carrier that is not running; a carrier that is no longer configured
    keeps its own, for it may come back."""

    def __init__(self, meta: Table) -> None:
        self._meta = meta
        self._modes: dict[str, CarrierMode] = {}

    def load(self) -> None:
        """Reads them all."""
        for key, value in self._meta.rows_from(_META):
            if not key.startswith(_META):
                break
            # Only ``set`` writes here.
            self._modes[key[len(_META) :].decode()] = cast(CarrierMode, value.decode())

    def set(self, carrier: str, mode: CarrierMode) -> None:
        """Inside a commit only."""
        key = _META + carrier.encode()
        if mode == "running":
            self._modes.pop(carrier, None)
            self._meta.delete(key)
        else:
            self._modes[carrier] = mode
            self._meta.put(key, mode.encode())

    def all(self) -> dict[str, CarrierMode]:
        """The carriers that are not running."""
        return dict(self._modes)
