"""The facade for backups: what existing applications call."""

from __future__ import annotations

import logging
import os
import weakref
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.engine import make_url

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.errors import BackupNotFound
from commands.facade.audit_sink import AuditSinks
from commands.recovery.reconcile import reconcile
from commands.recovery.recover import recover
from commands.restore.restore import restore_backup
from commands.shapes.backups import BackupMetadataResponse
from commands.site import actors
from commands.site.configuration import load_configuration
from commands.site.opening import open_read_models, open_site
from ledger.append.database import file_of
from ledger.vocabulary import BackupKind
from projections.queries.catalog import backups_of_store

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from commands.site.site import Site
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger")


class BackupService:
    """Creates, lists, restores and deletes backups of one SQLite database.

    `backups_dir`: by default `backups` beside the database. `ledger_url`: by default
    `ledger.sqlite` in there. Errors are also the built-in ones: FileNotFoundError,
    PermissionError (protected or held), ValueError (names), OSError for the rest.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str],
        backups_dir: str | os.PathLike[str] | None = None,
        *,
        ledger_url: str | None = None,
    ) -> None:
        self.db_path = Path(db_path).absolute()
        self._configuration = load_configuration(
            database=self.db_path,
            backups=self.db_path.parent / "backups" if backups_dir is None else Path(backups_dir),
            ledger=ledger_url,
        )
        self.backups_dir = self._configuration.backups_folder
        self.audit_sinks = AuditSinks()
        self._application_url: URL | None = None
        self._site: Site | None = None
        self._opening = RLock()

    @property
    def site(self) -> Site:
        """The open ledger, folder and read models; opened the first time it is asked for."""
        with self._opening:
            if self._site is None:
                site = open_site(
                    self._configuration, "begin", application_url=self._application_url
                )
                site.listeners.append(self.audit_sinks.tell)
                weakref.finalize(self, site.close)
                recover(site)
                self._site = site
            return self._site

    def use_database_of(self, session: Any) -> None:
        """Let the read models live in the database of an application's session.

        Only the session's engine is looked at: never its transaction. A database in memory
        cannot be shared with other processes; then the read models stay in their own file.
        """
        url = _file_url(session)
        if url is None or url == self._application_url:
            return
        with self._opening:
            self._application_url = url
            if self._site is not None:
                former = self._site.read_models
                self._site.read_models = open_read_models(
                    self._configuration, self._site.ledger, url
                )
                former.close()

    def create_backup(self, custom_filename: str | None = None) -> BackupMetadataResponse:
        """Take a verified backup now.

        Raises:
            ValueError: the name is not a plain file name.
            FileExistsError: a backup of this name is there.
            FileNotFoundError, OSError: the database cannot be backed up.
        """
        return self._take(BackupKind.MANUAL, custom_filename)

    def create_pre_migration_backup(self) -> BackupMetadataResponse:
        """The same, protected from retention, before the schema changes."""
        return self._take(BackupKind.PRE_MIGRATION)

    def list_backups(self) -> list[BackupMetadataResponse]:
        """What is there, newest first; files that nobody knew are adopted."""
        return [BackupMetadataResponse.of(each, self.site.store) for each in self._present()]

    def get_backup_by_filename(self, filename: str) -> BackupMetadataResponse | None:
        """One backup, or None."""
        found = [each for each in self.list_backups() if each.filename == filename]
        return found[0] if found else None

    def restore_backup(self, filename: str) -> None:
        """Put a backup's content into the database; the current content is kept first.

        Raises:
            FileNotFoundError: there is no such backup.
            OSError: it is damaged, or the database stayed locked; nothing was changed.
        """
        site = self._reconciled()
        restore_backup(site, site.context(actors.FACADE), filename)

    def delete_backup(self, filename: str, force: bool = False) -> None:
        """Delete a backup.

        Raises:
            FileNotFoundError: there is no such backup.
            PermissionError: it is held, being restored, or protected and not forced.
        """
        site = self._reconciled()
        delete_backup(site, site.context(actors.FACADE), filename, force=force)

    def get_backups_dir_size(self) -> int:
        """Bytes on disk of the backups that are there; a file that several share counts once."""
        looks = (self.site.store.look_at(each.filename) for each in self._present())
        return sum({(seen.device, seen.inode): seen.size for seen in looks if seen}.values())

    def get_database_size(self) -> int:
        """Bytes of the database file.

        Raises:
            FileNotFoundError: it is not there.
        """
        try:
            return self.db_path.stat().st_size
        except FileNotFoundError:
            raise BackupNotFound(f"there is no database at {self.db_path}") from None

    def close(self) -> None:
        """Give up connections and locks; the next call opens them again."""
        with self._opening:
            if self._site is not None:
                self._site.close()
                self._site = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, kind: BackupKind, filename: str | None = None) -> BackupMetadataResponse:
        site = self.site
        context = site.context(actors.FACADE)
        backup = take_backup(site, context, filename=filename, kind=kind, allow_scheduled_name=True)
        return BackupMetadataResponse.of(backup, site.store)

    def _reconciled(self) -> Site:
        site = self.site
        reconcile(site, site.context(actors.FACADE))
        return site

    def _present(self) -> list[Backup]:
        site = self._reconciled()
        with site.read_models.reading() as connection:
            return backups_of_store(connection, site.store.store_id)


def _file_url(session: Any) -> URL | None:
    """The URL of a session's database, where other connections can reach it."""
    bind = session.get_bind()
    engine = getattr(bind, "engine", bind)
    url: URL = make_url(engine.url)
    database = file_of(url)
    if database is None:
        return url
    in_memory = database in ("", ":memory:") or "mode=memory" in database or ":memory:" in database
    if in_memory or url.query.get("mode") == "memory":
        logger.warning(
            "the session's database is in memory: the read models are kept in a file of their own"
        )
        return None
    if database.startswith("file:"):
        return url
    return url.set(database=str(Path(database).absolute()))
