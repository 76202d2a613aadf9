"""Holds: a person's order to keep a backup, with a reason and perhaps an end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from commands.backups.find import find_backup
from commands.errors import CommandError, InvalidArgument
from commands.site.texts import checked_text
from ledger.append.ledger import Draft
from ledger.clock import parse_instant, require_aware
from ledger.events.catalog import HoldPlaced, HoldReleased
from ledger.vocabulary import backup_stream
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup


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


def _require_present(backup: Backup | None, filename: str) -> None:
    if backup is None or not backup.is_present:
        status = "unknown" if backup is None else backup.status
        raise CommandError(f"backup {filename!r} is {status}; only one that is there can be held")
