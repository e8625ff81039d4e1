"""What the garbage collector looks at, in a process of its own: what is frozen stays so."""

from __future__ import annotations

import json
import subprocess
import sys

from smppd.daemon.garbage import GARBAGE_THRESHOLDS

PROGRAM = """
import gc, json
from smppd.daemon.garbage import GARBAGE_THRESHOLDS, collect_garbage_rarely

there = [["at start"] for _ in range(1_000)]
collect_garbage_rarely()
looked_at = []

def look(phase, info):
    if phase == "start":
        looked_at.append((info["generation"], len(gc.get_objects(generation=0))))

gc.callbacks.append(look)
stays = [[number] for number in range(3 * GARBAGE_THRESHOLDS[0])]
del gc.callbacks[:]
seen = {id(one) for one in gc.get_objects()}
print(json.dumps([gc.get_threshold(), looked_at, sum(id(one) in seen for one in there)]))
"""


def test_youngest_are_looked_at_few_at_a_time_and_what_was_there_at_start_never() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True, timeout=60
    )
    thresholds, looked_at, seen = json.loads(said.stdout)
    assert tuple(thresholds) == GARBAGE_THRESHOLDS
    assert {generation for generation, _ in looked_at} == {0}
    assert max(count for _, count in looked_at) < 1.1 * GARBAGE_THRESHOLDS[0]
    assert seen == 0
