"""Keys of how text is written: national languages, packed septets, smart encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import compare, load
from smppd.daemon.build import build_form
from smppd.text.segment import PLAIN_FORM, Form
from tests.config.house import CARRIER, only_problem, write_config


def write_alpha(directory: Path, lines: str) -> Path:
    return write_config(directory, carrier=CARRIER + lines)


def form_of(directory: Path) -> Form:
    return build_form(load(directory).carriers["alpha"])


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ("", PLAIN_FORM),
        ("packed = true\n", Form(packed=True)),
        ('national_languages = ["hi", "tr", "hi"]\n', Form(languages=(6, 1))),
        ('national_languages = "es"\n', Form(languages=(2,))),
        ("national_languages = []\n", PLAIN_FORM),
    ],
)
def test_keys_become_the_carriers_form(tmp_path: Path, lines: str, form: Form) -> None:
    assert form_of(write_alpha(tmp_path, lines)) == form


@pytest.mark.parametrize("value", ['["tr", "de"]', '"turkish"', "1", '[["tr"]]', "true"])
def test_language_without_shift_tables_is_a_problem(tmp_path: Path, value: str) -> None:
    problem = only_problem(write_alpha(tmp_path, f"national_languages = {value}\n"))
    assert (problem.file, problem.key, problem.line) == (
        "carriers/alpha.toml",
        "national_languages",
        5,
    )
    assert "has no national shift tables" in problem.wrong
    assert problem.remedy.startswith("write some of tr, es, pt,")


@pytest.mark.parametrize("alphabet", ["latin1", "ascii"])
@pytest.mark.parametrize("line", ["packed = true", 'national_languages = ["tr"]'])
def test_what_is_of_gsm7_is_not_for_another_default_alphabet(
    tmp_path: Path, alphabet: str, line: str
) -> None:
    lines = f'default_alphabet = "{alphabet}"\n{line}\n'
    problem = only_problem(write_alpha(tmp_path, lines))
    assert (problem.key, problem.line) == (line.split()[0], 6)
    assert problem.wrong == f'needs default_alphabet "gsm7", and it is "{alphabet}"'


def test_reload_says_how_the_languages_changed(tmp_path: Path) -> None:
    old = load(write_config(tmp_path))
    (tmp_path / "carriers" / "alpha.toml").write_text(CARRIER + 'national_languages = ["tr", "es"]')
    (change,) = compare(old, load(tmp_path))
    assert change.detail == "national_languages none -> tr, es"


def test_smart_encoding_is_an_apps_own_default(tmp_path: Path) -> None:
    lines = "[apps.a]\nuid = 1\nsmart_encoding = true\n[apps.b]\nuid = 2\n"
    apps = load(write_config(tmp_path, lines)).apps
    assert [app.smart_encoding for app in apps.values()] == [True, False]
