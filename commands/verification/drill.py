"""A restore for practice: into a scratch file of this process, which goes away again."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.sqlite.content import content_problem, count_problem, read_through
from commands.sqlite.files import create_private, remove_database
from commands.sqlite.inspection import inspect
from commands.sqlite.space import require_space
from ledger.events.catalog import BackupCreated
from ledger.vocabulary import backup_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from projections.folds.backup import Backup

SPARED_BYTES = 64 * 1024 * 1024
"""A drill leaves at least this much of the disk to others."""


def drill(
    site: Site, backup: Backup, source: int, on_progress: Progress | None = None
) -> tuple[str, str | None]:
    """Restore an open backup into a scratch file; its SHA-256, and what is wrong with it.

    Raises:
        BackupUnreadable: the disk has lost some of the backup.
        SQLiteFileError, OSError: the drill could not be held, which says nothing of the backup.
    """
    with _scratch_file(site, backup.size) as path:
        digest = _restored(source, path, on_progress)
        if digest != backup.sha256:
            return digest, "the file's content is not what was recorded"
        keys = site.keys_for(backup.cipher)
        problem = content_problem(path, backup.findings, keys)
        kept = kept_counts(site, backup)
        if problem is None and kept is not None:
            problem = count_problem(kept, inspect(path, keys))
        return digest, problem


def kept_counts(site: Site, backup: Backup) -> BackupCreated | None:
    """What was counted when the backup was made; None for an adopted one."""
    for event in site.ledger.stream(backup_stream(backup.backup_id)):
        details = event.details
        return details if isinstance(details, BackupCreated) else None
    return None


@contextmanager
def _scratch_file(site: Site, size: int) -> Iterator[Path]:
    """A path in this process's staging folder; nothing is left of it, whatever happens."""
    folder = site.owner.folder
    require_space(folder, size + SPARED_BYTES, "drill", site.free_bytes)
    with site.owner.staging(f"drill-{uuid4()}") as path:
        try:
            yield path
        finally:
            with suppress(OSError):  # what cannot be removed now is recovery's
                remove_database(path)


def _restored(source: int, path: Path, on_progress: Progress | None) -> str:
    with os.fdopen(create_private(path), "wb", buffering=0) as scratch:
        digest = read_through(source, scratch.fileno(), on_progress)
        os.fsync(scratch.fileno())
    return digest
