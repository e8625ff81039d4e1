"""``smppctl explain-code``, which needs no daemon, and the document made from the same table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from smppd import terminal
from smppd.ctl import tables
from smppd.ctl.codebook import write_codebook
from smppd.ctl.codes import complete_code
from smppd.ctl.show import describe_event
from smppd.smpp.status_table import STATUSES
from smppd.smpp.statuses import DEFAULT_VERDICT
from tests.config.house import CARRIER, add_carrier, write_config
from tests.ctl.house import Said, call

DOCS = Path(__file__).parents[2] / "docs"
NO_CREDIT = '[status."0x45"]\nverdict = "pause"\npause = 600\nmeaning = "no credit left"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """alpha has its own word for 0x45, beta none."""
    write_config(tmp_path, carrier=CARRIER + NO_CREDIT)
    add_carrier(tmp_path, "beta")
    return tmp_path


def explain(config: Path, *arguments: str) -> Said:
    return call("--config", str(config), "explain-code", *arguments)


@pytest.mark.parametrize("code", ["0x58", "88", "ESME_RTHROTTLED", "rthrottled"])
def test_code_is_named_with_cause_remedy_and_verdict(code: str, config: Path) -> None:
    said = explain(config, code)

    assert said.code == terminal.OK
    first, *lines = said.out.splitlines()
    assert first.startswith("ESME_RTHROTTLED  0x00000058  88  Throttling error")
    assert [line.split()[0] for line in lines[:3]] == ["cause", "do", "verdict"]
    assert "slow, by default; passing" in said.out


def test_code_needs_no_configuration_at_all(tmp_path: Path) -> None:
    said = explain(tmp_path / "nowhere", "0x401")

    assert said.code == terminal.OK
    assert said.out.startswith("0x00000401  1025  Carrier's own error code\n")
    assert "Route Mobile means: no credit left" in said.out


def test_code_of_a_carrier_is_told_by_its_own_words(config: Path) -> None:
    said = explain(config, "0x45", "--carrier", "alpha")

    assert "  cause    no credit left\n" in said.out
    assert "  verdict  pause 600 s, at alpha\n" in said.out  # and not permanent: it means another
    assert "verdict of its own" not in said.out
    by_default = explain(config, "0x45", "--carrier", "beta").out
    assert "other_carrier, at beta; permanent" in by_default


def test_operations_says_of_every_status_what_the_table_of_verdicts_says() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    section = text.split("## What an answer of a carrier leads to\n")[1].split("\n## ")[0]
    rows = [re.findall(r"ESME_\w+", row.split("|")[1]) for row in section.splitlines()[2:8]]
    told = {name: number for number, row in enumerate(rows) for name in row}
    others = {one.name: one.verdict for one in STATUSES if one.verdict != DEFAULT_VERDICT}

    assert told.keys() == others.keys()
    assert len({(told[name], verdict) for name, verdict in others.items()}) == 5


def test_code_without_a_carrier_names_those_that_mean_something_else(config: Path) -> None:
    assert "  but      alpha has pause 600 s: no credit left\n" in explain(config, "0x45").out


def test_code_with_json_has_all_of_it(config: Path) -> None:
    found = json.loads(explain(config, "0x45", "--carrier", "alpha", "--json").out)

    assert (found["type"], found["command_status"]) == ("code", "0x00000045")
    assert (found["name"], found["permanent"]) == ("ESME_RSUBMITFAIL", True)
    assert (found["carrier"], found["verdict"], found["pause"]) == ("alpha", "pause", 600)
    assert found["meaning"] == "no credit left"
    assert [one["carrier"] for one in found["carriers"]] == ["alpha"]
    assert [one["carrier"] for one in found["seen"]] == ["Hollatags"]


def test_what_is_no_code_is_exit_2_with_the_nearest(config: Path) -> None:
    said = explain(config, "RTROTTLED")

    assert said.code == terminal.USAGE
    assert "did you mean ESME_RTHROTTLED?" in " ".join(re.sub("[│╭╰]", " ", said.err).split())


def test_names_are_completed_for_the_shell() -> None:
    assert complete_code("esme_rthr") == ["ESME_RTHROTTLED"]
    assert complete_code("0x") == []


def test_unknown_carrier_is_exit_2_with_the_nearest(config: Path) -> None:
    said = explain(config, "0x58", "--carrier", "alhpa")

    assert said.code == terminal.USAGE
    assert "did you mean 'alpha'?" in " ".join(said.err.split())


def test_carrier_whose_verdicts_cannot_be_read_is_exit_78_with_the_problem(config: Path) -> None:
    add_carrier(config, "gamma", CARRIER + '[status."0x58"]\nverdict = "slwo"\n')

    said = explain(config, "0x58", "--carrier", "gamma")

    assert said.code == terminal.BAD_CONFIG
    assert 'did you mean "slow"?' in said.err
    assert explain(config, "0x58").code == terminal.OK, "of the others what can be read counts"


def test_document_is_what_the_table_says() -> None:
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == write_codebook()


def test_every_configuration_in_the_document_is_one(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", write_codebook(), re.DOTALL)
    write_config(tmp_path, carrier=CARRIER + toml)

    said = explain(tmp_path, "0x401", "--carrier", "alpha")

    assert "pause 600 s, at alpha" in said.out


def test_status_of_an_event_is_told_by_its_name() -> None:
    event = {"seq": 1, "event": "failed", "id": "0199f30000000001", "ref": "r", "at": 0}

    assert describe_event(event | {"status": "0x0000000B"}).endswith("status=ESME_RINVDSTADR")
    assert describe_event(event | {"status": "0x00000401"}).endswith("status=0x00000401")


def test_what_a_carrier_answered_is_told_with_its_meaning() -> None:
    found = {
        "name": "alpha",
        "statuses": {"ESME_RTHROTTLED": 2, "0x00000401": 1},
        "meanings": {"ESME_RTHROTTLED": "too fast", "0x00000401": "no credit left"},
    }

    rows = tables._describe_statuses(found)

    assert [row["meaning"] for row in rows] == ["too fast", "no credit left"]
    assert [row["count"] for row in rows] == ["2", "1"]
