"""Accepting a backup: a person says that a collapse was meant, or that findings are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.backups.collapse import collapse_between, content_of
from commands.backups.find import find_backup
from commands.backups.judge import created_of
from commands.errors import CommandError
from commands.site.texts import checked_text
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupAccepted
from ledger.vocabulary import backup_stream
from projections.queries.locked import backups_locked
from projections.queries.source_backups import collapses_of_source

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup


def accept_backup(
    site: Site, context: Context, filename: str, reason: str | None = None
) -> list[Backup]:
    """Accept a collapsed or flawed backup as it is; those that were accepted by this.

    Of a collapse the other backups that hold about as much are accepted with it, an event each:
    those that share its file, and later ones that are not a collapse of it.

    Raises:
        BackupNotFound: there is none of this name.
        CommandError: there is nothing to accept about it.
    """
    text = None if reason is None else checked_text(reason, "reason")
    backup = find_backup(site, filename)
    chosen = [backup, *_held_as_much(site, backup)] if backup.is_collapse else [backup]

    def decide(locked: LockedHead) -> tuple[list[Draft], list[Backup]]:
        now = backups_locked(locked, [each.backup_id for each in chosen])
        found = [each for each in now.values() if each is not None and can_be_accepted(each)]
        if not any(each.backup_id == backup.backup_id for each in found):
            raise CommandError(_nothing_to_accept(now[backup.backup_id] or backup))
        details = BackupAccepted(reason=text)
        drafts = [Draft(backup_stream(each.backup_id), details, each.user_id) for each in found]
        return drafts, found

    recorded, accepted = site.ledger.decide_with_result(context, decide)
    site.notify(recorded)
    return accepted


def can_be_accepted(backup: Backup) -> bool:
    """Whether there is something about it that a person may say is all right."""
    return backup.accepted_at is None and (backup.is_collapse or backup.condition == "flawed")


def _held_as_much(site: Site, backup: Backup) -> list[Backup]:
    if backup.source is None:
        return []
    with site.read_models.reading() as connection:
        collapses = collapses_of_source(connection, backup.source, after=0)
    accepted = created_of(site, backup)
    found = []
    for other in collapses:
        if other.backup_id == backup.backup_id or accepted is None:
            continue
        created = created_of(site, other)
        is_later = other.position > backup.position
        is_same = (other.size, other.sha256) == (backup.size, backup.sha256)
        if is_same or (
            is_later
            and created is not None
            and not collapse_between(content_of(accepted), content_of(created))
        ):
            found.append(other)
    return found


def _nothing_to_accept(backup: Backup) -> str:
    if backup.accepted_at is not None:
        return f"backup {backup.filename!r} was accepted already"
    return (
        f"there is nothing to accept about backup {backup.filename!r}: it is neither a collapse "
        "nor flawed; see: backup-ledger backup show NAME"
    )
