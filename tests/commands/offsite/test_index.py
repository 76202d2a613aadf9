"""The index is believed only where a pack's whole list has the hash; each list is read once."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from commands.offsite.errors import IndexUnusable
from commands.offsite.repository.index import Index, Place
from commands.offsite.repository.packs import Pack

CHUNK = 4096
PACKS, CHUNKS = 40, 3


def digest(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


HASHES = [digest(number) for number in range(PACKS * CHUNKS)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[Index]:
    """40 packs of three chunks each, as they are after many copies."""
    with closing(Index(path)) as opened:
        for start in range(0, len(HASHES), CHUNKS):
            opened.add(
                Pack(HASHES[start], 1, ()),
                b"".join(HASHES[start : start + CHUNKS]),
                chunk_bytes=CHUNK,
                source="source",
                recipients="",
            )
        yield opened


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_copy_finds_what_it_added_itself_and_nothing_else(index: Index) -> None:
    found = index.find([*HASHES, digest(-1)], CHUNK)
    assert found == {HASHES[each]: Place(each // CHUNKS + 1, each % CHUNKS) for each in range(120)}


def test_a_list_is_read_once_however_many_packs_a_block_is_in(index: Index, path: Path) -> None:
    index.find(HASHES, CHUNK)
    alter(path, "UPDATE packs SET hashes = X''")
    assert len(index.find(HASHES, CHUNK)) == len(HASHES)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE packs SET hashes = zeroblob(96)",
        "UPDATE packs SET chunk_bytes = 512",
        "UPDATE packs SET hashes = substr(hashes, 1, 64)",
        "DELETE FROM packs",
    ],
)
def test_a_list_that_is_not_whole_is_believed_nowhere(
    index: Index, path: Path, statement: str
) -> None:
    alter(path, statement)
    assert index.find(HASHES, CHUNK) == {}
    assert index.confirmed(HASHES[:1], [Place(1, 0)], CHUNK) == {}


def test_a_supposed_place_is_confirmed_only_where_the_chunk_is(index: Index) -> None:
    supposed = [Place(1, 0), Place(2, 2), None, Place(2, CHUNKS), Place(99, 0)]
    assert index.confirmed(HASHES[:5], supposed, CHUNK) == {HASHES[0]: Place(1, 0)}


def test_a_full_disk_says_what_to_do(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(IndexUnusable, match=r"No space left .* free some space there"):
        index.find(HASHES, CHUNK)
