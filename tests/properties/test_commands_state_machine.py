"""Any sequence of commands: catalog = directory = fold of the ledger, after every step."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold, release_holds
from commands.backups.take import take_backup
from commands.errors import FolderOfAnother, OtherSource, Refused, SettingsNotFound
from commands.health.facts import verdict_of
from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.retention.apply import apply_retention
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from commands.scheduler.check import check
from commands.schedules.settings import configure, find_settings, pause, resume
from commands.site.actors import operator
from commands.site.configuration import load_configuration
from commands.site.opening import open_site
from commands.site.site import Site
from commands.verification.verify import verify_backup
from ledger.append.clock_doubt import HOUR, YEAR, clock_doubt
from ledger.append.ledger import RecordedEvent
from ledger.clock import ManualClock, to_microseconds
from ledger.events.restoring import RestoreStarted
from ledger.vocabulary import BackupKind
from projections.folds.backup import Backup
from projections.projector.read_models import ReadModels
from projections.queries.catalog import backups_of_store
from projections.tables.columns import metadata

USERS = st.integers(1, 3)
START = datetime(2025, 1, 13, 2, tzinfo=UTC)


JUMPS_HOURS = (-24 * 40, -3, 3, 24 * 800)


def make_database(path: Path, table: str) -> None:
    """A database of one table; in the place of another one, if there is one."""
    made = path.with_name("made")
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(
            f"PRAGMA journal_mode=WAL; CREATE TABLE {table} (text); INSERT INTO {table} VALUES (1)"
        )
    made.replace(path)


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}


class Commands(RuleBasedStateMachine):
    """A person, a scheduler and somebody with a file manager, all at one folder.

    The machine's clock jumps, and another database comes: into the folder, or to its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.folder / "app.db"
        make_database(self.database, "notes")
        make_database(self.folder / "other.db", "bills")
        self.clock = ManualClock(START)
        self.copies = 0
        self.site = self.open()

    def open(self) -> Site:
        configuration = load_configuration(database=self.database, **self.places())
        return open_site(configuration, "begin", clock=self.clock)

    def teardown(self) -> None:
        self.site.close()
        shutil.rmtree(self.folder)

    def context(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        self.clock.advance(timedelta(seconds=1))
        return self.site.context(operator())

    def present(self) -> list[Backup]:
        with self.site.read_models.reading() as connection:
            return backups_of_store(connection, self.site.store.store_id)

    def chosen(self, number: int) -> Backup:
        there = self.present()
        return there[number % len(there)]

    def has_backups(self) -> bool:
        return bool(self.present())

    @rule(user=USERS, keep=st.integers(1, 3), frequency=st.sampled_from(["daily", "weekly"]))
    def somebody_chooses(self, user: int, keep: int, frequency: str) -> None:
        configure(self.site, self.context(), user, {"keep_count": keep, "frequency": frequency})

    @rule(user=USERS, paused=st.booleans())
    def somebody_pauses_or_resumes(self, user: int, paused: bool) -> None:
        with suppress(SettingsNotFound):
            (pause if paused else resume)(self.site, self.context(), user)

    @rule(kind=st.sampled_from([BackupKind.MANUAL, BackupKind.PRE_MIGRATION]))
    def a_backup_is_taken(self, kind: BackupKind) -> None:
        take_backup(self.site, self.context(), kind=kind)

    def recorded(self, after: int = 0) -> list[RecordedEvent]:
        return list(self.site.ledger.recorded(after=after))

    def newest_sound(self, user: int, keep: int) -> set[str]:
        """A user's newest backups by position that are good, and not dated after now."""
        now = self.clock.now()
        sound = [
            (backup.position, backup.backup_id)
            for backup in self.present()
            if backup.user_id == user and backup.status == "ok" and backup.created_at <= now
        ]
        return {backup_id for _, backup_id in sorted(sound)[-keep:]}

    def check(self) -> None:
        """What a run made outlives the run's own retention, and so do the newest before it."""
        size = self.site.ledger.log_recorder.head().size
        users = [(user, find_settings(self.site, user)) for user in (1, 2, 3)]
        before = [
            self.newest_sound(user, schedule.keep_count - 1)
            for user, schedule in users
            if schedule is not None and schedule.keep_count > 1
        ]
        assert check(self.site).failed == 0
        made = {
            each.event.resource_id
            for each in self.recorded(size)
            if each.event.event_type == "backup_catalog.backup_created"
        }
        assert made.union(*before) <= {backup.backup_id for backup in self.present()}

    @rule(hours=st.integers(1, 60))
    def time_passes_and_the_scheduler_checks(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        self.check()

    @rule(hours=st.sampled_from(JUMPS_HOURS))
    def the_clock_jumps_and_the_scheduler_checks(self, hours: int) -> None:
        there = {backup.backup_id for backup in self.present()}
        recorded_at = self.site.ledger.log_recorder.head().recorded_at
        self.clock.advance(timedelta(hours=hours))
        is_jump = abs(to_microseconds(self.clock.now()) - recorded_at) > YEAR or (
            to_microseconds(self.clock.now()) < recorded_at - HOUR
        )
        self.check()
        found = {finding.kind for finding in verdict_of(self.site, self.clock.now()).findings}
        ahead = any(backup.created_at > self.clock.now() for backup in self.present())
        assert ("future" in found) == ahead
        if is_jump:
            assert "clock" in found
            assert there <= {backup.backup_id for backup in self.present()}

    @rule()
    def another_database_is_given_the_folder(self) -> None:
        size = self.site.ledger.log_recorder.head().size
        configuration = load_configuration(
            database=self.folder / "other.db", backups=self.site.store.folder, **self.places()
        )
        with pytest.raises(FolderOfAnother):
            open_site(configuration, "begin", clock=self.clock)
        assert self.site.ledger.log_recorder.head().size == size

    @rule(table=st.sampled_from(["notes", "bills"]))
    def another_database_takes_its_place(self, table: str) -> None:
        make_database(self.database, table)

    @precondition(has_backups)
    @rule(number=st.integers(0, 99))
    def a_hold_is_placed(self, number: int) -> None:
        place_hold(self.site, self.context(), self.chosen(number).filename, "a reason")

    @precondition(has_backups)
    @rule(number=st.integers(0, 99))
    def holds_are_released(self, number: int) -> None:
        release_holds(self.site, self.context(), self.chosen(number).filename)

    @precondition(has_backups)
    @rule(number=st.integers(0, 99), force=st.booleans())
    def a_backup_is_deleted(self, number: int, force: bool) -> None:
        backup = self.chosen(number)
        may_go = not backup.holds and (force or not backup.is_protected)
        try:
            delete_backup(self.site, self.context(), backup.filename, force=force)
        except Refused:
            assert not may_go
        else:
            assert may_go

    @rule(keep=st.integers(1, 3), user=st.none() | USERS)
    def retention_is_applied(self, keep: int, user: int | None) -> None:
        before = self.present()
        newest = set() if user is None else self.newest_sound(user, keep)
        apply_retention(self.site, self.context(), keep, user)
        left = {backup.backup_id for backup in self.present()}
        assert newest <= left
        gone = [backup for backup in before if backup.backup_id not in left]
        assert not any(backup.is_protected or backup.holds for backup in gone)
        assert all(user in (None, backup.user_id) for backup in gone)
        had_good = any(backup.status == "ok" for backup in before)
        assert had_good == any(backup.status == "ok" for backup in self.present())

    @rule()
    def both_clean_ups_run(self) -> None:
        held = {backup.backup_id for backup in self.present() if backup.holds}
        clean_up_empty(self.site, self.context())
        try:
            clean_up_old_protected(self.site, self.context(), 3)
        except Refused:  # by age, which nobody can tell while the clock is in doubt
            with self.site.ledger.engine.connect() as ledger:
                assert clock_doubt(ledger, to_microseconds(self.clock.now())) is not None
        assert held <= {backup.backup_id for backup in self.present()}

    @precondition(has_backups)
    @rule(number=st.integers(0, 99), force=st.booleans())
    def a_backup_is_restored(self, number: int, force: bool) -> None:
        backup = self.chosen(number)
        if backup.status != "ok":
            return
        ours = tables_of(self.database)
        theirs = tables_of(self.site.store.path(backup.filename))
        is_foreign = backup.source is None and not ours & theirs
        try:
            restore_backup(self.site, self.context(), backup.filename, force=force)
        except OtherSource:
            assert is_foreign
            assert not force
            assert tables_of(self.database) == ours
        else:
            assert force or not is_foreign
            assert tables_of(self.database) == theirs
            started = [
                each.event.details
                for each in self.recorded()
                if isinstance(each.event.details, RestoreStarted)
            ]
            assert started[-1].forced == force

    @precondition(has_backups)
    @rule(number=st.integers(0, 99))
    def a_file_is_removed_by_hand(self, number: int) -> None:
        self.site.store.path(self.chosen(number).filename).unlink()

    @precondition(has_backups)
    @rule(number=st.integers(0, 99))
    def a_file_is_damaged_by_hand_and_somebody_looks(self, number: int) -> None:
        backup = self.chosen(number)
        with self.site.store.path(backup.filename).open("ab") as file:
            file.write(b"one byte too many")
        assert not verify_backup(self.site, self.context(), backup, "digest").is_good
        same = os.stat(self.site.store.path(backup.filename)).st_ino
        damaged = [
            each
            for each in self.present()
            if self.site.store.path(each.filename).stat().st_ino == same
        ]
        assert {each.status for each in damaged} == {"corrupt"}

    @rule(content=st.sampled_from([b"", b"no database", "notes", "bills"]))
    def a_file_is_copied_in_by_hand(self, content: bytes | str) -> None:
        self.copies += 1
        path = self.site.store.path(f"copied_{self.copies}.db")
        if isinstance(content, bytes):
            path.write_bytes(content)
            return
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"CREATE TABLE {content} (text)")

    @rule()
    def the_process_ends_and_another_begins(self) -> None:
        self.site.close()
        self.site = self.open()

    @rule()
    def the_read_models_are_thrown_away(self) -> None:
        self.site.close()
        self.throw_away()
        self.site = self.open()

    def places(self) -> dict[str, str]:
        """Where ledger and read models are; the folder, unless something else is said."""
        return {}

    def throw_away(self) -> None:
        for path in self.site.store.folder.glob("projections.sqlite*"):
            path.unlink()

    @invariant()
    def the_catalog_is_the_directory(self) -> None:
        reconcile(self.site, self.context())
        there = self.present()
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.site.store.folder.glob("*.db")
        }
        assert {backup.filename for backup in there} == files.keys()
        for backup in there:
            assert backup.status == "corrupt" or backup.sha256 == files[backup.filename]

    @invariant()
    def the_read_models_are_the_fold_of_the_ledger(self) -> None:
        folded = ReadModels.in_memory(self.site.ledger)
        with folded.reading() as expected, self.site.read_models.reading() as found:
            for table in metadata.sorted_tables:
                statement = table.select().order_by(*table.primary_key.columns)
                assert found.execute(statement).all() == expected.execute(statement).all()
        folded.close()


Commands.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestCommands = Commands.TestCase
