"""Random kills by hand: ``python -m tests.crash --kills 300 --seed 1``.

Prints the totals of each round and of all; exit 1 with every disagreement, and the traces of the
messages it is about, where the ledgers do not agree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crash.chaos import run_rounds

KILLS_EACH = 20
"""Of one store, before the next begins with a new one."""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many in all")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--each", type=int, default=KILLS_EACH, help="kills of one store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        try:
            totals = run_rounds(Path(directory), options.seed, options.kills, options.each)
        except AssertionError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"all: {totals}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
