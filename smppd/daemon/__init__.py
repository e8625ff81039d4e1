"""The daemon: everything built from one configuration, and the nursery tree it runs in.

``service`` starts and ends it, ``build`` translates the configuration, ``fleet`` keeps the carriers
up, ``reload`` exchanges the configuration under way, ``control`` serves the operator's verbs with
``explain`` and ``views``; ``sockets`` takes over what systemd passed, ``heartbeat``, ``health`` and
``minute`` tell it and the log how things are.
"""

from smppd.daemon.service import run

__all__ = ["run"]
