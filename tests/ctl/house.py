"""A real daemon with three simulated carriers for smppctl, which runs in this process.

``alpha`` and ``beta`` answer at once; ``gamma``, which takes +44, never does, so that what went
there is soon in doubt.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from typer.testing import CliRunner

from smppd import ctl
from smppd.client import JsonObject
from smppd.smpp import constants
from smppd.store.changes import Quarantined
from tests.house import House
from tests.processes import START_SECONDS_MAX, Child, Site, Table, ask
from tests.smpp.pair import raw

TO: Final = "+4915123456789"
"""Goes to alpha, and beta after it."""
DOUBT_TO: Final = "+447400123456"
"""Goes to gamma alone."""

ROUTES: Final[tuple[Table, ...]] = (
    {"prefix": "49", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "49", "carrier": "beta", "cost": "0.0200"},
    {"prefix": "44", "carrier": "gamma", "cost": "0.0300"},
)
CARRIERS: Final[dict[str, Table]] = {"alpha": {}, "beta": {}, "gamma": {"response_timer": 0.2}}


RUBBISH: Final = raw(
    constants.DELIVER_SM, 7, body=b"\0\x01\x01" + TO.encode() + b"\0\x01\x01no NUL for Anna"
)
"""A deliver_sm from a phone that is cut in its destination."""


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def call(*arguments: str, stdin: str | bytes | None = None) -> Said:
    """``smppctl ARGUMENTS`` in this process, without a terminal."""
    result = CliRunner().invoke(ctl.app, list(arguments), input=stdin)
    return Said(result.exit_code, result.stdout, result.stderr)


class Desk(NamedTuple):
    """Where an operator sits: a running daemon, and smppctl."""

    site: Site
    daemon: Child

    def call(self, *arguments: str, stdin: str | None = None) -> Said:
        """``smppctl --config DIRECTORY ARGUMENTS``."""
        return call("--config", str(self.site.directory), *arguments, stdin=stdin)

    def call_json(self, *arguments: str) -> JsonObject:
        """The last line of what a command with ``--json`` says."""
        found: JsonObject = json.loads(self.call(*arguments, "--json").out.splitlines()[-1])
        return found

    def send(self, ref: str, *more: str, to: str = TO) -> str:
        """A message, and its id."""
        arguments = ("--to", to, "--from", "ACME", "--text", "Hallo", "--ref", ref)
        said = self.call("send", *arguments, *more, "--json")
        assert said.code == 0, said
        return str(json.loads(said.out.splitlines()[0])["id"])

    def send_into_doubt(self, ref: str) -> str:
        """A message that is ``uncertain`` when this returns, and its id."""
        message_id = self.send(ref, "--class", "promotional", to=DOUBT_TO)
        query = {"type": "query", "id": message_id}
        self.daemon.wait_until(
            lambda: ask(self.site.socket, query)["state"] == "uncertain",
            f"{ref} uncertain",
            START_SECONDS_MAX,
        )
        return message_id


def fill_quarantine(site: Site) -> None:
    """Two carriers have sent what nobody could read, the day before."""
    house = House(site.state, now=round(time.time() - 86_400) * 1000)
    reason = "the body ends inside its mandatory fields"
    house.commit([Quarantined(name, 0, reason, RUBBISH, house.now) for name in ("alpha", "beta")])
    house.close()


@contextmanager
def running_desk(directory: Path) -> Iterator[Desk]:
    """A daemon that is bound to all three, until the end."""
    with Site(directory, carriers=CARRIERS, routes=ROUTES) as site:
        site.start_simulator("--response-delay", "gamma=3600")
        fill_quarantine(site)
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        yield Desk(site, daemon)
