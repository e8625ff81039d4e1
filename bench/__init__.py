"""How fast, on what, and at what cost: the two questions asked before and after every change.

``python -m bench.throughput`` runs client, daemon and SMSC, each its own process, and measures
from the first message in to the last receipt settled; ``python -m bench.micro`` times the hot
functions one by one. Behind the first stand ``load`` (the client), ``sink`` (the SMSC),
``processes`` (starting them, and what the kernel says they cost) and ``report``.

A figure says nothing without its interpreter, its cores and its disk, so they are printed with
it. Shared cores make noise: repeat, and compare what was measured in the same minute.
docs/performance.md is how to read the figures.
"""
