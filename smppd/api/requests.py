"""What a peer may ask: one frozen struct a verb, its fields named as on the wire.

``fields`` has ``submit`` and ``quote``. A field left out is UNSET: what that means is for who
serves the verb. What a verb does, and who may ask it, is not known here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from smppd.api.fields import (
    CarrierName,
    CarrierNames,
    Class,
    MaxCost,
    OddQuote,
    OddSubmit,
    Quote,
    Submit,
    Time,
)

FIND_ROWS_DEFAULT: Final = 100
FIND_ROWS_MAX: Final = 1000
"""Messages in one answer to ``find`` or ``doubtful``: half a megabyte of an answer's sixteen."""

Seq = Annotated[
    int,
    msgspec.Meta(ge=0, le=2**63 - 1, description="the 'seq' of an event, a whole number from 0"),
]
Rows = Annotated[
    int,
    msgspec.Meta(
        ge=1,
        le=FIND_ROWS_MAX,
        description=f"a whole number from 1 to {FIND_ROWS_MAX}, like {FIND_ROWS_DEFAULT}",
    ),
]


Directory = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=4096, description='an absolute path, like "/var/backups/smppd-1"'
    ),
]
Number = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=64,
        description="a number, E.164 with +, or as a carrier wrote it: a short code, a name",
    ),
]
OneCarrier = Annotated[str, msgspec.Meta(description='a carrier\'s name, like "alpha"')]


class _Request(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True, gc=False):
    """What all request structs have in common."""


# -- every app's ----------------------------------------------------------------------------------


class Hello(_Request, frozen=True, tag="hello"):
    """The peer names the app it speaks for."""

    app: str | UnsetType = UNSET


class Subscribe(_Request, frozen=True, tag="subscribe"):
    """The app wants its events: those above ``after`` (or the last taken), of these ``kinds``."""

    after: Seq | UnsetType = UNSET
    kinds: list[str] | UnsetType = UNSET


class Taken(_Request, frozen=True, tag="taken"):
    """The app has every event up to ``seq``."""

    seq: Seq


class Query(_Request, frozen=True, tag="query"):
    """The app asks for the life of one message, by ``id`` or by ``ref``."""

    id: str | UnsetType = UNSET
    ref: str | UnsetType = UNSET


class Cancel(_Request, frozen=True, tag="cancel"):
    """The app wants these never submitted: one by ``id`` or ``ref``, all so far of a ``tag``."""

    id: str | UnsetType = UNSET
    ref: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET


class Ping(_Request, frozen=True, tag="ping"):
    """``token`` is any JSON value and comes back as it was."""

    token: Raw | UnsetType = UNSET


# -- control verbs --------------------------------------------------------------------------------


class Status(_Request, frozen=True, tag="status"):
    """How the daemon is."""


class Carriers(_Request, frozen=True, tag="carriers"):
    """How the carriers and their binds are."""


class Routes(_Request, frozen=True, tag="routes"):
    """The routing table in force."""


class Explain(_Request, frozen=True, tag="explain"):
    """Where a message would go and why. ``app`` left out: the connection's, where it has one."""

    to: str
    sender: str | UnsetType = msgspec.field(name="from", default=UNSET)
    text: str | UnsetType = UNSET
    message_class: Class | UnsetType = msgspec.field(name="class", default=UNSET)
    carrier: CarrierName | CarrierNames | UnsetType = UNSET
    max_cost: MaxCost | UnsetType = UNSET
    app: str | UnsetType = UNSET


class Trace(_Request, frozen=True, tag="trace"):
    """Every step of one message, by ``id`` or ``ref``. ``app`` left out: with ``ref`` the
    connection's, filled in before the verb is served; with ``id`` any."""

    id: str | UnsetType = UNSET
    ref: str | UnsetType = UNSET
    app: str | UnsetType = UNSET


class Find(_Request, frozen=True, tag="find"):
    """Messages by recipient, tag, app, state and time of acceptance; all that is given holds.
    ``before`` is the id of the last one found, to go on where an answer ended."""

    to: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    app: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET
    before: str | UnsetType = UNSET
    limit: Rows = FIND_ROWS_DEFAULT


class Doubtful(_Request, frozen=True, tag="doubtful"):
    """Messages with a segment nobody can know of."""

    limit: Rows = FIND_ROWS_DEFAULT


class Resolve(_Request, frozen=True, tag="resolve"):
    """The operator's word on a doubtful message: send it again, or let it be."""

    id: str
    action: Literal["resend", "drop"]


class Backup(_Request, frozen=True, tag="backup"):
    """Make a copy of the store in ``directory``: an absolute path, nothing there or empty."""

    directory: Directory


class Export(_Request, frozen=True, tag="export"):
    """All that is known of one phone number, page by page: ``after`` is the ``next`` of the page
    before."""

    number: Number
    after: str | UnsetType = UNSET
    limit: Rows = FIND_ROWS_DEFAULT


class Forget(_Request, frozen=True, tag="forget"):
    """What is known of one phone number goes; what of it is on its way is cancelled if it can."""

    number: Number


class AskCarrier(_Request, frozen=True, tag="ask_carrier"):
    """What the carrier says of a message's segments (``query``), or that it should not deliver
    those it still can stop (``cancel``)."""

    id: str
    action: Literal["query", "cancel"]


class Tap(_Request, frozen=True, tag="tap"):
    """Begin to look at what goes over a carrier's links; with ``tap``, the name of one that has
    begun, get what has come since. ``texts``: show them, and numbers."""

    carrier: OneCarrier
    texts: bool = False
    tap: str | UnsetType = UNSET
    end: bool = False


class Quarantine(_Request, frozen=True, tag="quarantine"):
    """What nobody could read, newest first; with ``id`` that one, and its octets."""

    id: str | UnsetType = UNSET
    carrier: OneCarrier | UnsetType = UNSET
    limit: Rows = FIND_ROWS_DEFAULT


class QuarantineDrop(_Request, frozen=True, tag="quarantine_drop"):
    """One of them is not needed any more, or all of a carrier."""

    id: str | UnsetType = UNSET
    carrier: OneCarrier | UnsetType = UNSET


class Reload(_Request, frozen=True, tag="reload"):
    """Read the configuration again and put it in force."""


class Pause(_Request, frozen=True, tag="pause"):
    """Nothing more to this carrier."""

    carrier: OneCarrier


class Resume(_Request, frozen=True, tag="resume"):
    """This carrier runs again."""

    carrier: OneCarrier


class Drain(_Request, frozen=True, tag="drain"):
    """Nothing new to this carrier; left out: the whole daemon ends in order."""

    carrier: OneCarrier | UnsetType = UNSET


# -- lines that are none --------------------------------------------------------------------------


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that is no request, to be answered ``error`` with this code and reason."""

    code: str
    reason: str


Control = (
    Status
    | Carriers
    | Routes
    | Explain
    | Trace
    | Find
    | Doubtful
    | Resolve
    | Backup
    | Export
    | Forget
    | AskCarrier
    | Tap
    | Quarantine
    | QuarantineDrop
    | Reload
    | Pause
    | Resume
    | Drain
)
"""For root, the daemon's uid and apps with ``admin = true``."""

Served = Submit | Quote | Hello | Subscribe | Taken | Query | Cancel | Ping | Control
"""What a line of the contract reads as."""

Request = Served | OddSubmit | OddQuote | BadLine
