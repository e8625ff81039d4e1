"""Who is asking, by the kernel's word, and for which apps."""

from __future__ import annotations

import os
import socket

import pytest

from smppd.api.peers import Credentials, PeerTable, Rights, find_apps, read_credentials
from smppd.config import AppConfig

DAEMON = 990
APPS = {
    "shop": AppConfig(uid=(1001,)),
    "bank": AppConfig(uid=(1002, 1003), gid=(500,)),
    "all": AppConfig(gid=(600, 601)),
}


def rights_of(uid: int, *groups: int) -> Rights | None:
    return PeerTable(APPS, DAEMON).rights_of(Credentials(uid, frozenset(groups)))


def test_kernel_says_pid_uid_and_every_group_of_the_peer() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        groups = frozenset((os.getegid(), *os.getgroups()))
        expected = Credentials(os.geteuid(), groups, os.getpid())
        assert read_credentials(ours) == expected


def test_peer_that_has_gone_is_still_known() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.close()
    with ours:
        assert read_credentials(ours).uid == os.geteuid()


class _ManyGroups:
    """A peer in more groups than Python can be told: the kernel's answer is ERANGE."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        if optname == socket.SO_PEERCRED:
            return (7).to_bytes(4, "little") * 3
        raise OSError(34, "Numerical result out of range")


def test_peer_in_too_many_groups_counts_with_its_primary_one() -> None:
    assert read_credentials(_ManyGroups()) == Credentials(7, frozenset((7,)), 7)


@pytest.mark.parametrize("uid", [0, DAEMON])
def test_root_and_the_daemons_uid_may_be_any_app_and_operate(uid: int) -> None:
    assert rights_of(uid, 12345) == Rights(("shop", "bank", "all"), True)


@pytest.mark.parametrize(
    ("uid", "groups", "apps"),
    [
        (1001, (), ("shop",)),
        (1003, (), ("bank",)),
        (7, (500,), ("bank",)),
        (7, (1, 2, 601), ("all",)),
        (1001, (500, 600), ("shop", "bank", "all")),
    ],
)
def test_uid_and_any_group_make_an_app(
    uid: int, groups: tuple[int, ...], apps: tuple[str, ...]
) -> None:
    assert rights_of(uid, *groups) == Rights(apps, False)


def test_anybody_else_may_do_nothing() -> None:
    assert rights_of(7, 7) is None
    assert rights_of(500, 1001) is None


def test_without_apps_there_is_one_for_root_and_the_daemon_which_hears_phones() -> None:
    apps = find_apps({})
    table = PeerTable(apps, DAEMON)
    assert apps == {"default": AppConfig(inbound=True)}
    assert table.rights_of(Credentials(0, frozenset())) == Rights(("default",), True)
    assert table.rights_of(Credentials(7, frozenset((0, DAEMON)))) is None


def test_configured_apps_stay_as_they_are() -> None:
    assert find_apps(APPS) == APPS
