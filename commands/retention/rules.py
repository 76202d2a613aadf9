"""Which backups are kept and which may go: one pure function, for the plan and the act.

Backups are looked at newest first. Age and order are the ledger's position, never a wall clock
alone: a clock that ran ahead once would make its backup the newest for weeks. A kept one has all
the reasons that apply, in this order:

    within_keep_count    one of the newest `keep_count` good, unprotected backups
    just_made            made by the run that this retention is part of
    dated_ahead          dated after now, so not counted: stays until the count is full without it
    daily, weekly, ...   the newest good one of one of so many days, weeks, months, years
    within_days          younger than `keep_within_days`
    protected            made before a migration or a restore
    held                 a person ordered it
    being_restored       a restore is reading it
    before_collapse      the owner's newest good one from before the database collapsed
    flawed_within_count  one of the newest `keep_count` flawed ones, beside the good ones
    last_good            without it no good backup of its source would be left
    clock_in_doubt       nobody can tell ages now: nothing goes
    corrupt_not_counted  damaged, kept for inspection: not older than the counted ones

Protected, corrupt and flawed backups take no place in `keep_count`; missing and deleted ones, and
those whose deletion has begun, are in neither list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from commands.backups.last_good import last_good
from commands.retention.periods import Keep, kept_by_period
from commands.schedules.local_time import as_utc
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, BackupStatus

NOTHING_MORE: Final = Keep()


class InvalidKeepCount(ValueError):
    """A keep_count that is not an integer from 1 to 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backup as retention sees it; no field has a default, so that no guard is forgotten."""

    backup_id: str
    filename: str
    created_at: datetime
    """Aware, of any zone."""
    status: BackupStatus
    is_protected: bool
    held: bool
    being_restored: bool
    just_made: bool
    """By the run that this retention is part of."""
    source: str | None
    """Which database it is of; None where nobody knows, as for adopted files."""
    position: int
    """Where the ledger first says that it is there."""
    local_day: str
    """Its user's day; of manual and older ones the UTC day."""
    stands_at: int
    """The position that tells its age: its own, or for an adopted file that of its mtime."""
    owner: int | None
    is_flawed: bool
    """The database had an integrity finding when it was made."""
    is_before_collapse: bool
    """Its source has collapsed since, and nobody has accepted that or restored."""

    @property
    def is_good(self) -> bool:
        return self.status == "ok" and not self.is_flawed


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that stays, and why."""

    backup_id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What retention does with every backup that is there."""

    kept: tuple[Kept, ...]
    """Newest first."""
    deleted: tuple[Candidate, ...]
    """Oldest first, so that an act that is cut short has taken the least loss."""
    spared: tuple[Candidate, ...]
    """Kept only because they are the last good ones; newest first."""


def plan(
    backups: Sequence[Candidate],
    keep_count: int,
    now: datetime,
    *,
    keep_within_days: int = 0,
    keep: Keep = NOTHING_MORE,
    clock_in_doubt: bool = False,
) -> RetentionPlan:
    """What to keep, with reasons, and what to delete, of these backups in any order.

    Args:
        backups: those of one owner, or all for the global policy.
        keep_count: how many good, unprotected ones to keep, 1 to 30.
        now: from which age is counted.
        keep_within_days: everything younger than this many days stays too; 0 for none.
        keep: how many days, weeks, months and years keep their newest good one.
        clock_in_doubt: nothing goes.

    Raises:
        InvalidKeepCount: `keep_count` is not an integer from 1 to 30.
        ValueError: `keep_within_days` is negative, or a datetime is naive.
    """
    _check(keep_count, keep_within_days)
    present = as_utc(now, "now")
    newest_first = _newest_first(backups)
    counted = [backup for backup in newest_first if _counts(backup, present)][:keep_count]
    beside = _before_collapse(newest_first) | _newest_flawed(newest_first, keep_count)
    by_period = kept_by_period(
        ((each.backup_id, each.local_day) for each in newest_first if _counts(each, present)), keep
    )
    reasons = {
        backup.backup_id: _reasons(
            backup,
            present,
            max(keep_within_days, keep.within_days),
            is_older=bool(counted) and _age_order(backup) < _age_order(counted[-1]),
            is_full=len(counted) == keep_count,
            beside=beside,
        )
        + tuple(by_period.get(backup.backup_id, ()))
        for backup in newest_first
    }
    spared = last_good(newest_first, {backup_id for backup_id in reasons if reasons[backup_id]})
    reasons |= {backup.backup_id: ("last_good",) for backup in spared}
    if clock_in_doubt:
        reasons = {backup_id: why or ("clock_in_doubt",) for backup_id, why in reasons.items()}
    return RetentionPlan(
        kept=tuple(Kept(backup_id, why) for backup_id, why in reasons.items() if why),
        deleted=tuple(backup for backup in reversed(newest_first) if not reasons[backup.backup_id]),
        spared=spared,
    )


def _check(keep_count: int, keep_within_days: int) -> None:
    # The type too: these come from callers without a type checker, and True is an int.
    is_number = isinstance(keep_count, int) and not isinstance(keep_count, bool)
    if not is_number or not KEEP_COUNT_MIN <= keep_count <= KEEP_COUNT_MAX:
        raise InvalidKeepCount(
            f"keep_count is {keep_count!r}: "
            f"use an integer from {KEEP_COUNT_MIN} to {KEEP_COUNT_MAX}"
        )
    if keep_within_days < 0:
        raise ValueError(f"keep_within_days is {keep_within_days}: use 0 (none) or more")


def _age_order(backup: Candidate) -> tuple[int, bool, datetime, int, str]:
    # Adopted files that stand at the same place follow what was recorded there, by their mtimes.
    created_at = as_utc(backup.created_at, "created_at")
    is_put_back = backup.stands_at < backup.position
    return backup.stands_at, is_put_back, created_at, backup.position, backup.backup_id


def _newest_first(backups: Sequence[Candidate]) -> list[Candidate]:
    there = (backup for backup in backups if backup.status in ("ok", "corrupt"))
    return sorted(there, key=_age_order, reverse=True)


def _counts(backup: Candidate, now: datetime) -> bool:
    is_regular = backup.is_good and not backup.is_protected
    return is_regular and (backup.just_made or not _is_dated_ahead(backup, now))


def _is_dated_ahead(backup: Candidate, now: datetime) -> bool:
    return as_utc(backup.created_at, "created_at") > now


def _is_young(backup: Candidate, now: datetime, keep_within_days: int) -> bool:
    # Whole days, rounded down: comparing them with any number cannot overflow. A backup from
    # the future (a clock that once jumped) has a negative age, which 0 days must not keep.
    age_days = (now - as_utc(backup.created_at, "created_at")).days
    return keep_within_days > 0 and age_days < keep_within_days


def _reasons(
    backup: Candidate,
    now: datetime,
    keep_within_days: int,
    *,
    is_older: bool,
    is_full: bool,
    beside: Mapping[str, str],
) -> tuple[str, ...]:
    """`is_older`: than all that are counted. `is_full`: as many are counted as are asked for.

    `beside`: by id, why some stay that are not counted.
    """
    is_corrupt = backup.status == "corrupt" and not backup.is_protected
    is_uncounted = backup.is_good and not backup.is_protected and not _counts(backup, now)
    applying = {
        "within_keep_count": _counts(backup, now) and not is_older,
        "just_made": backup.just_made,
        "dated_ahead": is_uncounted and not (is_full and is_older),
        "within_days": _is_young(backup, now, keep_within_days),
        "protected": backup.is_protected,
        "held": backup.held,
        "being_restored": backup.being_restored,
        "corrupt_not_counted": is_corrupt and not is_older,
    }
    found = [reason for reason, applies in applying.items() if applies]
    return tuple(found + [beside[each] for each in [backup.backup_id] if each in beside])


def _before_collapse(newest_first: Sequence[Candidate]) -> dict[str, str]:
    """Each owner's newest good one from before each open collapse."""
    spared: dict[tuple[str | None, int | None], str] = {}
    for backup in newest_first:
        if backup.is_good and backup.is_before_collapse:
            spared.setdefault((backup.source, backup.owner), backup.backup_id)
    return dict.fromkeys(spared.values(), "before_collapse")


def _newest_flawed(newest_first: Sequence[Candidate], keep_count: int) -> dict[str, str]:
    flawed = [
        backup.backup_id
        for backup in newest_first
        if backup.status == "ok" and backup.is_flawed and not backup.is_protected
    ]
    return dict.fromkeys(flawed[:keep_count], "flawed_within_count")
