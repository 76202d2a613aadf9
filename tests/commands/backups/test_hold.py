"""Holds: nobody deletes a held backup, not even with force, until the hold ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import pytest

from commands.backups.delete import delete_backup
from commands.backups.hold import MAX_OWN_HOLDS, place_hold, release_holds
from commands.backups.take import take_backup
from commands.errors import (
    BackupNotFound,
    CommandError,
    InvalidArgument,
    Refused,
    TooMany,
    exit_code_of,
)
from commands.recovery.reconcile import reconcile
from commands.retention.apply import apply_retention
from ledger.append.ledger import Context
from ledger.events.catalog import HoldPlaced, HoldReleased
from ledger.records.record import Actor
from ledger.vocabulary import ActorKind
from tests.commands.world import World


@pytest.fixture
def held(world: World) -> World:
    """Two backups, the older one held."""
    for name in ("held.db", "newer.db"):
        take_backup(world.site, world.context(), filename=name, user_id=1)
        world.advance(hours=1)
    place_hold(world.site, world.context(), "held.db", "the auditor comes on Monday")
    return world


def test_hold_is_recorded_with_reason_and_owner(held: World) -> None:
    """The event is on the backup's stream, the actor is who asked, the owner stays the owner."""
    (event,) = held.events_of(HoldPlaced)
    assert event.details.reason == "the auditor comes on Monday"
    assert event.details.until is None
    assert (event.user_id, event.actor.kind) == ("1", "operator")


@pytest.mark.parametrize("force", [False, True])
def test_held_backup_cannot_be_deleted(held: World, force: bool) -> None:
    """Force overrides protection, never a hold."""
    with pytest.raises(Refused, match="held"):
        delete_backup(held.site, held.context(), "held.db", force=force)
    assert "held.db" in held.files()


def test_held_backup_is_kept_by_retention(held: World) -> None:
    """With its reason."""
    outcome = apply_retention(held.site, held.context(), 1, 1)
    reasons = {held_.backup_id: held_.reasons for held_ in outcome.plan.kept}
    assert sorted(reasons.values()) == [("held",), ("within_keep_count",)]
    assert held.files() == {"held.db", "newer.db"}


def test_released_backup_goes_its_way(held: World) -> None:
    """All holds are released, one event each."""
    place_hold(held.site, held.context(), "held.db", "another reason")
    assert release_holds(held.site, held.context(), "held.db") == 2
    placed, released = held.recorded(HoldPlaced), held.recorded(HoldReleased)
    assert [each.hold_id for each in released] == [each.hold_id for each in placed]
    assert [each.reason for each in released] == [each.reason for each in placed]
    assert release_holds(held.site, held.context(), "held.db") == 0
    apply_retention(held.site, held.context(), 1, 1)
    assert held.files() == {"newer.db"}


def test_hold_with_an_end_ends(held: World) -> None:
    """At that moment, by the command's clock."""
    release_holds(held.site, held.context(), "held.db")
    until = held.clock.now() + timedelta(hours=1)
    place_hold(held.site, held.context(), "held.db", "for an hour", until)
    held.advance(minutes=59)
    with pytest.raises(Refused):
        delete_backup(held.site, held.context(), "held.db")
    held.advance(minutes=1)
    delete_backup(held.site, held.context(), "held.db")
    assert held.files() == {"newer.db"}


def test_end_that_has_passed_is_refused(held: World) -> None:
    """So is now itself, and a moment without a zone."""
    for until in (held.clock.now(), held.clock.now() - timedelta(days=1)):
        with pytest.raises(InvalidArgument, match="passed"):
            place_hold(held.site, held.context(), "newer.db", "why", until)
    with pytest.raises(ValueError, match="time zone"):
        place_hold(held.site, held.context(), "newer.db", "why", datetime(2030, 1, 1))
    assert len(held.recorded(HoldPlaced)) == 1


@pytest.mark.parametrize("reason", ["", " \n", "x" * 4_097, "\udcff"])
def test_reason_that_says_nothing_is_refused(held: World, reason: str) -> None:
    """The auditor will want to know; exit code 2."""
    with pytest.raises(InvalidArgument) as refused:
        place_hold(held.site, held.context(), "newer.db", reason)
    assert exit_code_of(refused.value) == 2


def test_longest_reason_fits_into_a_record(held: World) -> None:
    """4,096 bytes, each of which takes six in JSON."""
    place_hold(held.site, held.context(), "newer.db", "a" + "\x01" * 4_095)
    assert len(held.recorded(HoldPlaced)[-1].reason) == 4_096


def test_what_is_not_there_cannot_be_held(held: World) -> None:
    """Unknown: exit 4. Deleted: exit 4. Missing: an error that says so."""
    delete_backup(held.site, held.context(), "newer.db")
    for name in ("nobody.db", "newer.db"):
        with pytest.raises(BackupNotFound) as missing:
            place_hold(held.site, held.context(), name, "why")
        assert exit_code_of(missing.value) == 4
    (held.backups / "held.db").unlink()
    reconcile(held.site, held.context())
    with pytest.raises(CommandError, match="missing"):
        place_hold(held.site, held.context(), "held.db", "why")


def as_actor(world: World, kind: ActorKind, name: str) -> Context:
    return world.site.context(Actor(id=name, kind=kind))


def test_a_user_releases_no_operators_hold(held: World) -> None:
    """Nor another user's; the backup stays held, and nothing is recorded."""
    place_hold(held.site, as_actor(held, "user", "2"), "newer.db", "mine")
    for name in ("held.db", "newer.db"):
        with pytest.raises(Refused, match="operator"):
            release_holds(held.site, as_actor(held, "user", "1"), name)
    assert held.recorded(HoldReleased) == []
    with pytest.raises(Refused, match="held"):
        delete_backup(held.site, as_actor(held, "user", "1"), "held.db", force=True)


def test_an_actor_of_another_kind_with_the_same_name_is_somebody_else(held: World) -> None:
    """User 1 is not auditor 1, nor an operator who happens to be called 1."""
    place_hold(held.site, as_actor(held, "operator", "1"), "newer.db", "an order of the court")
    for kind in ("user", "auditor", "scheduler", "system"):
        with pytest.raises(Refused, match="operator"):
            release_holds(held.site, as_actor(held, cast("ActorKind", kind), "1"), "newer.db")


def test_a_user_releases_the_users_own_holds_and_no_others(held: World) -> None:
    """The operator's stays, and is what refuses from then on; an operator releases all."""
    own = place_hold(held.site, as_actor(held, "user", "1"), "held.db", "mine")
    assert release_holds(held.site, as_actor(held, "user", "1"), "held.db") == 1
    assert [each.hold_id for each in held.recorded(HoldReleased)] == [own]
    with pytest.raises(Refused, match="the auditor comes"):
        delete_backup(held.site, held.context(), "held.db", force=True)
    place_hold(held.site, as_actor(held, "user", "1"), "held.db", "mine")
    assert release_holds(held.site, as_actor(held, "operator", "another"), "held.db") == 2


def test_one_actor_places_ten_holds_on_a_backup_and_no_more(held: World) -> None:
    """Each is read with every list; others, and released ones, do not count."""
    user = as_actor(held, "user", "1")
    for number in range(MAX_OWN_HOLDS):
        place_hold(held.site, user, "held.db", f"reason {number}")
    with pytest.raises(TooMany, match="release them first"):
        place_hold(held.site, user, "held.db", "one more")
    place_hold(held.site, held.context(), "held.db", "the operator's")
    release_holds(held.site, user, "held.db")
    place_hold(held.site, user, "held.db", "again")
