"""The whole daemon in a world that one seed makes: see ``docs/simulation.md``.

``world`` is one run; ``clock`` and ``net`` its time and its network, ``outside`` what the daemon
sees of both. ``apps``, ``operators`` and ``carriers`` live in it, ``faults`` happen to them, and
``wire``, ``lines``, ``state`` and ``ending`` are the judges. ``run`` is the command.
"""
