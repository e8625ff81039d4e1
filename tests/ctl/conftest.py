"""One daemon for all tests of smppctl: each uses refs and tags of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ctl.house import Desk, running_desk


@pytest.fixture(scope="package")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("ctl")) as found:
        yield found
