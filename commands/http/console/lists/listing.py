"""What every list has: what was asked of it, what is wrong with that, and ways to other pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from pydantic import BaseModel

from commands.errors import CommandError, InvalidArgument
from commands.http.problems import not_found
from commands.schedules.user_names import users_named
from ledger.clock import from_microseconds, to_microseconds
from ledger.vocabulary import MAX_USER_ID
from projections.queries.lists import Order, Place, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from commands.http.callers import Caller
    from commands.site.site import Site

PAGE = 50
MAX_TEXT = 300
Text = Annotated[str, Query(max_length=MAX_TEXT)]


class Paged(BaseModel):
    """What the address of any list may say beside its filters. A `sort` with `-`: falling."""

    sort: Text = ""
    after: Text = ""
    before: Text = ""

    def kept(self) -> dict[str, str]:
        """What a link to another page of the same list repeats."""
        values: dict[str, str] = self.model_dump(exclude={"after", "before"})
        return {name: value for name, value in values.items() if value}

    @property
    def is_filtered(self) -> bool:
        return any(self.model_dump(exclude={"after", "before", "sort"}).values())


@dataclass
class Listing:
    """A list as a page shows it. `problems`: what is wrong, by the name of the field.

    `order`: of `orders`, which are what it can be sorted by.
    """

    path: str
    asked: Paged
    orders: tuple[str, ...]
    order: Order
    number: int = 0
    newer: str | None = None
    older: str | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def checked(self, name: str, work: Callable[[], Any], otherwise: Any = None) -> Any:
        """What a field means; noted where it means nothing."""
        try:
            return work()
        except (CommandError, ValueError, OverflowError) as error:
            self.problems[name] = str(error)
            return otherwise

    def require_sound(self) -> None:
        """Raises InvalidArgument, with the first thing that is wrong with what was asked."""
        for problem in self.problems.values():
            raise InvalidArgument(problem)

    def wanted(self, limit: int = PAGE) -> Wanted:
        """The page that is asked for, and one row more."""
        asked = self.asked
        cursor = asked.after or asked.before
        place = self.checked("page", lambda: place_of(cursor, self.order)) if cursor else None
        is_before = bool(asked.before) and not asked.after
        return Wanted(self.order, place, is_before=is_before, limit=limit + 1)

    def shown(self, found: list[Any], wanted: Wanted, value: Callable[[Any], Place]) -> list[Any]:
        """The rows of the page, without the one that tells of another; sets the ways onward."""
        limit = wanted.limit - 1
        has_more = len(found) > limit
        rows = found[-limit:] if wanted.is_before else found[:limit]
        is_beyond = wanted.place is not None
        if rows and (has_more if wanted.is_before else is_beyond):
            self.newer = self.address(before=cursor_of(value(rows[0])))
        if rows and (is_beyond if wanted.is_before else has_more):
            self.older = self.address(after=cursor_of(value(rows[-1])))
        return rows

    def address(self, **changes: str) -> str:
        """The list with its filters, at another page or in another order."""
        return _address(self.path, self.asked.kept() | changes)

    def sort_address(self, by: str) -> str:
        """The first page in the order of a column; the other way round where that is its order."""
        is_falling = not self.order.is_falling if self.order.by == by else by in _FALLING
        return self.address(sort=f"-{by}" if is_falling else by)

    def sorted_as(self, by: str) -> str:
        """For `aria-sort`."""
        if self.order.by != by:
            return "none"
        return "descending" if self.order.is_falling else "ascending"

    @property
    def query(self) -> str:
        """What was asked, for forms that act on all that was found."""
        return urlencode(self.asked.kept())

    @property
    def csv(self) -> str:
        """All of it, as a file."""
        return _address(f"{self.path}.csv", self.asked.kept())

    @property
    def is_changed(self) -> bool:
        """Whether it shows something else than it does at first."""
        return bool(self.asked.kept())


_FALLING = ("made", "size", "last", "begun")
"""Columns whose greatest values are wanted first."""


def listing(path: str, asked: Paged, orders: tuple[str, ...], otherwise: str) -> Listing:
    """A list with the order that is asked for; noted as a problem where there is no such order."""
    found = Listing(path, asked, orders, _order(otherwise, orders))
    if asked.sort:
        found.order = found.checked("sort", lambda: _order(asked.sort, orders), found.order)
    return found


def owners_of(
    site: Site, caller: Caller, text: str, found: Listing, what: str
) -> Collection[int] | None:
    """Whose rows are wanted: a user's own, those of a number, or of all of a name; None: of all.

    Raises:
        HTTPException: 404, a user asks for somebody else's.
    """
    asked = None if not text.strip() else found.checked("user", lambda: _owners(site, caller, text))
    if caller.user_id is None:
        return None if asked is None else list(asked)
    if asked is not None and caller.user_id not in asked:
        raise not_found(f"user {text[:20]} has no {what}")
    return [caller.user_id]


def _owners(site: Site, caller: Caller, text: str) -> list[int]:
    text = text.strip()
    if text.isascii() and text.isdigit():
        number = int(text[:20])
        if not 1 <= number <= MAX_USER_ID:
            raise InvalidArgument(f"{text[:20]} is not the number of a user")
        return [number]
    if caller.user_id is not None:
        raise InvalidArgument(f"{text[:40]!r} is not your number, which is {caller.user_id}")
    return users_named(site, text)


def cursor_of(place: Place) -> str:
    """A place as an address says it; a time in microseconds."""
    value = place.value
    if value is None:
        return f"{place.number}~{NOTHING}"
    told = value if isinstance(value, str | int) else to_microseconds(value)
    return f"{place.number}~{told}"


def place_of(cursor: str, order: Order) -> Place:
    """The place that an address names.

    Raises:
        InvalidArgument: it names none of this list.
    """
    wrong = InvalidArgument("this page of the list is not known; begin with the first one")
    number, mark, value = cursor.partition("~")
    if not mark or not _is_number(number):
        raise wrong
    if value == NOTHING and order.by in _MAY_BE_NOTHING:
        return Place(None, int(number))
    if order.by == "name":
        return Place(value, int(number))
    if not _is_number(value):
        raise wrong
    if order.by not in _TIMES:
        return Place(int(value), int(number))
    try:
        return Place(from_microseconds(int(value)), int(number))
    except (OverflowError, ValueError):
        raise wrong from None


NOTHING = "none"
_MAY_BE_NOTHING = ("user", "last", "next")
_TIMES = ("made", "last", "next")
_DIGITS = len(str(MAX_USER_ID))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= MAX_USER_ID


def _order(text: str, orders: tuple[str, ...]) -> Order:
    name = text.removeprefix("-")
    if name not in orders:
        raise InvalidArgument(f"it cannot be sorted by {name[:40]!r}; by {', '.join(orders)}")
    return Order(name, is_falling=text.startswith("-"))


def _address(path: str, values: dict[str, str]) -> str:
    return f"{path}?{urlencode(values)}" if values else path
