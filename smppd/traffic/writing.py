"""One write to an SMSC: all of it goes out, or why not is told as a value."""

from __future__ import annotations

import trio

from smppd.traffic.metered import MeteredStream
from smppd.traffic.tls import describe_break


async def write(
    stream: trio.abc.Stream, meter: MeteredStream, data: bytes, seconds_max: float
) -> str | None:
    """What went wrong with it, or None; ``meter`` is what ``stream`` stands on, or is itself.

    Nearly always the socket takes it all at once, and Trio's way, a deadline and a pass of the
    scheduler, is for the other times.
    """
    try:
        if stream is meter and (sent := meter.send_nowait(data)):
            data = data[sent:]
    except OSError as error:
        return f"the stream broke: {error}"
    if not data:
        return None
    with trio.move_on_after(seconds_max) as scope:
        try:
            await stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            return f"the stream broke: {describe_break(error)}"
    if scope.cancelled_caught:
        return f"the SMSC read nothing for {seconds_max:g} s"
    return None
