"""Which backups a list shows: whose, of which kind and status, and from when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from commands.backups.unrecorded import UNRECORDED
from ledger.vocabulary import MAX_USER_ID, BackupKind, BackupStatus

if TYPE_CHECKING:
    from commands.backups.unrecorded import UnrecordedFile
    from projections.folds.backup import Backup


@dataclass(frozen=True, slots=True)
class BackupFilter:
    """None for any. `since` inclusive and `until` exclusive, on `created_at`."""

    user_id: Annotated[int | None, Query(ge=1, le=MAX_USER_ID)] = None
    kind: BackupKind | None = None
    status: BackupStatus | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def takes(self, backup: Backup | UnrecordedFile) -> bool:
        """Whether it is wanted; a file that nobody recorded has a status of its own."""
        status = getattr(backup, "status", UNRECORDED)
        return (
            self.user_id in (None, backup.user_id)
            and self.kind in (None, backup.kind)
            and self.status in (None, status)
            and self._is_in_time(backup.created_at)
        )

    def _is_in_time(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment < self.until
        )


Filter = Annotated[BackupFilter, Depends()]
