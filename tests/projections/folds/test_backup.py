"""What a backup's events add up to, by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.append.ledger import Draft
from ledger.events.catalog import (
    BackupCorrupt,
    BackupCreated,
    BackupDeleted,
    BackupFound,
    BackupMissing,
    BackupNotCreated,
    BackupVerified,
    DeletionStarted,
    HoldPlaced,
    HoldReleased,
)
from ledger.vocabulary import LEVELS
from projections.folds.backup import evolve_backup
from tests.projections.events_of_streams import at, folded
from tests.sample_events import BACKUP, NAME, RUN, SHA, SOURCE, STORE, draft, uuid_of

MADE = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)
LATER = MADE + timedelta(days=30)
CREATED = at(MADE, draft(BackupCreated, owner=1))
MISSING, CORRUPT = draft(BackupMissing), draft(BackupCorrupt)
STARTED, DELETED = draft(DeletionStarted), draft(BackupDeleted)
GONE = draft(BackupCorrupt, found_sha256=None, problem="the file is gone")


def fold(*drafts: Draft | tuple[datetime, Draft]) -> Any:
    return folded(evolve_backup, *drafts)


def verified(level: str) -> Draft:
    return draft(BackupVerified, level=level)


def test_a_new_backup_is_good_and_checked() -> None:
    """Nothing enters the catalog as good without an integrity check."""
    backup = fold(CREATED)
    assert (backup.backup_id, backup.filename, backup.store) == (BACKUP, NAME, STORE)
    assert (backup.source, backup.run_id, backup.user_id) == (SOURCE, RUN, 1)
    assert (backup.kind, backup.size, backup.sha256) == ("scheduled", 4096, SHA)
    assert (backup.status, backup.is_present, backup.created_at) == ("ok", True, MADE)
    assert (backup.verified_level, backup.verified_at) == ("integrity", MADE)
    assert (backup.is_protected, backup.holds, backup.deleted_at) == (False, [], None)


def test_an_adopted_backup_is_as_old_as_its_file() -> None:
    """It was good when it was found, or it was not."""
    found = at(LATER, draft(BackupFound, created_at=MADE, status="ok"))
    backup = fold(found)
    assert (backup.created_at, backup.verified_at, backup.status) == (MADE, LATER, "ok")
    assert (backup.source, backup.run_id, backup.user_id) == (None, None, None)
    corrupt = fold(draft(BackupFound, status="corrupt"))
    assert (corrupt.status, corrupt.is_present, corrupt.verified_level) == ("corrupt", True, None)


@pytest.mark.parametrize(
    ("kind", "filename", "expected"),
    [
        ("pre_restore", "pre_restore_backup_2025-01-13T03-00-00.db", True),
        ("pre_migration", "pre_migration_2025-01-13T03-00-00.db", True),
        ("manual", "app_backup_2025-01-13T03-00-00.db", False),
    ],
)
def test_copies_before_a_danger_are_protected(kind: str, filename: str, expected: bool) -> None:
    """Whether made or found."""
    for birth in (BackupCreated, BackupFound):
        assert fold(draft(birth, kind=kind, filename=filename)).is_protected is expected


def test_events_of_a_backup_that_was_never_born_make_none() -> None:
    """A backup that could not be made stands in the audit trail, not in the catalog."""
    assert fold(draft(BackupNotCreated)) is None
    assert fold(MISSING, CORRUPT, verified("drill"), DELETED) is None


def test_a_backup_is_born_once() -> None:
    """A second birth on its stream does not undo what is known of it."""
    backup = fold(CREATED, CORRUPT, draft(BackupFound, status="ok", filename="other.db"))
    assert (backup.status, backup.filename, backup.created_at) == ("corrupt", NAME, MADE)


def test_a_missing_backup_is_not_present() -> None:
    """What was known of it stays known."""
    backup = fold(CREATED, MISSING)
    assert (backup.status, backup.is_present) == ("missing", False)
    assert backup.verified_level == "integrity"


@pytest.mark.parametrize("level", LEVELS)
def test_a_missing_backup_that_is_there_again_is_good_again(level: str) -> None:
    """A check at any level shows that it is there."""
    assert fold(CREATED, MISSING, verified(level)).status == "ok"


@pytest.mark.parametrize("level", LEVELS)
def test_a_check_is_kept_with_its_level_and_time(level: str) -> None:
    """The last one counts."""
    backup = fold(CREATED, at(LATER, verified(level)))
    assert (backup.verified_level, backup.verified_at) == (level, LATER)
    assert backup.status == "ok"


def test_a_corrupt_backup_is_there_but_not_good() -> None:
    """Nothing that was verified before still holds."""
    backup = fold(CREATED, at(LATER, verified("drill")), CORRUPT)
    assert (backup.status, backup.is_present) == ("corrupt", True)
    assert (backup.verified_level, backup.verified_at) == (None, None)


@pytest.mark.parametrize(
    ("level", "status"),
    [("exists", "corrupt"), ("digest", "ok"), ("integrity", "ok"), ("drill", "ok")],
)
@pytest.mark.parametrize("between", [[], [MISSING], [MISSING, verified("exists"), MISSING]])
def test_only_its_content_makes_a_corrupt_backup_good(
    between: list[Draft], level: str, status: str
) -> None:
    """That the file exists proves nothing, also after it was away for a while."""
    assert fold(CREATED, CORRUPT, *between, verified(level)).status == status


def test_a_check_that_finds_no_file_leaves_a_missing_backup_missing() -> None:
    """It is not there, so it is not corrupt; a bad file in its place is."""
    assert fold(CREATED, MISSING, GONE).status == "missing"
    assert fold(CREATED, GONE, MISSING).status == "missing"
    assert fold(CREATED, MISSING, CORRUPT).status == "corrupt"


def test_deletion_has_two_steps() -> None:
    """Between them the file may be there or not, and nobody counts on it."""
    deleting = fold(CREATED, STARTED)
    assert (deleting.status, deleting.is_present, deleting.deleted_at) == ("deleting", False, None)
    gone = fold(CREATED, STARTED, at(LATER, DELETED))
    assert (gone.status, gone.is_present, gone.deleted_at) == ("deleted", False, LATER)


@pytest.mark.parametrize(
    "late", [MISSING, CORRUPT, GONE, *map(verified, LEVELS)], ids=lambda late: late.details.action
)
@pytest.mark.parametrize("deletion", [[STARTED], [STARTED, DELETED]], ids=["deleting", "deleted"])
def test_a_check_that_ends_after_the_deletion_brings_nothing_back(
    deletion: list[Draft], late: Draft
) -> None:
    """Reading a large file takes minutes; the deletion does not wait for it."""
    expected = fold(CREATED, *deletion).status
    assert fold(CREATED, *deletion, late).status == expected


def hold(number: int, until: datetime | None) -> Draft:
    return draft(HoldPlaced, hold_id=uuid_of(number), reason=f"reason {number}", until=until)


def released(number: int) -> Draft:
    return draft(HoldReleased, hold_id=uuid_of(number))


def test_a_backup_carries_several_holds() -> None:
    """Each with its reason; one is released without the others."""
    backup = fold(CREATED, hold(1, None), hold(2, LATER), hold(3, None), released(1))
    assert [each["reason"] for each in backup.holds] == ["reason 2", "reason 3"]
    assert backup.holds[0]["until"] == "2025-02-12T03:00:00.000000Z"
    assert backup.is_held(LATER + timedelta(days=9_999))


def test_a_hold_with_an_end_runs_out_at_that_moment() -> None:
    """It is kept in the row, and no longer counts."""
    backup = fold(CREATED, hold(1, LATER))
    assert backup.is_held(LATER - timedelta(microseconds=1))
    assert not backup.is_held(LATER)
    assert len(backup.holds) == 1


def test_releasing_what_is_not_held_changes_nothing() -> None:
    """Two people may release the same hold."""
    assert fold(CREATED, hold(1, None), released(1), released(1)).holds == []


def test_a_shared_file_is_known_by_its_first_entry() -> None:
    """Users due in the same check share one snapshot."""
    assert fold(CREATED).shared_with is None
    assert fold(draft(BackupCreated, shared_with=uuid_of(9))).shared_with == uuid_of(9)


def test_the_fold_of_a_prefix_is_not_changed_by_what_follows() -> None:
    """Holds are lists: whoever keeps an older state must not see newer holds in it."""
    before = fold(CREATED, hold(1, None))
    kept = list(before.holds)
    held = before.holds
    after = folded(lambda state, each: evolve_backup(state or before, each), hold(2, None))
    assert len(after.holds) == 2
    assert held == kept
