"""Why a backup is kept, and when it will go: what retention plans, told for each one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.retention.apply import preview_schedules
from commands.schedules.rhythm import upcoming
from projections.queries.schedules import schedules_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from commands.http.served_site import ServedSite
    from commands.retention.apply import RetentionOutcome
    from projections.folds.backup import Backup

COUNTED = "within_keep_count"
REASONS = {
    COUNTED: "one of the newest",
    "just_made": "made just now",
    "dated_ahead": "dated after now, not counted",
    "clock_in_doubt": "the clock is in doubt",
    "within_days": "younger than the limit",
    "protected": "protected",
    "held": "held",
    "being_restored": "being restored",
    "corrupt_not_counted": "damaged, not counted",
    "before_collapse": "the last one before the database collapsed",
    "flawed_within_count": "one of the newest flawed ones",
    "last_good": "the last good one",
}
PERIODS = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}

GOES = {
    "held": "not while it is held",
    "being_restored": "not while it is being restored",
    "protected": "never by retention",
    "corrupt_not_counted": "when the good ones around it go",
    "clock_in_doubt": "not while the clock is in doubt",
    "dated_ahead": "when newer ones fill the count",
    "before_collapse": "when the collapse is accepted, or the database is whole again",
    "flawed_within_count": "when newer flawed ones fill the count",
    "last_good": "when there is another good one",
}
"""What has to end first, the strongest first."""


@dataclass(frozen=True, slots=True)
class Fate:
    """`goes`: what ends it, in words; `at`: about when, aware UTC, where that can be told."""

    reasons: tuple[str, ...]
    goes: str
    at: datetime | None = None


def fates_of(served: ServedSite, backups: Iterable[Backup]) -> dict[str, Fate]:
    """By backup id, of those that are there."""
    site, now = served.site, served.site.clock.now()
    present = [each for each in backups if each.is_present]
    with site.read_models.reading() as connection:
        schedules = schedules_of(connection, {each.user_id for each in present if each.user_id})
    found = {
        each.backup_id: _of_nobodys(served, each)
        for each in present
        if each.user_id not in schedules
    }
    outcomes = preview_schedules(site, served.asking(), list(schedules.values()))
    for owner, outcome in outcomes.items():
        schedule = schedules[owner]
        runs = upcoming(site.configuration, schedule, now, schedule.keep_count + 1)
        found |= _planned(outcome, schedule.keep_count, runs)
    return found


def _planned(outcome: RetentionOutcome, keep_count: int, runs: list[datetime]) -> dict[str, Fate]:
    found: dict[str, Fate] = {}
    rank = 0
    for kept in outcome.plan.kept:
        told = _described(kept.reasons)
        if COUNTED in kept.reasons:
            rank += 1
            found[kept.backup_id] = _counted(told, kept.reasons, keep_count - rank + 1, runs)
        else:
            found[kept.backup_id] = Fate(told, _goes(kept.reasons))
    for each in outcome.plan.deleted:
        found[each.backup_id] = Fate(("beyond the limit",), "at the next run", _at(runs, 1))
    return found


def _described(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """In words; all periods of which it is the newest together."""
    periods = ", ".join(PERIODS[reason] for reason in reasons if reason in PERIODS)
    others = tuple(REASONS.get(reason, reason) for reason in reasons if reason not in PERIODS)
    return (*others, f"the newest of its {periods}") if periods else others


def _counted(
    told: tuple[str, ...], reasons: tuple[str, ...], remaining: int, runs: list[datetime]
) -> Fate:
    """It goes with the run that makes it one too many, unless something else keeps it."""
    others = [each for each in reasons if each not in (COUNTED, "within_days")]
    if others:
        return Fate(told, _goes(reasons))
    number = "1 more backup" if remaining == 1 else f"{remaining} more backups"
    return Fate(told, f"after {number}", _at(runs, remaining))


def _goes(reasons: tuple[str, ...]) -> str:
    return next((GOES[each] for each in GOES if each in reasons), "when it is older")


def _of_nobodys(served: ServedSite, backup: Backup) -> Fate:
    told = [REASONS["protected"]] if backup.is_protected else []
    if backup.is_held(served.site.clock.now()):
        told.append(REASONS["held"])
    return Fate((*told, "no schedule's retention"), "when someone deletes it")


def _at(runs: list[datetime], number: int) -> datetime | None:
    return runs[number - 1] if len(runs) >= number else None
