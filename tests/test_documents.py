"""The documents as a reader meets them: the worked configuration is one, every link leads on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from smppd.config import load

ROOT: Final = Path(__file__).parent.parent
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def test_worked_configuration_is_one_without_a_warning(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = text.split("\n## One of your own\n")[1].split("\n## ")[0]
    files = re.findall(r"^```toml\n# DIR/([\w/.]+).*?\n(.*?)^```$", section, re.M | re.S)
    files += [("acme.csv", *re.findall(r"^```csv\n(.*?)^```$", section, re.M | re.S))]
    (tmp_path / "carriers").mkdir()
    for name, content in files:
        (tmp_path / name).write_text(content, encoding="utf-8")
    config = load(tmp_path)
    assert [name for name, _ in files] == [
        "smppd.toml",
        "carriers/acme.toml",
        "routing.toml",
        "acme.csv",
    ]
    assert (list(config.apps), list(config.carriers)) == (["shop"], ["acme"])
    assert config.routing.sheets[0].prices == {"49": "0.0690", "4915": "0.0650"}
    assert config.warnings == []


def anchors_of(document: Path) -> set[str]:
    """Of its headings, as the forges make them."""
    text = _FENCED.sub("", document.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    text = _FENCED.sub("", document.read_text(encoding="utf-8"))
    lost = []
    for path, anchor in _LINK.findall(text):
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            lost.append(f"{path}#{anchor}")
    assert lost == []
