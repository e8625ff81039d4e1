"""A configuration is read whole or refused with every problem, each with its place and remedy."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

import pytest

from smppd.config import (
    AppConfig,
    CarrierConfig,
    ClassConfig,
    Config,
    DaemonConfig,
    MetricsAddress,
    RetentionConfig,
    RouteConfig,
    load,
)
from smppd.routing.table import RoutingTable
from tests.config.house import CARRIER, ROUTING, only_problem, problems_of, write_config

REPOSITORY = Path(__file__).parents[1]


def carrier_of(directory: Path, carrier: str) -> CarrierConfig:
    return load(write_config(directory, carrier=CARRIER + carrier)).carriers["alpha"]


def test_the_repository_itself_is_a_configuration() -> None:
    config = load(REPOSITORY)

    assert sorted(config.carriers) == ["alpha", "beta"]
    assert [config.carriers[name].port for name in ("alpha", "beta")] == [2775, 2776]
    assert config.apps == {}


def test_the_repositorys_routes_have_failover_and_a_number_without_route() -> None:
    routing = load(REPOSITORY).routing
    table = RoutingTable(routing.routes, routing.currency)

    china_mobile = table.route_set_for("8613800138000")

    assert china_mobile is not None
    assert [offer.carrier for offer in china_mobile.offers] == ["beta", "alpha"]
    assert table.route_set_for("33612345678") is None


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    config = load(write_config(tmp_path))

    carrier = CarrierConfig(
        name="alpha", host="127.0.0.1", port=2775, system_id="smppd", password="secret"
    )
    assert config == Config(
        directory=tmp_path,
        daemon=DaemonConfig(
            socket=tmp_path / "run/smppd.sock",
            state=tmp_path / "state",
            drain_timeout=30,
            metrics=None,
            map_size=64 * 1024**3,
            reserve=64 * 1024**2,
            backlog_max=10_000_000,
        ),
        retention=RetentionConfig(
            events=14 * 86_400, messages=90 * 86_400, refs=7 * 86_400, unmatched=4 * 86_400
        ),
        classes={
            "otp": ClassConfig(300, "resend"),
            "transactional": ClassConfig(86_400, "resend", weight=4),
            "promotional": ClassConfig(172_800, "stop", weight=1),
        },
        apps={},
        carriers={"alpha": carrier},
        routing=config.routing,
    )
    assert config.routing.currency == "USD"
    assert config.routing.routes == [RouteConfig("49", "alpha", "0.0210")]


def test_a_carriers_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    carrier = carrier_of(tmp_path, "")

    assert (carrier.system_type, carrier.address_range, carrier.interface_version) == (
        "",
        "",
        "3.4",
    )
    assert (carrier.bind, carrier.binds, carrier.window) == ("transceiver", 1, 10)
    assert (carrier.throughput, carrier.default_alphabet) == (0, "gsm7")
    assert (carrier.tls, carrier.outbind, carrier.submit_command) == (None, None, "submit_sm")
    assert (carrier.long_message, carrier.message_id, carrier.receipts) == ("udh8", "auto", "each")
    assert (carrier.receipt_timeout, carrier.timezone, carrier.uncertain) == (262_800, None, None)
    assert (carrier.session_init_timer, carrier.enquire_link_timer) == (10, 30)
    assert (carrier.response_timer, carrier.inactivity_timer) == (30, 0)
    assert (carrier.reconnect_min, carrier.reconnect_max) == (1, 60)
    assert carrier.reconnect_refused == 300


def test_an_apps_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, "[apps.shop]\n"))

    assert config.apps == {
        "shop": AppConfig(
            uid=(),
            gid=(),
            default_sender=None,
            default_region=None,
            throughput=0,
            strict_numbers=True,
            events=True,
            admin=False,
            inbound=False,
        )
    }


def test_routing_has_no_fallback_and_no_sheet_by_default(tmp_path: Path) -> None:
    routing = load(write_config(tmp_path)).routing

    assert (routing.fallback, routing.sheets, routing.routes[0].fallback) == (False, [], False)


def test_durations_sizes_and_paths_are_read(tmp_path: Path) -> None:
    config = load(
        write_config(
            tmp_path,
            '[daemon]\nsocket = "/run/smppd.sock"\nstate = "../lib"\nmap_size = "512 MiB"\n'
            '[retention]\nevents = "90s"\nmessages = "2h"\nrefs = "5m"\nunmatched = "1w"\n',
        )
    )

    assert config.daemon.socket == Path("/run/smppd.sock")
    assert config.daemon.state == tmp_path.parent / "lib"
    assert config.daemon.map_size == 512 * 1024**2
    assert config.retention == RetentionConfig(90, 7_200, 300, 604_800)


def test_users_and_groups_become_numbers(tmp_path: Path) -> None:
    user = pwd.getpwall()[0]
    group = grp.getgrall()[0]
    apps = f'[apps.shop]\nuid = ["{user.pw_name}", 4711]\ngid = "{group.gr_name}"\n'

    config = load(write_config(tmp_path, apps))

    assert config.apps["shop"].uid == (user.pw_uid, 4711)
    assert config.apps["shop"].gid == (group.gr_gid,)


def test_a_class_keeps_the_defaults_it_does_not_change(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, "[classes.otp]\nvalid_for = 60\n"))

    assert config.classes["otp"] == ClassConfig(60, "resend")
    assert config.classes["promotional"] == ClassConfig(172_800, "stop")


def test_password_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "alpha.secret").write_bytes(b"pa ss\n")
    carrier = CARRIER.replace('password = "secret"', 'password_file = "alpha.secret"')

    config = load(write_config(tmp_path, carrier=carrier))

    assert config.carriers["alpha"].password == "pa ss"


def test_password_is_in_no_repr_and_no_problem(tmp_path: Path) -> None:
    config = load(write_config(tmp_path))
    (tmp_path / "carriers/alpha.toml").write_text(
        CARRIER.replace('"secret"', '"secret is not short"')
    )

    problem = only_problem(tmp_path)

    assert "secret" not in repr(config)
    assert "secret" not in str(config.carriers["alpha"])
    assert ("password", "…") in config.carriers["alpha"].__rich_repr__()
    assert problem.key == "password"
    assert problem.wrong == "… is not at most 8 ASCII characters (SMPP 3.4 s5.2.2)"
    assert problem.remedy == 'write for example "secret"'


def test_every_problem_of_every_file_is_reported(tmp_path: Path) -> None:
    directory = write_config(
        tmp_path,
        "[daemon]\nsokcet = 'a'\nbacklog_max = 0\n[apps.shop]\nuid = 'nobody at all'\n",
        ROUTING.replace('"49"', '"+49"').replace('"alpha"', '"alhpa"'),
        "port = 99999\nwindwo = 5\n",
    )
    (directory / "carriers" / "beta.toml").write_text("port = \n")

    found = [(p.file, p.key, p.line) for p in problems_of(directory)]

    assert found == [
        ("smppd.toml", "daemon.sokcet", 2),
        ("smppd.toml", "daemon.backlog_max", 3),
        ("smppd.toml", "apps.shop.uid", 5),
        ("routing.toml", "route[1].prefix", 3),
        ("routing.toml", "route[1].carrier", 4),
        ("carriers/alpha.toml", "password", None),
        ("carriers/alpha.toml", "windwo", 2),
        ("carriers/alpha.toml", "host", None),
        ("carriers/alpha.toml", "port", 1),
        ("carriers/alpha.toml", "system_id", None),
        ("carriers/beta.toml", "", 1),
    ]


def test_unknown_key_is_refused_with_the_nearest_known(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, carrier=CARRIER + "windwo = 5\n"))

    assert str(problem) == (
        "carriers/alpha.toml:5: windwo: unknown key 'windwo'; did you mean 'window'?"
    )


def test_unknown_key_far_from_all_is_refused_with_the_list(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, "zzz = 1\n"))

    assert problem.remedy == "known here: apps, classes, daemon, retention"


def test_wrong_word_is_refused_with_the_nearest_right_one(tmp_path: Path) -> None:
    carrier = CARRIER + 'bind = "transciever"\n'

    problem = only_problem(write_config(tmp_path, carrier=carrier))

    assert problem.remedy == 'did you mean "transceiver"?'


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        ("127.0.0.1:9464", MetricsAddress("127.0.0.1", 9464)),
        ("[::1]:9464", MetricsAddress("::1", 9464)),
        ("unix:/run/metrics.sock", Path("/run/metrics.sock")),
    ],
)
def test_metrics_are_an_address_or_a_socket(
    tmp_path: Path, value: str, metrics: MetricsAddress | Path
) -> None:
    config = load(write_config(tmp_path, f'[daemon]\nmetrics = "{value}"\n'))

    assert config.daemon.metrics == metrics


def test_socket_of_metrics_is_relative_to_the_directory(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, '[daemon]\nmetrics = "unix:run/m.sock"\n'))

    assert config.daemon.metrics == tmp_path / "run" / "m.sock"


def test_reserve_and_weights_are_read(tmp_path: Path) -> None:
    daemon = '[daemon]\nreserve = "1GiB"\n[classes.promotional]\nweight = 9\n'

    config = load(write_config(tmp_path, daemon))

    assert config.daemon.reserve == 2**30
    assert config.classes["promotional"] == ClassConfig(172_800, "stop", 9)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("port = 0", "0 is not a port from 1 to 65535"),
        ("port = 65536", "65536 is not a port from 1 to 65535"),
        ('port = "2775"', '"2775" is not a port from 1 to 65535'),
        ("port = true", "true is not a port from 1 to 65535"),
        ('host = ""', '"" is not a host name or an address'),
        ('host = "a b"', '"a b" is not a host name or an address'),
        ('system_id = ""', '"" is not 1 to 15 ASCII characters (SMPP 3.4 s5.2.1)'),
        ('system_id = "sixteen charact."', "is not 1 to 15 ASCII characters"),
        ('system_id = "schön"', "is not 1 to 15 ASCII characters"),
        ('system_id = "line\\n"', "is not 1 to 15 ASCII characters"),
    ],
)
def test_required_carrier_value_out_of_bounds_is_refused(
    tmp_path: Path, line: str, wrong: str
) -> None:
    key = line.split()[0]
    kept = [old for old in CARRIER.splitlines() if not old.startswith(key)]

    problem = only_problem(write_config(tmp_path, carrier="\n".join([line, *kept])))

    assert problem.key == key
    assert problem.line == 1
    assert wrong in problem.wrong


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('system_type = "thirteen char"', "is not at most 12 ASCII characters"),
        (f'address_range = "{"9" * 41}"', "is not at most 40 ASCII characters"),
        ('interface_version = "6.0"', '"6.0" is not "3.3", "3.4" or "5.0"'),
        ('bind = "both"', '"both" is not "transceiver", "transmitter", "receiver" or "pair"'),
        ('default_alphabet = "utf8"', '"utf8" is not "gsm7", "latin1" or "ascii"'),
        ('long_message = "udh"', '"udh" is not "udh8", "udh16", "sar" or "payload"'),
        ('submit_command = "submit_multi"', '"submit_multi" is not "submit_sm" or "data_sm"'),
        ('outbind = "2775"', "'2775' is not an address to listen on"),
        ('outbind = "0.0.0.0:0"', "'0.0.0.0:0' is not an address to listen on"),
        ("binds = 0", "0 is not a number of sessions from 1 to 64"),
        ("binds = 65", "65 is not a number of sessions"),
        ("window = 0", "0 is not a number of unanswered submit_sm from 1 to 10000"),
        ("window = 10001", "10001 is not a number of unanswered"),
        ("window = 1.5", "1.5 is not a number of unanswered"),
        ("throughput = -1", "-1 is not a number a second from 0"),
        ("throughput = inf", "Infinity is not a number a second"),
        ("throughput = nan", "NaN is not a number a second"),
        ("throughput = true", "true is not a number a second"),
        ('message_id = "hex"', '"hex" is not "same", "hex_to_dec", "dec_to_hex" or "auto"'),
        ('receipts = "all"', '"all" is not "each", "last" or "none"'),
        ("receipt_timeout = 0", "0 is not a whole number of seconds, at most 63 weeks"),
        ('timezone = "Europe/Atlantis"', "'Europe/Atlantis' is not a time zone known here"),
        ('timezone = "../../etc/passwd"', "is not a time zone known here"),
        ('timezone = "Europe"', "'Europe' is not a time zone known here"),
        ('uncertain = "maybe"', '"maybe" is not "resend" or "stop"'),
        ("session_init_timer = 0", "0 is not a number of seconds above 0, at most a day"),
        ("enquire_link_timer = 86401", "86401 is not a number of seconds"),
        ("response_timer = -3", "-3 is not a number of seconds"),
        ("inactivity_timer = -0.5", "-0.5 is not a number of seconds from 0"),
        ('reconnect_refused = "5m"', '"5m" is not a number of seconds'),
        ("reconnect_min = 61", "61 is above reconnect_max, 60"),
        ('name = "beta"', "unknown key 'name'"),
    ],
)
def test_carrier_value_out_of_bounds_is_refused(tmp_path: Path, line: str, wrong: str) -> None:
    problem = only_problem(write_config(tmp_path, carrier=CARRIER + line + "\n"))

    assert problem.key == line.split()[0]
    assert problem.line == 5
    assert wrong in problem.wrong


@pytest.mark.parametrize(
    ("table", "key", "wrong"),
    [
        ("[daemon]\ndrain_timeout = -1", "daemon.drain_timeout", "-1 is not a number of seconds"),
        ('[daemon]\nmap_size = "64GB"', "daemon.map_size", "'64GB' is not a size"),
        ('[daemon]\nmap_size = "1KiB"', "daemon.map_size", "'1KiB' is not a size"),
        ("[daemon]\nmap_size = 64", "daemon.map_size", "64 is not a size"),
        ('[daemon]\nreserve = "0MiB"', "daemon.reserve", "'0MiB' is not a size"),
        ("[daemon]\nmetrics = 9464", "daemon.metrics", "9464 is no place to serve metrics at"),
        ('[daemon]\nmetrics = "localhost"', "daemon.metrics", "'localhost' is no place"),
        ('[daemon]\nmetrics = "h:65536"', "daemon.metrics", "'h:65536' is no place"),
        ('[daemon]\nmetrics = "unix:"', "daemon.metrics", "'' is not a path"),
        (
            '[daemon]\nmetrics = "unix:run/smppd.sock"',
            "daemon.metrics",
            "is the socket of the apps",
        ),
        (f'[daemon]\nmetrics = "unix:/{"s" * 107}"', "daemon.metrics", "path has 108 bytes"),
        ("[classes.otp]\nweight = 2", "classes.otp.weight", "one-time codes have no weight"),
        ("[classes.promotional]\nweight = 0", "classes.promotional.weight", "0 is not a number of"),
        ("[classes.promotional]\nweight = 101", "classes.promotional.weight", "101 is not a"),
        ("[daemon]\nbacklog_max = 0", "daemon.backlog_max", "0 is not a number of messages"),
        ("[daemon]\nstate = 3", "daemon.state", "3 is not a path"),
        (f'[daemon]\nsocket = "/{"s" * 107}"', "daemon.socket", "path has 108 bytes"),
        ('[retention]\nevents = "14 days"', "retention.events", "'14 days' is not a time"),
        ('[retention]\nrefs = "0d"', "retention.refs", "'0d' is not a time"),
        ('[retention]\nrefs = "999999w"', "retention.refs", "'999999w' is not a time"),
        ("[retention]\nrefs = 7", "retention.refs", "7 is not a time"),
        ("[classes.otp]\nvalid_for = 0", "classes.otp.valid_for", "0 is not a whole number"),
        ('[classes.otp]\nuncertain = ""', "classes.otp.uncertain", '"" is not "resend"'),
        ("[classes.opt]\nvalid_for = 60", "classes.opt", "unknown key 'opt'"),
        ("[classes]\notp = 60", "classes.otp", "is not a table"),
        ('[apps.shop]\nuid = "n0b0dy"', "apps.shop.uid", "there is no user 'n0b0dy' on this host"),
        ('[apps.shop]\ngid = ["gr0up"]', "apps.shop.gid", "there is no group 'gr0up'"),
        ("[apps.shop]\nuid = -1", "apps.shop.uid", "-1 is not a user"),
        ("[apps.shop]\nuid = 4294967295", "apps.shop.uid", "4294967295 is not a user"),
        ("[apps.shop]\nuid = [true]", "apps.shop.uid", "True is not a user"),
        ('[apps.shop]\ndefault_sender = "12"', "apps.shop.default_sender", "'12' has 2 digits"),
        ("[apps.shop]\ndefault_sender = 12", "apps.shop.default_sender", "12 is not a text"),
        ('[apps.shop]\ndefault_region = "de"', "apps.shop.default_region", "'de' is not a region"),
        ("[apps.shop]\nadmin = 1", "apps.shop.admin", "1 is not true or false"),
        ('[apps."my shop"]\nadmin = true', "apps.my shop", "'my shop' is not an app's name"),
    ],
)
def test_daemon_value_out_of_bounds_is_refused(
    tmp_path: Path, table: str, key: str, wrong: str
) -> None:
    problem = only_problem(write_config(tmp_path, table + "\n"))

    assert problem.key == key
    assert problem.line == (1 if table.startswith(f"[{key}]") or '"my shop"' in table else 2)
    assert wrong in problem.wrong


def test_table_written_as_a_value_is_refused(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, "daemon = 3\n"))

    assert str(problem) == (
        "smppd.toml:1: daemon: is not a table; write [daemon] on a line of its own"
    )


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('cost = "0.0210"', "cost = 0.0210", "cost", 'write it as a string "0.021"'),
        ('cost = "0.0210"', "cost = 1e-5", "cost", 'write it as a string "0.00001"'),
        ('cost = "0.0210"', "cost = -1", "cost", 'write it as a string "0.0210"'),
        ('cost = "0.0210"', "cost = nan", "cost", 'write it as a string "0.0210"'),
        ('cost = "0.0210"', 'cost = "-1"', "cost", "write a decimal string of 0 or more"),
        ('cost = "0.0210"', 'cost = "1,5"', "cost", 'write "1.5", with a point'),
        ('cost = "0.0210"', 'cost = "0.1234567"', "cost", "at most 6 decimals"),
        ('cost = "0.0210"', "", "cost", 'add it, such as cost = "0.0210"'),
        ('prefix = "49"', "", "prefix", 'add it, such as prefix = "49"'),
        ('prefix = "49"', 'prefix = "+49"', "prefix", 'write "49"'),
        ('prefix = "49"', 'prefix = "0049"', "prefix", 'write "49"'),
        ('prefix = "49"', "prefix = 49", "prefix", 'write it as a string "49"'),
        ('prefix = "49"', 'prefix = "DE"', "prefix", '"" for the default route'),
        ('prefix = "49"', 'prefix = "٤٩"', "prefix", '"" for the default route'),
        ('carrier = "alpha"', "", "carrier", "add the name of a carrier"),
        ('carrier = "alpha"', 'carrier = "alhpa"', "carrier", "did you mean 'alpha'?"),
        ('carrier = "alpha"', 'carrier = "zz"', "carrier", "create carriers/zz.toml"),
    ],
)
def test_wrong_route_is_refused(tmp_path: Path, old: str, new: str, key: str, remedy: str) -> None:
    problem = only_problem(write_config(tmp_path, routing=ROUTING.replace(old, new)))

    assert problem.file == "routing.toml"
    assert problem.key == f"route[1].{key}"
    assert problem.line is not None
    assert remedy in problem.remedy


def test_same_prefix_and_carrier_twice_are_refused(tmp_path: Path) -> None:
    second = '[[route]]\nprefix = "49"\ncarrier = "alpha"\ncost = "0.03"\n'

    problem = only_problem(write_config(tmp_path, routing=ROUTING + second))

    assert problem.key == "route[2]"
    assert problem.line == 6
    assert problem.wrong == "route 1 has prefix '49' and carrier 'alpha' too"


@pytest.mark.parametrize(
    ("routing", "key", "wrong"),
    [
        ('currency = "USD"\n', "", "holds no route"),
        (ROUTING.replace("[[route]]", "[route]"), "route", "is not a list of tables"),
        (ROUTING.replace('currency = "USD"', ""), "currency", "is missing"),
        (ROUTING.replace("USD", "usd"), "currency", '"usd" is not three upper-case letters'),
        ('currency = "USD"\nroute = [3]\n', "route[1]", "is not a table"),
    ],
)
def test_wrong_routing_table_is_refused(tmp_path: Path, routing: str, key: str, wrong: str) -> None:
    problem = only_problem(write_config(tmp_path, routing=routing))

    assert problem.key == key
    assert wrong in problem.wrong


@pytest.mark.parametrize(
    ("password", "key", "wrong"),
    [
        ("", "password", "is missing"),
        ('password = "a"\npassword_file = "b"', "password_file", "stands beside 'password'"),
        ('password_file = "none"', "password_file", "cannot be read: No such file or directory"),
        ("password_file = 3", "password_file", "3 is not a path"),
        ("password = 12345678", "password", "… is not at most 8 ASCII characters"),
        ('password = "geheimß"', "password", "… is not at most 8 ASCII characters"),
    ],
)
def test_wrong_password_is_refused(tmp_path: Path, password: str, key: str, wrong: str) -> None:
    carrier = CARRIER.replace('password = "secret"', password)

    problem = only_problem(write_config(tmp_path, carrier=carrier))

    assert problem.key == key
    assert wrong in problem.wrong


def test_syntax_error_names_its_line(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, "[daemon]\nsocket = run\n"))

    assert (problem.file, problem.line) == ("smppd.toml", 2)
    assert problem.wrong == "is not TOML: Invalid value"


def test_syntax_error_at_the_end_names_the_last_line(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, "[daemon]\nsocket = ["))

    assert problem.line == 2


def test_key_that_stands_twice_is_told_as_such(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, '[daemon]\nsocket = "a"\nsocket = "b"\n'))

    assert (problem.file, problem.line) == ("smppd.toml", 3)
    assert problem.wrong == "the key or table on this line stands above too"


@pytest.mark.parametrize("value", ["1" * 5_000, "[" * 5_000], ids=["digits", "brackets"])
def test_what_tomllib_gives_up_on_is_a_problem_too(tmp_path: Path, value: str) -> None:
    problem = only_problem(write_config(tmp_path, f"[daemon]\nbacklog_max = {value}\n"))

    assert problem.file == "smppd.toml"
    assert problem.wrong.startswith("is not TOML: ")


def test_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    write_config(tmp_path, "\ufeff[daemon]\nbacklog_max = 5\n")

    assert load(tmp_path).daemon.backlog_max == 5


def test_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "smppd.toml").write_bytes(b"[daemon]\n# caf\xe9\n")

    problem = only_problem(tmp_path)

    assert str(problem) == "smppd.toml:2: byte 0xe9 is not UTF-8; save it as UTF-8"


def test_missing_files_are_problems(tmp_path: Path) -> None:
    found = {problem.file: problem.wrong for problem in problems_of(tmp_path)}

    assert found == {
        "smppd.toml": "cannot be read: No such file or directory",
        "routing.toml": "cannot be read: No such file or directory",
        "carriers/": "holds no carrier",
    }


def test_carriers_that_cannot_be_listed_are_told_as_such(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "carriers" / "alpha.toml").unlink()
    (tmp_path / "carriers").rmdir()
    (tmp_path / "carriers").write_text("a file")

    (problem,) = [one for one in problems_of(tmp_path) if one.file == "carriers/"]
    assert problem.wrong == "cannot be read: Not a directory"


def test_carrier_file_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "carriers" / "Beta One.toml").write_text(CARRIER)

    problem = only_problem(tmp_path)

    assert problem.file == "carriers/Beta One.toml"
    assert problem.wrong == "'Beta One' is not a carrier's name"


def test_hidden_and_other_files_beside_the_carriers_are_left_alone(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "carriers" / ".#alpha.toml").write_text("nonsense")
    (tmp_path / "carriers" / "alpha.toml~").write_text("nonsense")

    assert list(load(tmp_path).carriers) == ["alpha"]


def test_route_to_a_carrier_whose_file_is_broken_is_no_second_problem(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, carrier="host ="))

    assert problem.file == "carriers/alpha.toml"


def test_relative_directory_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path)
    monkeypatch.chdir(tmp_path)

    config = load(Path("."))

    assert config.directory == tmp_path
    assert config.daemon.socket == tmp_path / "run" / "smppd.sock"


def test_messages_are_kept_at_least_as_long_as_their_refs(tmp_path: Path) -> None:
    write_config(tmp_path, '[retention]\nmessages = "1d"\n')
    assert only_problem(tmp_path).key == "retention.messages"
