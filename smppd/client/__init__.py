"""The client library for apps: for Trio, ``open_client``; for everything else, ``SyncClient``.

::

    async with open_client("/run/smppd/smppd.sock") as client:
        answer = await client.submit(Submit(to="+8613800138000", text="Your order has shipped"))
        assert isinstance(answer, Accepted), answer.reason
        async for event in client.follow(answer.id):
            print(event.kind)

Both stay connected over the daemon's restarts: what was not answered is submitted again under its
``ref``, events go on after the last one. What it all means stands in docs/clients.md, the contract
in docs/protocol.md. Rooms, from the ground: ``shapes`` (what is said, typed), ``lines`` (one
connection, no I/O), ``exchange`` (what is owed over any number of them, no I/O), ``requests`` (what
both faces do alike); ``keeper``, ``following`` and ``client`` (Trio), ``wire`` and ``blocking``
(plain sockets); ``connection`` (one Trio connection as it is, for ``smppctl`` and tests).
"""

from smppd.client.blocking import SyncClient
from smppd.client.client import Client, open_client
from smppd.client.connection import Connection, connect
from smppd.client.errors import DaemonUnreachable, EventsLost, ProtocolError
from smppd.client.exchange import After, Statistics
from smppd.client.requests import OnGap
from smppd.client.shapes import (
    Accepted,
    Cancelled,
    Event,
    JsonObject,
    Message,
    Quoted,
    Receipt,
    Rejected,
    Replaced,
    ReplyTo,
    Segment,
    Submit,
)

__all__ = [
    "Accepted",
    "After",
    "Cancelled",
    "Client",
    "Connection",
    "DaemonUnreachable",
    "Event",
    "EventsLost",
    "JsonObject",
    "Message",
    "OnGap",
    "ProtocolError",
    "Quoted",
    "Receipt",
    "Rejected",
    "Replaced",
    "ReplyTo",
    "Segment",
    "Statistics",
    "Submit",
    "SyncClient",
    "connect",
    "open_client",
]
