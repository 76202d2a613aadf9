"""A search for a text looks at everything, or says how far it looked and goes on."""

from __future__ import annotations

import pytest

from commands.audit import log
from commands.audit.log import AuditPage, audit_page
from ledger.append.ledger import Draft
from ledger.events.housekeeping import ProjectionRebuilt
from projections.queries.audit import AuditFilter
from tests.commands.conftest import MakeWorld
from tests.commands.world import World

MANY = 7_000
NEEDLE = 2
"""The position of what is looked for: after the registration of the source."""
LAST = NEEDLE + MANY + 1
"""The position of the newest event: the settings."""


def fill(world: World, count: int) -> None:
    rebuilt = ProjectionRebuilt(name="none", version=1, position=0, rows=0, reason="filling")
    for _ in range(count // 1_000):
        world.site.ledger.append(world.context(), *[Draft("ledger", rebuilt)] * 1_000)


@pytest.fixture
def long(make_world: MakeWorld) -> World:
    """One event that is looked for, and seven thousand after it."""
    world = make_world()
    world.open()
    rebuilt = ProjectionRebuilt(name="one", version=1, position=0, rows=0, reason="The Needle")
    world.site.ledger.append(world.context(), Draft("ledger", rebuilt))
    fill(world, MANY)
    world.configure()
    world.site.catch_up()
    return world


def positions(page: AuditPage) -> list[int]:
    return [each.position for each in page.records]


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("filters", [{}, {"event_type": "ledger."}])
def test_what_stands_far_back_is_found_on_the_first_page(
    long: World, filters: dict[str, str], *, newest_first: bool
) -> None:
    """Seven thousand records away, whatever the case."""
    wanted = AuditFilter(text="the needle", **filters)  # type: ignore[arg-type]
    page = audit_page(long.site, wanted, newest_first=newest_first)
    assert positions(page) == [NEEDLE]
    assert page.next_cursor is None
    assert page.looked_at in (LAST - 1, LAST)


@pytest.mark.slow
def test_where_it_stops_it_says_so_and_goes_on(
    long: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page says how many it looked through; together they are all."""
    monkeypatch.setattr(log, "TEXT_LOOKS", 3_000)
    wanted, cursor, looked, found = AuditFilter(text="needle"), None, 0, []
    pages = 0
    while pages == 0 or cursor is not None:
        page = audit_page(long.site, wanted, cursor=cursor)
        assert page.looked_at is not None
        pages, cursor, looked = pages + 1, page.next_cursor, looked + page.looked_at
        found += positions(page)
    assert (found, looked, pages) == ([NEEDLE], LAST, 3)


@pytest.mark.slow
def test_pages_of_matches_join_without_a_gap(long: World) -> None:
    """A page that is full ends at its last match."""
    wanted, cursor, found = AuditFilter(text="filling"), None, []
    while True:
        page = audit_page(long.site, wanted, cursor=cursor, limit=999)
        found += positions(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == list(range(LAST - 1, NEEDLE, -1))


@pytest.mark.slow
def test_only_details_and_message_are_searched(long: World) -> None:
    """The names of keys and the ids around them are not what anybody looks for."""
    assert positions(audit_page(long.site, AuditFilter(text="correlation_id"))) == []
    assert positions(audit_page(long.site, AuditFilter(text="backup_time"))) == [LAST]
