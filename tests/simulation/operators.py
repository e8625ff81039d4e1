"""The operator: root, with the control verbs, the configuration and a hand on the clock."""

from __future__ import annotations

import random
from base64 import b64decode
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

    async def ask_carrier(self, action: str) -> None:
        """``query`` or ``cancel`` one message where its carrier has it."""
        app = self.world.apps[self.chance.choice(list(self.world.apps))]
        if app.ids:
            ref = self.chance.choice(list(app.ids)[-60:])
            await self.ask({"type": "ask_carrier", "id": app.ids[ref], "action": action})

    async def tap(self, carrier: str, seconds: float) -> None:
        """Look at a carrier's links for a while; no text of anybody's may be seen."""
        seen = b""
        answer = await self.ask({"type": "tap", "carrier": carrier})
        if answer is None or answer["type"] != "tapped":
            return
        name = answer["tap"]
        with trio.move_on_after(seconds):
            while answer is not None and answer["type"] == "tapped":
                seen += b64decode(answer["data"])
                answer = await self.ask({"type": "tap", "carrier": carrier, "tap": name})
        while answer is not None and answer["type"] == "tapped" and not answer["ended"]:
            asked = {"type": "tap", "carrier": carrier, "tap": name, "end": True}
            answer = await self.ask(asked)
            seen += b64decode((answer or {}).get("data", ""))
        self.world.counts["tapped"] += len(seen)
        if b"Order " in seen or b"call me back" in seen:
            raise Violation("a tap shows no text", carrier)

    async def look_at_rubbish(self) -> None:
        """What nobody could read; one is looked at, and one goes."""
        listed = await self.ask({"type": "quarantine", "limit": 200})
        for record in (listed or {}).get("records", [])[:1]:
            shown = await self.ask({"type": "quarantine", "id": record["id"]})
            if shown is not None and not shown["records"]:
                raise Violation("rubbish is kept", f"{record} {shown}")
            await self.ask({"type": "quarantine_drop", "id": record["id"]})

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
