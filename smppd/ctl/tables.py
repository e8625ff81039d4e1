"""Answers of the control verbs as tables for people: carriers, routes, offers, messages, changes.

An answer comes in as JSON (docs/protocol.md), hidden as far as it must be. On a terminal a line
says what it comes to and the table has what fits 100 columns; elsewhere every field stands between
tabs, in columns that stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

from smppd import terminal
from smppd.client import JsonObject
from smppd.ctl.times import show_moment
from smppd.log import plain
from smppd.routing.offers import Offer
from smppd.routing.table import Move
from smppd.terminal import count_of

STYLES: Final = {
    **dict.fromkeys(("bound", "yes", "chosen", "running", "delivered"), "green"),
    **dict.fromkeys(("uncertain", "unconfirmed", "paused", "drained", "held", "asleep"), "yellow"),
    **dict.fromkeys(("no", "out", "down", "refused", "failed", "expired"), "red"),
}
"""Words in a cell that are coloured, where there is colour."""

SHOWN_CHARACTERS_MAX: Final = 24
"""Of a name that others chose, in a table on a terminal."""

Row = dict[str, str]


def show_rows(columns: str, rows: Sequence[Row], drawn: str = "") -> None:
    """A table of ``columns`` (words); on a terminal only those of ``drawn``, where it is given."""
    names = (drawn if drawn and terminal.is_drawn() else columns).split()
    cells = [[row[name] or "-" for name in names] for row in rows]
    terminal.print_table("", [name.replace("_", " ") for name in names], cells, STYLES)


def say(value: object) -> str:
    """A cell: ``yes``, ``no``, ``-`` for what is not known, else as it is."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def shorten(name: str | None) -> str:
    """A name that fits a table; whole where no one looks."""
    if name is None:
        return "-"
    if len(name) <= SHOWN_CHARACTERS_MAX or not terminal.is_drawn():
        return name
    return name[: SHOWN_CHARACTERS_MAX - 1] + "…"


# -- carriers -------------------------------------------------------------------------------------

_STATE: Final = "carrier mode healthy bound settling bind address tls limit pace"
_COUNTS: Final = "taken throttled refused doubted receipts inbound"
_FORM: Final = "version long_message alphabet"


def show_carriers(answer: JsonObject) -> None:
    """How they are, and what they did since the start."""
    carriers: list[JsonObject] = answer["carriers"]
    modes = Counter(one["mode"] for one in carriers if one["mode"] != "running")
    healthy = sum(one["healthy"] for one in carriers)
    stopped = "".join(f", {count} {mode}" for mode, count in sorted(modes.items()))
    terminal.print_summary(f"{count_of(len(carriers), 'carrier')}, {healthy} healthy{stopped}")
    rows = [_describe_carrier(one) for one in carriers]
    columns = f"{_STATE} {_FORM} {_COUNTS} statuses breaker certificate trouble"
    show_rows(columns, rows, _STATE)
    if terminal.is_drawn():
        for row in rows:
            if row["trouble"]:
                terminal.print_summary(f"{row['carrier']}: {row['trouble']}")
            if row["certificate"]:
                until = row["certificate"]
                terminal.print_summary(f"{row['carrier']}: TLS certificate valid until {until}")
        for one in carriers:
            if said := describe_open_breaker(one):
                terminal.print_summary(f"{one['name']}: {said}")
    if terminal.is_drawn():
        terminal.print_summary("Since the start")
        show_rows(columns, rows, f"carrier {_COUNTS}")
        if answered := [row for one in carriers for row in _describe_statuses(one)]:
            terminal.print_summary("What they answered but ESME_ROK")
            show_rows("carrier status count meaning", answered)


def _describe_carrier(one: JsonObject) -> Row:
    binds: list[JsonObject] = one["binds"]
    bound = sum(bind["state"] == "bound" for bind in binds)
    return {
        "carrier": one["name"],
        "mode": one["mode"],
        "healthy": say(one["healthy"]),
        "bound": f"{bound}/{len(binds)}",
        "settling": "yes" if one["settling"] else "-",
        "bind": one["bind"],
        "address": f"{one['host']}:{one['port']}",
        "tls": "yes" if one["tls"] else "-",
        "limit": say(one["throughput"] or None),
        "pace": say(one["pace"]),
        "version": one["interface_version"],
        "long_message": one["long_message"],
        "alphabet": one["default_alphabet"],
        "statuses": " ".join(f"{name}={count}" for name, count in one["statuses"].items()),
        "breaker": describe_breaker(one["breaker"]),
        "certificate": show_moment(one["certificate_until"]) if one["certificate_until"] else "",
        "trouble": "; ".join(filter(None, map(_describe_trouble, binds))),
        **{name: str(one[name]) for name in _COUNTS.split()},
    }


def _describe_statuses(one: JsonObject) -> list[Row]:
    return [
        {
            "carrier": one["name"],
            "status": status,
            "count": str(count),
            "meaning": one["meanings"].get(status, ""),
        }
        for status, count in one["statuses"].items()
    ]


def _describe_trouble(bind: JsonObject) -> str:
    """Why a bind is not bound, where that has a reason."""
    if bind["state"] == "bound" or not bind["reason"]:
        return ""
    return f"bind {bind['bind']} {bind['state']}: {bind['reason']}"


def describe_open_breaker(carrier: JsonObject) -> str:
    """Why nothing new goes to a carrier that is bound; empty where that is not so."""
    breaker: JsonObject = carrier["breaker"]
    return "" if breaker["state"] == "closed" else f"breaker {describe_breaker(breaker)}"


def describe_breaker(breaker: JsonObject) -> str:
    """``closed``, or why it is not and when a message is tried."""
    state = breaker["state"].replace("_", "-")
    if breaker["state"] == "closed":
        return str(state)
    probe = breaker["probe_in"]
    when = "the next message is the probe" if probe is None else f"a probe within {probe:g} s"
    return f"{state}: {breaker['reason']}; {when}"


# -- routes ---------------------------------------------------------------------------------------


def show_routes(answer: JsonObject) -> None:
    """The table in force."""
    sheets = {sheet["carrier"]: sheet for sheet in answer["sheets"]}
    parts = [count_of(len(answer["routes"]), "route"), f"costs in {answer['currency']}"]
    parts += [
        f"{sheet['file']} has {count_of(sheet['prefixes'], 'price')} of {carrier}"
        for carrier, sheet in sheets.items()
    ]
    if answer["fallback"]:
        parts.append("shorter prefixes are failover")
    terminal.print_summary(", ".join(parts))
    rows = [
        {
            "prefix": show_prefix(route["prefix"]),
            "carrier": route["carrier"],
            "cost": say(route["cost"]),
            "sheet": "-" if route["cost"] is not None else sheets[route["carrier"]]["file"],
        }
        for route in answer["routes"]
    ]
    show_rows("prefix carrier cost sheet", rows)


def show_prefix(prefix: str | None) -> str:
    """The default route has an empty one, written as in routing.toml."""
    return '""' if prefix == "" else say(prefix)


def show_explained(answer: JsonObject) -> None:
    """Where it would go, then every offer in the order in which they are tried."""
    where = " ".join(filter(None, (answer["region"], answer["number_type"])))
    parts = [answer["to"], where, f"prefix {show_prefix(answer['prefix'])}"]
    if answer["segments"]:
        parts.append(f"{count_of(answer['segments'], 'segment')} {answer['encoding']}")
    print(plain("  ".join(filter(None, parts))))
    print(plain(_conclude(answer)))
    rows = [{name: say(value) for name, value in offer.items()} for offer in answer["offers"]]
    for row in rows:
        row["prefix"] = row["prefix"] if row["prefix"] else '""'
    show_rows("carrier prefix cost segments total healthy verdict reason", rows)


def _conclude(answer: JsonObject) -> str:
    if answer["blocked_by"]:
        return f"goes nowhere: {answer['blocked_by']}: {answer['reason']}"
    chosen = next((offer for offer in answer["offers"] if offer["verdict"] == "chosen"), None)
    if chosen is None:
        return "waits: no carrier can take it now"
    return f"goes to {chosen['carrier']} for {chosen['total']} {answer['currency']}"


def show_tests(answers: Sequence[JsonObject]) -> None:
    """One line a number."""
    nowhere = sum(one["blocked_by"] is not None for one in answers)
    ends = f", {nowhere} nowhere" if nowhere else ""
    currency = f", costs in {answers[0]['currency']}" if answers else ""
    terminal.print_summary(f"{count_of(len(answers), 'number')}{ends}{currency}")
    show_rows(
        "to region type prefix carrier total currency next reason",
        [_describe_test(one) for one in answers],
        "to region type prefix carrier total next reason",
    )


def _describe_test(one: JsonObject) -> Row:
    offers: list[JsonObject] = one["offers"]
    chosen = next((offer for offer in offers if offer["verdict"] == "chosen"), None)
    return {
        "to": one["to"],
        "region": say(one["region"]),
        "type": say(one["number_type"]),
        "prefix": show_prefix(one["prefix"]),
        "carrier": say(one["chosen"]),
        "total": "-" if chosen is None or one["blocked_by"] else say(chosen["total"]),
        "currency": one["currency"],
        "next": " ".join(offer["carrier"] for offer in offers if offer["verdict"] == "next"),
        "reason": f"{one['blocked_by']}: {one['reason']}" if one["blocked_by"] else (
            "-" if one["chosen"] else "no carrier can take it now"
        ),
    }  # fmt: skip


# -- what a new routing.toml would change -----------------------------------------------------


def describe_move(move: Move, old_currency: str, new_currency: str) -> JsonObject:
    """One prefix that moves, in JSON; ``difference`` is null where a side has no offer, or other
    money."""
    old = move.old_offers[0] if move.old_offers else None
    new = move.new_offers[0] if move.new_offers else None
    difference = None
    if old and new and old_currency == new_currency:
        difference = f"{Decimal(new.cost) - Decimal(old.cost):+f}"
    return {
        "type": "move",
        "prefix": move.prefix,
        "old": _describe_offer(old, old_currency),
        "new": _describe_offer(new, new_currency),
        "difference": difference,
    }


def _describe_offer(offer: Offer | None, currency: str) -> JsonObject | None:
    if offer is None:
        return None
    return {"carrier": offer.carrier, "cost": offer.cost, "currency": currency}


def show_moves(moves: Sequence[JsonObject]) -> None:
    """What becomes cheaper, what dearer, and what goes elsewhere."""
    terminal.print_summary(_sum_up(moves) if moves else "no prefix moves")
    rows = []
    for move in moves:
        old, new = move["old"] or {}, move["new"] or {}
        rows.append(
            {
                "prefix": show_prefix(move["prefix"]),
                "old_carrier": say(old.get("carrier")),
                "old_cost": say(old.get("cost")),
                "new_carrier": say(new.get("carrier")),
                "new_cost": say(new.get("cost")),
                "difference": say(move["difference"]),
                "currency": say(new.get("currency") or old.get("currency")),
            }
        )
    show_rows("prefix old_carrier old_cost new_carrier new_cost difference currency", rows)


def _sum_up(moves: Sequence[JsonObject]) -> str:
    def count(fits: Callable[[JsonObject], bool]) -> int:
        return sum(map(fits, moves))

    told = {
        "to another carrier": count(
            lambda move: (
                bool(move["old"] and move["new"])
                and move["old"]["carrier"] != move["new"]["carrier"]
            )
        ),
        "cheaper": count(lambda move: (move["difference"] or "+").startswith("-")),
        "dearer": count(lambda move: Decimal(move["difference"] or 0) > 0),
        "new": count(lambda move: move["old"] is None),
        "without an offer": count(lambda move: move["new"] is None),
    }
    what = ", ".join(f"{number} {name}" for name, number in told.items() if number)
    prefixes = "1 prefix changes" if len(moves) == 1 else f"{len(moves)} prefixes change"
    return f"{prefixes}: {what}"


# -- messages -------------------------------------------------------------------------------------


def show_found(answer: JsonObject) -> None:
    """A message a line."""
    messages: list[JsonObject] = answer["messages"]
    states = Counter(message["state"] for message in messages)
    parts = [count_of(len(messages), "message"), *_tell(states.most_common())]
    terminal.print_summary(", ".join(parts))
    columns = "id accepted to state code class carrier segments app tag ref"
    drawn = "id accepted to state code carrier app tag ref"
    if len({message["app"] for message in messages}) < 2:
        drawn = drawn.replace(" app", "")
    show_rows(columns, [_describe_message(message) for message in messages], drawn)


def _tell(counts: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{count} {name}" for name, count in counts]


def _describe_message(message: JsonObject) -> Row:
    return {
        "id": message["id"],
        "accepted": show_moment(message["accepted_at"]),
        "to": message["to"] or "forgotten",
        "state": message["state"],
        "code": say(message["code"]),
        "class": message["class"],
        "carrier": say(message["carrier"]),
        "segments": str(message["segments"]),
        "app": message["app"],
        "tag": shorten(message["tag"]),
        "ref": message["ref"],
    }
