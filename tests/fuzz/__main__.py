"""``python -m tests.fuzz TARGET --seconds N``: fuzz one target, or ``all``, led by coverage.

Needs atheris, for which there are wheels of CPython 3.11 on Linux only; each target runs in a
process of its own, starts from its corpus, and writes what it finds new into ``.fuzz/TARGET``
(``--keep`` takes into the corpus what of that reaches a new place). An input that breaks a
promise is left in ``.fuzz`` as ``TARGET-crash-…`` and ends the run with 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRATCH: Final = Path(".fuzz")
INPUT_OCTETS_MAX: Final = 4096
SLOW_SECONDS: Final = 10
"""For one input, before it counts as a hang."""

CORPUS: Final = Path(__file__).parent / "corpus"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="a target's name (tests/fuzz/targets.py), or all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="take what is new into the corpus")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        return fuzz(chosen.target, chosen.seconds)
    names = sorted(path.name for path in CORPUS.iterdir())
    if chosen.target != "all" and chosen.target not in names:
        parser.error(f"no target {chosen.target!r}; there are {', '.join(names)}, and all")
    failed = [
        name
        for name in (names if chosen.target == "all" else [chosen.target])
        if not run_apart(name, chosen.seconds, keep=chosen.keep)
    ]
    if failed:
        print(f"broken: {', '.join(failed)}; the inputs are in {SCRATCH}", file=sys.stderr)
    return bool(failed)


def run_apart(name: str, seconds: int, *, keep: bool) -> bool:
    """One target in its own process; libFuzzer ends the process it runs in."""
    (SCRATCH / name).mkdir(parents=True, exist_ok=True)
    own = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds), "--run"]
    is_well = subprocess.run(own, check=False).returncode == 0
    if keep and is_well:
        from tests.fuzz import keeping

        print(f"{name}: {len(keeping.keep(name, SCRATCH / name))} new files in the corpus")
    return is_well


def fuzz(name: str, seconds: int) -> int:
    """libFuzzer over one target, in this process; it ends it."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed (CPython 3.11 on Linux only)", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["smppd"]):
        from tests.fuzz.targets import TARGETS
    new, kept = str(SCRATCH / name), str(CORPUS / name)
    arguments = [f"-max_len={INPUT_OCTETS_MAX}", f"-timeout={SLOW_SECONDS}"]
    arguments.append(f"-artifact_prefix={SCRATCH}/{name}-")
    arguments += [f"-max_total_time={seconds}", "-print_final_stats=1", new, kept]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
