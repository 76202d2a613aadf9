"""Verification by drill, by command and in the scheduler, on real files and frozen time."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.errors import StoreUnknown, VerificationFailed
from commands.recovery.reconcile import reconcile
from commands.retention.apply import apply_retention
from commands.scheduler.checks import Checks
from commands.sqlite.content import BackupUnreadable
from commands.sqlite.errors import NotEnoughSpace
from commands.verification import drill as restore_drill
from commands.verification.daily_drills import DailyDrills
from commands.verification.verify import look_closely, verify_backup, verify_backups
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupCorrupt, BackupCreated, BackupMissing, BackupVerified
from ledger.events.scheduling import CheckFailed
from ledger.vocabulary import BackupStatus, backup_stream
from projections.folds.backup import Backup
from tests.commands.conftest import MakeWorld
from tests.commands.world import World


def damage(path: Path) -> None:
    """One byte changes, in an unused place; size and time stay."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def taken(world: World, name: str = "one.db") -> Backup:
    return take_backup(world.site, world.context(), filename=name)


def status_of(world: World, name: str) -> str:
    with world.site.read_models.reading() as connection:
        rows = connection.exec_driver_sql("SELECT filename, status FROM backup_catalog")
        return dict(iter(rows.fetchall()))[name]


def test_a_drill_restores_counts_and_leaves_nothing(world: World) -> None:
    """A recorded fact of the strongest level; the scratch file is gone."""
    backup = taken(world)
    steps: set[str] = set()
    found = verify_backup(
        world.site, world.context(), backup, "drill", on_progress=lambda step, *_: steps.add(step)
    )
    assert found.is_good
    assert steps == {"restoring"}
    [event] = world.recorded(BackupVerified)
    assert (event.level, event.found_sha256, event.trigger) == ("drill", backup.sha256, "command")
    assert world.present()[0].verified_level == "drill"
    assert world.staged() == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"row_count": 21}, "it has 20 rows, recorded were 21"),
        ({"table_count": 2}, "it has 1 tables, recorded were 2"),
        ({"schema_fingerprint": "f" * 64}, "its schema is not the one that was recorded"),
        ({"tables": [{"name": "cases", "rows": 7}]}, "table cases has 20 rows, recorded were 7"),
    ],
)
def test_a_drill_counts_against_what_was_kept_at_creation(
    world: World, changed: dict[str, object], says: str
) -> None:
    """The digest alone would not notice a backup that never held what the ledger says."""
    backup = taken(world)
    [created] = world.recorded(BackupCreated)
    lying = BackupCreated(**(created.model_dump() | changed | {"filename": "lie.db"}))
    os.link(world.backups / "one.db", world.backups / "lie.db")
    draft = Draft(backup_stream("00000000-0000-4000-8000-000000000001"), lying)
    world.site.notify(world.site.ledger.append(world.context(), draft))
    [lie] = [each for each in world.present() if each.filename == "lie.db"]
    assert look_closely(world.site, lie, "integrity").is_good
    assert look_closely(world.site, lie, "drill").problem == says
    assert look_closely(world.site, backup, "drill").is_good
    assert world.staged() == []


def test_an_adopted_backup_can_be_drilled(world: World) -> None:
    """Nothing was counted when it was made; it is restored and checked all the same."""
    world.open()
    with closing(sqlite3.connect(world.backups / "old.db")) as connection:
        connection.execute("CREATE TABLE papers (id)")
        connection.commit()
    reconcile(world.site, world.context())
    assert verify_backup(world.site, world.context(), world.present()[0], "drill").is_good


@pytest.mark.parametrize("level", ["digest", "integrity", "drill"])
def test_a_file_that_changed_after_publishing_is_found(world: World, level: str) -> None:
    """By its digest; it counts as damaged from then on."""
    backup = taken(world)
    damage(world.backups / "one.db")
    found = verify_backup(world.site, world.context(), backup, level)  # type: ignore[arg-type]
    assert found.problem == "the file's content is not what was recorded"
    [event] = world.recorded(BackupCorrupt)
    assert event.level == level
    assert status_of(world, "one.db") == BackupStatus.CORRUPT


def test_no_space_and_a_failing_disk_say_nothing_about_the_backup(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear error; nothing recorded, nothing left, and the others go on."""
    backup = taken(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.site, "free_bytes", lambda _folder: 40_960)
        with pytest.raises(VerificationFailed, match="free some") as refused:
            verify_backup(world.site, world.context(), backup, "drill")
    assert isinstance(refused.value.__cause__, NotEnoughSpace)
    real = os.write

    def torn(descriptor: int, data: bytes) -> int:
        if "drill-" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(5, "Input/output error")
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        [found] = verify_backups(world.site, world.context(), [backup], "drill")
    assert found.failure is not None
    assert "Input/output error" in found.failure
    assert found.problem is None
    assert not found.is_good
    assert world.recorded(BackupCorrupt) == []
    assert world.staged() == []
    assert status_of(world, "one.db") == BackupStatus.OK


def test_a_backup_that_the_disk_does_not_give_back_is_damaged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable sector in the backup itself is a finding, not an excuse."""
    backup = taken(world)

    def torn(*_given: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "readv", torn)
        found = look_closely(world.site, backup, "digest")
    assert found.problem is not None
    assert "disk cannot read it" in found.problem
    assert issubclass(BackupUnreadable, OSError)


def test_a_link_is_never_followed(world: World) -> None:
    """Not even to a file with the right content: what is not there is missing."""
    backup = taken(world)
    moved = world.folder / "moved.db"
    (world.backups / "one.db").rename(moved)
    (world.backups / "one.db").symlink_to(moved)
    found = verify_backup(world.site, world.context(), backup, "drill")
    assert found.is_gone
    assert len(world.recorded(BackupMissing)) == 1


def test_nothing_is_gone_from_a_folder_that_is_not_there(world: World) -> None:
    """An unmounted folder is an error, never a mass of lost backups."""
    backup = taken(world)
    world.backups.rename(world.folder / "elsewhere")
    world.backups.mkdir()
    with pytest.raises(StoreUnknown, match="mounted"):
        look_closely(world.site, backup, "digest")
    world.backups.rmdir()
    (world.folder / "elsewhere").rename(world.backups)
    assert look_closely(world.site, backup, "digest").is_good


def shared_by(world: World, *users: int) -> list[Backup]:
    """One snapshot that these users share."""
    for user_id in users:
        world.configure(user_id)
    world.due_again(users[0])
    assert world.check().completed == len(users)
    backups = world.present()
    assert len({(world.backups / each.filename).stat().st_ino for each in backups}) == 1
    return backups


def test_a_shared_file_is_read_once_and_the_outcome_is_everybodys(world: World) -> None:
    backups = shared_by(world, 1, 2, 3)
    seen: list[tuple[int, int]] = []
    found = list(
        verify_backups(
            world.site,
            world.context(),
            backups,
            "drill",
            on_progress=lambda _step, done, total: seen.append((done, total)),
        )
    )
    assert len(found) == 3
    assert seen == [(backups[0].size, backups[0].size)]
    assert len(world.recorded(BackupVerified)) == 3


def test_a_damaged_shared_file_is_recorded_for_every_entry_on_it(world: World) -> None:
    """Also where only one of them was asked for; an independent copy stays good."""
    backups = shared_by(world, 1, 2, 3)
    world.advance(hours=1)
    own = taken(world, "own.db")
    damage(world.backups / backups[0].filename)
    verify_backup(world.site, world.context(), backups[1], "digest")
    assert len(world.recorded(BackupCorrupt)) == 3
    assert status_of(world, own.filename) == BackupStatus.OK
    assert {status_of(world, each.filename) for each in backups} == {BackupStatus.CORRUPT}


def test_one_lost_name_of_a_shared_file_is_one_loss(world: World) -> None:
    backups = shared_by(world, 1, 2)
    (world.backups / backups[0].filename).unlink()
    found = list(verify_backups(world.site, world.context(), backups, "drill"))
    assert sorted(each.is_good for each in found) == [False, True]
    assert len(world.recorded(BackupMissing)) == 1


@pytest.mark.parametrize("loss", ["damaged", "gone"])
def test_what_a_drill_finds_bad_no_longer_counts_for_retention(world: World, loss: str) -> None:
    """Keep one: the newest is bad, so the older good one is the one that is kept."""
    taken(world, "older.db")
    world.advance(hours=1)
    newest = taken(world, "newest.db")
    if loss == "gone":
        (world.backups / "newest.db").unlink()
    else:
        damage(world.backups / "newest.db")
    assert not verify_backup(world.site, world.context(), newest, "drill").is_good
    apply_retention(world.site, world.context(), 1, None)
    assert status_of(world, "older.db") == BackupStatus.OK
    assert (world.backups / "older.db").exists()


def test_an_interrupt_leaves_nothing_and_keeps_what_was_recorded(world: World) -> None:
    """Between two files and within one."""
    backups = [taken(world, "one.db"), taken(world, "two.db")]

    def interrupt(_step: str, done: int, _total: int) -> None:
        if done > backups[0].size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(verify_backups(world.site, world.context(), backups, "drill", on_progress=interrupt))
    assert len(world.recorded(BackupVerified)) == 1
    assert world.staged() == []


@pytest.mark.slow
@pytest.mark.long
def test_over_sixty_days_every_kept_backup_is_drilled_in_time(make_world: MakeWorld) -> None:
    """Daily backups, retention of 20 and a monthly one; no day takes more than its fair share."""
    world = make_world(drill_days=10)
    for number in range(12):  # a flood on the first day
        world.advance(seconds=1)
        taken(world, f"old-{number}.db")
    world.configure(1, keep_count=20)
    last_good: dict[str, object] = {each.backup_id: world.clock.now() for each in world.present()}
    per_day: Counter[object] = Counter()
    start, checks = world.clock.now(), Checks(world.site)
    for hour in range(0, 60 * 24, 6):
        world.move_to(start + timedelta(hours=hour))
        assert checks.check().failed == 0
        for event in world.events_of(BackupVerified)[sum(per_day.values()) :]:
            assert event.details.level == "drill"
            assert event.details.trigger == "due"
            per_day[event.timestamp.date()] += 1
            last_good[event.resource_id] = event.timestamp
        for backup in world.present():
            since = last_good.setdefault(backup.backup_id, world.clock.now())
            assert world.clock.now() - since <= timedelta(days=10)  # type: ignore[operator]
    assert len(world.present()) == 32
    # 32 files in 8 planned days, and one more where the flood and the daily ones meet.
    assert max(per_day.values()) <= 32 // 8 + 1
    assert sum(per_day.values()) >= 60 * 12 // 10
    assert world.staged() == []


@pytest.mark.slow
def test_drills_wait_for_due_backups_and_for_their_budget(make_world: MakeWorld) -> None:
    """A due run comes first; a check that has read enough leaves the rest to the next one."""
    world = make_world(drill_days=1, drill_mb_per_check=1)
    world.configure(1)
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("CREATE TABLE heavy (data)")
        connection.execute("INSERT INTO heavy VALUES (zeroblob(1500000))")
        connection.commit()
    for number in range(3):
        taken(world, f"{number}.db")
    world.due_again()
    drills = DailyDrills(world.site)
    assert list(drills.drill_share()) == []
    assert world.recorded(BackupVerified) == []
    world.check()
    for expected in (1, 2, 3, 4, 4):
        assert list(drills.drill_share()) == []
        assert len(world.recorded(BackupVerified)) == expected
    world.reopen()
    assert list(DailyDrills(world.site).drill_share()) == []
    assert len(world.recorded(BackupVerified)) == 4


def test_what_others_drilled_or_deleted_since_the_plan_is_left_out(make_world: MakeWorld) -> None:
    """Two schedulers plan the same day; each looks again before it drills a file."""
    world = make_world(drill_days=1, drill_mb_per_check=1)
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("CREATE TABLE heavy AS SELECT zeroblob(1500000) AS data")
        connection.commit()
    for number in range(5):
        taken(world, f"{number}.db")
    one, another = DailyDrills(world.site), DailyDrills(world.site)
    assert list(one.drill_share()) == list(another.drill_share()) == []
    assert len(world.recorded(BackupVerified)) == 2
    drilled = {each.resource_id for each in world.events_of(BackupVerified)}
    [gone, *_] = [each for each in world.present() if each.backup_id not in drilled]
    delete_backup(world.site, world.context(), gone.filename, force=True)
    for _ in range(5):
        assert list(one.drill_share()) == list(another.drill_share()) == []
    assert Counter(each.resource_id for each in world.events_of(BackupVerified)) == Counter(
        drilled | {each.backup_id for each in world.present()}
    )


def test_a_stop_ends_a_drill_within_a_file(world: World) -> None:
    """Nothing is recorded and nothing left; it is held again another time."""
    taken(world)
    world.advance(days=30)
    stop = Event()
    real = restore_drill.read_through

    def stopped(*given: object) -> str:
        stop.set()
        return real(*given)  # type: ignore[arg-type]

    drills = DailyDrills(world.site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore_drill, "read_through", stopped)
        assert list(drills.drill_share(stop)) == []
    assert world.recorded(BackupVerified) == []
    assert world.staged() == []
    assert list(drills.drill_share()) == []
    assert len(world.recorded(BackupVerified)) == 1


def test_a_drill_that_cannot_be_held_is_told_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record a day, not one a check; the next day it is tried again."""
    taken(world)
    world.advance(days=30)
    checks = Checks(world.site)
    with monkeypatch.context() as patch:
        patch.setattr(world.site, "free_bytes", lambda _folder: 40_960)
        for _ in range(3):
            checks.check()
            world.advance(minutes=1)
    [failed] = world.events_of(CheckFailed)
    assert "free some" in failed.error_message
    world.advance(days=1)
    checks.check()
    assert len(world.recorded(BackupVerified)) == 1
