"""Geometry of the pages' drawings; templates turn it into SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from commands.http.daily_counts import first_of_year
from commands.reporting.humanize import size as in_units

WIDTH, HEIGHT = 1080, 220
LEFT, RIGHT, TOP, BOTTOM = 70, 8, 12, 26
CELL, GAP = 16, 4
YEAR_LEFT, YEAR_TOP = 32, 20
WEEK = 7
MAX_LEVELS = 4
SHORT_DAYS = 62


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class AreaChart:
    """Bytes by day: an area under a line. `about`: the same in words."""

    width: int
    height: int
    line: str
    area: str
    levels: tuple[Label, ...]
    days: tuple[Label, ...]
    left: int
    right: int
    about: str


@dataclass(frozen=True, slots=True)
class Day:
    x: float
    y: float
    tone: str
    about: str


@dataclass(frozen=True, slots=True)
class Month:
    """A month's outcomes, for those who read them."""

    name: str
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class YearChart:
    """A year's outcomes, a square a day, a column a week. `about`: the same in words."""

    width: int
    height: int
    cell: int
    days: tuple[Day, ...]
    months: tuple[Label, ...]
    weekdays: tuple[Label, ...]
    by_month: tuple[Month, ...]
    about: str


def area_chart(series: Sequence[tuple[date, int]]) -> AreaChart | None:
    """Bytes by day; None where there were never any."""
    highest = max((value for _day, value in series), default=0)
    if not highest:
        return None
    step = _step(highest)
    top = step * -(-highest // step)
    across = (WIDTH - LEFT - RIGHT) / max(1, len(series) - 1)

    def place(index: int, value: int) -> tuple[float, float]:
        return LEFT + index * across, _height(value / top)

    points = [place(index, value) for index, (_day, value) in enumerate(series)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    floor = _height(0)
    levels = tuple(
        Label(LEFT - 8, _height(level / top), in_units(level)) for level in range(0, top + 1, step)
    )
    is_short = len(series) <= SHORT_DAYS
    marks = [
        Label(round(x, 1), HEIGHT - 8, f"{day.day} {day:%b}" if is_short else f"{day:%b}")
        for (day, _value), (x, _y) in zip(series, points, strict=True)
        if x < WIDTH - 40 and (day.weekday() == 0 if is_short else day.day == 1)
    ]
    first, last = series[0], series[-1]
    return AreaChart(
        WIDTH,
        HEIGHT,
        line,
        f"{line}L{points[-1][0]:.1f} {floor:.1f}L{points[0][0]:.1f} {floor:.1f}Z",
        levels,
        tuple(marks),
        LEFT,
        WIDTH - RIGHT,
        f"{in_units(first[1])} on {first[0]}, {in_units(last[1])} on {last[0]}, "
        f"at most {in_units(highest)}.",
    )


def year_chart(outcomes: Mapping[date, Counter[str]], last: date) -> YearChart:
    """The 53 weeks up to a day."""
    first = first_of_year(last)
    days, months, by_month = [], [], dict[str, Counter[str]]()
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        counted = outcomes.get(day, Counter())
        x = YEAR_LEFT + number // WEEK * (CELL + GAP)
        days.append(
            Day(x, YEAR_TOP + number % WEEK * (CELL + GAP), tone_of(counted), _told(day, counted))
        )
        if day.day == 1:
            months.append(Label(x, 12, f"{day:%b}"))
        by_month.setdefault(f"{day:%B %Y}", Counter()).update(counted)
    weekdays = tuple(
        Label(0, YEAR_TOP + row * (CELL + GAP) + CELL - 4, name)
        for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
    )
    total = sum(outcomes.values(), Counter())
    return YearChart(
        YEAR_LEFT + 53 * (CELL + GAP),
        YEAR_TOP + WEEK * (CELL + GAP),
        CELL,
        tuple(days),
        tuple(months),
        weekdays,
        tuple(Month(name, counts) for name, counts in reversed(by_month.items()) if counts),
        f"In the year up to {last} (days are UTC): {_numbers(total) or 'no runs'}.",
    )


def tone_of(counted: Counter[str]) -> str:
    """Bad where something failed and nothing went well; a warning where both happened."""
    failed = counted["failed"] + counted["abandoned"]
    if not counted.total():
        return ""
    if not failed and not counted["missed"]:
        return "ok"
    return "warn" if counted["completed"] else "bad"


def _told(day: date, counted: Counter[str]) -> str:
    return f"{day}: {_numbers(counted) or 'no runs'}"


def _numbers(counted: Counter[str]) -> str:
    order = ("completed", "failed", "abandoned", "missed")
    return ", ".join(f"{counted[name]:,} {name}" for name in order if counted[name])


def _height(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _step(highest: int) -> int:
    """A round distance of two to four lines: 1, 2 or 5 and zeros."""
    unit = 1
    while highest > MAX_LEVELS * 5 * unit:
        unit *= 10
    return next(digit * unit for digit in (1, 2, 5) if highest <= MAX_LEVELS * digit * unit)
