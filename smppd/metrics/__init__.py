"""What is measured, for Prometheus: the table of metrics, and the small HTTP server that shows it.

Nothing is counted here but the loop's own lateness: ``measures`` turns what the daemon knows
anyway into text, when somebody asks. It knows no store and no link, and hangs on nothing: with
nobody asking it costs nothing.
"""

from smppd.metrics.lag import LoopLag, measure_lag
from smppd.metrics.measures import Measures, render
from smppd.metrics.server import Page, listening_on, serve_pages

__all__ = [
    "LoopLag",
    "Measures",
    "Page",
    "listening_on",
    "measure_lag",
    "render",
    "serve_pages",
]
