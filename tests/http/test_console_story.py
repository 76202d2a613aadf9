"""A damaged backup says what was found and what to use; a deleted one still tells its story."""

from __future__ import annotations

from markupsafe import escape

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.verification.verify import verify_backup
from projections.folds.backup import Backup
from tests.commands.world import World, add_case
from tests.http.conftest import Place
from tests.http.test_console import log_in


def taken(world: World, name: str) -> Backup:
    """One of user 1, with content of its own."""
    add_case(world.database, name)
    return take_backup(world.site, world.context(), filename=name, user_id=1)


def test_a_damaged_backup_says_what_was_found_and_leads_to_the_good_one(place: Place) -> None:
    """When and how; the good one's restore is the blue button, and only where a role has it."""
    world = place.world
    bad, good = taken(world, "bad"), taken(world, "good")
    path = world.site.store.path("bad.db")
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    found = verify_backup(world.site, world.context(), bad, "digest")
    text = log_in(place, "operator").get("/console/backups/bad.db").text
    assert "This backup is damaged" in text
    assert escape(str(found.problem)) in text
    assert 'class="button" href="/console/backups/good.db/restore"' in text
    assert 'class="button quiet" href="/console/backups/bad.db/restore"' in text
    assert 'class="button" href="/console/backups/bad.db/restore"' not in text
    user = log_in(place, "user", 1).get("/console/backups/bad.db").text
    assert '<a href="/console/backups/good.db">good.db</a>' in user
    assert ".db/restore" not in user
    assert "/audit" not in user
    path.unlink()
    verify_backup(world.site, world.context(), bad, "exists")
    delete_backup(world.site, world.context(), good.filename)
    text = log_in(place, "operator").get("/console/backups/bad.db").text
    assert "There is no good backup of user 1" in text


def test_a_deleted_backups_address_tells_its_story(place: Place) -> None:
    """Made, verified, deleted, when, by whom and why; a user sees no names of others."""
    world = place.world
    for _ in range(2):
        verify_backup(world.site, world.context(), taken(world, "gone"), "integrity")
        delete_backup(world.site, world.context(), "gone.db")
    taken(world, "kept")
    taken(world, "again")
    delete_backup(world.site, world.context(), "again.db")
    taken(world, "again")
    reader, owner = log_in(place, "auditor"), log_in(place, "user", 1)
    text = reader.get("/console/backups/gone.db").text
    who = world.context().actor.id
    assert f"by {who}: on request." in " ".join(text.split())
    assert text.count("Its story") == 2
    assert 'href="/console/audit/events/' in text
    own = owner.get("/console/backups/gone.db").text
    assert "by an operator: on request." in " ".join(own.split())
    assert f"· {who}" not in own
    assert "/audit" not in own
    assert log_in(place, "user", 2).get("/console/backups/gone.db").status_code == 404
    again = " ".join(reader.get("/console/backups/again.db").text.split())
    assert "Deleted backups of this name" in again
    assert f"by {who}: on request." in again
    assert "Deleted backups" not in reader.get("/console/backups/kept.db").text
    assert reader.get("/console/backups/never.db").status_code == 404
    assert 'href="/console/backups/gone.db"' in reader.get("/console/backups?status=deleted").text
