"""The exceptions of smppd, drawn as a tree.

::

    SmppdError
    ├── ConfigError          a configuration that cannot be used (start and reload only)
    ├── LocalProtocolError   we broke the protocol: a bug of ours, never caught
    ├── StoreError           the store can't promise durability any more: exit, restart, resume
    │   ├── StoreRefused     its directory can't be used: in use, on a network, not ours
    │   ├── StorageFull      no room for a commit; the committer goes on, elsewhere it is the end
    │   └── StoreDamaged     its file is damaged, seen before anything was read: exit, and stay so
    └── CommitterEnded       what waited for a commit that will not come; never the first fault

What is *not* an exception: a command_status, a rejected submission, an unknown receipt, a
malformed PDU, a refused bind, a lost link. Those come from outside every day and are values with
a code and a text (``traffic/link.py``: ``LinkEnd``).
"""

from __future__ import annotations

import msgspec


class SmppdError(Exception):
    """The root of everything smppd raises on purpose."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in the configuration: where, what, and what to write instead.

    ``file`` is relative to the configuration directory, ``key`` is a dotted path
    (``apps.shop.uid``), ``line`` counts from 1 where the parser can tell it.
    """

    file: str
    key: str
    wrong: str
    remedy: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f": {self.key}" if self.key else ""
        return f"{where}{key}: {self.wrong}; {self.remedy}"


class ConfigError(SmppdError):
    """A configuration that cannot be used; ``problems`` holds every one found, not the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class LocalProtocolError(SmppdError):
    """smppd tried something the protocol forbids: a bug of ours, so it is never caught."""


class StoreError(SmppdError):
    """The store cannot keep its promise (EIO, failed fsync, damage, newer schema)."""


class StoreDamaged(StoreError):
    """The store's file is damaged: found at the start, before LMDB has mapped it. Another start
    would find the same."""


class StoreRefused(StoreError):
    """The state directory cannot be used, and an operator must say another or make it usable;
    ``is_denied``: for want of permission."""

    def __init__(self, reason: str, *, is_denied: bool = False) -> None:
        super().__init__(reason)
        self.is_denied = is_denied


class StorageFull(StoreError):
    """The disk has no room for this commit (ENOSPC, EDQUOT, EFBIG): nothing of it is there."""


class CommitterEnded(SmppdError):
    """The committer ended before this was stored, for a reason that is raised elsewhere."""
