"""smppd's commands: what they print and how they end; the daemon and its carriers for real."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smppd import __version__, cli, terminal
from tests.processes import Site, environment

ROOT = Path(__file__).parent.parent


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A configuration with three problems in two files."""
    Site(tmp_path)
    (tmp_path / "smppd.toml").write_text('[daemon]\nsoket = "x"\ndrain_timeout = "long"\n')
    (tmp_path / "routing.toml").write_text('currency = "USD"\n')
    return tmp_path


# -- version and usage ------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_version_is_printed(argument: str) -> None:
    assert invoke(argument) == (terminal.OK, f"smppd {__version__}\n", "")


def test_no_command_shows_the_commands() -> None:
    code, out, shown = invoke()
    assert code == terminal.USAGE
    assert all(name in out + shown for name in ("run", "check", "simulate", "demo", "version"))


def test_unknown_command_is_exit_2() -> None:
    assert invoke("walk")[0] == terminal.USAGE


# -- check ------------------------------------------------------------------------------------


def test_check_of_the_repositorys_configuration_finds_no_problem() -> None:
    code, out, shown = invoke("check", "--config", str(ROOT))
    assert code == terminal.OK, out
    assert out == f"{ROOT}: 2 carriers, 12 routes, 1 app; no problem\n"
    assert shown == ""


def test_check_prints_every_problem_with_file_line_key_and_remedy(broken: Path) -> None:
    code, out, _ = invoke("check", "--config", str(broken))
    assert code == terminal.BAD_CONFIG
    first, second, third, count = out.splitlines()
    assert first.startswith("smppd.toml:2: daemon.soket: ")
    assert "'socket'" in first
    assert second.startswith("smppd.toml:3: daemon.drain_timeout: ")
    assert third.startswith("routing.toml: ")
    assert count.endswith(": 3 problems")


def test_check_with_json_is_one_object(broken: Path) -> None:
    code, out, _ = invoke("check", "--json", "--config", str(broken))
    found = json.loads(out)
    assert code == terminal.BAD_CONFIG
    assert found["ok"] is False
    assert found["problems"][0]["file"] == "smppd.toml"
    assert found["problems"][0]["line"] == 2
    assert set(found["problems"][0]) == {"file", "key", "wrong", "remedy", "line"}


def test_check_with_json_of_a_good_configuration_is_ok(tmp_path: Path) -> None:
    Site(tmp_path)
    code, out, _ = invoke("check", "--json", "--config", str(tmp_path))
    assert (code, json.loads(out)) == (0, {"ok": True, "problems": [], "warnings": []})


def test_check_of_no_configuration_says_what_is_missing(tmp_path: Path) -> None:
    code, out, _ = invoke("check", "--config", str(tmp_path))
    assert code == terminal.BAD_CONFIG
    assert "smppd.toml: cannot be read" in out


def test_check_takes_the_directory_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Site(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert invoke("check")[0] == terminal.OK


def test_check_elsewhere_takes_the_systems_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert terminal.find_config(None) == Path("/etc/smppd")


@pytest.mark.parametrize("command", ["run", "check", "simulate", "systemd-dropin"])
def test_command_without_any_configuration_says_where_it_looked_and_what_to_name(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "SYSTEM_DIRECTORY", tmp_path / "etc")
    assert invoke(command) == (
        terminal.BAD_CONFIG,
        "",
        "there is no configuration\n"
        f"  why: no smppd.toml here and none in {tmp_path}/etc\n"
        "  do:  name the directory with --config\n",
    )


def test_check_with_json_of_no_configuration_is_one_object_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "SYSTEM_DIRECTORY", tmp_path / "etc")
    code, out, _ = invoke("check", "--json")
    assert (code, json.loads(out)["ok"]) == (terminal.BAD_CONFIG, False)


def test_option_before_the_command_is_refused_with_where_it_goes() -> None:
    code, _, shown = invoke("--config", "x", "check")
    assert code == terminal.USAGE
    assert "No such option: --config; it goes after the command: " in shown
    assert shown.endswith(" COMMAND --config DIR\n")


def test_option_that_no_command_has_is_refused_without_advice() -> None:
    code, _, shown = invoke("--sideways", "check")
    assert code == terminal.USAGE
    assert "goes after" not in shown


def test_check_warns_where_no_app_takes_inbound_messages(tmp_path: Path) -> None:
    Site(tmp_path, apps={"shop": {"uid": 1}})
    code, _, shown = invoke("check", "--config", str(tmp_path))
    assert code == terminal.OK
    assert "inbound" in shown


def test_check_warns_of_a_carrier_without_a_route(tmp_path: Path) -> None:
    Site(tmp_path, carriers={"alpha": {}, "spare": {}})
    _, _, shown = invoke("check", "--config", str(tmp_path))
    assert "carrier spare" in shown


def test_check_with_json_shows_each_warning_with_its_place(tmp_path: Path) -> None:
    Site(tmp_path, carriers={"alpha": {"throughput": 100_000}})
    code, out, _ = invoke("check", "--json", "--config", str(tmp_path))
    found = json.loads(out)
    assert (code, found["ok"]) == (terminal.OK, True)
    (warning,) = found["warnings"]
    assert set(warning) == {"file", "key", "line", "text", "remedy"}
    assert (warning["file"], warning["key"]) == ("carriers/alpha.toml", "throughput")


def test_check_counts_the_prices_of_sheets(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.directory / "alpha.csv").write_text("prefix,cost\n49,0.07\n44,0.02\n")
    (site.directory / "routing.toml").write_text(
        'currency = "USD"\n[[route]]\nprefix = ""\ncarrier = "alpha"\n'
        '[[prices]]\ncarrier = "alpha"\nfile = "alpha.csv"\n'
    )
    code, out, shown = invoke("check", "--config", str(tmp_path))
    assert (code, shown) == (terminal.OK, "")
    assert out == f"{tmp_path}: 1 carrier, 1 route, 2 prices, 1 app; no problem\n"


def test_check_shows_a_wrong_price_with_its_line(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.directory / "alpha.csv").write_text("prefix;cost\n49;0,07\n")
    with (site.directory / "routing.toml").open("a") as file:
        file.write('prices = [{carrier = "alpha", file = "alpha.csv"}]\n')
    code, out, _ = invoke("check", "--config", str(tmp_path))
    assert code == terminal.BAD_CONFIG
    assert out.startswith("alpha.csv:2: cost: '0,07' is not a cost; write 0.07, with a point\n")


def test_credentials_are_systemds_and_a_check_goes_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    carrier = site.directory / "carriers" / "alpha.toml"
    carrier.write_text(carrier.read_text().replace("password =", "password_credential ="))
    (tmp_path / "secret").write_text("pa ss\n")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    code, _, shown = invoke("check", "--config", str(tmp_path))
    assert code == terminal.OK
    assert "LoadCredential" in shown
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert terminal.load_or_fail(tmp_path).carriers["alpha"].password == "pa ss"


def test_problems_do_not_act_on_the_terminal(broken: Path) -> None:
    (broken / "routing.toml").write_text('currency = "\\u001b[2J\\u202e"\n')
    _, out, _ = invoke("check", "--config", str(broken))
    assert "\x1b" not in out
    assert "\u202e" not in out


# -- run --------------------------------------------------------------------------------------


def test_run_with_a_broken_configuration_is_exit_78(broken: Path) -> None:
    code, out, shown = invoke("run", "--config", str(broken))
    assert (code, out) == (terminal.BAD_CONFIG, "")
    assert "3 problems" in shown


def test_run_at_an_unknown_level_is_exit_2(tmp_path: Path) -> None:
    assert invoke("run", "--log-level", "loud")[0] == terminal.USAGE


def test_daemon_answers_without_any_carrier_and_ends_with_0_on_sigterm(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        assert daemon.stop() == terminal.OK
        assert not site.socket.exists()


def test_daemon_ends_with_0_on_sigint_too(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait() == terminal.OK


def test_daemon_logs_json_lines_with_stable_names(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        daemon.stop()
        lines = [json.loads(line) for line in daemon.output().splitlines()]
    assert [line["event"] for line in lines if line["level"] == "info"] == [
        "starting",
        "ready",
        "draining",
        "stopped",
    ]


def test_log_level_is_obeyed(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon("--log-level", "error")
        daemon.stop()
        assert daemon.output() == ""


def test_socket_directory_that_is_a_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        (tmp_path / "run").write_text("")
        daemon = site.start("-m", "smppd", "run", "--config", str(tmp_path), log="daemon.log")
        assert daemon.wait() == terminal.FAILED
        assert json.loads(daemon.output().splitlines()[-1])["event"] == "start_failed"


def test_daemon_killed_with_9_starts_again_on_the_same_socket(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.start_daemon().kill()
        assert site.socket.exists()
        assert site.start_daemon().stop() == terminal.OK


# -- simulate ---------------------------------------------------------------------------------


def test_simulator_says_where_each_carrier_listens(tmp_path: Path) -> None:
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}) as site:
        simulator = site.start_simulator()
        for name, port in site.ports.items():
            assert f"{name} listens on 127.0.0.1:{port}\n" in simulator.output()


def test_simulator_ends_with_a_table_of_what_it_saw(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        simulator = site.start_simulator()
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        done = site.smppctl(
            "send", "--to", "+4915123456789", "--from", "A", "--text", "x", "--wait"
        )
        assert done.returncode == terminal.OK, done.stderr
        daemon.stop()
        assert simulator.stop() == terminal.OK
        header, alpha = simulator.output().splitlines()[-2:]
    seen = dict(zip(header.split("\t"), alpha.split("\t"), strict=True))
    assert (seen["carrier"], seen["submit_sm"], seen["receipts"]) == ("alpha", "1", "1")


def test_simulator_with_json_writes_nothing_else_to_stdout(tmp_path: Path) -> None:
    Site(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "smppd", "simulate", "--config", str(tmp_path), "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as simulator:
        assert simulator.stdout is not None
        assert simulator.stderr is not None
        assert "listens on" in simulator.stderr.readline()
        assert "ready" in simulator.stderr.readline()
        simulator.terminate()
        seen = json.loads(simulator.stdout.read())
    assert (simulator.returncode, seen["carrier"]) == (terminal.OK, "alpha")


def test_simulator_on_a_port_in_use_says_so(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.start_simulator()
        second = site.start("-m", "smppd", "simulate", "--config", str(tmp_path), log="second.log")
        assert second.wait() == terminal.FAILED
        assert f"127.0.0.1:{site.ports['alpha']}" in second.output()


def test_simulator_refuses_at_the_rate_of_one_carrier(tmp_path: Path) -> None:
    routes = (
        {"prefix": "", "carrier": "cheap", "cost": "0.01"},
        {"prefix": "", "carrier": "dear", "cost": "0.02"},
    )
    with Site(tmp_path, carriers={"cheap": {}, "dear": {}}, routes=routes) as site:
        site.start_simulator("--refuse-rate", "cheap=1")
        site.wait_bound(site.start_daemon())
        done = site.smppctl(
            "send", "--to", "+4915123456789", "--from", "A", "--text", "x", "--wait", "--json"
        )
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["carrier"]) == ("delivered", "dear")


def test_simulator_follows_a_profile_and_writes_a_ledger(tmp_path: Path) -> None:
    profile, ledger = tmp_path / "profile.toml", tmp_path / "ledger.jsonl"
    profile.write_text('refuse_rate = 1\nrefuse_status = "ESME_RINVDSTADR"\n', encoding="utf-8")
    with Site(tmp_path) as site:
        site.start_simulator("--profile", f"alpha={profile}", "--ledger", str(ledger))
        site.wait_bound(site.start_daemon())
        done = site.smppctl(
            "send", "--to", "+4915123456789", "--from", "A", "--text", "x", "--wait", "--json"
        )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "failed"
    (record,) = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    assert (record["text"], record["command_status"]) == ("x", 0x0B)


def test_simulator_says_what_is_wrong_with_a_profile(tmp_path: Path) -> None:
    Site(tmp_path)
    profile = tmp_path / "profile.toml"
    profile.write_text("refuse_rat = 1\n", encoding="utf-8")
    code, _, shown = invoke("simulate", "--config", str(tmp_path), "--profile", str(profile))
    assert code == terminal.BAD_CONFIG
    assert "profile.toml:1: refuse_rat: unknown key 'refuse_rat'; did you mean" in shown


def test_simulator_wants_a_certificate_for_a_carrier_with_tls(tmp_path: Path) -> None:
    Site(tmp_path, carriers={"alpha": {"tls": {}}})
    code, _, shown = invoke("simulate", "--config", str(tmp_path))
    assert code == terminal.USAGE
    assert "--tls-cert" in shown


def test_simulator_says_how_it_is_met(tmp_path: Path) -> None:
    certificate = Path(__file__).parent / "simulator" / "localhost.pem"
    carriers: dict[str, dict[str, object]] = {"alpha": {"outbind": "127.0.0.1:9"}, "beta": {}}
    with Site(tmp_path, carriers=carriers) as site:
        simulator = site.start_simulator("--tls-cert", f"beta={certificate}")
        assert "alpha calls 127.0.0.1:9\n" in simulator.output()
        assert f"beta listens on 127.0.0.1:{site.ports['beta']} with TLS\n" in simulator.output()


@pytest.mark.parametrize("rate", ["2", "-1", "much", "nobody=0.1", "alpha=x"])
def test_rate_that_is_none_is_exit_2(rate: str, tmp_path: Path) -> None:
    Site(tmp_path)
    code, _, shown = invoke("simulate", "--config", str(tmp_path), f"--refuse-rate={rate}")
    assert code == terminal.USAGE
    assert "refuse-rate" in shown
