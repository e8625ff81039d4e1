"""Every input that was ever worth keeping, and what was found with some of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.client import ProtocolError
from smppd.client.lines import Lines
from smppd.config.source import Source
from smppd.systemd import passed_sockets, watchdog_seconds
from tests.fuzz.targets import CORPUS, TARGETS, read_corpus

FILE_OCTETS_MAX = 10_000
FILES_MAX = 1000


@pytest.mark.parametrize("target", TARGETS)
def test_every_kept_input_keeps_the_promises(target: str) -> None:
    inputs = read_corpus(target)
    assert inputs, f"the corpus of {target} is empty"
    for name, data in inputs:
        try:
            TARGETS[target](data)
        except BaseException as error:
            error.add_note(f"input: {CORPUS / target / name}")
            raise


def test_corpus_is_small_and_has_a_directory_a_target() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert len(files) <= FILES_MAX
    assert max(path.stat().st_size for path in files) <= FILE_OCTETS_MAX


def test_target_sees_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that could not fail would find nothing."""
    monkeypatch.setattr("smppd.terminal.plain", str)
    with pytest.raises(AssertionError, match="reached the terminal"):
        TARGETS["terminal"]((CORPUS / "terminal" / "word-0").read_bytes())


def test_dotted_words_in_a_list_cost_no_more_than_their_length(tmp_path: Path) -> None:
    """The scan for lines took a second for each further dot, squared."""
    dotted = "a." * 20_000
    (tmp_path / "x.toml").write_text(f'x = [\n"{dotted}"\n]\nlast = 1\n', encoding="utf-8")
    source = Source(tmp_path, "x.toml")
    assert source.line_of(("last",)) == 4


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"port = 0x{'f' * 4000}", "holds an integer of more than 64 bits"),
        (f"a{'.a' * 900} = 1", "is nested deeper than 32 tables and lists"),
    ],
)
def test_what_toml_takes_and_nobody_can_use_is_a_problem(
    tmp_path: Path, text: str, wrong: str
) -> None:
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    source = Source(tmp_path, "x.toml")
    assert [problem.wrong for problem in source.problems] == [wrong]
    assert source.table == {}


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"error","line":"two","code":"busy"}',
        b'{"type":["pong"]}',
        b'{"type":"event","seq":"x"}',
        b"{}",
        b'{"a":' * 3000,
        b'{"\x80"',
    ],
)
def test_line_of_another_program_is_a_protocol_error_to_the_client(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not the protocol"):
        Lines().receive_data(line + b"\n")


def test_number_that_systemd_cannot_have_written_is_none() -> None:
    environ = {"WATCHDOG_USEC": "9" * 5000, "LISTEN_FDS": "9" * 5000, "LISTEN_PID": "7"}
    assert watchdog_seconds(environ, 7) is None
    assert passed_sockets(environ, 7) == {}
