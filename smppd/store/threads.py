"""What a phone answers: the last message that an app sent it from the number it writes to.

Kept of senders that a phone can answer, which are numbers, and of apps that are told what phones
send; nobody else's message costs anything. An entry names no phone: its key is a checksum of app,
sender and phone, and the message it leads to must be of these three. So a number that was forgotten
is in no key, two threads that share a checksum lose one's ``reply_to`` and mix nothing up, and an
entry ages out with its message (``index``).
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from smppd.store.addresses import bare_digits
from smppd.store.index import SpilledIndex
from smppd.store.keys import pack_u64, read_u64
from smppd.store.messages import Messages
from smppd.store.records import Message


class Threads:
    """``set_apps`` says whose messages are remembered: those that are told what phones send."""

    def __init__(self, index: SpilledIndex, messages: Messages) -> None:
        self._index = index
        self._messages = messages
        self._apps: frozenset[str] = frozenset()

    def set_apps(self, apps: Iterable[str]) -> None:
        """From now on these; what others had stays until it ages out."""
        self._apps = frozenset(apps)

    def load(self) -> None:
        """Takes up what the last commit left."""
        self._index.load()

    def remember(self, message: Message) -> None:
        """A carrier took a message from a sender that can be answered."""
        if message.app in self._apps:
            key = _key(message.app, message.addr, message.to)
            self._index.put(key, pack_u64(message.id))

    def find(self, app: str, source: str, destination: str) -> Message | None:
        """The app's last message to the phone ``source`` from its number ``destination``."""
        source, destination = bare_digits(source), bare_digits(destination)
        found = self._index.get(_key(app, destination, source))
        message = None if found is None else self._messages.peek(read_u64(found))
        if message is None or message.app != app or message.to != source:
            return None
        return message if message.addr == destination else None

    def age(self, floor: int) -> None:
        """Of messages with ids below ``floor`` none is left."""
        self._index.age(floor)

    def write(self) -> None:
        """Writes this commit's share."""
        self._index.write()


def _key(app: str, sender: str, phone: str) -> bytes:
    return crc32(f"{app}\0{sender}\0{phone}".encode("utf-8", "surrogateescape")).to_bytes(4)
