"""smppctl on a real terminal: a pseudo-terminal of a given width, and what a person types there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Final

from tests.ctl.house import Desk
from tests.processes import SMPPCTL, START_SECONDS_MAX, environment

WIDTH: Final = 100
"""Columns: what every table is to be readable in."""


def call_on_terminal(
    desk: Desk, *arguments: str, typed: str = "", colour: bool = False
) -> tuple[int, list[str]]:
    """The exit code, and the lines the terminal showed: stdout and stderr as they came."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    own = {**environment(), "COLUMNS": str(WIDTH), "TERM": "xterm"}
    if colour:
        del own["NO_COLOR"]
    with subprocess.Popen(
        [sys.executable, *SMPPCTL, "--config", str(desk.site.directory), *arguments],
        env=own,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = _read_all(ours)
        code = process.wait(timeout=START_SECONDS_MAX)
    os.close(ours)
    return code, shown.decode().replace("\r\n", "\n").splitlines()


def _read_all(descriptor: int) -> bytes:
    """Until the other end is closed, which Linux says with EIO."""
    found = b""
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:
            return found
        if not data:
            return found
        found += data
