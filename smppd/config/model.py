"""Every key of the configuration: its type, its bounds and its default, in one place.

A struct is a TOML table and a field is a key, under the same name. ``Meta`` says the rest:
``description`` is what a value must be and ``examples`` one that is right (both are shown to the
operator), ``extra["read"]`` reads a text of its own form. SMPP fields keep the spec's names and
lengths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from smppd.config.submits import AddressesConfig
from smppd.config.values import (
    MetricsAddress,
    read_duration,
    read_groups,
    read_languages,
    read_listen_address,
    read_metrics,
    read_path,
    read_pins,
    read_region,
    read_sender_text,
    read_size,
    read_timezone,
    read_users,
)
from smppd.config.verdicts import StatusConfig
from smppd.routing.inbound import InboundRule
from smppd.routing.sheet import RateSheet
from smppd.routing.table import Route

RouteConfig = Route
"""A ``[[route]]`` is the routing table's own route: nothing to translate."""

CLASS_WEIGHT_MAX: Final = 100
"""Turns a class may have for one of another; above it the other would stand still."""

# 3GPP TS 23.040 s9.2.3.12.1: no SMSC keeps a message longer than 63 weeks.
_VALIDITY_SECONDS_MAX = 63 * 7 * 86_400

# A day: a protocol timer or a pause above it is a slip in the unit.
_TIMER_SECONDS_MAX = 86_400

Uncertain = Annotated[
    Literal["resend", "stop"], Meta(description='"resend" or "stop"', examples=["resend"])
]
Flag = Annotated[bool, Meta(description="true or false", examples=[True])]
Host = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,255}\Z",
        description="a host name or an address",
        examples=["smsc.example.net"],
    ),
]
FilePath = Annotated[Path, Meta(extra={"read": read_path})]
Size = Annotated[int, Meta(extra={"read": read_size})]
Duration = Annotated[int, Meta(extra={"read": read_duration})]
Validity = Annotated[
    int,
    Meta(
        ge=1,
        le=_VALIDITY_SECONDS_MAX,
        description="a whole number of seconds, at most 63 weeks",
        examples=[86_400],
    ),
]
Throughput = Annotated[
    float,
    Meta(
        ge=0,
        le=1_000_000,
        description="a number a second from 0 (no limit) to 1000000",
        examples=[100],
    ),
]
PositiveSeconds = Annotated[
    float,
    Meta(
        gt=0,
        le=_TIMER_SECONDS_MAX,
        description="a number of seconds above 0, at most a day",
        examples=[30],
    ),
]
Seconds = Annotated[
    float,
    Meta(
        ge=0,
        le=_TIMER_SECONDS_MAX,
        description="a number of seconds from 0, at most a day",
        examples=[30],
    ),
]
Octet = Annotated[int, Meta(ge=0, le=255, description="a number from 0 to 255", examples=[0])]


class DaemonConfig(msgspec.Struct, frozen=True):
    """``[daemon]``: paths (absolute after ``load``), sizes in bytes, seconds, messages.

    ``metrics`` is an address, or the path of a Unix socket.
    """

    socket: FilePath = Path("run/smppd.sock")
    state: FilePath = Path("state")
    metrics: Annotated[MetricsAddress | Path | None, Meta(extra={"read": read_metrics})] = None
    drain_timeout: Seconds = 30.0
    map_size: Size = 64 * 2**30
    reserve: Size = 64 * 2**20
    backlog_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000_000,
            description="a number of messages from 1 to 1000000000",
            examples=[10_000_000],
        ),
    ] = 10_000_000


class RetentionConfig(msgspec.Struct, frozen=True):
    """``[retention]``: seconds, written in the file as ``"14d"``."""

    events: Duration = 14 * 86_400
    messages: Duration = 90 * 86_400
    refs: Duration = 7 * 86_400
    unmatched: Duration = 4 * 86_400
    quarantine: Duration = 30 * 86_400


class ClassConfig(msgspec.Struct, frozen=True):
    """``[classes.NAME]``: ``valid_for`` in seconds, what doubt leads to, and ``weight``, the turns
    the class has where several wait (of no use to ``otp``, which always goes first)."""

    valid_for: Validity
    uncertain: Uncertain
    weight: Annotated[
        int,
        Meta(
            ge=1,
            le=CLASS_WEIGHT_MAX,
            description=f"a number of turns from 1 to {CLASS_WEIGHT_MAX}",
            examples=[4],
        ),
    ] = 1


DEFAULT_CLASSES: Final = {
    "otp": ClassConfig(300, "resend"),
    "transactional": ClassConfig(86_400, "resend", 4),
    "promotional": ClassConfig(172_800, "stop", 1),
}
"""The three message classes there are, with their defaults."""


DEFAULT_APP: Final = "default"
"""The one app there is without an ``[apps]`` table (contract)."""


class AppConfig(msgspec.Struct, frozen=True):
    """``[apps.NAME]``: who on this host is the app, and what it may do."""

    uid: Annotated[tuple[int, ...], Meta(extra={"read": read_users})] = ()
    gid: Annotated[tuple[int, ...], Meta(extra={"read": read_groups})] = ()
    default_sender: Annotated[str | None, Meta(extra={"read": read_sender_text})] = None
    default_region: Annotated[str | None, Meta(extra={"read": read_region})] = None
    throughput: Throughput = 0.0
    strict_numbers: Flag = True
    events: Flag = True
    admin: Flag = False
    inbound: Flag = False
    smart_encoding: Flag = False


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[tls]`` of a carrier; paths are absolute after ``load``.

    ``ca`` None is the host's own set of authorities, ``server_name`` None the carrier's ``host``,
    ``key`` None a key in the file ``cert``. ``pin_sha256`` holds lower-case hex digests.
    ``files_digest`` is of the files' contents, so that a reload sees a certificate that was
    exchanged under its name, and ``cert_until`` when our certificate expires (Unix seconds, 0:
    there is none); they are no keys.
    """

    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    server_name: Host | None = None
    pin_sha256: Annotated[tuple[str, ...], Meta(extra={"read": read_pins})] = ()
    minimum: Annotated[
        Literal["1.2", "1.3"], Meta(description='"1.2" or "1.3"', examples=["1.2"])
    ] = "1.2"
    files_digest: str = ""
    cert_until: int = 0


class BreakerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[breaker]`` of a carrier: its new messages go to their next offer for ``cool_down`` seconds
    where of at least ``minimum`` segments in ``window`` seconds this ``share`` failed; 0: never."""

    share: Annotated[
        float, Meta(ge=0, le=1, description="a share from 0 (off) to 1", examples=[0.5])
    ] = 0.5
    window: PositiveSeconds = 60.0
    minimum: Annotated[
        int,
        Meta(
            ge=1, le=1_000_000, description="a number of segments from 1 to 1000000", examples=[20]
        ),
    ] = 20
    cool_down: PositiveSeconds = 30.0


class CarrierConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``carriers/NAME.toml``; the file's name is ``name``.

    ``password`` is the password itself, wherever it was kept, and is in no repr. ``outbind`` is
    the ``host:port`` on which we wait for the carrier to ask for our binds. ``tlvs`` are the octets
    in hex, by tag, as every submit has them.
    """

    name: str
    host: Host
    port: Annotated[
        int, Meta(ge=1, le=65_535, description="a port from 1 to 65535", examples=[2775])
    ]
    # SMPP 3.4 s5.2.1 to s5.2.7 count the closing NUL: 16, 9, 13 and 41 octets at most.
    system_id: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{1,15}\Z",
            description="1 to 15 ASCII characters (SMPP 3.4 s5.2.1)",
            examples=["smppd"],
        ),
    ]
    password: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{0,8}\Z",
            description="at most 8 ASCII characters (SMPP 3.4 s5.2.2)",
            examples=["secret"],
        ),
    ]
    system_type: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{0,12}\Z",
            description="at most 12 ASCII characters (SMPP 3.4 s5.2.3)",
            examples=[""],
        ),
    ] = ""
    address_range: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{0,40}\Z",
            description="at most 40 ASCII characters (SMPP 3.4 s5.2.7)",
            examples=[""],
        ),
    ] = ""
    interface_version: Annotated[
        Literal["3.3", "3.4", "5.0"],
        Meta(description='"3.3", "3.4" or "5.0"', examples=["3.4"]),
    ] = "3.4"
    bind: Annotated[
        Literal["transceiver", "transmitter", "receiver", "pair"],
        Meta(
            description='"transceiver", "transmitter", "receiver" or "pair"',
            examples=["transceiver"],
        ),
    ] = "transceiver"
    binds: Annotated[
        int, Meta(ge=1, le=64, description="a number of sessions from 1 to 64", examples=[1])
    ] = 1
    window: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="a number of unanswered submit_sm from 1 to 10000",
            examples=[10],
        ),
    ] = 10
    throughput: Throughput = 0.0
    tls: TlsConfig | None = None
    outbind: Annotated[str | None, Meta(extra={"read": read_listen_address})] = None
    submit_command: Annotated[
        Literal["submit_sm", "data_sm"],
        Meta(description='"submit_sm" or "data_sm"', examples=["submit_sm"]),
    ] = "submit_sm"
    default_alphabet: Annotated[
        Literal["gsm7", "latin1", "ascii"],
        Meta(description='"gsm7", "latin1" or "ascii"', examples=["gsm7"]),
    ] = "gsm7"
    long_message: Annotated[
        Literal["udh8", "udh16", "sar", "payload"],
        Meta(description='"udh8", "udh16", "sar" or "payload"', examples=["udh8"]),
    ] = "udh8"
    message_id: Annotated[
        Literal["same", "hex_to_dec", "dec_to_hex", "auto"],
        Meta(description='"same", "hex_to_dec", "dec_to_hex" or "auto"', examples=["auto"]),
    ] = "auto"
    receipts: Annotated[
        Literal["each", "last", "none"],
        Meta(description='"each", "last" or "none"', examples=["each"]),
    ] = "each"
    receipt_timeout: Validity = 262_800
    inbound_timeout: PositiveSeconds = 600.0
    timezone: Annotated[str | None, Meta(extra={"read": read_timezone})] = None
    uncertain: Uncertain | None = None
    session_init_timer: PositiveSeconds = 10.0
    enquire_link_timer: PositiveSeconds = 30.0
    response_timer: PositiveSeconds = 30.0
    inactivity_timer: Seconds = 0.0
    reconnect_min: PositiveSeconds = 1.0
    reconnect_max: PositiveSeconds = 60.0
    reconnect_refused: PositiveSeconds = 300.0
    reconnect_unbound: Seconds = 0.0
    refusals_max: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="a number of refused binds from 0 (no end) to 10000",
            examples=[10],
        ),
    ] = 10
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    addresses: AddressesConfig = AddressesConfig()
    # SMPP 3.4 s5.2.11 counts the closing NUL: 6 octets at most.
    service_type: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{0,5}\Z",
            description="at most 5 ASCII characters (SMPP 3.4 s5.2.11)",
            examples=[""],
        ),
    ] = ""
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    validity: Annotated[
        Literal["relative", "absolute", "none"],
        Meta(description='"relative", "absolute" or "none"', examples=["relative"]),
    ] = "relative"
    tlvs: dict[str, str] = {}

    unmarked_receipts: Flag = False
    accepted_is_final: Flag = False
    receipt_covers: Annotated[
        Literal["segment", "message"],
        Meta(description='"segment" or "message"', examples=["segment"]),
    ] = "segment"
    match_receipts: Annotated[
        Literal["id", "address"], Meta(description='"id" or "address"', examples=["id"])
    ] = "id"
    message_id_33: Annotated[
        Literal["same", "hex_to_dec", "dec_to_hex", "auto"] | None,
        Meta(description='"same", "hex_to_dec", "dec_to_hex" or "auto"', examples=["auto"]),
    ] = None

    status: dict[int, StatusConfig] = {}
    breaker: BreakerConfig = BreakerConfig()
    national_languages: Annotated[tuple[str, ...], Meta(extra={"read": read_languages})] = ()
    packed: Flag = False

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"CarrierConfig({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The fields as rich prints them: all but the password."""
        return [
            (name, "…" if name == "password" else getattr(self, name))
            for name in self.__struct_fields__
        ]


class RoutingConfig(msgspec.Struct, frozen=True):
    """``routing.toml``: routes and sheets in the order of the file.

    ``fallback``: the offers of shorter prefixes are failover, for all prefixes. ``inbound`` says
    whose messages from phones are.
    """

    currency: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}\Z",
            description="three upper-case letters (ISO 4217)",
            examples=["USD"],
        ),
    ]
    routes: list[RouteConfig]
    fallback: Flag = False
    sheets: list[RateSheet] = []
    inbound: list[InboundRule] = []


class ConfigWarning(msgspec.Struct, frozen=True):
    """One thing to look at: where, what, and what to do. The places are those of a Problem."""

    file: str
    key: str
    line: int | None
    text: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f": {self.key}" if self.key else ""
        return f"{where}{key}: {self.text}; {self.remedy}"


class Config(msgspec.Struct, frozen=True):
    """The whole configuration, checked; ``apps`` is empty where there is no ``[apps]`` table.

    ``warnings`` say what is allowed in it and hardly meant.
    """

    directory: Path
    daemon: DaemonConfig
    retention: RetentionConfig
    classes: dict[str, ClassConfig]
    apps: dict[str, AppConfig]
    carriers: dict[str, CarrierConfig]
    routing: RoutingConfig
    warnings: list[ConfigWarning] = []
