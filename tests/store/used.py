"""A store in which every table has rows, some of them on pages of their own, and what is in it.

``write_story`` makes it; ``read_story`` is what a start on it shows to apps and operators, as plain
values, so that what a start on a damaged copy shows can be held against it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final, cast

import msgspec

from smppd.errors import StoreError
from smppd.store.changes import InboundArrived, NewMessage, Propose, Quarantined, Verdict
from smppd.store.records import CarrierProfile
from smppd.store.store import Store
from smppd.text.header import Concatenation
from tests.house import START, House, tag_of

GROUP: Final = 40
"""Messages of one fate."""

AWAITED: Final = 3
"""Messages to one phone whose carrier names none."""

REFS: Final = 6 * GROUP + AWAITED
MONTH: Final = 30 * 86_400
MAP_BYTES: Final = 1 << 24

PROFILES: Final = {"beta": CarrierProfile(match_receipts="address")}

Story = dict[str, object]


def open_used(directory: Path) -> House:
    """The daemon's start on a store of ``write_story``, minutes later."""
    return House(
        directory, window=GROUP, binds=2, now=START + 600_000, map_size=MAP_BYTES,
        inbound_apps=("shop",), profiles=PROFILES,
    )  # fmt: skip


def write_story(directory: Path) -> None:
    """Messages delivered, sent, refused, doubtful, granted and waiting; receipts of nobody's;
    messages from phones; a carrier whose ids name nothing, paused."""
    house = House(
        directory, window=GROUP, binds=2, map_size=MAP_BYTES, inbound_apps=("shop",),
        profiles=PROFILES,
    )  # fmt: skip
    house.up()
    for fate in range(6):
        refs = [f"r{fate * GROUP + number}" for number in range(GROUP)]
        text = f"message of fate {fate}: " + "long words " * (fate * 8)
        house.pass_time(1)
        proposals = [
            house.propose(
                ref,
                text=text.ljust(200)[: 200 if fate == 1 else 150],
                segments=1 + (fate == 1),
                valid_for=MONTH,
                tag=f"tag{fate}",
                uncertain="stop" if fate == 3 else "resend",
            )
            for ref in refs
        ]
        house.commit([_from_a_number(one) if fate == 0 else one for one in proposals])
        _decide_fate(house, fate)
    house.commit([house.receipt(f"nobody{number}", source="4917099") for number in range(5)])
    segments = [_segment(house, *each) for each in ((1, 1), (1, 2), (2, 1), (3, 2), (4, 1))]
    house.commit([*(_inbound(house, number) for number in range(5)), *segments])
    house.commit([Quarantined("alpha", 0, "no NUL", b"rubbish", house.now)] * 5)
    _await_by_address(house)
    house.set_mode("beta", "paused")
    house.close()


def _await_by_address(house: House) -> None:
    """The oldest of them has its receipt."""
    phone = "8613800000000"
    house.up("beta")
    refs = [f"r{6 * GROUP + one}" for one in range(AWAITED)]
    house.submit(*refs, text="message of nobody", to=phone, valid_for=MONTH)
    submits = house.take("beta")
    house.answer(submits, carrier="beta", ids=["0"] * len(submits))
    house.receive("", carrier="beta", source=phone)


def _from_a_number(proposal: Propose) -> Propose:
    """From a sender that a phone can answer."""
    assert isinstance(proposal.message, NewMessage)
    message = msgspec.structs.replace(proposal.message, addr_ton=3, addr="12345")
    return msgspec.structs.replace(proposal, message=message)


def _decide_fate(house: House, fate: int) -> None:
    submits = house.take()
    names = [f"smsc{fate}-{number}" for number in range(len(submits))]
    if fate == 0:
        house.answer(submits, ids=names)
        house.commit([house.receipt(name) for name in names])
    elif fate == 1:
        house.answer(submits, ids=names)
        more = house.take()
        house.answer(more, ids=[f"more{number}" for number in range(len(more))])
    elif fate == 2:
        house.answer(submits, verdict=Verdict.REFUSE, status=0x0B)
    elif fate == 3:
        house.down(doubt=[tag_of(submit) for submit in submits])
        house.up()
    # What is granted then stays open, and what comes after it waits.


def _inbound(house: House, number: int) -> InboundArrived:
    text = f"from a phone {number}"
    return InboundArrived(
        "alpha", f"49170999{number}", "ACME", text, text.encode(), 0, 0, house.now
    )


def _segment(house: House, reference: int, number: int) -> InboundArrived:
    """Of messages of two, of which the first is whole."""
    joined = Concatenation("udh8", reference, 2, number)
    return msgspec.structs.replace(_inbound(house, 9), concatenation=joined)


def read_story(directory: Path, refs: int = REFS) -> Story:
    """What a start finds."""
    house = open_used(directory)
    try:
        return story_of(house.store, house.events(), refs)
    finally:
        house.close()


def story_of(store: Store, events: list[dict[str, object]], refs: int) -> Story:
    views = {f"r{number}": store.query("shop", ref=f"r{number}") for number in range(refs)}
    return {
        "messages": msgspec.to_builtins(views),
        "events": events,
        "tagged": {tag: _ids_of(store, tag) for tag in (f"tag{fate}" for fate in range(6))},
        "modes": store.modes(),
        "bounds": msgspec.to_builtins(store.event_bounds("shop")),
        "unmatched": store.statistics().unmatched,
        "queued": store.statistics().queued,
        "segments": store.statistics().inbound_waiting,
        "answered": _answered(store),
        "quarantined": msgspec.to_builtins(store.quarantined(rows_max=10)),
        "awaited": _awaited(store),
    }


def _awaited(store: Store) -> list[tuple[str, str]]:
    """By which rows receipts are found by address."""
    with store._reading():
        return [(key.hex(), row.hex()) for key, row in store._env.tables["awaited"].rows_from(b"")]


def _answered(store: Store) -> str | None:
    """The ref of the message that the phone would answer."""
    with store._reading():
        found = store._ledger.threads.find("shop", "491701234567", "12345")
        return None if found is None else found.ref


def _ids_of(store: Store, tag: str) -> list[str]:
    found: list[str] = []
    before = 0
    while True:
        part = store.find(app="shop", tag=tag, before=before)
        found += [one.id for one in part.messages]
        if part.is_done:
            return found
        before = part.next_before


def main() -> None:
    """Reads the stories of the directories on stdin, a line each, in a process of its own: what a
    damaged file does to LMDB it does to that."""
    for line in sys.stdin:
        print(json.dumps([line.strip(), told(Path(line.strip()))]), flush=True)


def told(directory: Path) -> Story | str:
    """The story, or why there is none."""
    try:
        return cast(Story, json.loads(json.dumps(read_story(directory))))
    except StoreError as error:
        return str(error)


if __name__ == "__main__":
    main()
