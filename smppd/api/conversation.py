"""One connection's side of the protocol: who speaks, for which app, and how far it has come.

Requests in line order become store changes to commit and replies to give once they are. Pure: it
neither waits nor reads the store; what must be read comes out as a ``Read`` for whoever can.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from smppd.api.fields import (
    OddSubmit,
    Submit,
    digest_submit,
    is_ref,
)
from smppd.api.intake import Intake, flatten
from smppd.api.peers import Rights
from smppd.api.protocol import (
    ANSWER_BYTES_MAX,
    LINE_BYTES_MAX,
    PROTOCOL_VERSION,
    REF_REASON,
    AcceptedAnswer,
    Answer,
    BadLine,
    ErrorAnswer,
    Hello,
    Ping,
    PongAnswer,
    Query,
    RejectedAnswer,
    Request,
    Status,
    Subscribe,
    Taken,
    Unserved,
    WelcomeAnswer,
)
from smppd.config import AppConfig
from smppd.store.changes import (
    Accepted,
    Change,
    Propose,
    RefConflict,
    Rejection,
    Result,
    Take,
    TakenResult,
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


class TakenLine(msgspec.Struct, frozen=True, gc=False):
    """The reply to ``taken`` on ``line``: nothing when the store agrees to ``take``."""

    line: int
    take: Take


class Read(msgspec.Struct, frozen=True):
    """A request on ``line`` that is answered from the store after the batch's commit."""

    line: int
    request: Query | Subscribe | Status


Reply = Answer | Propose | TakenLine | Read


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
    """One connection: ``rights`` are the kernel's word, ``app`` whom it speaks for (or None)."""

    __slots__ = ("_greeted", "_intake", "_rights", "_started", "app", "line", "profile")

    def __init__(self, intake: Intake, rights: Rights) -> None:
        self._intake = intake
        self._rights = rights
        self._greeted = False
        self._started = False
        self.line = 0
        self.app: str | None = None
        self.profile: AppConfig | None = None
        if len(rights.apps) == 1:
            self._speak_for(rights.apps[0])

    def admit(
        self, requests: list[Request], now_ms: int, submits_max: int, errors_max: int
    ) -> Admission:
        """As many of ``requests``, from the first, as can be answered together.

        It stops before a change that follows a read and before submit number ``submits_max`` + 1;
        and after a hello, and after the ``errors_max``-th line in a row that may be answered
        ``error``, as what follows may then no longer be served.
        """
        changes: list[Change] = []
        replies: list[Reply] = []
        submits = errors = 0
        reading = False
        for request in requests:
            kind = type(request)
            proposes = kind is Submit or kind is OddSubmit
            if (reading and (proposes or kind is Taken)) or (proposes and submits == submits_max):
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
            reading = reading or isinstance(reply, Read)
            errors += 1
            if errors == errors_max or kind is Hello:
                break
        return Admission(changes, replies, len(replies), submits)

    def _propose(self, submit: Submit | OddSubmit, now_ms: int) -> Propose | ErrorAnswer:
        ref, app, profile = submit.ref, self.app, self.profile
        if app is None or profile is None:
            fault = self._hello_required()
            return msgspec.structs.replace(fault, ref=ref) if is_ref(ref) else fault
        if not is_ref(ref):
            return self._refuse("bad_request", REF_REASON)
        self._started = True
        if type(submit) is Submit:
            message = self._intake.judge(submit, profile, now_ms)
            return Propose(app, ref, digest_submit(submit), message)
        assert type(submit) is OddSubmit, f"a submit is a Submit or an OddSubmit, not {submit!r}"
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
            case Status():
                return Read(self.line, request) if self._is_admin() else self._not_allowed()
            case Unserved(verb, control):
                if control and not self._is_admin():
                    return self._not_allowed()
                return self._refuse("bad_request", f"{verb} is not served by this release of smppd")
        raise AssertionError(f"a request nobody answers: {request!r}")

    def _take(self, request: Taken) -> ErrorAnswer | TakenLine:
        if self.app is None:
            return self._hello_required()
        return TakenLine(self.line, Take(self.app, request.seq))

    def _greet(self, hello: Hello) -> WelcomeAnswer | ErrorAnswer:
        """Settle whom this connection speaks for; a refused hello leaves it speaking for nobody."""
        if self._greeted or self._started:
            return self._refuse("bad_request", "hello comes once, before any submit or subscribe")
        self.app = self.profile = None
        own = self._rights.apps
        if hello.app is UNSET and len(own) > 1:
            return self._refuse("bad_request", f"hello needs 'app' here, one of {', '.join(own)}")
        app = own[0] if hello.app is UNSET else hello.app
        if app not in self._intake.apps:
            return self._refuse("unknown_app", f"there is no app {app[:64]!r} in smppd.toml")
        if app not in own:
            return self._refuse("not_allowed", f"app '{app}' is not for your uid or groups")
        self._greeted = True
        self._speak_for(app)
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

    def _speak_for(self, app: str) -> None:
        self.app = app
        self.profile = self._intake.apps[app]

    def _is_admin(self) -> bool:
        return self._rights.operator or (self.profile is not None and self.profile.admin)

    def _refuse(self, code: str, reason: str) -> ErrorAnswer:
        return ErrorAnswer(code, reason, self.line)

    def _not_allowed(self) -> ErrorAnswer:
        if self.app is None:
            return self._hello_required()
        reason = "control verbs are for root, the daemon's uid and apps with admin = true"
        return self._refuse("not_allowed", reason)

    def _hello_required(self) -> ErrorAnswer:
        own = ", ".join(self._rights.apps)
        return self._refuse("hello_required", f"say hello first, with 'app' one of {own}")


def conclude(replies: list[Reply], results: list[Result]) -> list[Answer | Read]:
    """The answers that ``results`` of a commit bring, in line order; reads are left to be read.

    ``results`` has one element per change of the same ``Admission``, in order.
    """
    answers: list[Answer | Read] = []
    outcomes = iter(results)
    for reply in replies:
        if isinstance(reply, Propose):
            answers.append(_answer_submit(reply.ref, next(outcomes)))
        elif not isinstance(reply, TakenLine):
            answers.append(reply)
        elif (fault := _find_take_fault(reply, next(outcomes))) is not None:
            answers.append(fault)
    return answers


def _find_take_fault(reply: TakenLine, result: Result) -> ErrorAnswer | None:
    assert isinstance(result, TakenResult), f"a Take does not answer {result!r}"
    if result.ok:
        return None
    reason = f"'seq' {reply.take.seq} is above the latest event, {result.latest}"
    return ErrorAnswer("bad_request", reason, reply.line)


def _answer_submit(ref: str, result: Result) -> AcceptedAnswer | RejectedAnswer:
    if type(result) is Accepted:
        return AcceptedAnswer(ref, result.id, result.segments, result.encoding, result.duplicate)
    if type(result) is Rejection:
        return RejectedAnswer(ref, result.code, result.reason, None, result.retry_after)
    assert type(result) is RefConflict, f"a Propose does not answer {result!r}"
    reason = "this ref is bound to a message with other content; use another ref"
    return RejectedAnswer(ref, "ref_conflict", reason, result.id)


def _answer_ping(ping: Ping) -> PongAnswer:
    return PongAnswer(ping.token if ping.token is UNSET else Raw(flatten(ping.token)))
