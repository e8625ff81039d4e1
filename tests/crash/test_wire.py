"""What the crash suite waits on must come, whatever the links do."""

from __future__ import annotations

import trio
import trio.testing

from tests.crash.wire import Wire


async def test_quiet_comes_though_a_link_opens_while_it_is_waited_for() -> None:
    """A link may stand in the backlog of its listener when the daemon is killed."""
    wire = Wire()
    ours, theirs = (trio.SocketStream(one) for one in trio.socket.socketpair())
    first = wire.open("alpha", ours)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.wait_quiet)
            await trio.testing.wait_all_tasks_blocked()
            second = wire.open("alpha", theirs)
            wire.close(first)
            await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks, "quiet, with a link open"
            wire.close(second)
    await ours.aclose()
    await theirs.aclose()
