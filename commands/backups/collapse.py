"""A collapse: the database holds much less than its last backup. Such a backup is not like others.

Compared are tables, rows and schema; the size counts only where rows could not be counted, since
a VACUUM is not a collapse. The warnings' words are a contract: `rows fell from A to B`,
`table X is gone`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.events.catalog import BackupCreated
    from projections.folds.backup import Backup

FELL_BELOW = 0.5
"""Less than this share of the rows, or of the bytes, is a collapse."""
MIN_ROWS = 100
"""A database with fewer rows than this may lose most of them on an ordinary day."""
MAX_GONE_NAMED = 5


@dataclass(frozen=True, slots=True)
class Content:
    """What a backup holds, as far as it was counted. `tables`: lower-case name -> name.

    `lists_all`: no table is left out of `tables`. `is_counted`: of every table the rows are known.
    """

    filename: str
    size: int
    tables: dict[str, str]
    table_count: int
    row_count: int
    lists_all: bool
    is_counted: bool


def content_of(created: BackupCreated) -> Content:
    """What the event of a backup says that it holds."""
    unchecked = set(created.unchecked)
    return Content(
        filename=created.filename,
        size=created.size,
        tables={each.name.lower(): each.name for each in created.tables},
        table_count=created.table_count,
        row_count=created.row_count,
        lists_all=len(created.tables) == created.table_count,
        is_counted=all(each.rows or each.name not in unchecked for each in created.tables),
    )


def collapse_between(before: Content, now: Content) -> list[str]:
    """How `now` is a collapse of `before`, in sentences; none where it is not."""
    warnings = _rows_fell(before, now) + _tables_gone(before, now)
    if not warnings and not (before.is_counted and now.is_counted):
        warnings = _size_fell(before, now)
    return warnings


def _rows_fell(before: Content, now: Content) -> list[str]:
    if not (before.is_counted and now.is_counted) or before.row_count < MIN_ROWS:
        return []
    if now.row_count >= before.row_count * FELL_BELOW:
        return []
    return [f"rows fell from {before.row_count} to {now.row_count}"]


def _tables_gone(before: Content, now: Content) -> list[str]:
    if not now.lists_all:
        # Only the first tables are known by name; then the number of all decides.
        fell = now.table_count < before.table_count
        return [f"tables fell from {before.table_count} to {now.table_count}"] if fell else []
    gone = [name for folded, name in before.tables.items() if folded not in now.tables]
    told = [f"table {name} is gone" for name in gone[:MAX_GONE_NAMED]]
    if len(gone) > MAX_GONE_NAMED:
        told.append(f"tables gone in all: {len(gone)}")
    if not gone and not before.lists_all and now.table_count < before.table_count:
        told.append(f"tables fell from {before.table_count} to {now.table_count}")
    if gone and len(gone) == len(before.tables) and before.lists_all:
        told.append("no table is left of those before")
    return told


def _size_fell(before: Content, now: Content) -> list[str]:
    if now.size >= before.size * FELL_BELOW:
        return []
    sizes = f"{now.size} bytes after {before.size} in {before.filename}"
    return [f"less than half as large as the one before it: {sizes}"]


@dataclass(frozen=True, slots=True)
class SourceStory:
    """What tells whether a source stands in a collapse.

    `newest`: the backup made last, `whole`: the last one that is not an unaccepted collapse,
    whatever became of them. `restored_at`: the position of the last restore into the source, 0 for
    none.
    """

    newest: Backup | None
    whole: Backup | None
    restored_at: int = 0

    def with_newer(self, backups: Iterable[Backup]) -> SourceStory:
        """The same after more was recorded of some backups of the source."""
        known = {each.backup_id: each for each in (self.newest, self.whole) if each is not None}
        known |= {each.backup_id: each for each in backups}
        in_order = sorted(known.values(), key=lambda each: each.position)
        whole = [each for each in in_order if not each.is_collapse]
        return SourceStory(
            in_order[-1] if in_order else None, whole[-1] if whole else None, self.restored_at
        )

    @property
    def whole_until(self) -> int | None:
        """The position up to which backups are from before an open collapse; None without one.

        It is over with a later backup that is none, with a restore, or when it is accepted.
        """
        if self.newest is None or not self.newest.is_collapse:
            return None
        if self.restored_at > self.newest.position:
            return None
        return 0 if self.whole is None else self.whole.position
