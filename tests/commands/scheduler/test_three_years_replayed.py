"""Three years of everything that happens, and the past as it was seen at the time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold, release_holds
from commands.backups.take import take_backup
from commands.errors import Refused
from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.retention.apply import apply_retention
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from commands.schedules.settings import pause, resume
from commands.verification.verify import verify_backup
from ledger.clock import ManualClock
from ledger.events import Details, catalog, restoring, retention, scheduling
from ledger.vocabulary import BackupKind
from projections.folds.backup import Backup
from projections.past.as_of import as_of
from projections.queries.schedules import all_schedules
from tests.commands.designed import require_as_designed
from tests.commands.world import World, add_case, make_database
from tests.projections.conftest import Rows, folded_in_memory, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.long]

BEGIN, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = 20
USERS = (1, 2, 3, 4)
HAPPENED: tuple[type[Details], ...] = (
    scheduling.SettingsCreated,
    scheduling.SettingsUpdated,
    scheduling.SettingsRejected,
    scheduling.SchedulePaused,
    scheduling.ScheduleResumed,
    scheduling.BackupStarted,
    scheduling.BackupCompleted,
    scheduling.BackupFailed,
    scheduling.SlotsMissed,
    retention.RetentionApplied,
    retention.EmptyBackupsCleaned,
    retention.OldProtectedCleaned,
    catalog.BackupCreated,
    catalog.BackupFound,
    catalog.BackupMissing,
    catalog.BackupVerified,
    catalog.BackupCorrupt,
    catalog.DeletionStarted,
    catalog.BackupDeleted,
    catalog.HoldPlaced,
    catalog.HoldReleased,
    restoring.RestoreStarted,
    restoring.RestoreCompleted,
)
"""What the three years must have had for the comparison to mean something."""


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody who looked at the read models saw, where the ledger then ended."""

    position: int
    when: datetime
    rows: Rows


class Life:
    """People, a scheduler and mishaps at one folder; the same ones every time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = Random(3)
        self.looks: list[Look] = []
        self.acts: tuple[Callable[[], None], ...] = (
            self.settings_change,
            self.settings_are_switched,
            self.runs_are_paused,
            self.runs_are_resumed,
            self.a_change_is_refused,
            self.a_manual_backup,
            self.a_migration,
            self.a_hold,
            self.a_release,
            self.a_deletion,
            self.retention,
            self.clean_ups,
            self.a_check,
            self.damage,
            self.a_file_is_lost,
            self.a_file_is_copied_in,
            self.a_restore,
            self.nobody_is_there,
            self.the_database_is_away,
            self.another_process,
        )

    def live(self) -> None:
        """Until the end of the third year, with looks at even distances."""
        for user, frequency, zone in zip(
            USERS,
            ("daily", "weekly", "monthly", "weekly"),
            ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"),
            strict=True,
        ):
            self.world.configure(user, frequency=frequency, timezone=zone, keep_count=user + 1)
        next_act, number = BEGIN + timedelta(days=3), 0
        while self.world.clock.now() < END:
            due = self.next_due()
            if due is not None and due < next_act:
                self.world.move_to(max(due, self.world.clock.now()))
                self.world.check()
            else:
                self.world.move_to(max(next_act, self.world.clock.now()))
                self.acts[number % len(self.acts)]()
                next_act, number = self.world.clock.now() + timedelta(days=5, hours=7), number + 1
            if self.world.clock.now() >= BEGIN + (END - BEGIN) * (len(self.looks) + 1) / LOOKS:
                self.look()

    def look(self) -> None:
        site = self.world.site
        assert site.read_models.catch_up()
        position = site.ledger.log_recorder.head().size
        self.looks.append(Look(position, self.world.clock.now(), rows_of(site.read_models)))
        self.world.advance(seconds=1)  # so that nothing else happens at the same time

    def next_due(self) -> datetime | None:
        with self.world.site.read_models.reading() as connection:
            schedules = all_schedules(connection)
        times = (each.next_backup_at for each in schedules if not each.paused)
        return min((each for each in times if each is not None), default=None)

    def user(self) -> int:
        return self.random.choice(USERS)

    def chosen(self, *statuses: str) -> Backup | None:
        there = [each for each in self.world.present() if each.status in (statuses or ("ok",))]
        return self.random.choice(there) if there else None

    def settings_change(self) -> None:
        self.world.configure(
            self.user(),
            backup_time=f"{self.random.randrange(24):02d}:30",
            keep_count=self.random.randint(1, 5),
            timezone=self.random.choice(("UTC", "Europe/Berlin", "Asia/Kathmandu")),
        )

    def settings_are_switched(self) -> None:
        user = self.user()
        self.world.configure(user, enabled=not self.world.schedule(user).enabled)

    def runs_are_paused(self) -> None:
        pause(self.world.site, self.world.context(), self.user(), "away")

    def runs_are_resumed(self) -> None:
        for user in USERS:
            if self.world.schedule(user).paused:
                resume(self.world.site, self.world.context(), user)

    def a_change_is_refused(self) -> None:
        with pytest.raises(ValueError, match="keep_count"):
            self.world.configure(self.user(), keep_count=31)

    def a_manual_backup(self) -> None:
        add_case(self.world.database, f"case of {self.world.clock.now()}")
        take_backup(self.world.site, self.world.context(), user_id=self.user())

    def a_migration(self) -> None:
        take_backup(self.world.site, self.world.context(), kind=BackupKind.PRE_MIGRATION)

    def a_hold(self) -> None:
        backup = self.chosen()
        if backup is not None:
            until = self.world.clock.now() + timedelta(days=30)
            place_hold(self.world.site, self.world.context(), backup.filename, "audit", until)

    def a_release(self) -> None:
        for backup in self.world.present():
            if backup.holds:
                release_holds(self.world.site, self.world.context(), backup.filename)

    def a_deletion(self) -> None:
        backup = self.chosen()
        if backup is not None:
            with suppress(Refused):
                delete_backup(self.world.site, self.world.context(), backup.filename)

    def retention(self) -> None:
        user = self.random.choice((None, *USERS))
        apply_retention(self.world.site, self.world.context(), 4, user)

    def clean_ups(self) -> None:
        (self.world.backups / f"empty_{self.world.clock.now():%Y%m%d}.db").touch()
        reconcile(self.world.site, self.world.context())
        clean_up_empty(self.world.site, self.world.context())
        clean_up_old_protected(self.world.site, self.world.context(), 30)

    def a_check(self) -> None:
        backup = self.chosen("ok", "corrupt")
        if backup is not None:
            verify_backup(self.world.site, self.world.context(), backup, "drill")

    def damage(self) -> None:
        backup = self.chosen()
        if backup is not None:
            path = self.world.backups / backup.filename
            path.write_bytes(path.read_bytes() + b"one byte too many")
            verify_backup(self.world.site, self.world.context(), backup, "digest")

    def a_file_is_lost(self) -> None:
        backup = self.chosen("ok", "corrupt")
        if backup is not None:
            (self.world.backups / backup.filename).unlink()
            reconcile(self.world.site, self.world.context())

    def a_file_is_copied_in(self) -> None:
        make_database(self.world.backups / f"found_{self.world.clock.now():%Y%m%d}.db")
        reconcile(self.world.site, self.world.context())

    def a_restore(self) -> None:
        backup = self.chosen()
        if backup is not None:
            restore_backup(self.world.site, self.world.context(), backup.filename)

    def nobody_is_there(self) -> None:
        self.world.advance(days=9)

    def the_database_is_away(self) -> None:
        away = self.world.database.rename(self.world.folder / "away")
        for _ in range(3):
            due = self.next_due()
            if due is not None:
                self.world.move_to(max(due, self.world.clock.now()))
                assert self.world.check().completed == 0
        away.rename(self.world.database)

    def another_process(self) -> None:
        self.world.reopen()


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    """The three years, lived once."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), ManualClock(BEGIN))
        make_database(world.database)
        lived = Life(world)
        lived.live()
        yield lived
        world.close()


def of_user(rows: list[dict[str, Any]], user_id: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["user_id"] == user_id]


def as_rows(things: Any, key: str) -> list[dict[str, Any]]:
    found = [{each.name: getattr(one, each.name) for each in fields(one)} for one in things]
    return sorted(found, key=lambda row: row[key])


def test_the_three_years_were_eventful(life: Life) -> None:
    """Everything that can change a row has happened, and all of it as designed."""
    happened = {type(each.event.details) for each in life.world.all_events()}
    assert set(HAPPENED) <= happened
    assert len(life.looks) == LOOKS
    assert len({look.position for look in life.looks}) == LOOKS
    require_as_designed(life.world.site)


def test_a_rebuild_gives_what_was_seen_at_the_time(life: Life) -> None:
    """All four read models, row for row, at each of the twenty positions."""
    for look in life.looks:
        assert folded_in_memory(life.world.site.ledger, look.position) == look.rows, look.position


def test_time_travel_gives_what_was_seen_at_the_time(life: Life) -> None:
    """By position and by time, for everybody and for each user alone."""
    ledger = life.world.site.ledger
    for look in life.looks:
        settings, catalog = look.rows["backup_settings"], look.rows["backup_catalog"]
        for asked in (look.position, look.when):
            found = as_of(ledger, asked)
            assert found.moment.position == look.position
            assert found.moment.clock_jump is None
            assert as_rows(found.schedules, "id") == settings, look.position
            assert as_rows(found.backups, "backup_id") == catalog, look.position
        for user_id in USERS:
            found = as_of(ledger, look.position, user_id)
            assert as_rows(found.schedules, "id") == of_user(settings, user_id), look.position
            assert as_rows(found.backups, "backup_id") == of_user(catalog, user_id), look.position


def test_what_was_due_is_what_the_scheduler_then_ran(life: Life) -> None:
    """A run that waited was due just before its claim, one in time not yet; none after it."""
    ledger = life.world.site.ledger
    claims = [
        each
        for each in life.world.all_events()
        if isinstance(each.event.details, scheduling.BackupStarted)
    ]
    waited = 0
    for claim in claims[::40]:
        user_id, moment = int(claim.event.resource_id), claim.event.timestamp
        (schedule,) = as_of(ledger, claim.position - 1, user_id).schedules
        due = schedule.next_backup_at
        assert due is not None
        assert due <= moment
        assert as_of(ledger, claim.position, user_id).due == ()
        just_before = as_of(ledger, moment - timedelta(microseconds=1), user_id)
        assert [each.next_backup_at for each in just_before.due] == [due] * (due < moment)
        waited += due < moment
    assert 0 < waited < len(claims[::40])
