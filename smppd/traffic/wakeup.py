"""An event that can be set again and again, for one task that waits."""

from __future__ import annotations

import trio


class Wakeup:
    """Whoever waits looks at all there may be to do each time it returns: what was set twice before
    that rouses it once."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """Rouses the waiting task, or the next wait."""
        self._event.set()

    async def wait_until(self, deadline: float) -> None:
        """Returns when set, or at ``deadline`` (trio's clock)."""
        with trio.move_on_at(deadline):
            await self._event.wait()
        self._event = trio.Event()
