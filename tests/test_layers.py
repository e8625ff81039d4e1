"""The law of the house: who may import whom, and what pure rooms must not know.

It reads the source with ``ast`` and never imports it, so an import inside a function or under
``TYPE_CHECKING`` counts like any other. Every rule is a table; a module that stands in no table
is itself a breach, so a new room has to be given a floor.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import smppd

PACKAGE = Path(smppd.__file__).parent

# From the roof down; a room may import rooms of the rows below its own.
FLOORS = (
    ("__main__",),
    ("cli", "ctl"),
    ("demo", "repair"),
    ("daemon", "simulator", "client", "terminal"),
    ("metrics",),
    ("api",),
    ("traffic",),
    ("store", "config"),
    ("smpp", "text", "routing", "policy"),
    ("errors", "faults", "log", "systemd", "turns"),
)

# Rooms, and single modules of other rooms, that do no I/O of their own but the store's.
PURE = (
    "smpp",
    "text",
    "routing",
    "policy",
    "config",
    "store",
    "client.lines",
    "client.exchange",
    "api.protocol",
    "api.requests",
    "api.answers",
    "api.fields",
    "api.faults",
    "api.extras",
    "api.placing",
    "api.views",
    "api.controls",
    "api.schema",
    "api.conversation",
    "api.replies",
    "api.intake",
    "traffic.settle",
    "traffic.queue",
    "traffic.places",
    "traffic.holding",
    "traffic.compose",
    "traffic.dressing",
    "traffic.counts",
    "traffic.tap",
    "traffic.breaker",
    "traffic.ending",
)

# What a pure room must not name: the event loop, a clock, chance, the environment, a log.
IMPURE = (
    ("trio", "the event loop"),
    ("anyio", "the event loop"),
    ("asyncio", "the event loop"),
    ("socket", "the network"),
    ("time", "a clock"),
    ("datetime.datetime.now", "a clock"),
    ("datetime.datetime.utcnow", "a clock"),
    ("datetime.datetime.today", "a clock"),
    ("datetime.date.today", "a clock"),
    ("random", "chance"),
    ("secrets", "chance"),
    ("uuid", "chance"),
    ("os.urandom", "chance"),
    ("os.environ", "the environment"),
    ("os.getenv", "the environment"),
    ("logging", "a log"),
    ("structlog", "a log"),
    ("smppd.log", "a log"),
)

# What only these may name: (name, modules, in how many files at most).
CONFINED = (
    ("lmdb", ("store",), 1),
    ("tomllib", ("config",), 1),
    ("msgspec.toml", ("config",), 1),
    ("smpplib", ("smpp.constants", "smpp.rare"), 2),
    ("h11", ("metrics",), 1),
    ("prometheus_client", ("metrics",), 2),
)


class Use(NamedTuple):
    """One dotted name that a module imports or reaches through an import, and its line."""

    name: str
    line: int


def read_modules(package: Path) -> dict[str, ast.Module]:
    """Every module by its dotted name without ``smppd.``; the package itself is ''."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return modules


def is_package(package: Path, name: str) -> bool:
    return (package / name.replace(".", "/")).is_dir()


def uses_of(tree: ast.Module, base: str) -> list[Use]:
    """What a module names of others, as absolute dotted names; ``base`` is its own package.

    ``from os import environ`` and ``import os as o; o.environ`` are both ``os.environ``.
    """
    uses, local_names = [], {}
    for node in ast.walk(tree):
        for bound, name in _bindings(node, base):
            uses.append(Use(name, node.lineno))  # type: ignore[attr-defined]  # an import has one
            local_names[bound] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            first, _, rest = dotted.partition(".")
            if first in local_names:
                uses.append(Use(f"{local_names[first]}.{rest}", node.lineno))
    return uses


def _bindings(node: ast.AST, base: str) -> Iterator[tuple[str, str]]:
    """(local name, absolute dotted name) for each name an import statement binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            # "import a.b" binds a, and names a.b all the same.
            yield alias.asname or alias.name, alias.name
            if not alias.asname:
                first = alias.name.partition(".")[0]
                yield first, first
    elif isinstance(node, ast.ImportFrom):
        above = base.split(".")[: len(base.split(".")) - node.level + 1] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            yield alias.asname or alias.name, f"{source}.{alias.name}"


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` for such an expression, '' for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := _dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def uses_by_module(package: Path) -> dict[str, list[Use]]:
    """What each module of the package names of others, by the module's name."""
    uses = {}
    for name, tree in read_modules(package).items():
        own = name if is_package(package, name) else name.rpartition(".")[0]
        uses[name] = uses_of(tree, f"smppd.{own}".rstrip("."))
    return uses


def floor_of(room: str) -> int:
    """The row of FLOORS a room stands in, or -1."""
    rows = (number for number, floor in enumerate(FLOORS) if room in floor)
    return next(rows, -1)


def is_under(name: str, root: str) -> bool:
    return name == root or name.startswith(root + ".")


def imports_upward(uses: dict[str, list[Use]]) -> list[str]:
    """Imports of a room beside or above the importer's, and rooms that have no floor."""
    rooms = {module.partition(".")[0] for module in uses}
    breaches = [f"{room}: has no floor" for room in sorted(rooms - {""}) if floor_of(room) < 0]
    for module, used in uses.items():
        room = module.partition(".")[0]
        for use in used:
            target = use.name.removeprefix("smppd.").partition(".")[0]
            if not is_under(use.name, "smppd") or target not in rooms or target in (room, ""):
                continue
            if not room or floor_of(target) <= floor_of(room):
                breaches.append(f"{module or '__init__'}:{use.line}: imports {target}")
    return breaches


def impure_names(uses: dict[str, list[Use]]) -> list[str]:
    """Names of the IMPURE table in rooms of the PURE one."""
    return [
        f"{module}:{use.line}: {use.name} is {what}"
        for module, used in uses.items()
        if any(is_under(module, pure) for pure in PURE)
        for use in used
        for name, what in IMPURE
        if is_under(use.name, name)
    ]


def escaped_names(uses: dict[str, list[Use]]) -> list[str]:
    """Names of the CONFINED table outside their modules, or in too many of them."""
    breaches = []
    for name, homes, files_max in CONFINED:
        users = [module for module, used in uses.items() if _names(used, name)]
        breaches += [
            f"{module}: {name} belongs to {', '.join(homes)}"
            for module in users
            if not any(is_under(module, home) for home in homes)
        ]
        if len(users) > files_max:
            breaches.append(f"{name}: in {len(users)} files ({', '.join(users)})")
    return breaches


def _names(used: list[Use], name: str) -> bool:
    return any(is_under(use.name, name) for use in used)


def import_circles(uses: dict[str, list[Use]]) -> list[str]:
    """Modules that import themselves by way of others, inside a room too."""
    below = {module: _modules_named(used, uses) - {module} for module, used in uses.items()}
    circles = []
    for module in uses:
        reached: set[str] = set()
        ahead = set(below[module])
        while ahead:
            reached |= ahead
            ahead = set().union(*(below[name] for name in ahead)) - reached
        if module in reached:
            circles.append(f"{module}: imports itself by way of others")
    return circles


def _modules_named(used: list[Use], modules: dict[str, list[Use]]) -> set[str]:
    """The most exact module each use names: ``smppd.smpp.pdu.SubmitSm`` is ``smpp.pdu``."""
    named = set()
    for use in used:
        name = use.name.removeprefix("smppd.") if is_under(use.name, "smppd") else ""
        while name and name not in modules:
            name = name.rpartition(".")[0]
        named.add(name)
    return named - {""}


def breaches(package: Path) -> list[str]:
    """Everything under ``package`` that breaks the law, one line each."""
    uses = uses_by_module(package)
    return imports_upward(uses) + impure_names(uses) + escaped_names(uses) + import_circles(uses)


def test_house_keeps_the_law() -> None:
    assert breaches(PACKAGE) == []


def test_code_map_names_every_module() -> None:
    words = set(re.findall(r"\w+", smppd.__doc__ or ""))
    names = {module.rpartition(".")[2] for module in read_modules(PACKAGE)} - {"", "__main__"}
    assert names - words == set()


def test_every_pure_and_confined_module_is_named_after_a_floor() -> None:
    homes = [name.partition(".")[0] for name in PURE]
    homes += [home.partition(".")[0] for _, modules, _ in CONFINED for home in modules]
    assert [home for home in homes if floor_of(home) < 0] == []


# Each row: files of a small house, and words of the one breach it must show.
BAD_HOUSES = [
    ({"store/store.py": "from smppd.traffic import commit", "traffic/commit.py": ""}, "traffic"),
    ({"store/store.py": "from ..traffic.commit import x", "traffic/commit.py": ""}, "traffic"),
    ({"smpp/pdu.py": "import smppd.text.gsm7", "text/gsm7.py": ""}, "imports text"),
    ({"smpp/pdu.py": "from smppd import text", "text/gsm7.py": ""}, "imports text"),
    ({"store/a.py": "def f():\n    import smppd.config", "config.py": ""}, "a:2: imports config"),
    ({"__init__.py": "from smppd.errors import x", "errors.py": ""}, "__init__:1: imports errors"),
    ({"ctl.py": "import smppd.cli", "cli.py": ""}, "imports cli"),
    ({"helpers.py": ""}, "helpers: has no floor"),
    ({"smpp/session.py": "import trio"}, "the event loop"),
    ({"api/intake.py": "from trio import sleep"}, "the event loop"),
    ({"traffic/settle.py": "import time"}, "a clock"),
    ({"config.py": "import os as o\nkey = o.environ['KEY']"}, "config:2: os.environ"),
    ({"store/store.py": "from datetime import datetime as d\nx = d.now()"}, "a clock"),
    ({"routing/table.py": "from random import shuffle"}, "chance"),
    ({"text/ucs2.py": "import structlog"}, "a log"),
    ({"policy/caps.py": "from smppd.log import info", "log.py": ""}, "a log"),
    ({"traffic/commit.py": "import lmdb"}, "lmdb belongs to store"),
    ({"store/a.py": "import lmdb", "store/b.py": "import lmdb"}, "lmdb: in 2 files"),
    ({"routing/table.py": "import tomllib"}, "tomllib belongs to config"),
    ({"cli.py": "import msgspec\nx = msgspec.toml.decode"}, "msgspec.toml belongs to config"),
    ({"smpp/session.py": "from smpplib import consts"}, "smpplib belongs to"),
    ({"smpp/a.py": "import smppd.smpp.b", "smpp/b.py": "from .a import x"}, "imports itself"),
]

GOOD_HOUSE = {
    "__init__.py": "__version__ = '1'",
    "cli.py": "import trio\nfrom smppd import __version__, daemon\nfrom smppd.simulator import x",
    "daemon.py": "import os\nimport smppd.api.server\nx = os.environ\ny = smppd.api.server.z",
    "simulator.py": "import time\nfrom smppd.smpp.session import Session",
    "api/__init__.py": "",
    "api/server.py": "import trio\nfrom smppd.api.protocol import x",
    "api/protocol.py": "from datetime import datetime\nx = datetime.fromtimestamp",
    "smpp/session.py": "import math\nfrom .window import Window\nx = math.inf",
    "smpp/window.py": "from smppd.errors import LocalProtocolError",
    "smpp/rare.py": "import smpplib.pdu",
    "errors.py": "import msgspec",
}


def build(house: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = house / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return house


@pytest.mark.parametrize(("files", "words"), BAD_HOUSES)
def test_breach_is_found(files: dict[str, str], words: str, tmp_path: Path) -> None:
    assert words in "\n".join(breaches(build(tmp_path, files)))


def test_good_house_has_no_breach(tmp_path: Path) -> None:
    assert breaches(build(tmp_path, GOOD_HOUSE)) == []
