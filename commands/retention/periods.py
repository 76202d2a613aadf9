"""The newest good backup of each of so many days, weeks, months and years: pure rules."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.folds.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Keep:
    """What a schedule keeps beside its newest `keep_count`; 0 for nothing."""

    within_days: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        return cls(
            schedule.keep_within_days,
            schedule.keep_daily,
            schedule.keep_weekly,
            schedule.keep_monthly,
            schedule.keep_yearly,
        )

    def fields(self) -> dict[str, Any]:
        """As the settings and the events call them."""
        return {f"keep_{name}": number for name, number in asdict(self).items()}


def kept_by_period(newest_first: Iterable[tuple[str, str]], keep: Keep) -> dict[str, list[str]]:
    """By id, which periods keep it. `newest_first`: (id, local day) of good backups."""
    good = [(backup_id, date.fromisoformat(day)) for backup_id, day in newest_first]
    reasons: dict[str, list[str]] = {}
    for reason, wanted in (
        ("daily", keep.daily),
        ("weekly", keep.weekly),
        ("monthly", keep.monthly),
        ("yearly", keep.yearly),
    ):
        newest: dict[tuple[int, ...], str] = {}
        for backup_id, day in good:
            newest.setdefault(_period(reason, day), backup_id)
        for backup_id in list(newest.values())[:wanted]:
            reasons.setdefault(backup_id, []).append(reason)
    return reasons


def _period(reason: str, day: date) -> tuple[int, ...]:
    if reason == "weekly":
        return tuple(day.isocalendar()[:2])
    return (day.year, day.month, day.day)[: {"yearly": 1, "monthly": 2, "daily": 3}[reason]]
