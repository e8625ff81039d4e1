"""One run's own directory: a daemon's configuration in it, and where its processes meet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

import msgspec

from bench.centre import PASSWORD, SYSTEM_ID, SinkLedger
from bench.ledgers import add_sinks
from bench.processes import RunFailed, free_ports, python
from bench.report import Settings

CARRIERS_MAX: Final = 100
"""Routes are by the two digits after +4917."""

STATE: Final = "state"
"""The store's directory, below the site's."""


class Site:
    """A directory with the configuration of a daemon, and ports on which nobody listens yet.

    ``has_metrics``: the daemon serves its page on ``metrics_port``.
    """

    def __init__(self, directory: Path, settings: Settings, *, has_metrics: bool = False) -> None:
        self.directory = directory
        self.settings = settings
        self.socket = directory / "smppd.sock"
        self.state = directory / STATE
        *self.ports, self.metrics_port = free_ports(settings.carriers + 1)
        self.has_metrics = has_metrics
        self.stamps = directory / "sink.stamps"
        (directory / "carriers").mkdir()
        page = f'metrics = "127.0.0.1:{self.metrics_port}"\n' if has_metrics else ""
        self._write("smppd.toml", f'[daemon]\nsocket = "smppd.sock"\nstate = "{STATE}"\n{page}')
        self._write("routing.toml", _routing(settings.carriers))
        for number, port in enumerate(self.ports):
            self._write(f"carriers/c{number}.toml", _carrier(port, settings))

    def sink_commands(self, *, stamps: bool = False) -> list[list[str]]:
        """What to run as SMSCs: ours serves all carriers, of another kind there is one for each.

        With ``stamps`` ours leaves in ``stamps`` when it read each message.
        """
        if not self.settings.sink:
            return [self._own_sink(stamps=stamps)]
        return [
            [word.format(**self._places(number)) for word in shlex.split(self.settings.sink)]
            for number in range(self.settings.carriers)
        ]

    def read_sinks(self) -> SinkLedger:
        """What the SMSCs, which have ended, left in their reports, all together."""
        return add_sinks([self._read_sink(number) for number in range(len(self.sink_commands()))])

    def _own_sink(self, *, stamps: bool) -> list[str]:
        settings = self.settings
        words = ["--report", str(self._report_path(0)), "--id-format", settings.id_format]
        for port in self.ports:
            words += ["--port", str(port)]
        words += ["--receipt-delay", str(settings.receipt_delay)]
        words += ["--receipt-window", str(settings.receipt_window)]
        words += ["--receipt-loss", str(settings.receipt_loss)]
        return python("bench.sink", *words, *(("--stamps", str(self.stamps)) if stamps else ()))

    def _places(self, number: int) -> dict[str, object]:
        settings = self.settings
        return {
            "port": self.ports[number],
            "report": self._report_path(number),
            "id_format": settings.id_format,
            "receipt_delay": settings.receipt_delay,
            "receipt_window": settings.receipt_window,
        }

    def _report_path(self, number: int) -> Path:
        return self.directory / f"sink{number}.json"

    def _read_sink(self, number: int) -> SinkLedger:
        path = self._report_path(number)
        try:
            return msgspec.json.decode(path.read_bytes(), type=SinkLedger)
        except (OSError, msgspec.DecodeError) as error:
            raise RunFailed(
                f"the SMSC left no report with 'accepted' in {path}: {error}"
            ) from error

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")


def _routing(carriers: int) -> str:
    """The client's numbers spread evenly over the carriers, by two digits."""
    prefixes = range(CARRIERS_MAX if carriers > 1 else 1)
    routes = "".join(
        f'[[route]]\nprefix = "4917{prefix:02d}"\ncarrier = "c{prefix % carriers}"\ncost = "0.01"\n'
        if carriers > 1
        else '[[route]]\nprefix = "49"\ncarrier = "c0"\ncost = "0.01"\n'
        for prefix in prefixes
    )
    return f'currency = "EUR"\n{routes}'


def _carrier(port: int, settings: Settings) -> str:
    return (
        f'host = "127.0.0.1"\nport = {port}\n'
        f'system_id = "{SYSTEM_ID}"\npassword = "{PASSWORD}"\n'
        f"binds = {settings.binds}\nwindow = {settings.window}\n"
        f"throughput = {settings.throughput:g}\n"
        'message_id = "same"\nreconnect_min = 0.1\n'
    )
