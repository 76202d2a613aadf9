"""Failed runs by their cause: thousands of runs of hundreds of users mostly have one."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from commands.reporting.humanize import count
from projections.queries.failures import (
    DaysRuns,
    UsersRuns,
    Words,
    failed_by_day,
    failed_by_user,
    failing_users,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

LOOKED_AT = timedelta(days=30)
"""What failed longer ago is history; the list of runs and the audit log have it."""
MAX_USERS = 100
"""Users named of one cause."""
_Key = tuple[str, str, str]
_NUMBERS = re.compile(r"\d+")
"""Sizes, times and ports differ from run to run of one cause."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why runs failed. Times are aware UTC, `days` days of UTC, oldest first.

    `message`: what the newest of them said, with what helps. `user_ids`: the first hundred.
    `still`: how many users' last run failed with it; where none did, it is over.
    """

    error_type: str
    message: str
    runs: int
    users: int
    user_ids: tuple[int, ...]
    first_at: datetime
    last_at: datetime
    days: tuple[date, ...]
    still: int

    @property
    def is_over(self) -> bool:
        return not self.still

    @property
    def sentence(self) -> str:
        """What happened, to whom, and when."""
        whom = f"{count(self.runs, 'run')} of {count(self.users, 'user')} failed"
        return f"{whom} {on_days(self.days)}, for one cause: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """As programs get it."""
        return {
            "sentence": self.sentence,
            "error_type": self.error_type,
            "message": self.message,
            "runs": self.runs,
            "users": self.users,
            "user_ids": list(self.user_ids),
            "first_at": self.first_at,
            "last_at": self.last_at,
            "days": [each.isoformat() for each in self.days],
            "still_failing": self.still,
        }


def causes_of_failures(
    connection: Connection, now: datetime, user_id: int | None = None
) -> list[Cause]:
    """The causes of the last thirty days: those that go on first, then the newest first."""
    since = now - LOOKED_AT
    found = failed_by_user(connection, since, user_id)
    last_of: dict[int, UsersRuns] = {}
    for each in found:
        known = last_of.get(each.user_id)
        if known is None or each.newest > known.newest:
            last_of[each.user_id] = each
    failing = failing_users(connection)
    blamed = {each.newest for user, each in last_of.items() if user in failing}
    by_user: dict[_Key, list[UsersRuns]] = defaultdict(list)
    for each in found:
        by_user[_key(each.words)].append(each)
    by_day: dict[_Key, list[DaysRuns]] = defaultdict(list)
    for day in failed_by_day(connection, since, user_id):
        by_day[_key(day.words)].append(day)
    causes = [_cause(some, by_day[key], blamed) for key, some in by_user.items()]
    return sorted(causes, key=lambda each: (not each.is_over, each.last_at), reverse=True)


def on_days(days: Iterable[date]) -> str:
    """`on 8 and 9 November`, `from 3 to 20 May`; the year where it is not that of the last day."""
    found = list(days)
    last = found[-1]
    if len(found) == 1:
        return f"on {_day(last)}"
    first = found[0]
    beginning = str(first.day) if first.month == last.month else _day(first)
    if first.year != last.year:
        beginning = f"{_day(first)} {first.year}"
    if len(found) == 2:  # noqa: PLR2004  (a pair)
        return f"on {beginning} and {_day(last)}"
    is_whole = (last - first).days + 1 == len(found)
    told = f"from {beginning} to {_day(last)}"
    return told if is_whole else f"on {len(found)} days {told}"


def _cause(some: list[UsersRuns], days: list[DaysRuns], blamed: set[int]) -> Cause:
    newest = max(some, key=lambda each: each.newest).words
    users = sorted({each.user_id for each in some})
    return Cause(
        error_type=newest.error_type or newest.outcome,
        message=newest.message or "the scheduler ended in the middle of the run",
        runs=sum(each.number for each in some),
        users=len(users),
        user_ids=tuple(users[:MAX_USERS]),
        first_at=min(each.first_at for each in days),
        last_at=max(each.last_at for each in days),
        days=tuple(sorted({each.first_at.date() for each in days})),
        still=sum(each.newest in blamed for each in some),
    )


def _key(words: Words) -> _Key:
    return words.outcome, words.error_type or "", _NUMBERS.sub("#", words.message or "")


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"
