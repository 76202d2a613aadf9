"""retention: preview, apply, and the two clean-ups."""

from __future__ import annotations

import os
import time

import pytest

from tests.acceptance.place import Place


@pytest.fixture
def full_place(place: Place) -> Place:
    """Three backups of user 1, one of user 2, one protected."""
    for number in (1, 2, 3):
        place.done("backup", "create", f"one-{number}", "--user", "1")
    place.done("backup", "create", "two", "--user", "2")
    place.done("backup", "create", "safe", "--pre-migration", "--user", "1")
    return place


def test_preview_changes_nothing_and_apply_does_what_it_said(full_place: Place) -> None:
    """Plan and act are the same function."""
    planned = full_place.json("retention", "preview", "1", "--user", "1")
    assert list(planned) == ["scope", "keep_count", "kept", "deleted", "deleted_count"]
    assert (planned["scope"], planned["keep_count"]) == ("1", 1)
    reasons = {each["filename"]: each["reasons"] for each in planned["kept"]}
    assert reasons == {"safe.db": ["protected"], "one-3.db": ["within_keep_count"]}
    assert [each["filename"] for each in planned["deleted"]] == ["one-1.db", "one-2.db"]
    assert len(full_place.files()) == 6
    assert full_place.json("retention", "apply", "1", "--user", "1") == planned
    names = {each["filename"] for each in full_place.json("backup", "list")}
    assert names == {"one-3.db", "two.db", "safe.db"}
    assert full_place.types()[-1] == "backup_retention.applied"


def test_everybodys_backups_must_be_asked_for(full_place: Place) -> None:
    """Neither scope, or both, is a mistake: nothing is done."""
    for wrong in ([], ["--global", "--user", "1"]):
        ended = full_place.run("retention", "apply", "1", *wrong)
        assert ended.code == 2
        assert "--user N or --global" in ended.err
    assert len(full_place.files()) == 6
    applied = full_place.json("retention", "apply", "1", "--global")
    assert applied["scope"] == "global"
    assert applied["deleted_count"] == 3


def test_text_says_keep_and_delete_with_reasons(full_place: Place) -> None:
    """In words that a person knows."""
    said = full_place.done("retention", "preview", "2", "--user", "1").out
    assert "within keep count" in said
    assert "1 would be deleted; nothing was done." in said
    assert "delete  one-1.db" in said
    assert "1 deleted." in full_place.done("retention", "apply", "2", "--user", "1").out
    assert "no backups" in full_place.done("retention", "preview", "2", "--user", "99").out


def test_empty_backups_are_cleaned_up(place: Place) -> None:
    """The former service left such files behind."""
    place.done("backup", "create", "good")
    (place.backups / "pre_migration_old.db").touch()
    (place.backups / "old.db").touch()
    cleaned = place.json("retention", "cleanup-empty")
    assert cleaned["deleted_count"] == 2
    assert {each["filename"] for each in cleaned["deleted"]} == {"pre_migration_old.db", "old.db"}
    assert [path.name for path in place.backups.glob("*.db")] == ["good.db"]
    assert "nothing to clean up" in place.done("retention", "cleanup-empty").out


def test_old_protected_backups_are_cleaned_up(full_place: Place) -> None:
    """Only the old ones, and only those that are protected."""
    old = full_place.backups / "pre_migration_2020.db"
    old.write_bytes((full_place.backups / "two.db").read_bytes())
    long_ago = time.time() - 100 * 86_400
    os.utime(old, (long_ago, long_ago))
    assert full_place.json("retention", "cleanup-protected", "--days", "101")["deleted"] == []
    said = full_place.done("retention", "cleanup-protected").out
    assert "deleted pre_migration_2020.db (protected, older than 90 days)" in said
    assert (full_place.backups / "safe.db").exists()
    assert not old.exists()
