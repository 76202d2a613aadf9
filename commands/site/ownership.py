"""Root in another account's folder: refused, because that account decides what root would do.

SQLite rolls back a journal that it finds beside a database, and deletes what that journal names;
a link that is put into the place of a file makes root write elsewhere. So root acts only where
nobody else may put files. See docs/decisions/0036-root-is-refused-wherever-a-site-is-opened.md.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import Refused
from commands.sqlite.foreign_locks import require_no_foreign_locks
from ledger.append.database import file_of

if TYPE_CHECKING:
    from commands.site.configuration import Configuration


def require_own_folders(configuration: Configuration) -> None:
    """See that root is not led by another account.

    Raises:
        Refused: it is root who acts, and a folder belongs to somebody else, or others may write
            to it.
    """
    if os.geteuid() != 0 or configuration.root_in_folders_of_others:
        return
    folders = []
    if configuration.database is not None:
        folders.append(configuration.database_path.resolve().parent)
    if configuration.names_a_folder:
        folders.append(configuration.backups_folder.resolve())
    for folder in folders:
        _require_own(folder)


def require_own_journals(configuration: Configuration) -> None:
    """See that nothing beside the ledger and the read models makes SQLite delete another file.

    Also for a question: whoever opens a database rolls back the journal that is found beside it.

    Raises:
        FileAccessFailed: a journal there names a file that SQLite would delete.
    """
    urls = [configuration.ledger_url]
    if configuration.has_projections:
        urls.append(configuration.projections_url)
    for url in urls:
        path = file_of(url)
        if path:
            require_no_foreign_locks(Path(path))


def _require_own(folder: Path) -> None:
    try:
        found = folder.stat()
    except OSError:
        return  # what is not there is made by us, or missed by whoever needs it
    if found.st_uid != 0:
        name = _name_of(found.st_uid)
        raise Refused(
            f"{folder} belongs to {name}, and root does not act in another account's folder; run "
            f"it as that account: sudo -u {name} backup-ledger ... (or, where that account is "
            "trusted like root, set BACKUP_LEDGER_ROOT_IN_FOLDERS_OF_OTHERS=true)"
        )
    writable = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if writable:
        raise Refused(
            f"anyone can write to {folder}, and root does not act there; change that: chmod "
            f"o-w {folder}"
        )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"#{uid}"
