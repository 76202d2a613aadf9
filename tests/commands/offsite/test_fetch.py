"""A fetch writes what lies together in one go, and every byte where it was."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.seal import Opener, Sealer, new_identity, recipient_of
from tests.commands.offsite.repositories import Repository, make_sqlite

CHUNK = 4096


def test_pages_in_any_order_come_back(repository: Repository, tmp_path: Path) -> None:
    """Moved, repeated and new pages, from two copies' packs, and a short end."""
    random = Random(1)
    pages = [random.randbytes(CHUNK) for _ in range(300)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(pages))
    repository.copy(path)
    moved = pages[100:200] + pages[:3] * 2 + random.sample(pages, 90) + [random.randbytes(CHUNK)]
    content = b"".join(moved) + random.randbytes(1000)
    path.write_bytes(content)
    repository.copy(path)
    assert repository.fetched() == content


def test_neighbors_are_written_together(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    make_sqlite(path, 512, rows=2_000)
    pages = repository.copy(path).pages
    written, pwrite = [], os.pwrite

    def counted(descriptor: int, piece: bytes, at: int) -> int:
        written.append(at)
        return pwrite(descriptor, piece, at)

    monkeypatch.setattr(os, "pwrite", counted)
    assert repository.fetched() == path.read_bytes()
    assert pages > 500
    assert len(written) <= pages / 50


def test_a_write_that_takes_a_part_goes_on(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pwrite = tmp_path / "app.db", os.pwrite
    make_sqlite(path, 512, rows=500)
    repository.copy(path)
    monkeypatch.setattr(os, "pwrite", lambda file, piece, at: pwrite(file, piece[:700], at))
    assert repository.fetched() == path.read_bytes()


@pytest.mark.parametrize("at", [-1, -70_000])
def test_an_altered_object_is_damaged(at: int) -> None:
    identity = new_identity()
    sealed = bytearray(Sealer([recipient_of(identity)]).seal(bytes(200_000)))
    assert Opener([identity]).open(bytes(sealed), "it") == bytes(200_000)
    sealed[at] ^= 1
    with pytest.raises(RepositoryDamaged, match="it cannot be decrypted"):
        Opener([identity]).open(bytes(sealed), "it")
