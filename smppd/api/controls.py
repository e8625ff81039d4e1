"""The control verbs as the face sees them: what the daemon must be able to answer, and how it may
decline.

It knows shapes only. Who may ask is ``conversation``'s matter, and how a configuration is
reloaded or a carrier drained is the daemon's.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from msgspec import UNSET

from smppd.api.requests import (
    AskCarrier,
    Backup,
    Carriers,
    Control,
    Doubtful,
    Drain,
    Explain,
    Export,
    Find,
    Forget,
    Pause,
    Quarantine,
    QuarantineDrop,
    Reload,
    Resolve,
    Resume,
    Routes,
    Status,
    Tap,
    Trace,
)
from smppd.api.views import (
    BackupView,
    CarrierAnswersView,
    CarriersView,
    DoubtfulView,
    DroppedView,
    ExplainedView,
    ExportedView,
    ForgottenView,
    FoundView,
    ModeView,
    QuarantinedView,
    ReloadedView,
    ResolvedView,
    RoutesView,
    StatusView,
    TapView,
    TraceView,
)


class ControlFault(msgspec.Struct, frozen=True):
    """Why a verb was not done: an ``error`` code of the contract, usually ``bad_request`` or
    ``unknown_message``, and for a person what to write instead."""

    code: str
    reason: str


class Controls(Protocol):
    """What serves the control verbs. A request's own fields are already of the right type;
    whether a carrier, an app or a message of that name exists is for the verb to say.

    The ``async`` ones may wait, for a commit or for a walk over many messages: the connection
    that asked waits for its answer, nobody else does.
    """

    def status(self) -> StatusView:
        """How the daemon is."""

    def carriers(self) -> CarriersView:
        """How the carriers and their binds are."""

    def routes(self) -> RoutesView:
        """The routing table in force."""

    def explain(self, asked: Explain) -> ExplainedView | ControlFault:
        """Every offer for a number, and why it won or lost."""

    def trace(self, asked: Trace) -> TraceView | ControlFault:
        """Every step of one message. It has an ``id`` or a ``ref``; with ``ref`` also ``app``."""

    async def doubtful(self, asked: Doubtful) -> DoubtfulView | ControlFault:
        """Messages with a segment nobody can know of, oldest first."""

    async def find(self, asked: Find) -> FoundView | ControlFault:
        """Messages that fit, newest first."""

    async def reload(self) -> ReloadedView | ControlFault:
        """Puts the configuration on disk in force, whole or not at all."""

    async def pause(self, carrier: str) -> ModeView | ControlFault:
        """Nothing more to ``carrier``; durable before the answer."""

    async def resume(self, carrier: str) -> ModeView | ControlFault:
        """``carrier`` runs again; durable before the answer."""

    async def drain(self, carrier: str | None) -> ModeView | ControlFault:
        """Nothing new to ``carrier``; None: the daemon ends, and the answer comes before that."""

    async def resolve(self, message_id: str, action: str) -> ResolvedView | ControlFault:
        """``resend`` or ``drop`` for a doubtful message; durable before the answer."""

    async def backup(self, directory: str) -> BackupView | ControlFault:
        """A whole copy of the store, on disk before the answer."""

    async def export(self, asked: Export) -> ExportedView | ControlFault:
        """A page of what is known of a number."""

    async def forget(self, number: str) -> ForgottenView | ControlFault:
        """What is known of a number goes; durable before the answer."""

    async def ask_carrier(self, asked: AskCarrier) -> CarrierAnswersView | ControlFault:
        """query_sm or cancel_sm of a message's segments; the carrier's word, stored nowhere."""

    async def tap(self, asked: Tap) -> TapView | ControlFault:
        """A piece of what goes over a carrier's links."""

    def quarantine(self, asked: Quarantine) -> QuarantinedView | ControlFault:
        """What nobody could read."""

    async def quarantine_drop(self, asked: QuarantineDrop) -> DroppedView | ControlFault:
        """Rows of it go; durable before the answer."""


WAITING: Final = (
    Doubtful,
    Find,
    Reload,
    Pause,
    Resume,
    Drain,
    Resolve,
    Backup,
    Export,
    Forget,
    AskCarrier,
    Tap,
    QuarantineDrop,
)
"""The verbs that may wait: each ends its batch, so that what follows it sees what it did."""

ANSWER_TYPES: Final[dict[type[msgspec.Struct], str]] = {
    StatusView: "status",
    CarriersView: "carriers",
    RoutesView: "routes",
    ExplainedView: "explained",
    TraceView: "trace",
    FoundView: "found",
    DoubtfulView: "doubtful",
    ResolvedView: "resolved",
    BackupView: "backed_up",
    ExportedView: "exported",
    ForgottenView: "forgotten",
    CarrierAnswersView: "carrier_answers",
    TapView: "tapped",
    QuarantinedView: "quarantined",
    DroppedView: "quarantine_dropped",
    ReloadedView: "reloaded",
    ModeView: "mode",
}
"""What an answer's ``type`` says, by its shape."""

ControlView = (
    StatusView
    | CarriersView
    | RoutesView
    | ExplainedView
    | TraceView
    | FoundView
    | DoubtfulView
    | ResolvedView
    | BackupView
    | ExportedView
    | ForgottenView
    | CarrierAnswersView
    | TapView
    | QuarantinedView
    | DroppedView
    | ReloadedView
    | ModeView
)


async def serve_control(controls: Controls, request: Control) -> ControlView | ControlFault:
    """What ``request`` comes to; only those of WAITING wait."""
    match request:
        case Status():
            return controls.status()
        case Carriers():
            return controls.carriers()
        case Routes():
            return controls.routes()
        case Explain():
            return controls.explain(request)
        case Trace():
            return controls.trace(request)
        case Doubtful():
            return await controls.doubtful(request)
        case Find():
            return await controls.find(request)
        case Reload():
            return await controls.reload()
        case Pause(carrier):
            return await controls.pause(carrier)
        case Resume(carrier):
            return await controls.resume(carrier)
        case Drain(carrier):
            return await controls.drain(None if carrier is UNSET else carrier)
        case Resolve(message_id, action):
            return await controls.resolve(message_id, action)
        case Backup(directory):
            return await controls.backup(directory)
        case Export():
            return await controls.export(request)
        case Forget(number):
            return await controls.forget(number)
        case AskCarrier():
            return await controls.ask_carrier(request)
        case Tap():
            return await controls.tap(request)
        case Quarantine():
            return controls.quarantine(request)
        case QuarantineDrop():
            return await controls.quarantine_drop(request)
