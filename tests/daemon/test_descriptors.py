"""How many connections the limit of open files leaves for apps."""

from __future__ import annotations

import pytest

from smppd.api.server import CONNECTIONS_MAX
from smppd.daemon.descriptors import CONNECTIONS_MIN, DESCRIPTORS_OWN, connections_for


@pytest.mark.parametrize(
    ("limit", "binds", "connections"),
    [
        (1 << 20, 1, CONNECTIONS_MAX),
        (CONNECTIONS_MAX, 0, CONNECTIONS_MAX - DESCRIPTORS_OWN),
        (1024, 10, 1024 - DESCRIPTORS_OWN - 30),
        (1024, 500, CONNECTIONS_MIN),
        (0, 1, CONNECTIONS_MIN),
    ],
)
def test_apps_get_what_is_left_after_our_own_and_the_carriers(
    limit: int, binds: int, connections: int
) -> None:
    assert connections_for(limit, binds) == connections
