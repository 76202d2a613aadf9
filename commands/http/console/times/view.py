"""Times on a page: in the zone of the schedule that they belong to, in the visitor's, or in UTC.

Where a time is not in UTC its zone is named, and the UTC stands in its `title`. Programs and
scripts read `datetime`, which is UTC always.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from markupsafe import Markup

from commands.reporting import humanize as moments
from commands.schedules.local_time import UnknownTimeZone, is_known, zone
from ledger.clock import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jinja2.runtime import Context

COOKIE = "backup_ledger_times"
Mode = Literal["schedule", "local", "utc"]
UTC = ZoneInfo("UTC")
NOTHING = timedelta(0)


def _of_nobody(_user: int) -> str | None:
    return None


@dataclass(slots=True)
class TimesView:
    """How one page shows its times.

    `local`: the zone of the visitor's browser, where that is what was chosen. `owner`: whose
    page it is, where nothing else says whose a time is. `zone_of`: the zone of a user's schedule.
    """

    mode: Mode = "schedule"
    local: ZoneInfo = UTC
    owner: int | None = None
    zone_of: Callable[[int], str | None] = _of_nobody
    _known: dict[int, ZoneInfo] = field(default_factory=dict)

    def zone_for(self, user: int | None) -> ZoneInfo:
        """The zone of a time that belongs to a user, or to nobody."""
        whose = self.owner if user is None else user
        if self.mode != "schedule" or whose is None:
            return self.local if self.mode == "local" else UTC
        if whose not in self._known:
            self._known[whose] = zone_named(self.zone_of(whose) or "UTC")
        return self._known[whose]

    @property
    def told(self) -> str:
        """In whose zone times are, for the foot of the page."""
        if self.mode == "utc":
            return "times are UTC"
        if self.mode == "local":
            return f"times are yours, {self.local.key}"
        return "times are UTC where no zone is named"


def view_of(
    cookies: Mapping[str, str], owner: int | None, zone_of: Callable[[int], str | None]
) -> TimesView:
    """What the visitor's cookie says; anything else is as if there were none."""
    chosen = cookies.get(COOKIE, "")
    if chosen == "utc":
        return TimesView("utc")
    kind, _, name = chosen.partition(":")
    if kind == "local" and is_known(name):
        return TimesView("local", zone(name))
    return TimesView("schedule", UTC, owner, zone_of)


def zone_named(name: str) -> ZoneInfo:
    """A zone; UTC where this machine does not know it."""
    try:
        return zone(name)
    except UnknownTimeZone:
        return UTC


def zoned(moment: datetime, where: ZoneInfo, shape: str = "%Y-%m-%d %H:%M") -> str:
    """A time as the clocks of a zone show it, which is named where it is not UTC."""
    local = moment.astimezone(where)
    suffix = "" if where.key == "UTC" else f" {local.tzname()}"
    return f"{local:{shape}}{suffix}"


@pass_context
def instant(
    context: Context, moment: datetime | None, empty: str = "—", user: int | None = None
) -> str | Markup:
    """A time to the second, as an element that programs can read too."""
    return _element(context, moment, empty, user, "%Y-%m-%d %H:%M:%S")


@pass_context
def minute(
    context: Context, moment: datetime | None, empty: str = "—", user: int | None = None
) -> str | Markup:
    """A time to the minute."""
    return _element(context, moment, empty, user, "%Y-%m-%d %H:%M")


@pass_context
def ago(
    context: Context, moment: datetime | None, empty: str = "never", user: int | None = None
) -> str | Markup:
    """How long ago or ahead, with the exact time to be pointed at."""
    if moment is None:
        return empty
    where = _view(context).zone_for(user)
    exact = f"{moments.exact(moment)} UTC"
    if where.key != "UTC":
        exact = f"{zoned(moment, where, '%Y-%m-%d %H:%M:%S')} ({exact})"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        format_instant(moment), exact, moments.relative(moment, context["now"])
    )


@pass_context
def elapsed(context: Context, moment: datetime) -> Markup:
    """How long something has been running; scripts go on counting."""
    length = max(context["now"] - moment, NOTHING)
    return Markup('<time datetime="{}" title="since {} UTC" data-elapsed>{}</time>').format(
        format_instant(moment), moments.exact(moment), moments.duration(length)
    )


def _element(
    context: Context, moment: datetime | None, empty: str, user: int | None, shape: str
) -> str | Markup:
    if moment is None:
        return empty
    where = _view(context).zone_for(user)
    text = zoned(moment, where, shape)
    if where.key == "UTC":
        return Markup('<time datetime="{}">{}</time>').format(format_instant(moment), text)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        format_instant(moment), moments.exact(moment), text
    )


def _view(context: Context) -> TimesView:
    found: Any = context["times"]
    assert isinstance(found, TimesView)
    return found
