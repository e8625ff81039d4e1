"""docs/clients.md: each snippet as a program of its own, and each of them says what it should.

In a directory that is a site, as in the docs; a snippet that never ends by itself is stopped once
it has said it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from smppd.client import Submit, SyncClient
from tests.processes import Site, running_site

DOC: Final = Path(__file__).parent.parent / "docs" / "clients.md"
SNIPPETS: Final = re.findall(r"^```(python|js)\n(.*?)^```$", DOC.read_text("utf-8"), re.M | re.S)

SAID: Final = (
    "delivered alpha 0.0100 USD",
    "delivered alpha 0.0100 USD",
    "on disk: ",
    "unread-3 delivered",
    "order-1003 delivered",
)
"""What each snippet says, in their order."""

ENDLESS: Final = (3, 4)
"""Snippets that end only when they are stopped."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def test_every_snippet_has_its_words() -> None:
    assert [language for language, _ in SNIPPETS] == ["python"] * 4 + ["js"]
    assert len(SAID) == len(SNIPPETS)


@pytest.mark.parametrize("number", range(len(SAID)))
def test_snippet_says_what_it_should(site: Site, number: int) -> None:
    language, code = SNIPPETS[number]
    node = shutil.which("node")
    if language == "js" and node is None:
        assert os.environ.get("CI") != "true", "CI runs every snippet"
        pytest.skip("node is not installed")
    with SyncClient(site.socket) as client:  # for the snippet that reads what others left unread
        client.submit(Submit(ref=f"unread-{number}", to="+8613800138000", sender="ACME", text="x"))
    program = site.directory / f"snippet-{number}.{language}"
    program.write_text(code, encoding="utf-8")
    runs = node if language == "js" and node else sys.executable
    child = site.start(str(program), log=f"{program.name}.log", program=runs)
    if number in ENDLESS:
        child.wait_for_output(SAID[number])
        child.kill()
    else:
        assert child.wait() == 0, child.tail()
        assert SAID[number] in child.output()
