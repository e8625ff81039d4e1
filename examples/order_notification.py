"""Tells customers that their orders have shipped, and says what became of every message.

    .venv/bin/python examples/order_notification.py --orders examples/orders.csv

Blocking Python, as a shop's nightly job would do it. Start it again whenever you like, after a
crash too: each message has a name of the business (its ``ref``), so the customer gets it once, and
the job shows the same outcomes.
"""

from __future__ import annotations

import argparse
import csv
import math

from smppd.client import Accepted, Submit, SyncClient


def main() -> None:
    options = argparse.ArgumentParser(description="Notify customers of shipped orders.")
    options.add_argument("--socket", default="run/smppd.sock", help="the daemon's socket")
    options.add_argument("--app", help="which of [apps], where this user may be several")
    options.add_argument("--orders", default="examples/orders.csv", help="number,phone lines")
    given = options.parse_args()
    with open(given.orders, newline="", encoding="utf-8") as file:
        messages = [make_message(number, phone) for number, phone in csv.reader(file)]
    # A job may wait for a daemon that is just being restarted, however long that takes.
    with SyncClient(given.socket, app=given.app, answer_seconds=math.inf) as client:
        # One answer a message, in their order. Accepted: on smppd's disk, it will not be lost.
        for message, answer in zip(messages, client.submit_many(messages), strict=True):
            if isinstance(answer, Accepted):
                print(message.ref, find_outcome(client, answer.id), flush=True)
            else:  # Nothing was sent. The reason says what to correct, the next run sends it.
                print(message.ref, "rejected:", answer.reason, flush=True)


def make_message(number: str, phone: str) -> Submit:
    """The message of one order; its ref is the same at every run."""
    text = f"Your order {number} has shipped. Thank you for shopping at ACME!"
    return Submit(ref=f"order-{number}-shipped", to=phone, sender="ACME", text=text)


def find_outcome(client: SyncClient, message_id: str) -> str:
    """How the message ended; returns when it has."""
    *_, last = client.follow(message_id)
    # A line to a carrier that broke at the wrong moment: smppd never resends without saying so.
    return f"{last.kind} (maybe twice)" if last.maybe_duplicate else last.kind


if __name__ == "__main__":
    main()
