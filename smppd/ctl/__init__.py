"""``smppctl``: send, look, follow, and operate a running daemon. A client of its socket.

Arguments in, one conversation with the daemon, tables for people or JSON out. Numbers are masked
unless ``--reveal``; what strangers wrote is made plain before it is shown. It reads nothing of
the daemon's but ``[daemon] socket`` (and, for ``routes diff``, the routes on disk), and needs no
rights but those the daemon gives its user.
"""

# Each registers its commands; --help lists them in this order.
from smppd.ctl import messages, looking, codes, operating, levers, keeping  # noqa: F401, I001
from smppd.ctl.options import app

__all__ = ["app"]
