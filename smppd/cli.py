"""``smppd``: run the daemon, check a configuration, simulate its carriers, see it all work.

Arguments in, exit codes and lines for people out; what a command does is in ``daemon``,
``simulator`` and ``demo``. Exit codes are ``terminal``'s.
"""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TextIO

import msgspec
import structlog
import trio
import typer

from smppd import __version__, daemon, demo, log, terminal
from smppd.api.peers import find_apps
from smppd.config import Config, load
from smppd.errors import ConfigError, StoreError
from smppd.log import plain
from smppd.simulator import Behaviour, Place, SimulatedCarrier, serve
from smppd.terminal import count_of, to_json

app = typer.Typer(
    help="A durable SMPP routing daemon with direct carrier binds.",
    no_args_is_help=True,
    add_completion=False,
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
    loaded = terminal.load_or_fail(config)
    log.configure(log_level)
    logger = structlog.get_logger("smppd.cli")
    try:
        trio.run(partial(daemon.run, loaded))
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

    Each with file, line, key and what to write.
    """
    directory = terminal.find_config(config)
    try:
        loaded = load(directory)
    except ConfigError as error:
        if as_json:
            problems = msgspec.to_builtins(error.problems)
            print(to_json({"ok": False, "problems": problems, "warnings": []}))
            raise typer.Exit(terminal.BAD_CONFIG) from None
        terminal.show_problems(directory, error, sys.stdout)
        raise typer.Exit(terminal.BAD_CONFIG) from None
    warnings = find_warnings(loaded)
    if as_json:
        print(to_json({"ok": True, "problems": [], "warnings": warnings}))
        return
    for warning in warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    counts = (
        count_of(len(loaded.carriers), "carrier"),
        count_of(len(loaded.routing.routes), "route"),
        count_of(len(find_apps(loaded.apps)), "app"),
    )
    print(f"{directory}: {', '.join(counts)}; no problem")


@app.command()
def simulate(
    config: ConfigOption = None,
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
    seed: Annotated[int, typer.Option(help="Of chance: the same seed, the same chances.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with JSON, a carrier a line.")
    ] = False,
) -> None:
    """Simulate every configured carrier, until Ctrl-C.

    Each listens where it is configured to be.
    """
    loaded = terminal.load_or_fail(config)
    given = {
        "response_delay": response_delay,
        "receipt_delay": receipt_delay,
        "refuse_rate": refuse_rate,
        "undelivered_rate": undelivered_rate,
        "lose_receipt_rate": lose_receipt_rate,
    }
    behaviours = read_behaviours(list(loaded.carriers), given, seed)
    places = [
        Place(
            carrier.host,
            carrier.port,
            SimulatedCarrier(name, carrier.system_id, carrier.password, behaviours[name]),
        )
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
    raise typer.Exit(demo.run())


def read_behaviours(
    carriers: list[str], given: dict[str, list[str] | None], seed: int
) -> dict[str, Behaviour]:
    """Each carrier's behaviour from the options' values; typer.BadParameter for a wrong one."""
    fields: dict[str, dict[str, float]] = {name: {} for name in carriers}
    for option, values in given.items():
        hint = "--" + option.replace("_", "-")
        for value in values or ():
            carrier, _, number = value.rpartition("=")
            if carrier and carrier not in fields:
                raise typer.BadParameter(f"there is no carrier {carrier!r}", param_hint=hint)
            try:
                for name in [carrier] if carrier else carriers:
                    fields[name][option] = float(number)
                    Behaviour(**fields[name])  # type: ignore[arg-type]  # all of them floats
            except ValueError as error:
                raise typer.BadParameter(f"{value!r}: {error}", param_hint=hint) from None
    return {
        name: Behaviour(seed=seed, **own)  # type: ignore[arg-type]  # all of them floats
        for name, own in fields.items()
    }


async def serve_until_signal(places: list[Place], notices: TextIO) -> OSError | None:
    """Serves until SIGINT or SIGTERM, and says where; the fault when an address cannot be had."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(serve, places)
            except OSError as error:
                return error
            for host, port, carrier in places:
                print(f"{carrier.name} listens on {host}:{port}", file=notices)
            print("ready; Ctrl-C ends it", file=notices, flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return None


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


def find_warnings(config: Config) -> list[str]:
    """What is allowed and hardly meant."""
    warnings = []
    if not any(app.inbound for app in find_apps(config.apps).values()):
        warnings.append(
            "no app has inbound = true: messages from phones are stored, told to nobody"
        )
    routed = {route.carrier for route in config.routing.routes}
    warnings += [
        f"carrier {name} is bound, but no route names it"
        for name in config.carriers.keys() - routed
    ]
    return warnings
