"""Answers what customers write: STATUS and an order's number gets where the order is.

    .venv/bin/smppd simulate --profile examples/profiles/two_way.toml    # customers that write
    .venv/bin/python examples/two_way_reply.py

Under Trio, as a service: it runs until it is stopped (Ctrl-C), over any number of restarts of
the daemon. Killed and started again, it goes on with the first message it had not answered. (What
it takes is taken for the whole app: give it one of its own in smppd.toml if others read events.)
"""

from __future__ import annotations

import argparse
import math

import trio

from smppd.client import Client, Event, Rejected, Submit, open_client

ORDERS = {"1001": "has shipped and arrives tomorrow", "1002": "is being packed"}


async def main() -> None:
    options = argparse.ArgumentParser(description="Answer customers' messages.")
    options.add_argument("--socket", default="run/smppd.sock", help="the daemon's socket")
    options.add_argument("--app", help="which of [apps], where this user may be several")
    given = options.parse_args()
    async with open_client(given.socket, app=given.app, answer_seconds=math.inf) as client:
        # Begins after the last event this app has taken. One is taken when the loop asks for the
        # next: an event whose body did not end comes again.
        async for event in client.events(kinds=["inbound"]):
            await reply(client, event)


async def reply(client: Client, event: Event) -> None:
    """Sends the answer to one message from a phone."""
    message = Submit(
        # Named after the event: should it come twice, the customer still gets one reply.
        ref=f"reply-{event.id}",
        to="+" + (event.sender or "").lstrip("+"),
        sender=event.to or "ACME",
        text=find_reply(event.text or ""),
    )
    answer = await client.submit(message)
    while isinstance(answer, Rejected) and answer.retry_after is not None:
        # The daemon is about to stop, or full: not now, but soon.
        await trio.sleep(answer.retry_after)
        answer = await client.submit(message)
    if isinstance(answer, Rejected):
        print(message.ref, "rejected:", answer.reason, flush=True)
    else:
        print(message.ref, "replied again" if answer.duplicate else "replied", flush=True)


def find_reply(text: str) -> str:
    """What to answer."""
    match text.upper().split():
        case ["STATUS", number] if number in ORDERS:
            return f"Your order {number} {ORDERS[number]}."
        case ["STATUS", number]:
            return f"We have no order {number[:20]}."
        case _:
            return "Send STATUS and the number of your order."


if __name__ == "__main__":
    try:
        trio.run(main)
    except KeyboardInterrupt:
        print("stopped")
