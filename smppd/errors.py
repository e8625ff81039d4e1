"""The exceptions of smppd, drawn as a tree.

::

    SmppdError
    ├── ConfigError          a configuration that cannot be used (start and reload only)
    ├── LocalProtocolError   we broke the protocol: a bug of ours, never caught
    ├── LinkError            a link to a carrier ended; caught in one place, which rebinds
    │   ├── BindRefused      the SMSC answered our bind with an error
    │   └── LinkLost         the stream ended, or the peer broke the protocol
    └── StoreError           the store can't promise durability any more: exit, restart, resume

What is *not* an exception: a command_status, a rejected submission, an unknown receipt, a
malformed PDU. Those come from outside every day and are values with a code and a text.
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


class LinkError(SmppdError):
    """A link to a carrier ended; whoever keeps the bind up backs off and binds again."""


class BindRefused(LinkError):
    """The SMSC answered our bind with ``command_status``."""

    def __init__(self, command_status: int, reason: str) -> None:
        super().__init__(reason)
        self.command_status = command_status


class LinkLost(LinkError):
    """The stream ended or broke, or the peer broke the protocol."""


class StoreError(SmppdError):
    """The store cannot keep its promise (EIO, failed fsync, damage, newer schema)."""
