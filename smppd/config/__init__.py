"""The configuration: ``smppd.toml``, ``routing.toml`` and ``carriers/*.toml``, typed and checked.

``load`` is the whole door. It finds every problem in every file and raises them together, so an
operator mends a configuration once. ``model`` holds the keys with their types, bounds and defaults,
``values`` reads the texts TOML has no type for, ``source`` reads TOML and knows lines, ``tables``
turns a table into a struct. ``daemon_file``, ``carrier_file`` and ``routing_file`` (with
``inbound_rules``) read one kind of file each, ``load`` joins them, ``check`` warns, and ``diff``
says what a second ``load`` changed.

Nothing here knows what a session or a store does with a value, and nothing is kept: a reload is
a second ``load``.
"""

from smppd.config.diff import ConfigChange, compare
from smppd.config.load import (
    check,
    load,
    load_carrier_names,
    load_credential_names,
    load_daemon,
    load_routing,
    load_verdicts,
)
from smppd.config.model import (
    AppConfig,
    CarrierConfig,
    ClassConfig,
    Config,
    ConfigWarning,
    DaemonConfig,
    RetentionConfig,
    RouteConfig,
    RoutingConfig,
    TlsConfig,
)
from smppd.config.values import MetricsAddress
from smppd.routing.sheet import RateSheet

__all__ = [
    "AppConfig",
    "CarrierConfig",
    "ClassConfig",
    "Config",
    "ConfigChange",
    "ConfigWarning",
    "DaemonConfig",
    "MetricsAddress",
    "RateSheet",
    "RetentionConfig",
    "RouteConfig",
    "RoutingConfig",
    "TlsConfig",
    "check",
    "compare",
    "load",
    "load_carrier_names",
    "load_credential_names",
    "load_daemon",
    "load_routing",
    "load_verdicts",
]
