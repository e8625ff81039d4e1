"""``smppd verify`` and ``smppd salvage`` for people: what a damaged store has lost, and what not.

What they do is in ``store``; here it is told, and becomes an exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NoReturn

from smppd import terminal
from smppd.errors import StoreDamaged, StoreError, StoreRefused
from smppd.log import plain
from smppd.store import salvage as salvaging
from smppd.store import verify as verifying
from smppd.store.inspection import Finding
from smppd.store.salvage import Salvaged
from smppd.store.verify import Verified
from smppd.terminal import count_of, print_table, to_json

LOST_SHOWN: Final = 50
"""Messages named one by one; ``--json`` has them all."""


def verify(state: Path, *, as_json: bool) -> int:
    """Looks at all of a store, and says what is damaged; the exit code."""
    try:
        found = verifying.verify(state)
    except StoreError as error:
        _refuse("the store cannot be looked at", error)
    if as_json:
        print(to_json(_verified_as_json(found)))
    else:
        _show_verified(found)
    return terminal.DAMAGED if found.findings else terminal.OK


def salvage(state: Path, new: Path, now_ms: int, *, as_json: bool) -> int:
    """Takes out what can be read, and says what was lost; the exit code."""
    try:
        saved = salvaging.salvage(state, new, now_ms)
    except StoreError as error:
        _refuse("nothing was salvaged", error)
    if as_json:
        print(to_json(_salvaged_as_json(saved)))
    else:
        _show_salvaged(saved)
    return terminal.FAILED if saved.findings or saved.lost else terminal.OK


def _refuse(what: str, error: StoreError) -> NoReturn:
    code = terminal.STORE_FAILED
    if isinstance(error, StoreDamaged):
        code = terminal.DAMAGED
    if isinstance(error, StoreRefused):
        code = terminal.NOT_PERMITTED if error.is_denied else terminal.BAD_CONFIG
    terminal.fail(code, what, str(error), "")


def _show_verified(found: Verified) -> None:
    rows = [[one.table, str(one.rows), str(one.pages)] for one in found.tables]
    print_table("", ("table", "rows", "pages"), rows)
    _show_findings(found.findings, found.more)
    problems = len(found.findings) + found.more
    checksums = "" if found.has_checksums else " (no checksums: an older smppd made it)"
    said = count_of(problems, "problem") if problems else "no problem"
    print(f"{found.file}: {found.octets} octets{checksums}; {said}", file=sys.stderr)
    if problems:
        print("  do:  smppd salvage --to DIR, or start from a backup", file=sys.stderr)


def _show_findings(findings: list[Finding], more: int) -> None:
    for finding in findings:
        print(plain(f"damaged: {finding}"), file=sys.stderr)
    if more:
        print(f"damaged: {more} more", file=sys.stderr)


def _show_salvaged(saved: Salvaged) -> None:
    rows = [
        [one.table, str(one.saved), str(one.built), str(one.damaged)]
        for one in saved.tables
        if one.saved or one.built or one.damaged
    ]
    print_table("", ("table", "saved", "built anew", "damaged"), rows)
    _show_findings(saved.findings, saved.more)
    for lost in saved.lost[:LOST_SHOWN]:
        name = f" (app {lost.app}, ref {lost.ref})" if lost.ref else ""
        print(plain(f"lost: message {lost.id}{name}"), file=sys.stderr)
    if len(saved.lost) > LOST_SHOWN:
        print(
            f"lost: {len(saved.lost) - LOST_SHOWN} more messages; --json has all", file=sys.stderr
        )
    print(f"{saved.file}: salvaged to {saved.directory}", file=sys.stderr)
    if saved.is_doubtful:
        print(
            "what waits in it may have been sent: its first start tells the apps `uncertain`, and "
            "resends with maybe_duplicate, or not at all, by the policy `uncertain`",
            file=sys.stderr,
        )


def _verified_as_json(found: Verified) -> dict[str, object]:
    return {
        "file": found.file,
        "octets": found.octets,
        "checksums": found.has_checksums,
        "tables": [
            {"table": one.table, "rows": one.rows, "pages": one.pages} for one in found.tables
        ],
        "ok": not found.findings,
        "problems": [_finding_as_json(one) for one in found.findings],
        "more": found.more,
    }


def _salvaged_as_json(saved: Salvaged) -> dict[str, object]:
    return {
        "file": saved.file,
        "directory": saved.directory,
        "tables": [
            {
                "table": one.table,
                "saved": one.saved,
                "built": one.built,
                "damaged": one.damaged,
            }
            for one in saved.tables
        ],
        "problems": [_finding_as_json(one) for one in saved.findings],
        "more": saved.more,
        "lost": [{"id": one.id, "app": one.app, "ref": one.ref} for one in saved.lost],
        "doubtful": saved.is_doubtful,
    }


def _finding_as_json(finding: Finding) -> dict[str, object]:
    """``key`` is in hexadecimal; null where it, or the page, is not known."""
    key = None if finding.key is None else finding.key.hex()
    return {"wrong": finding.wrong, "table": finding.table, "page": finding.page, "key": key}
