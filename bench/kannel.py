"""Kannel's bearerbox in the daemon's place: the same messages, SMSC and clock.

Debian has it: ``apt-get install kannel``. It is run by itself, on ports of this host and with a
configuration of its own, as fast as it can be set up to our knowledge: one transceiver bind, a
window of 500, its own box protocol and not HTTP, receipts matched in memory, no log. What its
three stores promise is less than what the daemon does: none is lost with the process, and the
other two are written without fsync and keep no receipts.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

import msgspec

from bench.box import BoxLoad, BoxResult
from bench.centre import PASSWORD, SYSTEM_ID
from bench.processes import Child, MemoryWatch, free_ports, python
from bench.report import BUSY_SHARE
from bench.rounds import Sample
from bench.smsc import Smsc

Store = Literal["none", "file", "spool"]
"""Where the bearerbox keeps what it has: nowhere, in one file, or in a file a message."""

STORES: Final[tuple[Store, ...]] = ("none", "file", "spool")

WINDOW: Final = 500
"""Unanswered submit_sm: its rate rises up to here, and not beyond."""

ANSWER_SECONDS_MAX: Final = 5.0
"""For its status page, of an idle bearerbox."""

_PASSWORD: Final = "bench"
_ADMIN_DIRECTORIES: Final = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
"""Where it may be: Debian has it in a directory that is on no user's path."""

LOG_LEVEL: Final = "4"
"""Panics and errors: a line a message would be measured too."""

SAMPLE_SECONDS: Final = 0.1
"""Between two looks at its memory: a fraction of a percent of a core."""


class KannelSettings(msgspec.Struct, frozen=True):
    """One run. ``client_window`` is messages submitted and without their receipt."""

    store: Store
    messages: int
    client_window: int
    sink: str = ""


def find_bearerbox() -> str | None:
    """The program's path; None where Kannel is not installed."""
    return shutil.which("bearerbox") or shutil.which("bearerbox", path=_ADMIN_DIRECTORIES)


def run_kannel(settings: KannelSettings, directory: Path) -> Sample:
    """One run in an empty ``directory``. RunFailed where it could not be brought to its end.

    The bearerbox is killed: it would take ten seconds to end by itself, and has nothing left to do.
    """
    with ExitStack() as stack:
        smsc = Smsc(stack, directory, settings.sink)
        bearerbox = _Bearerbox(stack, directory, settings.store, smsc.port)
        load = BoxLoad(bearerbox.box_port, settings.messages, settings.client_window)
        words = python("bench.box", msgspec.json.encode(load).decode())
        box = stack.enter_context(Child(words, directory / "box.log", piped=True))
        memory = MemoryWatch(bearerbox.child)
        box.read_line(memory.look, SAMPLE_SECONDS)
        before = bearerbox.child.cpu_seconds(), smsc.cpu_seconds()
        box.write_line("go")
        result = msgspec.json.decode(box.read_line(memory.look, SAMPLE_SECONDS), type=BoxResult)
        after = bearerbox.child.cpu_seconds(), smsc.cpu_seconds()
        memory.look()
        accepted = smsc.stop()
    kannel_cpu, sink_cpu = after[0] - before[0], after[1] - before[1]
    return Sample(
        rate=result.delivered / result.seconds if result.seconds else 0.0,
        cpu_per_thousand=kannel_cpu / max(result.delivered, 1) * 1000,
        private_peak=memory.peak,
        note=_shares(kannel_cpu, sink_cpu, result),
        faults=find_faults(settings.messages, result, accepted),
    )


def find_faults(messages: int, result: BoxResult, accepted: int) -> list[str]:
    """Where the ledgers of box and SMSC differ."""
    expected = (
        ("acked by the bearerbox", result.acked, messages),
        ("refused by the bearerbox", result.refused, 0),
        ("receipts of the delivered", result.delivered, messages),
        ("other receipts", result.other_receipts, 0),
        ("receipts told twice", result.doubles, 0),
        ("accepted by the SMSC", accepted, messages),
    )
    return [f"{what}: {count}, not {wanted}" for what, count, wanted in expected if count != wanted]


def _shares(kannel_cpu: float, sink_cpu: float, result: BoxResult) -> str:
    kannel, smsc, box = (
        seconds / max(result.seconds, 1e-9)
        for seconds in (kannel_cpu, sink_cpu, result.cpu_seconds)
    )
    busy = "the bearerbox set the pace"
    for name, share in (("the SMSC", smsc), ("the box", box)):
        if share > BUSY_SHARE:
            busy = f"{name} was the bottleneck"
    return f"{busy}: bearerbox {kannel:.0%}, SMSC {smsc:.0%}, box {box:.0%} of a core"


class _Bearerbox:
    """A bearerbox that is bound to the SMSC. Leaves with ``stack``."""

    def __init__(self, stack: ExitStack, directory: Path, store: Store, smsc_port: int) -> None:
        program = find_bearerbox()
        assert program is not None, "asked before anything was started"
        self._admin_port, self.box_port = free_ports(2)
        path = directory / "kannel.conf"
        path.write_text(self._configure(directory, store, smsc_port), encoding="utf-8")
        words = [program, "--verbosity", LOG_LEVEL, str(path)]
        self.child = stack.enter_context(Child(words, directory / "bearerbox.log"))
        self.child.wait_until(self._is_online, "bound")

    def _configure(self, directory: Path, store: Store, smsc_port: int) -> str:
        place = directory / "store"
        if store == "spool":
            place.mkdir()
        return _CONFIGURATION.format(
            admin_port=self._admin_port,
            box_port=self.box_port,
            store="" if store == "none" else f"store-type = {store}\nstore-location = {place}\n",
            smsc_port=smsc_port,
            system_id=SYSTEM_ID,
            password=_PASSWORD,
            smsc_password=PASSWORD,
            window=WINDOW,
        )

    def _is_online(self) -> bool:
        page = f"http://127.0.0.1:{self._admin_port}/status.xml?password={_PASSWORD}"
        try:
            with urllib.request.urlopen(page, timeout=ANSWER_SECONDS_MAX) as answer:
                return b"<status>online" in answer.read()
        except (urllib.error.URLError, ConnectionError):
            return False


_CONFIGURATION: Final = """\
group = core
admin-interface = 127.0.0.1
admin-port = {admin_port}
admin-password = {password}
smsbox-interface = 127.0.0.1
smsbox-port = {box_port}
smsbox-max-pending = {window}
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
dlr-storage = internal
{store}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = 0

group = smsc
smsc = smpp
smsc-id = bench
interface-version = 34
host = 127.0.0.1
port = {smsc_port}
transceiver-mode = true
smsc-username = {system_id}
smsc-password = {smsc_password}
system-type = ""
max-pending-submits = {window}
"""
