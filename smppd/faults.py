"""Fault points: the named moments at which a test may end the process, or learn that it is there.

Each stands between two things that must not be torn apart unnoticed. Unarmed, a point is one call
a batch that does nothing. Armed, every point that is reached is handed to whoever armed them: the
crash suite has the process killed there (``SMPPD_FAULT=receipt.after_commit:3``: at the third
time), the simulation ends its daemon there.

``POINTS`` is all of them; ``tests/test_faults.py`` holds it against the code.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

VARIABLE: Final = "SMPPD_FAULT"
"""``NAME`` or ``NAME:COUNT``, in the environment of ``smppd run``. For tests; a start with it
says so in the log."""

POINTS: Final[Mapping[str, str]] = {
    "start.opened": "the store is open, nothing has been recovered",
    "start.recovered": "open grants have become doubt, on disk",
    "start.listening": "apps can connect, no bind is up",
    "intake.before_commit": "lines were read and judged, nothing of them is on disk",
    "intake.after_commit": "what they ask for is on disk, nobody was told",
    "intake.answered": "their answers are written",
    "commit.before": "a batch has gathered, nothing of it is decided",
    "commit.after": "a batch is on disk, nobody was told",
    "store.decided": "a batch is decided and granted, nothing of it is written",
    "store.written": "its rows are in LMDB's transaction, which has not committed",
    "store.allocating": "the reserve is to be topped up, nothing of it is allocated",
    "store.growing": "the map was full, the transaction is aborted",
    "backup.copying": "a part of a backup is on disk, its file has no name yet to be used by",
    "backup.copied": "a backup is whole and on disk, its file has no name yet to be used by",
    "restore.batch": "a batch of a restored store's doubts is on disk, others are to come",
    "bind.up": "the SMSC accepted the bind, nothing is granted to it",
    "submit.taken": "grants are on disk and in the window, no octet is written",
    "submit.written": "their octets are with the kernel",
    "response.before_commit": "submit_sm_resp were read, nothing of them is on disk",
    "response.after_commit": "they are on disk, the window's room is not used yet",
    "receipt.before_commit": "receipts were read, nothing of them is on disk",
    "receipt.after_commit": "they are on disk, no deliver_sm_resp is written",
    "inbound.before_commit": "messages from phones were read, nothing of them is on disk",
    "inbound.after_commit": "they are on disk, no deliver_sm_resp is written",
    "doubt.before_commit": "a link ended with unanswered submits, nothing of that is on disk",
    "doubt.after_commit": "it is on disk, nobody was told",
    "events.before_write": "events were read from disk for a subscriber, none is written",
    "events.written": "their octets are with the kernel",
    "reload.loaded": "a new configuration was read and compiled, the old one is in force",
    "reload.swapped": "the new one is in force, nobody was told",
    "drain.begun": "SIGTERM: no new submits, no new grants",
    "drain.idle": "the windows have emptied, or the time for it has passed",
    "drain.unbound": "every bind has ended, the last commit is to come",
    "drain.committed": "the last commit is made, the store is open",
}

Hook = Callable[[str], None]
_hook: Hook | None = None


def reach(name: str) -> None:
    """This point has come; ``name`` is one of ``POINTS``."""
    if _hook is not None:
        _hook(name)


def is_armed() -> bool:
    """Whether anybody wants to know, where finding out which point it is would cost something."""
    return _hook is not None


def arm(hook: Hook | None) -> None:
    """From now on ``hook`` is called at every point; None: nobody."""
    global _hook
    _hook = hook


def arm_from(environment: Mapping[str, str]) -> str | None:
    """Has the process killed with SIGKILL where VARIABLE says; its value, None where there is none.

    Raises ValueError for a name that is no point, or a count that is none.
    """
    wanted = environment.get(VARIABLE)
    if not wanted:
        return None
    name, _, count = wanted.partition(":")
    if name not in POINTS:
        raise ValueError(f"{VARIABLE}: {name!r} is no fault point; see smppd/faults.py")
    if count and not (count.isdecimal() and int(count)):
        raise ValueError(f"{VARIABLE}: {count!r} is no count; write {name}:3 for the third time")
    arm(_kill_at(name, int(count or 1)))
    return wanted


def _kill_at(wanted: str, left: int) -> Hook:
    def hook(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook
