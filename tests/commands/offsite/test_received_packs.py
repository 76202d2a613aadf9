"""A fetch that was cut short goes on: what was received whole is not received again."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.offsite.errors import DestinationUnreachable
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.worker.fetch import fetch_copy
from tests.commands.offsite.repositories import Repository, make_sqlite, nothing
from tests.sample_events import uuid_of


class Counting(FolderStore):
    """A store that counts what is read of packs, and goes away after some of them."""

    def __init__(self, root: Path, answers: int) -> None:
        super().__init__(root)
        self.answers, self.read = answers, list[str]()

    def get(self, path: str) -> bytes:
        if path.startswith("packs/"):
            if not self.answers:
                raise DestinationUnreachable("the line was cut")
            self.answers -= 1
            self.read.append(path)
        return super().get(path)


@pytest.fixture
def copied(repository: Repository, tmp_path: Path) -> Repository:
    """A copy on three packs, each first sent for another database."""
    for day in range(3):
        make_sqlite(tmp_path / f"{day}.db", 512, seed=day)
        repository.copy(tmp_path / f"{day}.db", source=uuid_of(30 + day))
    whole = tmp_path / "whole.db"
    parts = [(tmp_path / f"{day}.db").read_bytes() for day in range(3)]
    whole.write_bytes(b"".join(parts))
    result = repository.copy(whole)
    assert len(result.pack_names) >= 3
    return repository


def fetch(repository: Repository, store: FolderStore, kept: Path) -> bytes:
    path = repository.folder / "fetched"
    path.unlink(missing_ok=True)
    job = repository.fetch_job(repository.newest, path, kept_packs=str(kept))
    fetch_copy(store, job, nothing)
    return path.read_bytes()


def test_only_the_rest_is_received(copied: Repository, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    cut = Counting(copied.store.root, answers=2)
    with pytest.raises(DestinationUnreachable):
        fetch(copied, cut, kept)
    assert not (copied.folder / "fetched").exists()
    again = Counting(copied.store.root, answers=100)
    assert fetch(copied, again, kept) == (tmp_path / "whole.db").read_bytes()
    assert set(cut.read) & set(again.read) == set()
    assert not kept.exists()


def test_what_was_kept_and_is_not_whole_is_received_again(
    copied: Repository, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    with pytest.raises(DestinationUnreachable):
        fetch(copied, Counting(copied.store.root, answers=2), kept)
    for each in kept.iterdir():
        each.write_bytes(each.read_bytes()[:-1])
    again = Counting(copied.store.root, answers=100)
    assert fetch(copied, again, kept) == (tmp_path / "whole.db").read_bytes()


def test_without_room_nothing_is_kept(
    copied: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file itself comes first."""
    used = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("commands.offsite.worker.received_packs.disk_usage", lambda _folder: used)
    kept = tmp_path / "kept"
    with pytest.raises(DestinationUnreachable):
        fetch(copied, Counting(copied.store.root, answers=2), kept)
    assert list(kept.iterdir()) == []
