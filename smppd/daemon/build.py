"""From a checked configuration to what runs: pure translations, used at start and at reload alike.

One function a thing, so that a reload builds exactly what a start would have built.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from zoneinfo import ZoneInfo

from smppd.api.peers import find_apps
from smppd.config import CarrierConfig, Config
from smppd.routing.sender import TON_ALPHANUMERIC, TON_INTERNATIONAL, TON_NETWORK_SPECIFIC
from smppd.routing.table import RoutingTable
from smppd.smpp.constants import INTERFACE_VERSIONS
from smppd.smpp.rare import Bind
from smppd.smpp.statuses import DEFAULT_VERDICT, LASTING_REFUSALS, explain_status
from smppd.smpp.statuses import VERDICTS as NAMED_VERDICTS
from smppd.smpp.throughput import Throughput
from smppd.smpp.timers import Timers
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods
from smppd.store.rules import LedgerRules
from smppd.text.national import LANGUAGES
from smppd.text.segment import Form
from smppd.traffic.breaker import Breaker
from smppd.traffic.carrier import Endpoint
from smppd.traffic.dressing import Dress, Kind
from smppd.traffic.roster import CarrierState
from smppd.traffic.settle import VERDICT_OF, LinkProfile, Pause
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
        inbound=tuple(config.routing.inbound),
        backlog_max=config.daemon.backlog_max,
        reserve=config.daemon.reserve,
        periods=RetentionPeriods(
            config.retention.events,
            config.retention.messages,
            config.retention.refs,
            config.retention.unmatched,
            config.retention.quarantine,
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
        message_id_33=carrier.message_id_33 or "",
        unmarked_receipts=carrier.unmarked_receipts,
        accepted_is_final=carrier.accepted_is_final,
        receipt_covers=carrier.receipt_covers,
        match_receipts=carrier.match_receipts,
        inbound_timeout=round(carrier.inbound_timeout * 1000),
    )


def build_form(carrier: CarrierConfig) -> Form:
    """How the carrier wants user data."""
    languages = tuple(LANGUAGES[name] for name in carrier.national_languages)
    return Form(carrier.long_message, carrier.default_alphabet, languages, carrier.packed)


def build_forms(config: Config) -> dict[str, Form]:
    """The forms of all configured carriers."""
    return {name: build_form(carrier) for name, carrier in config.carriers.items()}


def has_tlvs(carrier: CarrierConfig) -> bool:
    """SMPP 3.3 knows no optional parameters."""
    return carrier.interface_version != "3.3"


def build_weights(config: Config) -> dict[str, int]:
    """The weight of each class's lane; one-time codes go first whatever stands here."""
    return {name: rules.weight for name, rules in config.classes.items()}


def build_link_profile(carrier: CarrierConfig, bind: int) -> LinkProfile:
    """What one of its links goes by; ``is_33`` is found out at the bind."""
    verdicts = {status: one.verdict for status, one in carrier.status.items()}
    named = {
        status: name
        for status, name in (NAMED_VERDICTS | verdicts).items()
        if name != DEFAULT_VERDICT
    }
    lasting = {status for status, name in verdicts.items() if name in ("refuse", "pause")}
    return LinkProfile(
        carrier.name,
        bind,
        None if carrier.timezone is None else ZoneInfo(carrier.timezone),
        form=build_form(carrier),
        verdicts={status: VERDICT_OF[name] for status, name in named.items()},
        rebinds=frozenset(status for status, name in named.items() if name == "rebind"),
        pauses={
            status: Pause(one.pause_seconds, explain_status(status, one.meaning))
            for status, one in carrier.status.items()
            if one.verdict == "pause"
        },
        refusals=LASTING_REFUSALS - verdicts.keys() | lasting,
        meanings=build_meanings(carrier),
    )


def build_meanings(carrier: CarrierConfig) -> dict[int, str]:
    """The carrier's own words for command_statuses."""
    return {status: one.meaning for status, one in carrier.status.items() if one.meaning}


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
        breaker=build_breaker(carrier),
        dress=build_dress(carrier),
    )


def build_dress(carrier: CarrierConfig) -> Dress | None:
    """What it wants in its submits otherwise than most do; None where it is like them."""
    wanted = carrier.addresses
    senders = {
        TON_ALPHANUMERIC: wanted.alphanumeric,
        TON_INTERNATIONAL: wanted.international,
        TON_NETWORK_SPECIFIC: wanted.short_code,
    }
    dress = Dress(
        senders={ton: read_kind(text) for ton, text in senders.items()},
        destination=read_kind(wanted.destination),
        plus=wanted.plus,
        service_type=carrier.service_type,
        protocol_id=carrier.protocol_id,
        priority_flag=carrier.priority_flag,
        validity=carrier.validity,
        timezone=UTC if carrier.timezone is None else ZoneInfo(carrier.timezone),
        tlvs={int(tag, 16): bytes.fromhex(octets) for tag, octets in carrier.tlvs.items()},
    )
    return None if dress == Dress(timezone=dress.timezone) else dress


def read_kind(text: str) -> Kind:
    """A TON and an NPI from ``"5/0"``."""
    ton, _, npi = text.partition("/")
    return Kind(int(ton), int(npi))


def build_breaker(carrier: CarrierConfig) -> Breaker:
    """When it is given nothing new for its errors; closed."""
    rules = carrier.breaker
    return Breaker(rules.share, rules.window, rules.minimum, rules.cool_down)


def set_breaker_rules(breaker: Breaker, carrier: CarrierConfig) -> None:
    """A reload's rules, for the breaker as it stands."""
    rules = carrier.breaker
    breaker.set_rules(rules.share, rules.window, rules.minimum, rules.cool_down)


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
            addr_ton=carrier.addr_ton,
            addr_npi=carrier.addr_npi,
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
        reconnect_unbound=carrier.reconnect_unbound,
        refusals_max=carrier.refusals_max,
    )
