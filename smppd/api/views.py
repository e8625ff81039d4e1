"""What the control verbs answer: the shapes ``smppctl`` and other teams' tools rely on.

Written down for people in ``docs/protocol.md``, *Shapes decided here*, and for programs in
``docs/protocol.schema.json``, which is generated from these structs. Fields are only ever added.
Times are Unix milliseconds, durations seconds, money decimal strings, a command_status ``0x…``.
No text of a message and no password is in any of them; numbers are whole: whoever shows them masks.
"""

from __future__ import annotations

import msgspec

from smppd.config.diff import ConfigChange
from smppd.errors import Problem
from smppd.store.known import KnownRecord as KnownRecord
from smppd.store.quarantine import QuarantineView as QuarantineView
from smppd.store.store import StoreStatistics
from smppd.store.trace import StepView as StepView
from smppd.store.trace import TraceView as TraceView
from smppd.store.view import FoundMessage as FoundMessage
from smppd.traffic.commit import CommitterStatistics


class BindView(msgspec.Struct, frozen=True):
    """One bind. ``kind`` is ``transceiver``, ``transmitter`` or ``receiver``; ``outstanding`` open
    grants; ``since`` when it entered ``state``."""

    bind: int
    kind: str
    state: str
    since: int
    reconnects: int
    reason: str
    window: int
    outstanding: int


class BreakerView(msgspec.Struct, frozen=True):
    """A carrier's breaker: ``state`` is ``closed``, ``open`` or ``half_open``; ``outcomes`` and
    ``errors`` are segments of its window; ``opened`` since the start; where it is not closed,
    ``reason`` is why, and ``probe_in`` how many seconds until a message is tried."""

    state: str = "closed"
    outcomes: int = 0
    errors: int = 0
    opened: int = 0
    reason: str = ""
    probe_in: float | None = None


class CarrierView(msgspec.Struct, frozen=True):
    """One carrier. ``mode`` is the operator's word (``running``, ``paused``, ``drained``),
    ``healthy`` the binds'; ``throughput`` 0 is no limit; ``pace`` None is unlimited. The counts are
    since start; ``statuses`` counts answers but ESME_ROK, ``meanings`` says what each means there.
    ``settling``: it is not yet as the operator or a reload wants it. ``certificate_until``: when
    the first of the certificates that its binds were shown expires, None where they were shown
    none."""

    name: str
    mode: str
    healthy: bool
    host: str
    port: int
    bind: str
    interface_version: str
    long_message: str
    default_alphabet: str
    tls: bool
    throughput: float
    pace: float | None
    taken: int
    throttled: int
    refused: int
    doubted: int
    receipts: int
    inbound: int
    statuses: dict[str, int]
    binds: list[BindView]
    settling: bool = False
    breaker: BreakerView = BreakerView()
    certificate_until: int | None = None
    pdus_refused: int = 0
    meanings: dict[str, str] = {}


class CarriersView(msgspec.Struct, frozen=True):
    """The answer to ``carriers``."""

    carriers: list[CarrierView]


class StatusView(msgspec.Struct, frozen=True):
    """The answer to ``status``. ``configured_at`` is when the configuration in force was loaded."""

    version: str
    pid: int
    started_at: int
    configured_at: int
    now: int
    draining: bool
    connections: int
    subscriptions: int
    store: StoreStatistics
    commits: CommitterStatistics
    log_dropped: int
    carriers: list[CarrierView]
    warnings: list[str]


class OfferView(msgspec.Struct, frozen=True):
    """One offer for a number, in the order of cost. ``cost`` a segment, ``total`` the message;
    ``verdict`` is ``chosen``, ``next`` (failover) or ``out``; ``reason`` says why, for a person."""

    carrier: str
    prefix: str
    cost: str | None
    segments: int | None
    total: str | None
    healthy: bool
    verdict: str
    reason: str


class ExplainedView(msgspec.Struct, frozen=True):
    """The answer to ``explain``: every offer, and why it won or lost. ``blocked_by`` is the code a
    submit would be rejected with, ``reason`` its reason; ``prefix`` the one that matched."""

    to: str
    region: str | None
    number_type: str | None
    prefix: str | None
    encoding: str
    segments: int
    currency: str
    chosen: str | None
    offers: list[OfferView]
    blocked_by: str | None
    reason: str | None


class FoundView(msgspec.Struct, frozen=True):
    """The answer to ``find``, newest first. ``more``: the limit was reached, and older ones
    than the last, of ``searched_to``, were not looked at."""

    messages: list[FoundMessage]
    more: bool
    searched_to: int


class CarrierAnswerView(msgspec.Struct, frozen=True):
    """What the carrier said of one segment (from 1), which it knows as ``message_id``.

    ``command_status`` is None where no answer came; ``message_state``, ``final_date`` and
    ``error_code`` are query_sm_resp's, None where they say nothing.
    """

    segment: int
    message_id: str
    command_status: str | None
    status: str | None
    message_state: str | None = None
    final_date: str | None = None
    error_code: int | None = None


class CarrierAnswersView(msgspec.Struct, frozen=True):
    """The answer to ``ask_carrier``. Nothing of it was stored: a receipt decides what becomes of
    the message."""

    id: str
    carrier: str
    action: str
    state: str
    segments: list[CarrierAnswerView]


class TapView(msgspec.Struct, frozen=True):
    """A piece of a pcap file, in base64: the first begins it. ``dropped`` are octets of it that
    nobody took in time; ``ended``: nothing more will come."""

    carrier: str
    tap: str
    data: str
    dropped: int
    ended: bool


class QuarantinedView(msgspec.Struct, frozen=True):
    """The answer to ``quarantine``: ``kept`` of all carriers; ``more`` than the limit."""

    records: list[QuarantineView]
    kept: int
    more: bool


class DroppedView(msgspec.Struct, frozen=True):
    """The answer to ``quarantine_drop``."""

    count: int


class DoubtfulView(msgspec.Struct, frozen=True):
    """The answer to ``doubtful``: messages with a segment nobody can know of, oldest first."""

    messages: list[FoundMessage]
    more: bool


class ResolvedView(msgspec.Struct, frozen=True):
    """The answer to ``resolve``: ``state`` is the message's now."""

    id: str
    action: str
    state: str


class BackupView(msgspec.Struct, frozen=True):
    """The answer to ``backup``: the copy is whole, and on disk. ``octets`` its size, ``messages``
    in it, ``seconds`` it took."""

    directory: str
    octets: int
    messages: int
    seconds: float


class ExportedView(msgspec.Struct, frozen=True):
    """One page of the answer to ``export``; ``next`` goes on, None: this was the last. A page may
    be empty and not the last."""

    records: list[KnownRecord]
    next: str | None


class ForgottenView(msgspec.Struct, frozen=True):
    """The answer to ``forget``: how many messages and events were emptied, how many inbound and
    unmatched receipts deleted, and PDUs that nobody could read (``quarantined``), how many messages
    ``cancelled`` before. ``left`` are on their way and as they were; ``messages_left`` the first of
    them."""

    messages: int
    cancelled: int
    events: int
    inbound: int
    unmatched: int
    left: int
    messages_left: list[FoundMessage]
    quarantined: int = 0


class RouteView(msgspec.Struct, frozen=True):
    """One ``[[route]]``; ``cost`` None: by its carrier's sheet."""

    prefix: str
    carrier: str
    cost: str | None


class SheetView(msgspec.Struct, frozen=True):
    """A carrier's rate sheet in force."""

    carrier: str
    file: str
    prefixes: int


class RoutesView(msgspec.Struct, frozen=True):
    """The answer to ``routes``: the table in force, in the order of its file."""

    currency: str
    fallback: bool
    routes: list[RouteView]
    sheets: list[SheetView]


class ReloadedView(msgspec.Struct, frozen=True):
    """The answer to ``reload``. ``ok`` False: ``problems`` say why, and the old one is in force."""

    ok: bool
    changes: list[ConfigChange]
    problems: list[Problem]
    warnings: list[str]


class ModeView(msgspec.Struct, frozen=True):
    """The answer to ``pause``, ``resume`` and ``drain`` of a carrier (None: of the daemon)."""

    carrier: str | None
    mode: str
    was: str
