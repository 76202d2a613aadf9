"""What a destination would hold after a month, judged by the backups that are here.

Each backup is read once, oldest first, as copying would: what no earlier one had is new. Of the new
chunks a share is really compressed; sealing adds next to nothing. Nothing is sent or recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from commands.offsite.repository.manifest import HEADER_BYTES, ROW_BYTES, chunk_bytes_of
from commands.offsite.repository.packs import frame_chunks
from commands.offsite.repository.seal import compress
from ledger.vocabulary import BackupStatus
from projections.queries.catalog import backups_of_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from projections.folds.backup import Backup

MONTH_DAYS = 30
SAMPLED = 4
"""One frame in so many is compressed."""
MANIFEST_SHARE = 0.1
"""What a manifest's rows are compressed to, at most about."""
DAY = timedelta(days=1)


@dataclass(slots=True)
class Estimate:
    """Of one database's backups. Sizes in bytes; `per_day`: None where one moment is all there is.

    `whole`: a whole copy of the newest backup, compressed.
    """

    source: str | None
    backups: int = 0
    first: int = 0
    later: int = 0
    whole: int = 0
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def per_day(self) -> int | None:
        if self.begin is None or self.end is None or self.end <= self.begin:
            return None
        return round(self.later / max((self.end - self.begin) / DAY, 1.0))

    @property
    def month(self) -> int:
        """With a copy each day, all of them kept."""
        return self.first + (self.per_day or 0) * (MONTH_DAYS - 1)

    @property
    def month_whole(self) -> int:
        return self.whole * MONTH_DAYS


@dataclass(slots=True)
class _Ratio:
    """How much smaller chunks get, by those that were compressed."""

    plain: int = 0
    compressed: int = 0
    frames: int = 0
    waiting: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes, frame_bytes: int) -> None:
        self.waiting += chunk
        if len(self.waiting) >= frame_bytes:
            self.end_frame()

    def end_frame(self) -> None:
        if self.waiting and self.frames % SAMPLED == 0:
            self.plain += len(self.waiting)
            self.compressed += len(compress(bytes(self.waiting)))
        self.frames += bool(self.waiting)
        self.waiting.clear()

    def of(self, size: int) -> int:
        return round(size * self.compressed / self.plain) if self.plain else 0


def estimate_month(site: Site, on_progress: Progress | None = None) -> list[Estimate]:
    """One estimate for each database whose backups are here."""
    with site.read_models.reading() as connection:
        found = backups_of_store(connection, site.store.store_id, (BackupStatus.OK,))
    by_source: dict[str | None, list[Backup]] = {}
    for backup in sorted(found, key=lambda each: each.position):
        by_source.setdefault(backup.source, []).append(backup)
    return [_of_source(site, each, backups, on_progress) for each, backups in by_source.items()]


def _of_source(
    site: Site, source: str | None, backups: list[Backup], on_progress: Progress | None
) -> Estimate:
    estimate, ratio, seen = Estimate(source), _Ratio(), set[int]()
    for done, backup in enumerate(backups):
        if on_progress is not None:
            on_progress(backup.filename, done, len(backups))
        try:
            new, chunks = _new_bytes(site.store.path(backup.filename), backup.size, seen, ratio)
        except FileNotFoundError:
            continue  # it was deleted meanwhile
        sent = ratio.of(new) + round(chunks * ROW_BYTES * MANIFEST_SHARE)
        if estimate.begin is None:
            estimate.begin, estimate.first = backup.created_at, sent
        else:
            estimate.later += sent
        estimate.backups += 1
        estimate.end, estimate.whole = backup.created_at, ratio.of(backup.size)
    return estimate


def _new_bytes(path: Path, size: int, seen: set[int], ratio: _Ratio) -> tuple[int, int]:
    """Bytes in chunks that no earlier backup had, and how many chunks the file has."""
    new = chunks = 0
    with path.open("rb") as file:
        chunk_bytes = chunk_bytes_of(file.read(HEADER_BYTES), size)
        file.seek(0)
        frame_bytes = frame_chunks(chunk_bytes) * chunk_bytes
        for chunk in _chunks(iter(lambda: file.read(frame_bytes), b""), chunk_bytes):
            chunks += 1
            short = int.from_bytes(sha256(chunk).digest()[:8])
            if short not in seen:
                seen.add(short)
                new += len(chunk)
                ratio.add(chunk, frame_bytes)
    ratio.end_frame()
    return new, chunks


def _chunks(pieces: Iterator[bytes], chunk_bytes: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), chunk_bytes):
            yield piece[start : start + chunk_bytes]
