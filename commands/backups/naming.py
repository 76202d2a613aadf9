"""What a person may write where a backup's name is wanted: the name, `latest`, `@TIME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import BackupNotFound, InvalidArgument
from commands.reporting.humanize import parse_moment_end
from ledger.vocabulary import BackupKind, BackupStatus
from projections.queries.catalog import backup_named, backups_of_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site.site import Site
    from projections.folds.backup import Backup

LATEST, AT = "latest", "@"
SUFFIX = ".db"


def filename_of(site: Site, text: str) -> str:
    """The file name that is meant by `text`.

    A name that is there is itself, whatever it looks like; without `.db` it is completed. `latest`
    is the newest good backup, `latest:USER` that of a user, `@TIME` the newest good one before a
    time (of a date: until its end). What was kept before a restore is none of these.

    Raises:
        BackupNotFound: there is no such good backup.
        InvalidArgument: the user or the time is none.
    """
    if _is_there(site, text):
        return text
    if text == LATEST or text.startswith(f"{LATEST}:"):
        return _latest(site, text)
    if text.startswith(AT):
        return _before(site, text)
    completed = f"{text}{SUFFIX}"
    return completed if _is_there(site, completed) else text


def _is_there(site: Site, name: str) -> bool:
    if not name or "/" in name or "\0" in name:
        return False
    store = site.store.store_id if site.has_store else None
    with site.read_models.reading() as connection:
        backup = backup_named(connection, store, name)
    if backup is not None and backup.status != BackupStatus.DELETED:
        return True
    return site.has_store and site.store.look_at(name) is not None


def _latest(site: Site, text: str) -> str:
    _, _, user = text.partition(":")
    if text != LATEST and not (user.isascii() and user.isdigit()):
        raise InvalidArgument(f"{text!r}: {user!r} is not a user id; give latest:1, for example")
    if text == LATEST:
        return _newest(site, text, lambda _backup: True)
    return _newest(site, text, lambda backup: backup.user_id == int(user))


def _before(site: Site, text: str) -> str:
    try:
        moment = parse_moment_end(text.removeprefix(AT))
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    return _newest(site, text, lambda backup: backup.created_at <= moment)


def _newest(site: Site, text: str, is_meant: Callable[[Backup], bool]) -> str:
    with site.read_models.reading() as connection:
        backups = backups_of_store(connection, site.store.store_id, (BackupStatus.OK,))
    good = [
        each
        for each in backups
        if each.is_good and is_meant(each) and each.kind != BackupKind.PRE_RESTORE.value
    ]
    if not good:
        raise BackupNotFound(f"no good backup is {text!r}; see: backup-ledger backup list")
    return max(good, key=lambda each: (each.created_at, each.position)).filename
