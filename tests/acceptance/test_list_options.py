"""backup list with options, and settings set --run-now."""

from __future__ import annotations

from tests.acceptance.place import Place


def names(place: Place, *options: str) -> list[str]:
    return [each["filename"] for each in place.json("backup", "list", *options)]


def test_a_list_is_narrowed_by_user_kind_time_and_status(place: Place) -> None:
    """Newest first, at most so many; a status finds what is gone as well."""
    place.done("backup", "create", "first")
    place.done("backup", "create", "second", "--user", "7")
    place.done("backup", "create", "third")
    assert names(place, "--user", "7") == ["second.db"]
    assert names(place, "--limit", "2") == ["third.db", "second.db"]
    assert len(names(place, "--kind", "manual", "--since", "2025-01-01")) == 3
    assert names(place, "--kind", "scheduled") == []
    assert names(place, "--since", "2999-01-01") == []
    place.done("backup", "delete", "first", "--yes")
    assert names(place, "--status", "deleted") == ["first.db"]
    assert "No backup fits" in place.done("backup", "list", "--user", "9").out
    assert place.run("backup", "list", "--kind", "other").code == 2
    assert place.run("backup", "list", "--since", "yesterday").code == 2


def test_files_that_the_ledger_does_not_know_are_narrowed_too(place: Place) -> None:
    """By the user and kind that their names say."""
    place.done("backup", "create", "first")
    (place.backups / "auto_backup_user7_2025-01-13T03-00-00.db").write_bytes(
        (place.backups / "first.db").read_bytes()
    )
    assert len(names(place)) == 2
    assert names(place, "--user", "7") == ["auto_backup_user7_2025-01-13T03-00-00.db"]
    assert names(place, "--user", "8") == []


def test_settings_with_a_backup_at_once(place: Place) -> None:
    """It is the user's own; the next run stays where it is."""
    made = place.json("settings", "set", "7", "--run-now")
    assert made["backup"]["user_id"] == 7
    assert place.json("settings", "show", "7")["next_backup_at"] == made["next_backup_at"]
    said = place.done("settings", "set", "7", "--keep", "3", "--run-now").out
    assert "Made app_backup_" in said
    assert len(names(place, "--user", "7")) == 2
