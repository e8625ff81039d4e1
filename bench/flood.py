"""A raw flood as a system that is measured: an SMSC, and whoever floods it.

The flooder is ``bench.raw``, or any program that is named: its words are split as a shell does,
with ``{port}`` for where the SMSC listens, ``{messages}`` and ``{window}``. The last line that it
prints must be a JSON object with its messages a second in the field that is named, and its exit
code 0 only if it has every response and receipt.
"""

from __future__ import annotations

import resource
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from bench.processes import ROOT, RunFailed, python
from bench.raw import Flood
from bench.report import BUSY_SHARE
from bench.rounds import Sample
from bench.smsc import Smsc

DEFAULT_FIELD: Final = "messages_per_second"
"""As ``bench.raw`` calls it."""


class FloodSettings(msgspec.Struct, frozen=True):
    """One flood. ``window`` is submit_sm without their response; ``sink`` and ``command`` are
    empty where they are the bench's own."""

    messages: int
    window: int
    sink: str = ""
    command: str = ""
    field: str = DEFAULT_FIELD


def run_flood(settings: FloodSettings, directory: Path) -> Sample:
    """One flood, its report in ``directory``. RunFailed where it does not come to its end.

    Its CPU is that of the flooder's whole life: one in Python makes its PDUs in it too.
    """
    with ExitStack() as stack:
        smsc = Smsc(stack, directory, settings.sink)
        smsc_before, own_before = smsc.cpu_seconds(), _children_cpu()
        rate, code = _run_flooder(settings, smsc.port)
        cpu, smsc_cpu = _children_cpu() - own_before, smsc.cpu_seconds() - smsc_before
        accepted = smsc.stop()
    return Sample(
        rate=rate,
        cpu_per_thousand=cpu / settings.messages * 1000,
        private_peak=0,
        note=_find_pace(smsc_cpu / settings.messages * rate),
        faults=[*_find_faults(accepted, settings.messages, code)],
    )


def _find_faults(accepted: int, messages: int, code: int) -> Iterator[str]:
    if accepted != messages:
        yield f"accepted by the SMSC: {accepted}, not {messages}"
    if code:
        yield f"the flooder ended with {code}"


def _run_flooder(settings: FloodSettings, port: int) -> tuple[float, int]:
    """Its rate, and its exit code."""
    words = _flooder_words(settings, port)
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    except OSError as error:
        raise RunFailed(f"{words[0]}: {error.strerror}") from error
    line = done.stdout.strip().rpartition(b"\n")[2]
    try:
        told = msgspec.json.decode(line, type=dict[str, object])[settings.field]
        return msgspec.convert(told, float), done.returncode
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as error:
        said = (line + b"\n" + done.stderr[-1000:]).decode(errors="replace").strip()
        raise RunFailed(f"the flooder told no {settings.field!r} ({error}):\n{said}") from None


def _flooder_words(settings: FloodSettings, port: int) -> list[str]:
    if not settings.command:
        flood = Flood(port, settings.messages, settings.window)
        return python("bench.raw", msgspec.json.encode(flood).decode())
    places = {"port": port, "messages": settings.messages, "window": settings.window}
    return [word.format(**places) for word in shlex.split(settings.command)]


def _children_cpu() -> float:
    """CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _find_pace(smsc_share: float) -> str:
    who = "the SMSC set the pace" if smsc_share > BUSY_SHARE else "the flooder set the pace"
    return f"{who}: SMSC {smsc_share:.0%} of a core"
