"""Which copies of a destination go: the same pure function that plans the backups' retention.

Each source and each user has a plan of their own, so that nobody's new copies push out another's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from commands.retention.rules import Candidate, plan
from ledger.vocabulary import BackupStatus, CopyStatus

if TYPE_CHECKING:
    from datetime import datetime

    from commands.offsite.deleting.known import Known
    from commands.offsite.policy import Policy
    from ledger.vocabulary import CopyDeletionReason
    from projections.folds.offsite_copy import OffsiteCopy


@dataclass(frozen=True, slots=True)
class Going:
    """A copy that goes, and why."""

    copy: OffsiteCopy
    reason: CopyDeletionReason
    rule: str | None


def copies_to_delete(
    known: Known, policy: Policy, now: datetime, own_source: str | None, *, clock_in_doubt: bool
) -> list[Going]:
    """Copies that retention deletes, oldest first; none where the destination keeps every copy."""
    if policy.keep_count is None or clock_in_doubt:
        return []
    good = known.with_status(CopyStatus.OK)
    superseded = _superseded(good)
    groups: dict[tuple[str | None, int | None], list[Candidate]] = {}
    for copy in known.with_status(CopyStatus.OK, CopyStatus.CORRUPT):
        if copy.copy_id not in superseded and copy.backup_id in known.backups:
            candidate = _candidate(copy, known, now, own_source)
            groups.setdefault((candidate.source, candidate.owner), []).append(candidate)
    going = [
        Going(each, "superseded", None)
        for each in good
        if each.copy_id in superseded and _is_free(each, known, now)
    ]
    for candidates in groups.values():
        made = plan(candidates, policy.keep_count, now, keep=policy.keep)
        going += [
            Going(known.copies[each.backup_id], "retention", policy.rule) for each in made.deleted
        ]
    return sorted(going, key=lambda each: each.copy.position)


def _superseded(good: list[OffsiteCopy]) -> set[str]:
    """Older copies of a backup that has a newer good one, which whoever reads them reads too."""
    newest: dict[str, OffsiteCopy] = {each.backup_id: each for each in good}
    return {
        each.copy_id
        for each in good
        if (newer := newest[each.backup_id]) is not each
        and set(each.readable_by) <= set(newer.readable_by)
        and (newer.proved or not each.proved)
    }


def _is_free(copy: OffsiteCopy, known: Known, now: datetime) -> bool:
    backup = known.backups.get(copy.backup_id)
    return copy.copy_id not in known.busy and not (backup is not None and backup.is_held(now))


def _candidate(copy: OffsiteCopy, known: Known, now: datetime, own_source: str | None) -> Candidate:
    """A copy as retention sees it: its own state, and its backup's age, holds and kind."""
    backup = known.backups[copy.backup_id]
    source = copy.source or backup.source or own_source
    is_of_own_source = own_source is not None and source == own_source
    return Candidate(
        backup_id=copy.copy_id,
        filename=copy.filename,
        created_at=backup.created_at,
        status=BackupStatus.OK if copy.status == CopyStatus.OK else BackupStatus.CORRUPT,
        is_protected=backup.is_protected,
        held=backup.is_held(now),
        being_restored=copy.copy_id in known.busy,
        just_made=False,
        source=source,
        position=copy.position,
        local_day=backup.local_day or backup.created_at.astimezone(UTC).date().isoformat(),
        stands_at=known.stands_at[backup.backup_id],
        owner=copy.user_id,
        is_flawed=backup.condition == "flawed",
        is_before_collapse=known.whole_until is not None
        and is_of_own_source
        and backup.position <= known.whole_until,
    )
