"""A carrier asked about a message, by query_sm or cancel_sm: what two verbs share."""

from __future__ import annotations

import sys
from typing import Final

from smppd import terminal
from smppd.client import Connection, JsonObject
from smppd.ctl import tables
from smppd.ctl.options import is_named, show_answer
from smppd.ctl.talk import Daemon, ask, talk

CARRIER_SECONDS_MAX: Final = 90.0
"""For the answers of a carrier, which the daemon waits a minute for."""


def ask_carrier(place: Daemon, message_id: str, action: str, *, as_json: bool) -> None:
    """Asks, shows what was said of each segment, and ends the command."""

    async def converse(client: Connection) -> int:
        request = {"type": "ask_carrier", "id": message_id, "action": action}
        answer = await ask(client, request, CARRIER_SECONDS_MAX)
        show_answer(answer, show_carrier_answers, as_json=as_json)
        is_good = all(one["status"] == "ESME_ROK" for one in answer["segments"])
        return terminal.OK if is_good else terminal.FAILED

    talk(place, converse, greet=is_named(place))


def show_carrier_answers(answer: JsonObject) -> None:
    """A line a segment, and what it does not mean."""
    segments = [
        {key: tables.say(value) for key, value in one.items()}
        | {"status": one["status"] or "no answer"}
        for one in answer["segments"]
    ]
    terminal.print_summary(f"{answer['carrier']} on {answer['id']}, which is {answer['state']}")
    tables.show_rows("segment message_id status message_state final_date error_code", segments)
    if answer["action"] == "cancel":
        print("nothing is changed here: a receipt decides what became of it", file=sys.stderr)
