"""The operator: root, with the control verbs, the configuration and a hand on the clock."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import trio

from smppd.client import Connection
from smppd.errors import SmppdError
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

UID: Final = 0
ANSWER_SECONDS_MAX: Final = 120.0
"""For a verb: a reload waits for nobody, and a mode for a commit."""


class Operator:
    """``do`` one verb on a connection of its own; what does not come through is not repeated."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance: random.Random = world.chance("operator")
        self._connections = 0
        self._files = trio.Lock()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the daemon went away, or would not."""
        life = self.world.life
        if life is None:
            return None
        self._connections += 1
        answer: dict[str, Any] | None = None
        try:
            stream = life.connect_app(f"app.root.{self._connections}", UID)
            async with stream, trio.open_nursery() as nursery:
                connection = Connection(stream)
                nursery.start_soon(connection.run)
                with trio.move_on_after(ANSWER_SECONDS_MAX):
                    await connection.hello("shop")
                    answer = await connection.ask(request)
                nursery.cancel_scope.cancel()
        except* (SmppdError, OSError, trio.ClosedResourceError, trio.BrokenResourceError):
            pass
        return answer

    async def set_mode(self, verb: str, carrier: str) -> None:
        """``pause``, ``resume`` or ``drain`` one carrier."""
        await self.ask({"type": verb, "carrier": carrier})

    async def reload_right(self) -> None:
        """Has the configuration on disk, which is right, taken up."""
        async with self._files:
            await self._reload(is_broken=False)

    async def reload_broken(self, routing: str) -> None:
        """An operator's slip: it is refused, and then put right."""
        async with self._files:
            self.world.setup.write(routing)
            await self._reload(is_broken=True)
            self.world.setup.write()

    async def _reload(self, *, is_broken: bool) -> None:
        life = self.world.life
        answer = await self.ask({"type": "reload"})
        if answer is None or life is not self.world.life:
            return  # another daemon, that has read the files at its start
        if answer["ok"] == is_broken:
            raise Violation("a reload is whole or not at all", str(answer))

    async def resolve(self) -> None:
        """The operator's word on some messages nobody can know of."""
        answer = await self.ask({"type": "doubtful", "limit": 20})
        for found in (answer or {}).get("messages", []):
            if self.chance.random() < 0.5:
                action = self.chance.choice(["resend", "drop"])
                app = self.world.apps[found["app"]]
                destination = app.submits[found["ref"]]["to"][1:]
                if action == "resend":
                    self.world.resolved.add(destination)
                await self.ask({"type": "resolve", "id": found["id"], "action": action})
