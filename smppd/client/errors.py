"""What the client raises; what the daemon says of one message is never raised, but returned.

::

    SmppdError
    ├── DaemonUnreachable   nobody listens there, or no answer came in time
    ├── ProtocolError       the daemon answered ``error``, or something that is no answer
    └── EventsLost          events between two of a loop are no longer kept
"""

from __future__ import annotations

from typing import Final

from smppd.errors import SmppdError


class DaemonUnreachable(SmppdError):
    """Nobody listens on the socket, or no answer came. What was not answered is not known to be
    accepted: submit it again under the same ``ref``.
    """


_NAME_THE_APP: Final = '; in Python: app="NAME" to open_client or SyncClient'


class ProtocolError(SmppdError):
    """The daemon answered ``error``, or something that is no answer. ``code`` is the contract's,
    ``reason`` the daemon's; as text it also says what to write in Python, where that helps."""

    def __init__(self, code: str, reason: str) -> None:
        is_of_app = code == "unknown_app" or "'app'" in reason
        super().__init__(f"{code}: {reason}{_NAME_THE_APP if is_of_app else ''}")
        self.code = code
        self.reason = reason


class EventsLost(SmppdError):
    """Events after ``after`` and before ``oldest`` will not come: taken by somebody, aged out, or
    of another state than the daemon's present one. A loop begun anew goes on with ``oldest``.

    ``latest`` is the last event there is. Where ``oldest`` is the very next one, the daemon's store
    was restored from a backup, and what was told after that was made is missing further on.
    """

    def __init__(self, after: int, oldest: int, latest: int) -> None:
        lost = f"events after {after} are no longer kept; the oldest is {oldest}"
        if oldest <= after + 1:
            lost = f"events told after {after} may be gone: the store was restored from a backup"
        if latest < after:
            lost = (
                f"the daemon's last event is {latest}, yet {after} was seen: its state is another"
            )
        super().__init__(lost)
        self.after = after
        self.oldest = oldest
        self.latest = latest
