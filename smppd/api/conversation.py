"""One connection's side of the protocol: who speaks, for which app, and how far it has come.

Requests in line order become store changes to commit and replies to give once they are. Pure: it
neither waits nor reads the store; what must be read comes out as a ``Read`` for whoever can.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from smppd.api.answers import (
    CancelledAnswer,
    ErrorAnswer,
    PongAnswer,
    QuotedAnswer,
    WelcomeAnswer,
)
from smppd.api.controls import WAITING
from smppd.api.fields import (
    TAG_CHARACTERS_MAX,
    OddQuote,
    OddSubmit,
    Quote,
    Submit,
    digest_submit,
    is_ref,
)
from smppd.api.intake import Intake, flatten
from smppd.api.peers import Rights
from smppd.api.protocol import ANSWER_BYTES_MAX, LINE_BYTES_MAX, PROTOCOL_VERSION, REF_REASON
from smppd.api.replies import CancelLine, Read, Reply, TakenLine, is_message_id, refuse_unknown
from smppd.api.requests import (
    BadLine,
    Cancel,
    Control,
    Explain,
    Hello,
    Ping,
    Query,
    Request,
    Subscribe,
    Taken,
    Trace,
)
from smppd.config import AppConfig
from smppd.store import changes as store
from smppd.store.changes import (
    Change,
    Propose,
    Rejection,
    Take,
)

EVENT_KINDS: Final = (
    "sent",
    "delivered",
    "failed",
    "expired",
    "cancelled",
    "uncertain",
    "unconfirmed",
    "held",
    "inbound",
)
"""The contract's events, in its order: what ``kinds`` may name."""


_CHANGING: Final = (Taken, Cancel)


class Admission(msgspec.Struct, frozen=True):
    """What the first ``consumed`` requests of a list came to.

    ``changes`` are to be committed in one go, then ``conclude`` makes ``replies`` answers.
    Reads come after all changes, so one commit serves them all in line order. ``submits`` counts
    towards the app's throughput.
    """

    changes: list[Change]
    replies: list[Reply]
    consumed: int
    submits: int


class Conversation:
    """One connection: ``rights`` are the kernel's word, ``app`` whom it speaks for (or None).

    What the app may do is looked up at each use, so that a reload is seen.
    """

    __slots__ = ("_greeted", "_intake", "_rights", "_started", "app", "line")

    def __init__(self, intake: Intake, rights: Rights) -> None:
        self._intake = intake
        self._rights = rights
        self._greeted = False
        self._started = False
        self.line = 0
        self.app: str | None = rights.apps[0] if len(rights.apps) == 1 else None

    @property
    def profile(self) -> AppConfig | None:
        """The app as configured now; None: it speaks for none, or for one that was taken out."""
        return None if self.app is None else self._intake.apps.get(self.app)

    def admit(
        self, requests: list[Request], now_ms: int, submits_max: int, errors_max: int
    ) -> Admission:
        """As many of ``requests``, from the first, as can be answered together.

        It stops before a change that follows a read and before submit number ``submits_max`` + 1;
        after a hello, and after the ``errors_max``-th line in a row that may be answered
        ``error``, as what follows may then no longer be served; and after what takes more than
        this commit: a tag's cancel, a control verb that waits.
        """
        changes: list[Change] = []
        replies: list[Reply] = []
        submits = errors = 0
        reading = False
        for request in requests:
            kind = type(request)
            proposes = kind is Submit or kind is OddSubmit
            if (reading and (proposes or kind in _CHANGING)) or (
                proposes and submits == submits_max
            ):
                break
            self.line += 1
            reply = self._reply(request, now_ms)
            replies.append(reply)
            if isinstance(reply, Propose):
                changes.append(reply)
                submits += 1
                errors = 0
                continue
            if isinstance(reply, TakenLine):
                changes.append(reply.take)
            elif isinstance(reply, CancelLine):
                changes.append(reply.change)
            reading = reading or isinstance(reply, Read)
            errors += 1
            if errors == errors_max or _ends_batch(reply, kind):
                break
        return Admission(changes, replies, len(replies), submits)

    def _propose(self, submit: Submit | OddSubmit, now_ms: int) -> Propose | ErrorAnswer:
        ref, app = submit.ref, self.app
        profile = None if app is None else self._intake.apps.get(app)
        if app is None or profile is None:
            fault = self._hello_required()
            return msgspec.structs.replace(fault, ref=ref) if is_ref(ref) else fault
        if not is_ref(ref):
            return self._refuse("bad_request", REF_REASON)
        self._started = True
        if type(submit) is Submit:
            message = self._intake.judge(submit, profile, now_ms)
            return Propose(app, ref, digest_submit(submit), message)
        assert type(submit) is OddSubmit, f"a submit is a Submit or an OddSubmit: {type(submit)}"
        return Propose(app, ref, submit.digest, Rejection(submit.code, submit.reason))

    def _reply(self, request: Request, now_ms: int) -> Reply:
        match request:
            case Submit() | OddSubmit():
                return self._propose(request, now_ms)
            case Taken():
                return self._take(request)
            case BadLine(code, reason):
                return self._refuse(code, reason)
            case Ping():
                return _answer_ping(request)
            case Hello():
                return self._greet(request)
            case Query():
                return self._ask(request)
            case Subscribe():
                return self._subscribe(request)
            case Cancel():
                return self._cancel(request)
            case Quote() | OddQuote():
                return self._quote(request, now_ms)
        return self._control(request)

    def _take(self, request: Taken) -> ErrorAnswer | TakenLine:
        if self.app is None:
            return self._hello_required()
        return TakenLine(self.line, Take(self.app, request.seq))

    def _greet(self, hello: Hello) -> WelcomeAnswer | ErrorAnswer:
        """Settle whom this connection speaks for; a refused hello leaves it speaking for nobody."""
        if self._greeted or self._started:
            return self._refuse("bad_request", "hello comes once, before any submit or subscribe")
        self.app = None
        own = self._rights.apps
        if hello.app is UNSET and len(own) > 1:
            return self._refuse("bad_request", f"hello needs 'app' here, one of {', '.join(own)}")
        app = own[0] if hello.app is UNSET else hello.app
        if app not in self._intake.apps:
            return self._refuse("unknown_app", f"there is no app {app[:64]!r} in smppd.toml")
        if app not in own:
            return self._refuse("not_allowed", f"app '{app}' is not for your uid or groups")
        self._greeted = True
        self.app = app
        return WelcomeAnswer(
            app, self._intake.server, PROTOCOL_VERSION, LINE_BYTES_MAX, ANSWER_BYTES_MAX
        )

    def _ask(self, query: Query) -> Read | ErrorAnswer:
        if self.app is None:
            return self._hello_required()
        if (query.id is UNSET) == (query.ref is UNSET):
            return self._refuse("bad_request", "query needs either 'id' or 'ref'")
        return Read(self.line, query)

    def _subscribe(self, subscribe: Subscribe) -> Read | ErrorAnswer:
        if self.app is None:
            return self._hello_required()
        kinds = () if subscribe.kinds is UNSET else subscribe.kinds
        for kind in kinds:
            if kind not in EVENT_KINDS:
                reason = f"there is no event {kind[:64]!r}; 'kinds' are {', '.join(EVENT_KINDS)}"
                return self._refuse("bad_request", reason)
        self._started = True
        return Read(self.line, subscribe)

    def _cancel(self, cancel: Cancel) -> CancelLine | CancelledAnswer | ErrorAnswer:
        app, message_id, ref, tag = self.app, cancel.id, cancel.ref, cancel.tag
        if app is None:
            return self._hello_required()
        if [message_id, ref, tag].count(UNSET) != 2:
            return self._refuse("bad_request", "cancel needs one of 'id', 'ref' and 'tag'")
        if tag is not UNSET:
            if len(tag) > TAG_CHARACTERS_MAX:  # no message has one, and no index takes it
                return CancelledAnswer(0, 0, tag=tag)
            return CancelLine(self.line, store.Cancel(app, tag=tag))
        if message_id is not UNSET:
            if not is_message_id(message_id):
                return self._unknown_message("id")
            return CancelLine(self.line, store.Cancel(app, message_id=message_id))
        if not is_ref(ref):
            return self._unknown_message("ref")
        return CancelLine(self.line, store.Cancel(app, ref=ref))

    def _quote(self, quote: Quote | OddQuote, now_ms: int) -> QuotedAnswer | ErrorAnswer:
        profile = self.profile
        if profile is None:
            return self._hello_required()
        if isinstance(quote, Quote):
            return self._intake.quote(quote, profile, now_ms)
        currency = self._intake.table.currency
        return QuotedAnswer(currency, blocked_by=quote.code, reason=quote.reason)

    def _control(self, request: Control) -> Read | ErrorAnswer:
        if not self._is_admin():
            return self._not_allowed()
        if isinstance(request, Trace):
            if (request.id is UNSET) == (request.ref is UNSET):
                return self._refuse("bad_request", "trace needs either 'id' or 'ref'")
            if request.ref is not UNSET and request.app is UNSET:
                if self.app is None:
                    reason = "trace by 'ref' needs 'app', as refs are the apps' own; or write 'id'"
                    return self._refuse("bad_request", reason)
                request = msgspec.structs.replace(request, app=self.app)
        if isinstance(request, Explain) and request.app is UNSET and self.app is not None:
            request = msgspec.structs.replace(request, app=self.app)
        return Read(self.line, request)

    def _is_admin(self) -> bool:
        profile = self.profile
        return self._rights.operator or (profile is not None and profile.admin)

    def _unknown_message(self, name: str) -> ErrorAnswer:
        return refuse_unknown(self.app, name, self.line)

    def _refuse(self, code: str, reason: str) -> ErrorAnswer:
        return ErrorAnswer(code, reason, self.line)

    def _not_allowed(self) -> ErrorAnswer:
        if self.app is None:
            return self._hello_required()
        reason = "control verbs are for root, the daemon's uid and apps with admin = true"
        return self._refuse("not_allowed", reason)

    def _hello_required(self) -> ErrorAnswer:
        if self.app is not None:
            reason = f"app '{self.app}' is no longer in smppd.toml; connect anew"
            return self._refuse("hello_required", reason)
        own = ", ".join(self._rights.apps)
        return self._refuse("hello_required", f"say hello first, with 'app' one of {own}")


def _ends_batch(reply: Reply, kind: type[Request]) -> bool:
    if isinstance(reply, CancelLine):
        return reply.change.tag is not None
    return kind is Hello or (isinstance(reply, Read) and isinstance(reply.request, WAITING))


def _answer_ping(ping: Ping) -> PongAnswer:
    return PongAnswer(ping.token if ping.token is UNSET else Raw(flatten(ping.token)))
