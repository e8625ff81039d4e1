"""Writes every event into a database, each exactly once, whoever is killed and whenever.

    .venv/bin/python examples/durable_consumer.py --database run/outcomes.sqlite

The event and its ``seq`` are written in one transaction. So what is in the database is always the
whole truth up to a ``seq``, and that is where the next run, or the next connection, goes on. Only
then is the event taken: smppd keeps it until somebody has said so. (One reader for an app: give
whoever else wants events, such as two_way_reply.py, an app of its own in smppd.toml.)
"""

from __future__ import annotations

import argparse
import math
import sqlite3

from smppd.client import EventsLost, SyncClient

SCHEMA = """
CREATE TABLE IF NOT EXISTS events
    (seq INTEGER PRIMARY KEY, kind TEXT, id TEXT, ref TEXT, at INTEGER, maybe_duplicate INTEGER)
"""


def main() -> None:
    options = argparse.ArgumentParser(description="Keep the outcome of every message.")
    options.add_argument("--socket", default="run/smppd.sock", help="the daemon's socket")
    options.add_argument("--app", help="which of [apps], where this user may be several")
    options.add_argument("--database", default="run/outcomes.sqlite", help="an SQLite file")
    given = options.parse_args()
    database = sqlite3.connect(given.database)
    database.execute("PRAGMA synchronous = FULL")  # committed means on disk
    database.execute(SCHEMA)
    (seq,) = database.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    print("going on after", seq, flush=True)
    with SyncClient(given.socket, app=given.app, answer_seconds=math.inf) as client:
        # Whole batches, one transaction each: a busy day is a few hundred commits.
        for batch in client.event_batches(after=seq, take=False, on_gap=report_gap):
            with database:
                database.executemany(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                    [(e.seq, e.kind, e.id, e.ref, e.at, e.maybe_duplicate) for e in batch],
                )
            client.taken(batch[-1].seq)
            print("kept up to", batch[-1].seq, flush=True)


def report_gap(lost: EventsLost) -> None:
    """Somebody else took events, or this was not run for longer than they are kept."""
    print("events are missing:", lost, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
