"""The parser of a trace: every way in which LMDB and we write, and none unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.trace import (
    DirectoryFlushed,
    Flushed,
    Moment,
    Named,
    Sent,
    Sized,
    TraceError,
    Written,
    read_trace,
)

ROOT = Path("/t/s")
DATA = "/t/s/data.mdb"
OPENED = f'1 openat(AT_FDCWD</>, "{DATA}", O_RDWR|O_CREAT, 0600) = 4<{DATA}>'
OPENED_SYNCED = f'1 openat(AT_FDCWD</>, "{DATA}", O_WRONLY|O_DSYNC|O_CLOEXEC) = 5<{DATA}>'


def hexed(text: str) -> str:
    """Strings as ``strace -xx`` writes them."""
    parts = text.split('"')
    parts[1::2] = ["".join(f"\\x{ord(one):02x}" for one in part) for part in parts[1::2]]
    return '"'.join(parts)


def read(tmp_path: Path, *lines: str) -> list[Moment]:
    trace = tmp_path / "trace"
    trace.write_text("".join(hexed(line) + "\n" for line in lines))
    return read_trace(trace, ROOT)


def test_pages_are_pending_until_their_flush(tmp_path: Path) -> None:
    assert read(
        tmp_path, OPENED, f'1 pwrite64(4<{DATA}>, "ab", 2, 4096) = 2', f"1 fdatasync(4<{DATA}>) = 0"
    ) == [Named(DATA), Written(DATA, 1, 4096, b"ab"), Flushed(DATA)]


def test_vectors_go_where_the_descriptor_stands(tmp_path: Path) -> None:
    vector = '[{iov_base="ab", iov_len=2}, {iov_base="c", iov_len=1}]'
    moments = read(
        tmp_path,
        OPENED,
        f"1 lseek(4<{DATA}>, 8192, SEEK_SET) = 8192",
        f"1 writev(4<{DATA}>, {vector}, 2) = 3",
        f"1 writev(4<{DATA}>, {vector}, 2) = 3",
    )
    assert moments[1:] == [Written(DATA, 1, 8192, b"abc"), Written(DATA, 2, 8195, b"abc")]


def test_write_through_a_synced_descriptor_flushes_itself_alone(tmp_path: Path) -> None:
    moments = read(tmp_path, OPENED, OPENED_SYNCED, f'1 pwrite64(5<{DATA}>, "m", 1, 32) = 1')
    assert moments[1:] == [Written(DATA, 1, 32, b"m"), Flushed(DATA, 1)]


def test_flush_counts_when_it_has_ended_and_a_send_when_it_began(tmp_path: Path) -> None:
    moments = read(
        tmp_path,
        OPENED,
        f"1 fdatasync(4<{DATA}> <unfinished ...>",
        '2 sendto(7<socket:[9]>, "hi", 2, 0, NULL, 0 <unfinished ...>',
        "1 <... fdatasync resumed>) = 0",
        "2 <... sendto resumed>) = 2",
    )
    assert moments[1:] == [Sent("socket:[9]", b"hi"), Flushed(DATA)]


def test_write_to_a_socket_is_a_send(tmp_path: Path) -> None:
    assert read(tmp_path, '1 write(7<socket:[9]>, "hi", 2) = 2') == [Sent("socket:[9]", b"hi")]


def test_what_failed_did_not_happen(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        OPENED,
        f'1 pwrite64(4<{DATA}>, "ab", 2, 0) = -1 ENOSPC (No space left on device)',
        f"1 fdatasync(4<{DATA}>) = -1 EIO (Input/output error)",
    ) == [Named(DATA)]


def test_names_and_lengths_are_followed(tmp_path: Path) -> None:
    new = "/t/s/data.new"
    assert read(
        tmp_path,
        '1 mkdir("/t/s", 0700) = 0',
        f'1 openat(AT_FDCWD</>, "{new}", O_RDWR|O_CREAT, 0600) = 4<{new}>',
        f"1 fallocate(4<{new}>, 0, 4096, 8192) = 0",
        f"1 ftruncate(4<{new}>, 4096) = 0",
        f'1 rename("{new}", "{DATA}") = 0',
        "1 fsync(6</t/s>) = 0",
        "1 fsync(7</t>) = 0",
    ) == [
        Named("/t/s", is_directory=True),
        Named(new),
        Sized(new, 12_288, grows=True),
        Sized(new, 4096, grows=False),
        Named(DATA, source=new),
        DirectoryFlushed("/t/s"),
        DirectoryFlushed("/t"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 4<{DATA}>, 0) = 0x7f00",
        f"1 dup(4<{DATA}>) = 8<{DATA}>",
        f"1 sync_file_range(4<{DATA}>, 0, 0, SYNC_FILE_RANGE_WRITE) = 0",
        f'1 pwrite64(4<{DATA}>, "ab"..., 4096, 0) = 4096',
    ],
)
def test_what_the_parser_does_not_follow_it_refuses(tmp_path: Path, line: str) -> None:
    with pytest.raises(TraceError):
        read(tmp_path, OPENED, line)
