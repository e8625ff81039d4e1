"""docs/smppctl.md, command by command: each is run, in its order, and ends as it is said to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from smppd.ctl.options import app
from tests.ctl.house import Desk, call, running_desk
from tests.processes import STOP_SECONDS_MAX

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "smppctl.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")

_COMMAND = re.compile(r"^\$ smppctl (.*?)(?: +# exit ([0-9]+))?$", re.MULTILINE)


def commands() -> list[tuple[list[str], int]]:
    """Every command's arguments, and the exit code it is to have."""
    return [(shlex.split(words), int(code or 0)) for words, code in _COMMAND.findall(TEXT)]


def run(desk: Desk, arguments: list[str], ids: dict[str, str]) -> int:
    """The exit code of a command; one that follows is ended once it has shown something."""
    if arguments[0] == "tail":
        follower = desk.site.start_smppctl(*arguments, log="tail.log")
        follower.wait_for_output("delivered")
        follower.kill()
        return 0
    return call(*(ids.get(word, word) for word in arguments)).code


def test_every_command_does_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where smppd.toml is, so that no command needs --config
    with running_desk(tmp_path) as desk:
        routing = (tmp_path / "routing.toml").read_text()
        (tmp_path / "new.toml").write_text(routing.replace("0.0200", "0.0090"))
        (rubbish,) = desk.call_json("quarantine", "list", "--carrier", "alpha")["records"]
        ids = {"ID": desk.send_into_doubt("o-990"), "SENT": desk.send("o-991")}
        ids["QUARANTINED"] = rubbish["id"]
        written = commands()
        ends = [run(desk, arguments, ids) for arguments, _ in written]
        assert dict(zip(map(repr, written), ends, strict=True)) == {
            repr(one): one[1] for one in written
        }
        assert desk.daemon.wait(STOP_SECONDS_MAX) == 0


def test_every_verb_is_in_the_table_and_has_an_example() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands
             if command.callback is not None}  # fmt: skip
    verbs |= {group.name for group in app.registered_groups if group.name is not None}
    examples = {arguments[0] for arguments, _ in commands()}
    assert verbs - examples == set()
    assert [verb for verb in verbs if f"`{verb}`" not in TEXT] == []
