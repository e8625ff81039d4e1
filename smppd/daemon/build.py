"""From a checked configuration to what runs: pure translations, used at start and at reload alike.

One function a thing, so that a reload builds exactly what a start would have built.
"""

from __future__ import annotations

from collections.abc import Mapping

from smppd.api.peers import find_apps
from smppd.config import CarrierConfig, Config
from smppd.routing.table import RoutingTable
from smppd.smpp.constants import INTERFACE_VERSIONS
from smppd.smpp.rare import Bind
from smppd.smpp.throughput import Throughput
from smppd.smpp.timers import Timers
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods
from smppd.store.rules import LedgerRules
from smppd.text.segment import Form
from smppd.traffic.carrier import Endpoint
from smppd.traffic.roster import CarrierState
from smppd.traffic.tls import build_tls


def build_table(config: Config) -> RoutingTable:
    """The routing table; for 200,000 rows to be called off the loop."""
    routing = config.routing
    return RoutingTable(routing.routes, routing.currency, routing.sheets, routing.fallback)


def build_rules(config: Config, carriers: Mapping[str, CarrierConfig]) -> LedgerRules:
    """What the store goes by; ``carriers`` may hold more than the configured: those that drain."""
    apps = find_apps(config.apps)
    return LedgerRules(
        carriers={name: build_profile(carrier) for name, carrier in carriers.items()},
        currency=config.routing.currency,
        eventless_apps=frozenset(name for name, app in apps.items() if not app.events),
        inbound_apps=tuple(name for name, app in apps.items() if app.inbound),
        backlog_max=config.daemon.backlog_max,
        reserve=config.daemon.reserve,
        periods=RetentionPeriods(
            config.retention.events,
            config.retention.messages,
            config.retention.refs,
            config.retention.unmatched,
        ),
    )


def build_profile(carrier: CarrierConfig) -> CarrierProfile:
    """What the store must know of a carrier."""
    return CarrierProfile(
        message_id=carrier.message_id,
        receipts=carrier.receipts,
        receipt_timeout=carrier.receipt_timeout,
        uncertain=carrier.uncertain,
        form=build_form(carrier),
        has_tlvs=has_tlvs(carrier),
    )


def build_form(carrier: CarrierConfig) -> Form:
    """How the carrier wants user data."""
    return Form(carrier.long_message, carrier.default_alphabet)


def build_forms(config: Config) -> dict[str, Form]:
    """The forms of all configured carriers."""
    return {name: build_form(carrier) for name, carrier in config.carriers.items()}


def has_tlvs(carrier: CarrierConfig) -> bool:
    """SMPP 3.3 knows no optional parameters."""
    return carrier.interface_version != "3.3"


def build_weights(config: Config) -> dict[str, int]:
    """The weight of each class's lane; one-time codes go first whatever stands here."""
    return {name: rules.weight for name, rules in config.classes.items()}


def build_state(carrier: CarrierConfig) -> CarrierState:
    """The carrier as the grant step sees it; no bind of it is up yet."""
    return CarrierState(
        carrier.name,
        binds=carrier.binds,
        window=carrier.window,
        throughput=Throughput(carrier.throughput, keeps=True),
        bind=carrier.bind,
        form=build_form(carrier),
        has_tlvs=has_tlvs(carrier),
        submit_command=carrier.submit_command,
    )


def build_endpoint(carrier: CarrierConfig) -> Endpoint:
    """Where and as whom its binds are made; ``kind`` is the slot's own."""
    return Endpoint(
        host=carrier.host,
        port=carrier.port,
        bind=Bind(
            system_id=carrier.system_id,
            password=carrier.password,
            system_type=carrier.system_type,
            interface_version=INTERFACE_VERSIONS[carrier.interface_version],
            address_range=carrier.address_range,
        ),
        timers=Timers(
            session_init_timer=carrier.session_init_timer,
            enquire_link_timer=carrier.enquire_link_timer,
            response_timer=carrier.response_timer,
            inactivity_timer=carrier.inactivity_timer,
        ),
        reconnect_min=carrier.reconnect_min,
        reconnect_max=carrier.reconnect_max,
        reconnect_refused=carrier.reconnect_refused,
        tls=None if carrier.tls is None else build_tls(carrier.tls, carrier.host),
        outbind=carrier.outbind,
    )
