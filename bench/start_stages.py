"""A daemon's start, call by call: where the time from exec to READY goes.

Run by ``bench.restart --stages`` as ``python -m bench.start_stages DIR NANOSECONDS``, the moment of
its exec by CLOCK_MONOTONIC. It makes the calls that ``smppd run`` makes up to the first commit,
binds nothing and listens nowhere, and prints as JSON, by stage, the seconds by the clock and those
of CPU: on a shared core only the latter repeat.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    """One line: an object of seconds by stage."""
    directory, started = Path(sys.argv[1]), int(sys.argv[2])
    stages: dict[str, tuple[float, float]] = {}
    last = started, 0

    def lap(name: str, less: str = "") -> None:
        """Ends a stage; ``less`` names one that was a part of it and stands by itself."""
        nonlocal last
        now = time.monotonic_ns(), time.process_time_ns()
        known = stages.get(less, (0.0, 0.0))
        wall, cpu = ((new - old) / 1e9 for new, old in zip(now, last, strict=True))
        stages[name] = max(wall - known[0], 0.0), max(cpu - known[1], 0.0)
        last = now

    lap("interpreter")
    import smppd.cli
    import smppd.daemon.service  # noqa: F401  # as smppd run does

    lap("imports")
    from smppd.config import load
    from smppd.daemon import build
    from smppd.routing.msisdn import NumberPlan
    from smppd.store.startcheck import check_at_start
    from smppd.store.store import Store
    from smppd.traffic.dispatch import Dispatch, recover

    config = load(directory)
    lap("configuration")
    table = build.build_table(config)
    lap("routing table")
    NumberPlan()
    lap("numbering plans")
    check_at_start(config.daemon.state)
    lap("start check of the store")
    rules = build.build_rules(config, config.carriers)
    store = Store(config.daemon.state, rules, map_size=config.daemon.map_size)
    lap("opening and loading it", less="start check of the store")  # which it makes again
    carriers = {name: build.build_state(one) for name, one in config.carriers.items()}
    recover(store, Dispatch(table, carriers, time.monotonic), time.time_ns() // 1_000_000)
    lap("first commit")
    store.close()

    import msgspec

    print(msgspec.json.encode(stages).decode(), flush=True)


if __name__ == "__main__":
    main()
