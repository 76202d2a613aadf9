"""Files that stand in a backups folder, and that its ledger does not know (yet).

They are backups that somebody put there. A question names them; `backup reconcile`, the
scheduler's check and the facade adopt them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.staging import staged_of
from commands.site.store import Store
from ledger.append.database import file_of
from ledger.append.leases_and_names import name_owner, names_of_store
from ledger.clock import from_microseconds
from projections.folds.backup_names import classify, is_protected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from commands.site.store import FoundFile
    from ledger.vocabulary import Kind
    from projections.folds.backup import Backup

UNRECORDED = "unrecorded"
"""What stands for a status where a file is shown among backups."""


@dataclass(frozen=True, slots=True)
class UnrecordedFile:
    """What its name and the file system say of it. `created_at`: its mtime."""

    found: FoundFile
    path: Path
    kind: Kind
    user_id: int | None

    @property
    def filename(self) -> str:
        return self.found.filename

    @property
    def size(self) -> int:
        return self.found.size

    @property
    def created_at(self) -> datetime:
        return from_microseconds(self.found.mtime_ns // 1_000)

    @property
    def is_protected(self) -> bool:
        return is_protected(self.filename, self.kind)


def unrecorded_files(site: Site) -> list[UnrecordedFile]:
    """What stands in the folder without an entry, newest first; none where the folder is gone.

    The folder is listed first and the ledger asked after it, so that nothing new is named that
    was only being published.
    """
    if not site.has_store:
        return []
    try:
        names, _unreadable = site.store.list_names()
    except OSError:
        return []
    with site.ledger.engine.connect() as connection:
        recorded = names_of_store(connection, site.store.store_id)
    new = (site.store.look_at(name) for name in names if name not in recorded)
    found = (each for each in new if each is not None and not is_in_use(site, each))
    return _described(site.store.folder, found)


def without_gone(site: Site, backups: Sequence[Backup]) -> tuple[list[Backup], list[str]]:
    """Of backups that should be there: those that are, and the names of files that are gone.

    What is only staged is there. A question records nothing, so it has to look by itself. Where
    the folder is not there, what the ledger says is all that is known.
    """
    if not site.has_store:
        return list(backups), []
    try:
        site.store.require_there()
        names = set(site.store.list_names()[0])
    except OSError:
        return list(backups), []
    store = site.store.store_id
    absent = [
        each
        for each in backups
        if each.is_present and each.store == store and each.filename not in names
    ]
    gone = {
        each.backup_id
        for each in absent
        if not staged_of(site, each) and not site.store.has(each.filename)
    }
    there = [each for each in backups if each.backup_id not in gone]
    return there, [each.filename for each in absent if each.backup_id in gone]


def unrecorded_file(site: Site, filename: str) -> UnrecordedFile | None:
    """One of them by name, or None."""
    is_plain = filename.endswith(".db") and not filename.startswith(".")
    if not site.has_store or not is_plain or "/" in filename or "\0" in filename:
        return None
    with site.ledger.engine.connect() as connection:
        if name_owner(connection, site.store.store_id, filename) is not None:
            return None
    found = site.store.look_at(filename)
    if found is None or is_in_use(site, found):
        return None
    return _described(site.store.folder, [found])[0]


def files_without_ledger(configuration: Configuration) -> list[UnrecordedFile]:
    """What stands in a folder whose ledger is not there; newest first."""
    folder = configuration.backups_folder
    try:
        candidates, _unreadable = Store(folder, "").list_candidates()
    except OSError:
        return []
    source = configuration.database and str(configuration.database_path)
    return _described(
        folder, (each for each in candidates if not (source and _is_same(source, each)))
    )


def is_in_use(site: Site, found: FoundFile) -> bool:
    """Whether it is the source, the ledger or the read models: never a backup, never opened."""
    urls = (site.configuration.ledger_url, site.read_models.engine.url)
    paths = [path for url in urls if (path := file_of(url))]
    if site.configuration.database is not None:
        paths.append(str(site.database))
    return any(_is_same(path, found) for path in paths)


def _described(folder: Path, files: Iterable[FoundFile]) -> list[UnrecordedFile]:
    described = []
    for found in files:
        name = classify(found.filename)
        described.append(UnrecordedFile(found, folder / found.filename, name.kind, name.user_id))
    return sorted(described, key=lambda each: (each.created_at, each.filename), reverse=True)


def _is_same(path: str, found: FoundFile) -> bool:
    try:
        seen = os.stat(path)
    except OSError:
        return False
    return (seen.st_dev, seen.st_ino) == (found.device, found.inode)
