"""Every target by its name, which is its directory in the corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.fuzz import apps, files, ledger, levers, outside, wire

Target = Callable[[bytes], None]

CORPUS: Final = Path(__file__).parent / "corpus"
"""A directory a target, a file an input."""

TARGETS: Final[dict[str, Target]] = {
    "lines": apps.fuzz_lines,
    "client": apps.fuzz_client,
    "framing": wire.fuzz_framing,
    "session": wire.fuzz_session,
    "codecs": wire.fuzz_codecs,
    "deliveries": wire.fuzz_deliveries,
    "texts": wire.fuzz_texts,
    "ledger": ledger.fuzz_ledger,
    "capture": levers.fuzz_capture,
    "quarantine": levers.fuzz_quarantine,
    "config": files.fuzz_config,
    "sheet": files.fuzz_sheet,
    "profile": files.fuzz_profile,
    "http": outside.fuzz_http,
    "environment": outside.fuzz_environment,
    "terminal": outside.fuzz_terminal,
}


def read_corpus(name: str) -> list[tuple[str, bytes]]:
    """The kept inputs of a target with their names, in the order of these."""
    return [(path.name, path.read_bytes()) for path in sorted((CORPUS / name).iterdir())]
