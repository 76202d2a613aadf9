"""Ids, times and names that sample events have; an id tells its number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def uuid_of(number: int) -> str:
    """A UUID that tells its number, so that a failing test can be read."""
    return f"00000000-0000-4000-8000-{number:012x}"


NOW = datetime(2025, 1, 13, 3, 0, 5, tzinfo=UTC)
SLOT = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)
NEXT = SLOT + timedelta(days=1)
RUN, BACKUP, STORE, SOURCE, HOLD, RESTORE, TOKEN = (uuid_of(number) for number in range(1, 8))
NOTIFICATION = uuid_of(8)
REPOSITORY, COPY = uuid_of(9), uuid_of(10)
SHA = "ab" * 32
NAME = "auto_backup_user1_2025-01-13T03-00-00.db"
