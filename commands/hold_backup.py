"""Holds: a person's order to keep a backup, with a reason and perhaps an end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from commands.delete_backup import find_backup
from commands.errors import CommandError, InvalidArgument
from commands.ledger_reading import backup_locked
from ledger.application import Draft
from ledger.clock import parse_instant, require_aware
from ledger.events.catalog import HoldPlaced, HoldReleased
from ledger.vocabulary import backup_stream

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead
    from projections.backup import Backup

MAX_REASON_BYTES = 4_096


def place_hold(
    site: Site, context: Context, filename: str, reason: str, until: datetime | None = None
) -> str:
    """Keep a backup from being deleted by anybody; the hold's id.

    Raises:
        BackupNotFound: there is none of this name.
        InvalidArgument: no reason, or an end that has passed.
    """
    text = checked_text(reason, "reason")
    if until is not None and require_aware(until) <= context.now:
        raise InvalidArgument(f"the hold would end at {until.isoformat()}, which has passed")
    backup = find_backup(site, filename)
    hold_id = str(uuid4())

    def decide(locked: LockedHead) -> list[Draft]:
        _require_present(backup_locked(locked, backup.backup_id), filename)
        details = HoldPlaced(hold_id=hold_id, reason=text, until=until)
        return [Draft(backup_stream(backup.backup_id), details, backup.user_id)]

    site.announce(site.ledger.decide(context, decide))
    return hold_id


def release_holds(site: Site, context: Context, filename: str) -> int:
    """Release every hold of a backup, one event each; how many.

    Raises:
        BackupNotFound: there is none of this name.
    """
    backup = find_backup(site, filename)

    def decide(locked: LockedHead) -> list[Draft]:
        found = backup_locked(locked, backup.backup_id)
        return [
            Draft(
                backup_stream(backup.backup_id),
                HoldReleased(
                    hold_id=hold["hold_id"],
                    reason=hold["reason"],
                    until=None if hold["until"] is None else parse_instant(hold["until"]),
                ),
                backup.user_id,
            )
            for hold in (found.holds if found else ())
        ]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.announce(recorded)
    return len(recorded)


def checked_text(text: str, what: str) -> str:
    """A text given by a person: not blank, valid Unicode without NUL, at most 4,096 bytes.

    Raises:
        InvalidArgument: it is not.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"the {what} is not valid text; type it again") from None
    if "\0" in text:
        raise InvalidArgument(f"the {what} has a NUL character in it; type it again")
    if not text.strip():
        raise InvalidArgument(f"give a {what}: the auditor will want to know")
    if size > MAX_REASON_BYTES:
        raise InvalidArgument(f"the {what} has {size} bytes; at most {MAX_REASON_BYTES}")
    return text


def _require_present(backup: Backup | None, filename: str) -> None:
    if backup is None or not backup.is_present:
        status = "unknown" if backup is None else backup.status
        raise CommandError(f"backup {filename!r} is {status}; only one that is there can be held")
