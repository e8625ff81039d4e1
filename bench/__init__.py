"""How fast, on what, and at what cost: the two questions asked before and after every change.

``python -m bench.throughput`` runs client, daemon and SMSC, each its own process, and measures
from the first message in to the last receipt settled; ``python -m bench.latency`` says how long
each message took, beside a loop that does nothing (``lag``), and ``python -m bench.micro`` times
the hot functions one by one.

Behind the first two stand ``stage`` (the processes of a run) on a ``site`` (their directory):
``load`` (the client), ``sink`` (the SMSC; ``centre`` is what it does on a link), ``submits`` (what
is sent), ``ledgers`` (of client, SMSC and store, and where they differ), ``processes`` (how they
are started, and what the kernel says they cost), ``passes`` (what the daemon says of its own
loop), ``report``, ``distribution`` and ``plot``.

``python -m bench.compare`` is about two: commits that take turns (``driven``, ``rounds``), Kannel
(``kannel``, its client ``box``) or a raw flood (``flood``, ``raw``) beside the daemon.
``python -m bench.targets`` measures the whole table of targets with all of these.

``python -m bench.instructions`` counts what ``bench.micro`` times, and fails what takes a tenth
more than before: ``suite`` is what is counted, by the program ``counted`` under ``callgrind``,
against ``baselines``.

``python -m bench.scale`` says how it grows, with what is stored, what waits, prefixes and binds
(``scale_runs``), and ``python -m bench.restart`` how soon it is back (``start_stages``). Both start
daemons again and again on one ``stand``, whose store ``fill`` makes; ``probe`` is an app that waits
for each answer.

``python -m bench.pauses`` says how long the loop is ever busy while it is disturbed: an app that
submits evenly (``drip``) to a daemon whose every pass is written down (``watched``), on a
``pause_stage`` where all ``disturbers`` have their turn, beside a ``yardstick`` of what a
millisecond of work takes on this machine.

``python -m bench.fairness`` says who gets what under pressure: ``fair_app`` on a ``fair_stage``,
judged by ``fair_report``. ``python -m bench.correlation`` measures the index of random ids alone.

A figure says nothing without its interpreter, its cores and its disk, so they are printed with
it. Shared cores make noise: repeat, and compare what was measured in the same minute.
docs/performance.md is how to read the figures.
"""
