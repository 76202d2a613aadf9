"""What one scheduler does to the others: frozen, cut off, unready, or with nonsense to record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import text, update

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold
from commands.errors import InvalidArgument, Refused
from commands.health import roster as schedulers_module
from commands.health.presence import Presence, count_others_ready, count_schedulers
from commands.health.roster import schedulers_of
from commands.recovery import expired_claims
from commands.recovery.expired_claims import resolve_expired_claims
from commands.runs import schedules as run_schedules
from commands.runs.claim import claim_due
from commands.scheduler.check import CheckReport, check
from commands.scheduler.checks import Checks
from commands.scheduler.process import run_scheduler
from commands.scheduler.recording import record_start
from commands.site import actors
from commands.site.heartbeat import renew
from commands.site.site import Site
from ledger.append.databases.postgresql import PROJECTOR_LOCK
from ledger.append.leases_and_names import all_leases
from ledger.append.ledger import Ledger
from ledger.append.tables import leases
from ledger.errors import LedgerBusy, LedgerUnreachable
from ledger.events.scheduling import BackupFailed, CheckFailed
from projections.queries.schedules import all_schedules
from tests.commands.invariants import require_whole
from tests.commands.world import World
from tests.postgresql_server import Server


def claim_all(world: World) -> None:
    """Every user's run is claimed by the site opened first, and its lease runs out."""
    site = world.sites[0]
    world.due_again()
    with site.read_models.reading() as connection:
        due = all_schedules(connection)
    claim_due(site, site.context(actors.scheduler(site.instance)), due)
    with site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=1))


def test_renewing_leaves_no_row_locked_and_waits_for_none(served: World) -> None:
    """Nobody can be frozen in the middle of it; what an append is ending is passed over."""
    site = served.open()
    served.configure(1)
    served.configure(2)
    claim_all(served)
    far = int(time.time() * 1_000_000) + 60_000_000
    with site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=far))
    (ending, going_on) = [each.run_id for each in _leases(site)]
    with site.ledger.engine.begin() as connection:
        connection.execute(leases.delete().where(leases.c.run_id == ending))
        assert renew(site) == 1
    assert [each.run_id for each in _leases(site)] == [going_on]
    statements = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    of_this = " AND datname = current_database()"
    with site.ledger.engine.connect() as connection:
        assert connection.execute(text(statements + of_this)).scalar_one() == 0


def test_waiting_for_the_head_has_an_end(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds it for too long is told of as busy; nothing is appended."""
    monkeypatch.setattr("ledger.append.databases.postgresql.BUSY_SECONDS", 0.2)
    first, second = served.open(), served.open("act")
    size = first.ledger.log_recorder.head().size
    with first.ledger.locked(), pytest.raises(LedgerBusy, match="locked by another process"):
        record_start(second)
    assert first.ledger.log_recorder.head().size == size


def test_a_change_at_the_moment_of_the_end_of_a_run_is_not_lost(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and position are of one moment: what came after is found in the ledger."""
    site = served.open()
    served.configure(1)
    served.due_again()
    served.open("act")
    find = run_schedules.schedules_of
    changed: list[object] = []

    def disabled_meanwhile(connection: Any, users: Any) -> Any:
        found = find(connection, users)
        if not changed:
            changed.append(served.configure(1, enabled=False))
        return found

    monkeypatch.setattr(run_schedules, "schedules_of", disabled_meanwhile)
    assert check(site).completed == 1
    assert changed
    schedule = served.schedule(1)
    assert (schedule.enabled, schedule.next_backup_at) == (False, None)
    served.close()
    require_whole(served.open("act"))


def test_a_backup_that_is_recorded_while_its_claim_is_settled_is_not_abandoned(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the read models do not say yet, the ledger does."""
    first, second = served.open(), served.open("act")
    served.configure(1)
    claim_all(served)
    look = expired_claims.backups_of_runs
    far = int(time.time() * 1_000_000) + 60_000_000

    def recorded_meanwhile(connection: Any, run_ids: Any) -> Any:
        found = look(connection, run_ids)
        _record_and_die(served, first, far, monkeypatch)
        served.sites[-1].catch_up()
        return found

    monkeypatch.setattr(expired_claims, "backups_of_runs", recorded_meanwhile)
    assert resolve_expired_claims(second, second.context(actors.SYSTEM)) == (1, 0)
    served.close()
    served.open("act")
    served.check()
    require_whole(served.site)


def _record_and_die(world: World, site: Site, far: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first scheduler is not dead: it records its backup, and only then is."""
    from commands.runs import run as run_backups  # noqa: PLC0415
    from commands.runs.claim import Claim  # noqa: PLC0415
    from commands.runs.complete import Ended  # noqa: PLC0415

    (lease,) = _leases(site)
    with site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=far))
    schedule = world.schedule(1)
    assert schedule.next_slot is not None
    claim = Claim(lease.run_id, 1, schedule.next_slot, 1, world.clock.now())
    with monkeypatch.context() as patched:
        patched.setattr(run_backups, "complete_runs", lambda *_: Ended())
        run_backups.run_claims(site, site.context(actors.scheduler(site.instance)), [claim])
    with site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=lease.expires_at))


def test_status_does_not_stumble_over_a_scheduler_that_starts_meanwhile(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it asks is asked of one moment."""
    first, second = served.open(), served.open("act")
    record_start(first)
    find = schedulers_module.newest_matching

    def one_starts(connection: Any, *rest: Any) -> Any:
        found = find(connection, *rest)
        record_start(second)
        return found

    monkeypatch.setattr(schedulers_module, "newest_matching", one_starts)
    assert [each.instance for each in schedulers_of(first)] == [first.instance]


def test_a_check_that_fails_is_not_made_again_at_once_because_of_its_own_record(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due stays due; the next check is at the interval."""

    def broken(_site: Site) -> Any:
        raise OSError(5, "Input/output error")

    served.open()
    served.configure(1)
    served.due_again()
    monkeypatch.setattr("commands.scheduler.check.recover", broken)
    monkeypatch.setattr(Presence, "first_check_after", lambda *_: 0.0)
    stop = Event()
    site = served.open("act")
    thread = Thread(target=lambda: run_scheduler(site, once=False, stop=stop))
    thread.start()
    try:
        _until(lambda: len(served.events_of(CheckFailed)) > 0)
        served.configure(2)  # something that wakes whoever listens
        time.sleep(2.5)
    finally:
        stop.set()
        thread.join()
    assert len(served.events_of(CheckFailed)) == 1


class Pings:
    """What a dead man's switch hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def signal(self, what: str) -> None:
        self.heard.append(what)


def test_a_machine_that_is_not_ready_is_no_success(served: World) -> None:
    """Where none is ready, one of them tries, and its failures are recorded."""
    first, second = served.open(), served.open("act")
    served.configure(1)
    served.due_again()
    pings = Pings()
    gone = served.database.with_name("gone.db")
    checks, others = Checks(first), Checks(second)
    with (
        Presence(first, lambda: checks.readiness.problem) as one,
        Presence(second, lambda: others.readiness.problem) as other,
    ):
        served.database.rename(gone)
        checks.watched(pings, Event())  # type: ignore[arg-type]
        one._look()
        others.watched(pings, Event())  # type: ignore[arg-type]
        other._look()
        gone.rename(served.database)
    assert pings.heard == ["start", "failure"] * 2
    assert [each.error_type for each in served.recorded(CheckFailed)] == ["NotReady"]
    assert [each.error_type for each in served.recorded(BackupFailed)] == ["SourceMissing"]


def test_others_who_say_that_they_cannot_work_do_not_count(served: World) -> None:
    """Nor does a scheduler count itself."""
    first, second = served.open(), served.open("act")
    problem: list[str | None] = [None]
    with Presence(first), Presence(second, lambda: problem[0]) as other:
        assert (count_schedulers(first), count_others_ready(first)) == (2, 1)
        problem[0] = "its disk is gone"
        other._look()
        assert (count_schedulers(first), count_others_ready(first)) == (2, 0)
        assert count_others_ready(second) == 1
        problem[0] = None
        other._look()
        assert count_others_ready(first) == 1


@contextmanager
def projector_busy(site: Site) -> Iterator[None]:
    """Another process folds, and takes its time."""
    with site.ledger.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({PROJECTOR_LOCK})")
        yield
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({PROJECTOR_LOCK})")


def test_who_is_locked_out_by_another_projector_reads_the_rows_that_are_there(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger is not folded into memory for that; and what was is given back afterwards."""
    monkeypatch.setattr("projections.projector.read_models.WRITE_WAIT_SECONDS", 0.1)
    site = served.open()
    served.configure(1)
    with ExitStack() as other:
        other.enter_context(projector_busy(site))
        record_start(site)
        with site.read_models.reading(at_head=False) as connection:
            assert [each.user_id for each in all_schedules(connection)] == [1]
        assert site.read_models._memory is None
        served.configure(2)
        assert served.schedule(2).user_id == 2
        with site.read_models.reading() as connection:
            other.close()
            site.catch_up()  # while somebody still reads in memory
            assert len(all_schedules(connection)) == 2
    site.catch_up()
    assert site.read_models._memory is None
    assert served.schedule(2).user_id == 2


def test_a_text_that_the_server_cannot_hold_stops_nobody(served: World) -> None:
    """A record holds any character; the read models have U+FFFD in the place of NUL."""
    site = served.open()
    served.configure(1)
    served.due_again()
    served.check()
    (name,) = served.files()
    with pytest.raises(InvalidArgument, match="NUL"):
        place_hold(site, served.context(), name, "a\0b")
    _hold_as_earlier_versions_did(served, name, "a\0b")
    with pytest.raises(Refused):
        delete_backup(site, served.context(), name)
    served.advance(days=1)
    assert Checks(site).check().completed == 1
    assert served.present(1)[-1].holds[0]["reason"] == "a\0b"
    with site.read_models.reading() as connection:
        told = connection.execute(
            text("SELECT error_message FROM public.audit_trail WHERE NOT success")
        )
        assert "it is held (a\N{REPLACEMENT CHARACTER}b)" in told.scalar_one()
    require_whole(site)


def _hold_as_earlier_versions_did(world: World, name: str, reason: str) -> None:
    from ledger.append.ledger import Draft  # noqa: PLC0415
    from ledger.events.catalog import HoldPlaced  # noqa: PLC0415
    from ledger.vocabulary import backup_stream  # noqa: PLC0415

    (backup,) = world.present()
    hold_id = "00000000-0000-4000-8000-000000000001"
    details = HoldPlaced(hold_id=hold_id, reason=reason, until=None)
    world.site.ledger.append(world.context(), Draft(backup_stream(backup.backup_id), details, 1))


def test_a_default_of_the_database_does_not_change_how_appends_are_made(
    served: World, postgresql: Server
) -> None:
    """Two who write at once take turns, whatever isolation others like."""
    site = served.open()
    served.configure(1)
    database = site.ledger.engine.url.database
    postgresql.run(
        f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'"
    )
    sites = [served.open("act") for _ in range(2)]
    problems: list[Exception] = []

    def start_often(one: Site) -> None:
        try:
            for _ in range(10):
                record_start(one)
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [Thread(target=start_often, args=(each,)) for each in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_scheduler_outlives_a_server_that_is_away(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its stop cannot be recorded: that is logged, and is no reason to fail."""
    monkeypatch.setattr("ledger.append.ledger.RECONNECT_SECONDS", (None,))
    monkeypatch.setattr(Presence, "first_check_after", lambda *_: 0.0)
    site = served.open()
    append = Ledger.append
    away = Event()
    stop = Event()
    reports: list[CheckReport] = []

    def append_unless_away(ledger: Ledger, context: Any, *drafts: Any) -> Any:
        if away.is_set():
            raise LedgerUnreachable("the server cannot be reached")
        return append(ledger, context, *drafts)

    def on_check(report: CheckReport) -> None:
        reports.append(report)
        away.set()
        stop.set()

    monkeypatch.setattr(Ledger, "append", append_unless_away)
    run_scheduler(site, once=False, stop=stop, on_check=on_check)
    assert reports == [CheckReport()]


def _leases(site: Site) -> list[Any]:
    with site.ledger.engine.connect() as connection:
        return all_leases(connection)


def _until(is_true: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(Exception):
            if is_true():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come true")
