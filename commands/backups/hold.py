"""Holds: a person's order to keep a backup, with a reason and perhaps an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from commands.backups.find import find_backup
from commands.errors import CommandError, InvalidArgument, Refused, TooMany
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
    from ledger.records.record import Actor
    from projections.folds.backup import Backup

MAX_OWN_HOLDS = 10
"""On one backup, of one actor; released ones do not count."""


def place_hold(
    site: Site, context: Context, filename: str, reason: str, until: datetime | None = None
) -> str:
    """Keep a backup from being deleted by anybody; the hold's id.

    Raises:
        BackupNotFound: there is none of this name.
        InvalidArgument: no reason, or an end that has passed.
        TooMany: whoever asks has placed as many on it as one may.
    """
    text = checked_text(reason, "reason")
    if until is not None and require_aware(until) <= context.now:
        raise InvalidArgument(f"the hold would end at {until.isoformat()}, which has passed")
    backup = find_backup(site, filename)
    hold_id = str(uuid4())

    def decide(locked: LockedHead) -> list[Draft]:
        found = _require_present(backup_locked(locked, backup.backup_id), filename)
        _require_room(found, context.actor)
        details = HoldPlaced(hold_id=hold_id, reason=text, until=until)
        return [Draft(backup_stream(backup.backup_id), details, backup.user_id)]

    site.notify(site.ledger.decide(context, decide))
    return hold_id


def release_holds(site: Site, context: Context, filename: str) -> int:
    """Release the holds of a backup that the actor may release, one event each; how many.

    A hold is released by who placed it, or by an operator.

    Raises:
        BackupNotFound: there is none of this name.
        Refused: it is held, and every hold was placed by somebody else.
    """
    backup = find_backup(site, filename)

    def decide(locked: LockedHead) -> list[Draft]:
        found = backup_locked(locked, backup.backup_id)
        held = found.holds if found else []
        own = [each for each in held if may_release(each, context.actor)]
        if held and not own:
            raise Refused(
                f"backup {filename!r} is held by others ({held[0]['reason']}); "
                "only the person who placed a hold, or an operator, can release it"
            )
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
            for hold in own
        ]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return len(recorded)


def may_release(hold: dict[str, Any], actor: Actor) -> bool:
    """Whether an actor may release a hold: it is the actor's own, or the actor is an operator."""
    return actor.kind == "operator" or hold["placed_by"] == actor.model_dump()


def _require_room(backup: Backup, actor: Actor) -> None:
    """Each hold is read with every list of backups; one person's must not fill it up."""
    own = [each for each in backup.holds if each["placed_by"] == actor.model_dump()]
    if len(own) >= MAX_OWN_HOLDS:
        raise TooMany(
            f"{MAX_OWN_HOLDS} holds of yours are on backup {backup.filename!r} already; "
            "release them first"
        )


def _require_present(backup: Backup | None, filename: str) -> Backup:
    if backup is None or not backup.is_present:
        status = "unknown" if backup is None else backup.status
        raise CommandError(f"backup {filename!r} is {status}; only one that is there can be held")
    return backup
