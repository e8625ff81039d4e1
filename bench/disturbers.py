"""What may hold the daemon up, one disturbance a function: each is prepared, and then done.

``prepare`` runs before anybody looks, ``act`` while the passes of the loop are watched. Either gets
the ``Stage`` and the sizes of the run.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from bench.pause_stage import App, Stage, make_submits
from bench.processes import RunFailed

SHORT_SECONDS: Final = 0.5
"""Between two blows of the same disturbance."""

BLOWS: Final = 5
"""Of a disturbance that is over in a moment: a distribution needs some."""

BULK: Final = 5_000
"""Submits in one write: what a careless import does."""

DOUBTS: Final = 5_000
"""Doubtful messages at the most: a window of them takes a response_timer to come about."""

FLAP_RELOADS: Final = 20
"""Reloads beside a carrier that flaps, each of which logs its changes: lines by the hundred."""


class Sizes(msgspec.Struct, frozen=True):
    """How large: ``live`` messages in memory, ``stored`` ones on disk that are final, those with
    one ``tag``, the rows of the smaller and of the larger sheet."""

    live: int = 50_000
    stored: int = 20_000
    tagged: int = 10_000
    sheet: int = 20_000
    large_sheet: int = 200_000


Step = Callable[[Stage, Sizes], None]


def _nothing(_stage: Stage, _sizes: Sizes) -> None:
    return


class Disturber(msgspec.Struct, frozen=True, kw_only=True):
    """``carriers``: which are needed beside ``main``; ``profiles`` go over the usual ones."""

    meaning: str
    carriers: tuple[str, ...] = ()
    profiles: dict[str, str] = {}
    prepare: Step = _nothing
    act: Step = _nothing
    is_restarting: bool = False


# -- what is there already ---


def _fill_live(stage: Stage, sizes: Sizes) -> None:
    """Messages that were sent and whose receipts do not come."""
    stage.crowd.submit(make_submits("keep", sizes.live))
    stage.wait_for(lambda status: _told(status.store, "sent") >= sizes.live, "sent")


def _fill_stored(stage: Stage, sizes: Sizes) -> None:
    """Messages that are delivered."""
    stage.crowd.submit(make_submits("quick", sizes.stored, '"tag":"spring",'))
    stage.wait_for(lambda status: _told(status.store, "delivered") >= sizes.stored, "delivered")


def _told(store: dict[str, object], event: str) -> int:
    told = store["told"]
    assert isinstance(told, dict), "told is counts by event"
    return int(told.get(event, 0))


# -- the daemon's own ---


def _collect(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        os.kill(stage.daemon.pid, signal.SIGUSR1)
        time.sleep(SHORT_SECONDS)


def _shorten_retention(stage: Stage, _sizes: Sizes) -> None:
    stage.write_daemon_file('events = "1s"\nmessages = "2s"\nrefs = "1s"\nunmatched = "1s"\n')
    stage.operator.ask({"type": "reload"})


def _fill_index(stage: Stage, _sizes: Sizes) -> None:
    """Nearly as many ids as are kept in memory, so that they are moved while we look."""
    stage.crowd.submit(make_submits("quick", 18_000))
    stage.wait_for(lambda status: _told(status.store, "delivered") >= 18_000, "delivered")


def _spill(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        stage.crowd.submit(make_submits("quick", 5_000), batch=100)


def _log_much(stage: Stage, _sizes: Sizes) -> None:
    stage.log.stop()
    for turn in range(FLAP_RELOADS):
        stage.write_routing(sheet_rows=100 + turn)
        stage.operator.ask({"type": "reload"})
        time.sleep(SHORT_SECONDS / 5)
    stage.log.go_on()


# -- what operators do ---


def _write_sheet(stage: Stage, sizes: Sizes) -> None:
    stage.write_routing(sizes.sheet)


def _write_large_sheet(stage: Stage, sizes: Sizes) -> None:
    stage.write_routing(sizes.large_sheet)


def _write_bad_sheet(stage: Stage, sizes: Sizes) -> None:
    stage.write_routing(sizes.sheet, fault="49x,nothing\n" * sizes.sheet)


def _reload(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(2):
        stage.operator.ask({"type": "reload"})
        time.sleep(SHORT_SECONDS)


def _find(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        stage.operator.ask({"type": "find", "to": "+4915100000000", "since": 0})
        stage.operator.ask({"type": "find", "app": "crowd", "limit": 1000})


def _find_by_ctl(stage: Stage, _sizes: Sizes) -> None:
    words = ("--config", str(stage.directory))
    stage.smppctl(*words, "--app", "crowd", "find", "--limit", "1000")
    stage.smppctl(*words, "status")
    stage.smppctl(*words, "routes")


def _export(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        stage.operator.ask({"type": "export", "number": "+4915100000000"})


def _forget(stage: Stage, _sizes: Sizes) -> None:
    stage.operator.ask({"type": "forget", "number": "+4915100000000"})


def _back_up(stage: Stage, _sizes: Sizes) -> None:
    for turn in range(2):
        stage.operator.ask({"type": "backup", "directory": str(stage.directory / f"copy{turn}")})


def _scrape(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS * 2):
        page = App(stage.metrics)
        with suppress(RunFailed):
            page.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            page.read_all()
        page.close()
        time.sleep(SHORT_SECONDS / 5)


def _look(stage: Stage, _sizes: Sizes) -> None:
    found = stage.operator.ask({"type": "find", "app": "crowd", "limit": 100})["messages"]
    assert isinstance(found, list), "found has messages"
    for message in found:
        stage.operator.ask({"type": "trace", "id": message["id"]})
        stage.crowd.ask({"type": "query", "id": message["id"]})
    for verb in ("status", "carriers", "routes", "doubtful"):
        stage.operator.ask({"type": verb})


def _make_doubts(stage: Stage, sizes: Sizes) -> None:
    """As many doubtful messages as there are tagged ones, DOUBTS at the most."""
    stage.crowd.submit(make_submits("mute", min(sizes.tagged, DOUBTS), '"class":"promotional",'))
    stage.wait_for(
        lambda status: _told(status.store, "uncertain") >= min(sizes.tagged, DOUBTS), "in doubt"
    )


def _list_doubts(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        stage.operator.ask({"type": "doubtful", "limit": 1000})


# -- what apps do ---


def _tail(stage: Stage, _sizes: Sizes) -> None:
    """A subscriber from the first event on, that reads, and one that wants one kind of them."""
    for kinds in ({}, {"kinds": ["failed"]}):
        reader = App(stage.socket, "crowd")
        reader.ask({"type": "subscribe", "after": 0, **kinds})
        if not kinds:
            for _ in range(10_000):
                reader.read()
        time.sleep(SHORT_SECONDS)
        reader.close()


def _subscribe_and_sleep(stage: Stage, _sizes: Sizes) -> None:
    sleepers = [App(stage.socket, name) for name in ("drip", "crowd") for _ in range(5)]
    for sleeper in sleepers:
        sleeper.ask({"type": "subscribe", "after": 0})
    time.sleep(SHORT_SECONDS * BLOWS)
    for sleeper in sleepers:
        sleeper.close()


def _write_bulk(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(BLOWS):
        stage.crowd.submit(make_submits("quick", BULK), batch=BULK)
        time.sleep(SHORT_SECONDS)


def _fill_tag(stage: Stage, sizes: Sizes) -> None:
    stage.crowd.submit(make_submits("idle", sizes.tagged, '"tag":"sale",'))


def _cancel_tag(stage: Stage, _sizes: Sizes) -> None:
    stage.crowd.ask({"type": "cancel", "tag": "sale"})


# -- what carriers do ---


def _submit_to_blocked(stage: Stage, _sizes: Sizes) -> None:
    for carrier in ("mute", "deaf"):
        stage.crowd.submit(make_submits(carrier, 2_000, '"class":"promotional",'))
    time.sleep(6)  # past response_timer


def _fill_window(stage: Stage, _sizes: Sizes) -> None:
    stage.crowd.submit(make_submits("fragile", 3_000))
    time.sleep(1)


def _rebind(stage: Stage, _sizes: Sizes) -> None:
    for _ in range(3):
        stage.kill_carrier("fragile")
        time.sleep(SHORT_SECONDS)
        stage.start_carrier("fragile")
        stage.wait_for(lambda status: status.is_bound("fragile"), "bound again")
        time.sleep(SHORT_SECONDS)


def _fill_for_restart(stage: Stage, sizes: Sizes) -> None:
    stage.crowd.submit(make_submits("idle", sizes.tagged))
    _fill_stored(stage, sizes)
    _fill_window(stage, sizes)


DISTURBERS: Final[dict[str, Disturber]] = {
    "plain": Disturber(meaning="nothing"),
    "live": Disturber(meaning="many live messages", carriers=("keep",), prepare=_fill_live),
    "collection": Disturber(
        meaning="all garbage collected, by force, with many live messages",
        carriers=("keep",),
        prepare=_fill_live,
        act=_collect,
    ),
    "logs": Disturber(
        meaning="a carrier that flaps, reloads, and nobody reads the log",
        carriers=("flap",),
        act=_log_much,
    ),
    "retention": Disturber(
        meaning="all that is stored ages out at once",
        carriers=("quick",),
        prepare=_fill_stored,
        act=_shorten_retention,
    ),
    "spills": Disturber(
        meaning="random ids go from memory to the index",
        carriers=("quick",),
        profiles={"main": 'id_format = "uuid"\n', "quick": 'id_format = "uuid"\n'},
        prepare=_fill_index,
        act=_spill,
    ),
    "reload": Disturber(meaning="a reload with a sheet", prepare=_write_sheet, act=_reload),
    "reload_large": Disturber(
        meaning="a reload with a large sheet", prepare=_write_large_sheet, act=_reload
    ),
    "reload_bad": Disturber(
        meaning="a reload with a problem a row", prepare=_write_bad_sheet, act=_reload
    ),
    "find": Disturber(
        meaning="find over all there is", carriers=("quick",), prepare=_fill_stored, act=_find
    ),
    "smppctl": Disturber(
        meaning="find, status and routes by smppctl",
        carriers=("quick",),
        prepare=_fill_stored,
        act=_find_by_ctl,
    ),
    "look": Disturber(
        meaning="trace, query, status, carriers, routes, doubtful",
        carriers=("quick",),
        prepare=_fill_stored,
        act=_look,
    ),
    "doubtful": Disturber(
        meaning="the list of many doubts",
        carriers=("mute",),
        prepare=_make_doubts,
        act=_list_doubts,
    ),
    "export": Disturber(
        meaning="export of a number", carriers=("quick",), prepare=_fill_stored, act=_export
    ),
    "forget": Disturber(
        meaning="forget a number", carriers=("quick",), prepare=_fill_stored, act=_forget
    ),
    "backup": Disturber(meaning="backups", carriers=("quick",), prepare=_fill_stored, act=_back_up),
    "scrape": Disturber(meaning="the page of metrics", act=_scrape),
    "tail": Disturber(
        meaning="subscribers from the first event on",
        carriers=("quick",),
        prepare=_fill_stored,
        act=_tail,
    ),
    "sleepers": Disturber(
        meaning="subscribers that do not read",
        carriers=("quick",),
        prepare=_fill_stored,
        act=_subscribe_and_sleep,
    ),
    "bulk": Disturber(meaning="5,000 submits in one write", carriers=("quick",), act=_write_bulk),
    "cancel": Disturber(
        meaning="a tag of many messages is cancelled", prepare=_fill_tag, act=_cancel_tag
    ),
    "blocked": Disturber(
        meaning="a carrier that never answers, and one that does not read",
        carriers=("mute", "deaf"),
        act=_submit_to_blocked,
    ),
    "rebind": Disturber(
        meaning="a carrier is lost with a full window, and comes back",
        carriers=("fragile",),
        prepare=_fill_window,
        act=_rebind,
    ),
    "restart": Disturber(
        meaning="kill -9 and a start with a queue and a full window",
        carriers=("quick", "fragile"),
        prepare=_fill_for_restart,
        is_restarting=True,
    ),
}
"""By name, in the order in which they are done."""
