"""Which two databases are compared, as people name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from commands.backups.find import find_recorded
from commands.backups.naming import filename_of
from commands.errors import BackupNotFound
from commands.restore import LIVE
from commands.restore.difference import comparing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from commands.restore.difference import Comparison
    from commands.site.site import Site


@dataclass(frozen=True, slots=True)
class Sides:
    """An older backup, and a newer one or the database as it is. `names`: of the two, in order."""

    site: Site
    old: Path
    new: Path
    names: tuple[str, str]

    @classmethod
    def of(cls, site: Site, older: str, newer: str) -> Self:
        """Two file names, each perhaps `latest`, `latest:USER` or `@TIME`; `live`: the database.

        Raises:
            BackupNotFound: one of them is not there.
        """
        (old, old_name), (new, new_name) = _path_of(site, older), _path_of(site, newer)
        return cls(site, old, new, (old_name, new_name))

    def comparing(self) -> AbstractContextManager[Comparison]:
        """The two, opened side by side."""
        is_live = self.names[1] == LIVE
        wait = self.site.configuration.snapshot_wait_seconds if is_live else None
        return comparing(self.old, self.new, live_wait_seconds=wait, keys=self.site.keys)


def require_table(comparison: Comparison, table: str) -> None:
    """Raises BackupNotFound where neither of the two has the table."""
    if comparison.forms(table) == (None, None):
        raise BackupNotFound(f"there is no table {table!r} in either of them")


def _path_of(site: Site, name: str) -> tuple[Path, str]:
    if name == LIVE:
        return site.database, LIVE
    filename = filename_of(site, name)
    find_recorded(site, filename)
    if not site.store.has(filename):
        raise BackupNotFound(f"the file of backup {filename!r} is missing; choose another backup")
    return site.store.path(filename), filename
