"""The first chapters: a database, three people, three schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from rich.filesize import decimal

from commands.demo.sample_database import USERS, count_rows
from commands.errors import InvalidSettings
from commands.schedules.settings import configure
from commands.site import actors
from projections.queries.schedules import all_schedules

if TYPE_CHECKING:
    from datetime import datetime

    from commands.demo.narrator import Narrator
    from commands.demo.office import Office

NAMES: Final = {user_id: name.split()[0] for user_id, name, _, _ in USERS}
CHOICES: Final = {
    1: {
        "frequency": "daily",
        "backup_time": "02:30",
        "timezone": "Europe/Berlin",
        "keep_count": 7,
    },
    2: {
        "frequency": "weekly",
        "backup_time": "03:00",
        "timezone": "America/New_York",
        "keep_count": 4,
    },
    3: {
        "frequency": "monthly",
        "backup_time": "05:15",
        "timezone": "Asia/Kolkata",
        "keep_count": 3,
    },
}


def tell_the_database(office: Office, tell: Narrator) -> None:
    """What will be backed up."""
    tell.chapter("A law office and its database")
    rows = count_rows(office.application)
    size = sum(each.stat().st_size for each in office.folder.glob("office.db*"))
    tell.say(
        f"A sample database in WAL mode, kept open by its application: {decimal(size)}, "
        f"{sum(rows.values()):,} rows."
    )
    tell.table(
        ["table", *rows], [["rows", *(f"{each:,}" for each in rows.values())]], right=[*rows]
    )


def choose_schedules(office: Office, tell: Narrator) -> None:
    """Three users, three rhythms, three time zones; and one wish that is refused."""
    tell.chapter("Three people choose when to back up")
    for user_id, choice in CHOICES.items():
        configure(office.site, office.site.context(actors.user(user_id)), user_id, choice)
    with office.site.read_models.reading() as connection:
        schedules = all_schedules(connection)
    tell.table(
        ["user", "rhythm", "zone", "keep", "next run there", "in UTC"],
        [
            [
                f"{each.user_id} {NAMES[each.user_id]}",
                f"{each.frequency} {each.backup_time}",
                each.timezone,
                each.keep_count,
                _there(each.next_backup_at, each.timezone),
                _there(each.next_backup_at, "UTC"),
            ]
            for each in schedules
        ],
    )
    try:
        configure(office.site, office.site.context(actors.user(2)), 2, {"keep_count": 99})
    except InvalidSettings as refused:
        tell.bad(f"Ben asks to keep 99 backups. Refused, and recorded: {refused}")


def _there(moment: datetime | None, timezone: str) -> str:
    return "-" if moment is None else f"{moment.astimezone(ZoneInfo(timezone)):%d %b %H:%M}"
