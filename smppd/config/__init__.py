"""The configuration: ``smppd.toml``, ``routing.toml`` and ``carriers/*.toml``, typed and checked.

``load`` is the whole door. It finds every problem in every file and raises them together, so an
operator mends a configuration once. ``model`` holds the keys with their types, bounds and defaults,
``values`` reads the texts TOML has no type for, ``source`` reads TOML and knows lines, ``tables``
turns a table into a struct, ``load`` joins the files and checks them against each other.

Nothing here knows what a session or a store does with a value, and nothing is kept: a reload is
a second ``load``.
"""

from smppd.config.load import load, load_daemon
from smppd.config.model import (
    AppConfig,
    CarrierConfig,
    ClassConfig,
    Config,
    DaemonConfig,
    RetentionConfig,
    RouteConfig,
    RoutingConfig,
)

__all__ = [
    "AppConfig",
    "CarrierConfig",
    "ClassConfig",
    "Config",
    "DaemonConfig",
    "RetentionConfig",
    "RouteConfig",
    "RoutingConfig",
    "load",
    "load_daemon",
]
