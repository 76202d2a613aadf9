"""What a person may write where a backup's name is wanted: the name, `latest`, `@TIME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.backups.find import is_known
from commands.errors import BackupNotFound, InvalidArgument
from commands.reporting.humanize import parse_moment_end
from ledger.vocabulary import BackupStatus
from projections.queries.catalog import backup_named
from projections.queries.restore_points import last_good_backup

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site

LATEST, AT = "latest", "@"
SUFFIX = ".db"


def filename_of(site: Site, text: str) -> str:
    """The file name that is meant by `text`.

    A name that is there is itself, whatever it looks like; without `.db` it is completed. `latest`
    is the newest good backup, `latest:USER` that of a user, `@TIME` the newest good one before a
    time (of a date: until its end). What was kept before a restore is none of these. Where the
    folder has none, the ledger's others are meant.

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
    if _is_there(site, completed):
        return completed
    # Made elsewhere, its off-site copy can be meant.
    return completed if is_known(site, completed) and not is_known(site, text) else text


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
    return _newest(site, text, user_id=int(user[:18]) if user else None)


def _before(site: Site, text: str) -> str:
    try:
        moment = parse_moment_end(text.removeprefix(AT))
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    return _newest(site, text, until=moment)


def _newest(
    site: Site, text: str, *, until: datetime | None = None, user_id: int | None = None
) -> str:
    now = until or site.clock.now()
    # What a clock ahead dated after now is not the newest; and on a new machine none was made yet:
    # there the newest is one that has an off-site copy.
    sought = ((store, limit) for store in (site.store.store_id, None) for limit in (now, until))
    with site.read_models.reading() as connection:
        found = next(
            (
                backup
                for store, limit in sought
                if (backup := last_good_backup(connection, store, until=limit, user_id=user_id))
            ),
            None,
        )
    if found is None:
        raise BackupNotFound(f"no good backup is {text!r}; see: backup-ledger backup list")
    return found.filename
