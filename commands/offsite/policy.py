"""What a destination keeps and how long nothing there goes: its settings, and what was stated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from commands.offsite.errors import DestinationRefused
from commands.retention.periods import Keep
from ledger.vocabulary import GRACE_HOURS, KEEP_COUNT_MAX, KEEP_COUNT_MIN
from projections.folds.offsite_destination import STATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.folds.offsite_destination import Destination

KEEPS = ("keep_within_days", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
SETTINGS = ("keep", *KEEPS, "grace_hours", "promise_days")


@dataclass(frozen=True, slots=True)
class Policy:
    """`keep_count`: None where every copy is kept. `lock`: of each object, from its PUT on."""

    keep_count: int | None
    keep: Keep
    grace: timedelta
    lock: timedelta
    promise: timedelta
    versioned: bool

    @classmethod
    def of(cls, destination: Destination) -> Self:
        return cls.of_values(destination.settings | destination.stated)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """Settings and statements together.

        Raises:
            DestinationRefused: they contradict each other.
        """
        _require_sound(values)
        lock_days = values.get("lock_days") or 0
        promise_days = values.get("promise_days") or lock_days / 2
        return cls(
            keep_count=values.get("keep") or None,
            keep=Keep(*(values.get(name) or 0 for name in KEEPS)),
            grace=timedelta(hours=values.get("grace_hours") or GRACE_HOURS),
            lock=timedelta(days=lock_days),
            promise=timedelta(days=promise_days),
            versioned=bool(values.get("versioned")),
        )

    @property
    def rule(self) -> str:
        """The retention in words, for the events that follow from it."""
        parts = [f"keep {self.keep_count}"]
        parts += [f"{name[5:]} {count}" for name, count in self.keep.fields().items() if count]
        return ", ".join(parts)

    def not_before(self, now: datetime, put_at: float | None = None) -> datetime:
        """From when on an object may be deleted. `put_at`: seconds since 1970, by the store.

        With a lock it is a whole hour, so that objects of one night go together.
        """
        earliest = now + self.grace
        if not self.lock or put_at is None:
            return earliest
        hour = timedelta(hours=1)
        locked_until = datetime.fromtimestamp(put_at, UTC) + self.lock
        whole = locked_until.replace(minute=0, second=0, microsecond=0)
        return max(earliest, whole if whole == locked_until else whole + hour)


def _require_sound(values: Mapping[str, Any]) -> None:
    keep = values.get("keep")
    if keep is not None and keep != 0 and not KEEP_COUNT_MIN <= keep <= KEEP_COUNT_MAX:
        raise DestinationRefused(
            f"keep is {keep}: use {KEEP_COUNT_MIN} to {KEEP_COUNT_MAX}, or 0 to keep every copy"
        )
    others = [name for name in KEEPS if values.get(name)]
    if others and not keep:
        raise DestinationRefused(
            f"{others[0]} adds to a count of newest copies; give --keep N as well, or without "
            "both every copy is kept"
        )
    negative = [name for name in (*SETTINGS, *STATED) if (values.get(name) or 0) < 0]
    if negative:
        raise DestinationRefused(f"{negative[0]} is negative; use 0 or more")
    lock, promise = values.get("lock_days") or 0, values.get("promise_days") or 0
    if promise and promise >= lock:
        raise DestinationRefused(
            f"promise_days is {promise}: it must be below lock_days ({lock}), for a copy leans on "
            "packs that were locked before it"
        )
