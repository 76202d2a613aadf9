"""Packs that new copies do not lean on: hardly used ones, and ones that a lock frees too early."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.offsite.repository.packs import Frame, Pack
from commands.offsite.worker.pages_used import pages_used
from commands.offsite.worker.send import BackupChangedError
from tests.commands.offsite.repositories import Repository
from tests.sample_events import uuid_of

PAGE = 4096
DAY = 86_400


def write(path: Path, *pages: bytes) -> Path:
    """A file without a SQLite header: so many chunks of 4 KiB."""
    path.write_bytes(b"".join(page.ljust(PAGE, b".") for page in pages))
    return path


def numbered(first: int, last: int, day: int = 0) -> list[bytes]:
    return [f"page {number} of day {day}".encode() for number in range(first, last)]


def test_pages_are_counted_once_whoever_names_them() -> None:
    packs = [Pack(b"a" * 32, 1, (Frame(0, 1, 1),) * 2), Pack(b"b" * 32, 1, (Frame(0, 1, 1),))]
    rows = [(0, 0, 1), (0, 0, 1), (0, 1, 0), (1, 0, 63)]
    assert pages_used(packs, rows, 64) == [2, 1]


def test_a_pack_of_which_less_than_half_is_used_is_left(
    repository: Repository, tmp_path: Path
) -> None:
    """What is still needed of it is sent once more, and then it can go with its last copy.

    The copy that leaves it sends that, so that an unchanged file sends nothing.
    """
    path = tmp_path / "file"
    first = repository.copy(write(path, *numbered(0, 10)))
    half = repository.copy(write(path, *numbered(0, 5), *numbered(5, 10, day=1)))
    assert set(first.pack_names) < set(half.pack_names)
    less = repository.copy(write(path, *numbered(0, 4), *numbered(4, 10, day=1)))
    assert less.new_pages == 1 + 4
    assert not set(first.pack_names) & set(less.pack_names)
    assert repository.fetched() == path.read_bytes()
    again = repository.copy(path)
    assert again.new_pages == 0
    assert set(again.pack_names) == set(less.pack_names)
    assert repository.fetched() == path.read_bytes()


def test_a_copy_with_many_new_pages_leaves_a_pack_to_the_next_one(
    repository: Repository, tmp_path: Path
) -> None:
    """What is left of a pack changes as well where so much does, so it is not sent before."""
    path = tmp_path / "file"
    first = repository.copy(write(path, *numbered(0, 10)))
    much = repository.copy(write(path, *numbered(0, 4), *numbered(4, 10, day=1)))
    assert much.new_pages == 6
    assert set(first.pack_names) < set(much.pack_names)
    assert repository.copy(path).new_pages == 4
    assert repository.fetched() == path.read_bytes()


def test_pages_of_several_packs_are_left_at_once_each_sent_once(
    repository: Repository, tmp_path: Path
) -> None:
    """A page that is there twice, in packs between others: what stays is numbered anew."""
    path = tmp_path / "file"
    repository.copy(write(path, *numbered(0, 4)))
    kept = repository.copy(write(path, *numbered(0, 4), *numbered(4, 8)))
    repository.copy(write(path, *numbered(0, 4), *numbered(4, 12)))
    pages = [*numbered(0, 1), *numbered(4, 8), *numbered(8, 9), *numbered(0, 1), *numbered(8, 9)]
    left = repository.copy(write(path, *pages))
    assert left.new_pages == 2
    assert len(left.pack_names) == 2
    assert set(left.pack_names) & set(kept.pack_names)
    assert repository.fetched() == path.read_bytes()
    assert repository.copy(path).new_pages == 0


def test_a_file_that_changes_while_a_pack_is_left_gives_no_copy(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "file", *numbered(0, 10))
    repository.copy(path)
    repository.copy(write(path, *numbered(0, 5), *numbered(5, 10, day=1)))
    write(path, *numbered(0, 4), *numbered(4, 10, day=1))
    monkeypatch.setattr(os, "pread", changed_page(os.pread))
    with pytest.raises(BackupChangedError):
        repository.copy(path)


def changed_page(read: Callable[[int, int, int], bytes]) -> Callable[[int, int, int], bytes]:
    """What a reader gets once the file is another: other bytes wherever whole pages are read."""

    def pread(descriptor: int, count: int, at: int) -> bytes:
        content = read(descriptor, count, at)
        return content if count < PAGE else b"!" + content[1:]

    return pread


def test_another_sources_newest_copy_keeps_it(repository: Repository, tmp_path: Path) -> None:
    path, other = write(tmp_path / "file", *numbered(0, 10)), tmp_path / "other"
    first = repository.copy(path)
    repository.copy(write(other, *numbered(0, 10)), source=uuid_of(33))
    repository.copy(write(path, *numbered(0, 1), *numbered(1, 10, day=1)))
    kept = repository.copy(write(path, *numbered(0, 1), *numbered(1, 10, day=2)))
    assert set(first.pack_names) <= set(kept.pack_names)


def test_a_pack_that_no_copy_names_yet_is_not_retired(
    repository: Repository, tmp_path: Path
) -> None:
    """It was sent by a copy that was killed; the next try sends only the rest."""
    path, other = write(tmp_path / "file", *numbered(0, 10)), tmp_path / "other"
    repository.copy(write(other, b"something else"), source=uuid_of(33))

    class Dying(type(repository.store)):  # type: ignore[misc]
        def put(self, path: str, content: bytes) -> None:
            if path.startswith("copies/"):
                raise KeyboardInterrupt
            super().put(path, content)

    with pytest.raises(KeyboardInterrupt):
        repository.copy(path, store=Dying(repository.store.root))
    repository.copy(write(other, b"something new"), source=uuid_of(33))
    assert repository.copy(path).new_pages == 0


def age(repository: Repository, days: float) -> None:
    """Every pack was put there some days ago, as the store says."""
    moment = time.time() - days * DAY
    for each in repository.store.list("packs/"):
        os.utime(repository.store.root / each.path, (moment, moment))


def test_with_a_lock_every_pack_of_a_copy_is_locked_as_long_as_it_promises(
    repository: Repository, tmp_path: Path
) -> None:
    path = write(tmp_path / "file", *numbered(0, 10))
    locked = {"lock_seconds": 30 * DAY, "promised_until": time.time() + 15 * DAY}
    first = repository.copy(path, **locked)
    assert first.locked_until is not None
    assert abs(first.locked_until - time.time() - 30 * DAY) < DAY
    age(repository, 10)
    leaning = repository.copy(path, **locked)
    assert leaning.new_pages == 0
    assert leaning.locked_until is not None
    assert abs(leaning.locked_until - time.time() - 20 * DAY) < DAY
    age(repository, 16)
    anew = repository.copy(path, **locked)
    assert anew.new_pages == 10
    assert not set(anew.pack_names) & set(first.pack_names)
