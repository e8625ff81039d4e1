"""``smppd``: run the daemon, check a configuration, simulate its carriers, see it all work.

Arguments in, exit codes and lines for people out; what a command does is in ``daemon``,
``simulator``, ``demo`` and ``repair``. Exit codes are ``terminal``'s.

Each command imports what it runs: a daemon that starts again has no use for a simulator, and a
command that prints a version has none for a daemon.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import msgspec
import typer

from smppd import __version__, faults, log, terminal
from smppd.config import Config, load, load_credential_names
from smppd.errors import ConfigError, StoreDamaged, StoreError, StoreRefused
from smppd.log import plain
from smppd.systemd import DropinCarrier, read_environment, render_dropin
from smppd.terminal import count_of, to_json

if TYPE_CHECKING:
    from smppd.simulator import Place, SimulatedCarrier

app = typer.Typer(
    help="A durable SMPP routing daemon with direct carrier binds.",
    cls=terminal.Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="DIR",
        help="Configuration directory; default: . when it holds smppd.toml, else /etc/smppd.",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="The state directory; default: the configuration's."
    ),
]
OTHERS_WRITE: Final = 0o022
"""Taken from all that a daemon makes, whatever umask it was started with."""

FILE_FOR_ALL_OR_ONE = "[CARRIER=]FILE"
FOR_ALL_OR_ONE = "[CARRIER=]N"
"""How an option of ``simulate`` takes its value: for all carriers, or for one; repeatable."""


class Level(StrEnum):
    """What ``--log-level`` takes."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@app.command()
def version() -> None:
    """Print the version."""
    print(f"smppd {__version__}")


def print_version(wanted: bool) -> None:
    """What ``--version`` does, before anything else is looked at."""
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """A durable SMPP routing daemon with direct carrier binds."""


@app.command()
def run(
    config: ConfigOption = None,
    log_level: Annotated[Level, typer.Option(help="The least level to log.")] = Level.info,
) -> None:
    """Run the daemon in the foreground, until SIGTERM.

    A second SIGTERM ends it at once.
    """
    import trio

    from smppd import daemon

    loaded = terminal.load_or_fail(config)
    os.umask(os.umask(0) | OTHERS_WRITE)
    log.configure(log_level)
    sys.excepthook = log.report_crash
    # The watchdog of systemd ends us with SIGABRT: what did we hang on?
    faulthandler.enable(log.open_for_faults())
    logger = log.get_logger("smppd.cli")
    try:
        armed = faults.arm_from(os.environ)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if armed is not None:
        logger.warning("fault_armed", point=armed)
    try:
        trio.run(partial(daemon.run, loaded, systemd=read_environment(os.environ, os.getpid())))
    except StoreRefused as error:
        logger.error("store_refused", reason=str(error))
        denied = error.is_denied
        raise typer.Exit(terminal.NOT_PERMITTED if denied else terminal.BAD_CONFIG) from None
    except StoreDamaged as error:
        logger.error("store_damaged", reason=str(error))
        raise typer.Exit(terminal.DAMAGED) from None
    except StoreError as error:
        logger.error("store_failed", reason=str(error))
        raise typer.Exit(terminal.STORE_FAILED) from None
    except OSError as error:
        logger.error("start_failed", reason=str(error))
        denied = isinstance(error, PermissionError)
        raise typer.Exit(terminal.NOT_PERMITTED if denied else terminal.FAILED) from None


@app.command()
def check(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the configuration, and show every problem at once.

    Each with file, line, key and what to write. Warnings go to stderr, and leave it valid.
    """
    find = terminal.find_config if as_json else terminal.find_config_or_fail
    directory = find(config)
    try:
        loaded = load(directory, terminal.find_credentials(), is_trial=True, now=time.time())
    except ConfigError as error:
        if as_json:
            problems = msgspec.to_builtins(error.problems)
            print(to_json({"ok": False, "problems": problems, "warnings": []}))
            raise typer.Exit(terminal.BAD_CONFIG) from None
        terminal.show_problems(directory, error, sys.stdout)
        raise typer.Exit(terminal.BAD_CONFIG) from None
    if as_json:
        warnings = msgspec.to_builtins(loaded.warnings)
        print(to_json({"ok": True, "problems": [], "warnings": warnings}))
        return
    for warning in loaded.warnings:
        print(f"warning: {plain(str(warning))}", file=sys.stderr)
    print(f"{directory}: {', '.join(count_parts(loaded))}; no problem")


@app.command()
def verify(
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look at every page and row of a stopped daemon's store, or of a backup.

    Exit 0 where it is sound, 65 where it is damaged.
    """
    from smppd import repair

    raise typer.Exit(repair.verify(find_state(config, state), as_json=as_json))


@app.command()
def salvage(
    to: Annotated[Path, typer.Option(metavar="NEWDIR", help="Where to: not there, or empty.")],
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Take out of a damaged store what can be read, into a new one; the old stays as it is.

    Exit 0 where all of it was there, 1 where something is lost.
    """
    from smppd import repair
    from smppd.daemon.outside import Outside

    now = Outside().read_wall_clock()
    raise typer.Exit(repair.salvage(find_state(config, state), to, now, as_json=as_json))


def find_state(config: Path | None, state: Path | None) -> Path:
    """The state directory: as given, else as configured."""
    return state or terminal.load_or_fail(config).daemon.state


@app.command("systemd-dropin")
def systemd_dropin(
    config: ConfigOption = None,
    credentials: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of root's, a file a credential; default: in --config."),
    ] = None,
) -> None:
    """Print the part of the unit that follows from the carriers: addresses and credentials."""
    directory = terminal.find_config_or_fail(config)
    try:
        loaded = load(directory, terminal.find_credentials(), is_trial=True)
    except ConfigError as error:
        terminal.show_problems(directory, error, sys.stderr)
        raise typer.Exit(terminal.BAD_CONFIG) from None
    names = load_credential_names(directory)
    carriers = [
        DropinCarrier(name, None if carrier.outbind else carrier.host, names.get(name))
        for name, carrier in loaded.carriers.items()
    ]
    place = credentials or loaded.directory / "credentials"
    print(render_dropin(carriers, Path(os.path.abspath(place))), end="")


def count_parts(config: Config) -> list[str]:
    """How much of everything a configuration has; sheets only where there are any."""
    from smppd.api.peers import find_apps

    routing = config.routing
    prices = sum(len(sheet.prices) for sheet in routing.sheets)
    return [
        count_of(len(config.carriers), "carrier"),
        count_of(len(routing.routes), "route"),
        *([count_of(prices, "price")] if prices else []),
        count_of(len(find_apps(config.apps)), "app"),
    ]


@app.command()
def simulate(
    config: ConfigOption = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar=FILE_FOR_ALL_OR_ONE, help="How it behaves (docs/simulator.md)."),
    ] = None,
    response_delay: Annotated[
        list[str] | None,
        typer.Option(metavar=FOR_ALL_OR_ONE, help="Seconds from submit_sm to its response."),
    ] = None,
    receipt_delay: Annotated[
        list[str] | None,
        typer.Option(metavar=FOR_ALL_OR_ONE, help="Seconds from the response to the receipt."),
    ] = None,
    refuse_rate: Annotated[
        list[str] | None,
        typer.Option(metavar=FOR_ALL_OR_ONE, help="Share of submit_sm answered with an error."),
    ] = None,
    undelivered_rate: Annotated[
        list[str] | None,
        typer.Option(metavar=FOR_ALL_OR_ONE, help="Share of receipts that say UNDELIV."),
    ] = None,
    lose_receipt_rate: Annotated[
        list[str] | None,
        typer.Option(metavar=FOR_ALL_OR_ONE, help="Share of receipts that never come."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of chance: the same seed, the same chances.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Every submit, as a line of JSON.")
    ] = None,
    tls_cert: Annotated[
        list[str] | None,
        typer.Option(metavar=FILE_FOR_ALL_OR_ONE, help="Listen with TLS, showing this (PEM)."),
    ] = None,
    tls_key: Annotated[
        list[str] | None,
        typer.Option(metavar=FILE_FOR_ALL_OR_ONE, help="Its key, where --tls-cert has none."),
    ] = None,
    tls_client_ca: Annotated[
        list[str] | None,
        typer.Option(metavar=FILE_FOR_ALL_OR_ONE, help="Clients must show a certificate of this."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with JSON, a carrier a line.")
    ] = False,
) -> None:
    """Simulate every configured carrier, until Ctrl-C.

    Each listens where it is configured to be.
    """
    import trio

    from smppd.simulator.listen import place_of
    from smppd.simulator.settings import BadOption, read_profiles, read_tls

    loaded = terminal.load_or_fail(config)
    numbers = {
        "response_delay": response_delay,
        "receipt_delay": receipt_delay,
        "refuse_rate": refuse_rate,
        "undelivered_rate": undelivered_rate,
        "lose_receipt_rate": lose_receipt_rate,
    }
    tls = {"tls_cert": tls_cert, "tls_key": tls_key, "tls_client_ca": tls_client_ca}
    try:
        profiles = read_profiles(loaded.carriers, profile or [], numbers, seed)
        contexts = read_tls(loaded.carriers, tls)
    except BadOption as error:
        raise typer.BadParameter(str(error), param_hint=error.option) from None
    except ConfigError as error:
        for problem in error.problems:
            print(plain(str(problem)), file=sys.stderr)
        raise typer.Exit(terminal.BAD_CONFIG) from None
    places = [
        place_of(carrier, profiles[name], ledger=ledger or False, tls=contexts.get(name))
        for name, carrier in loaded.carriers.items()
    ]
    fault = trio.run(serve_until_signal, places, sys.stderr if as_json else sys.stdout)
    if fault is not None:
        where = ", ".join(f"{place.host}:{place.port}" for place in places)
        remedy = "end what listens there, or change host and port of the carrier"
        terminal.fail(terminal.FAILED, f"cannot listen on {where}", str(fault), remedy)
    show_statistics([place.carrier for place in places], as_json=as_json)


@app.command("demo")
def run_demo() -> None:
    """See it work: simulator, daemon and an app, in a temporary directory.

    Every outcome is checked.
    """
    from smppd import demo

    raise typer.Exit(demo.run())


async def serve_until_signal(places: list[Place], notices: TextIO) -> OSError | None:
    """Serves until SIGINT or SIGTERM, and says where; the fault when an address cannot be had."""
    import trio

    from smppd.simulator import serve

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(serve, places)
            except OSError as error:
                return error
            for place in places:
                print(describe_place(place), file=notices)
            print("ready; Ctrl-C ends it", file=notices, flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return None


def describe_place(place: Place) -> str:
    """Where a carrier is to be met."""
    if place.outbind:
        return f"{place.carrier.name} calls {place.outbind.host}:{place.outbind.port}"
    how = " with TLS" if place.tls else ""
    return f"{place.carrier.name} listens on {place.host}:{place.port}{how}"


def show_statistics(carriers: list[SimulatedCarrier], *, as_json: bool) -> None:
    """What each carrier saw."""
    seen = {carrier.name: carrier.statistics() for carrier in carriers}
    if as_json:
        for name, counts in seen.items():
            print(to_json({"carrier": name, **msgspec.structs.asdict(counts)}))
        return
    rows = [
        [name, *(str(getattr(counts, field)) for field, _ in STATISTICS)]
        for name, counts in seen.items()
    ]
    terminal.print_table(
        "What the carriers saw", ("carrier", *(shown for _, shown in STATISTICS)), rows
    )


# Of CarrierStatistics: the field, and what it is called in the table.
STATISTICS: Final = (
    ("binds", "binds"),
    ("submits", "submit_sm"),
    ("accepted", "accepted"),
    ("refused", "refused"),
    ("throttled", "throttled"),
    ("receipts_sent", "receipts"),
    ("receipts_acked", "acknowledged"),
    ("receipts_lost", "receipts lost"),
    ("waiting", "waiting"),
)
