"""run: the scheduler, once and as a service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta

from tests.acceptance.place import PROGRAM, Place

FIVE_DAYS_AGO = datetime.now(UTC) - timedelta(days=5)


def test_once_takes_what_is_due_and_records_what_was_missed(place: Place) -> None:
    """One run stands for all the days that passed; the owner's retention follows."""
    place.schedule(1, FIVE_DAYS_AGO)
    place.schedule(2, FIVE_DAYS_AGO, enabled=False)
    report = place.json("run", "--once")
    assert report == {"completed": 1, "failed": 0, "abandoned": 0, "missed_slots": 4}
    (made,) = place.json("backup", "list")
    assert made["filename"].startswith("auto_backup_user1_")
    assert made["user_id"] == 1
    for event_type in ("start", "slots_missed", "backup_completed", "stop"):
        assert f"backup_scheduler.{event_type}" in place.types()
    assert place.json("settings", "show", "1")["last_backup_at"] is not None
    assert "Nothing was due." in place.done("run", "--once").out


def test_a_failed_backup_ends_with_1_and_says_whose_and_why(place: Place) -> None:
    """The failure is recorded, and tried again later."""
    place.schedule(1, FIVE_DAYS_AGO)
    place.schedule(7, FIVE_DAYS_AGO)
    place.database.write_text("no database")
    ended = place.run("run", "--once")
    assert ended.code == 1
    assert "0 backups completed, 2 failed" in ended.out
    assert "User 1: Backup failed" in ended.err
    assert "User 7: Backup failed" in ended.err
    assert "is not a SQLite database" in ended.err
    assert "Next try:" in ended.err
    assert place.json("settings", "show", "7")["failures"] == 1
    assert place.json("run", "--once")["failed"] == 0


def test_a_missing_database_is_a_failed_backup_not_a_stopped_scheduler(place: Place) -> None:
    """It may come back; the run is recorded with its reason."""
    place.schedule(1, FIVE_DAYS_AGO)
    for path in place.folder.glob("app.db*"):
        path.unlink()
    ended = place.run("run", "--once")
    assert ended.code == 1
    assert "there is no database at" in ended.err
    assert "backup_scheduler.backup_error" in place.types()
    assert "backup_scheduler.stop" in place.types()


def test_a_signal_stops_it_cleanly(place: Place) -> None:
    """SIGTERM, as service managers send it: recorded, and exit code 0."""
    place.schedule(1, FIVE_DAYS_AGO)
    process = subprocess.Popen(
        [PROGRAM, "run"],
        env=os.environ | place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        _wait_for(place, "backup_scheduler.backup_completed")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "1 backup completed" in out
    assert "SIGTERM: stopping after the running backup" in err
    assert "Traceback" not in err
    assert place.types()[-1] == "backup_scheduler.stop"


def _wait_for(place: Place, event_type: str) -> None:
    deadline = time.monotonic() + 20
    while event_type not in place.types():
        assert time.monotonic() < deadline, place.types()
        time.sleep(0.05)


def test_a_log_in_json_is_one_object_a_line(place: Place) -> None:
    """On stderr, and nothing else there; the answer on stdout stays as it is."""
    place.schedule(1, FIVE_DAYS_AGO)
    ended = place.run("run", "--once", "--log-format", "json")
    assert ended.code == 0
    assert "1 backup completed" in ended.out
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert {"time", "level", "event"} <= set.intersection(*(set(line) for line in lines))
    completed = next(line for line in lines if line["event"].endswith("backup_completed"))
    assert completed["user"] == 1
    assert completed["bytes"] > 0
    assert completed["duration_seconds"] > 0
    assert next(line for line in lines if line["event"] == "check")["completed"] == 1
    assert place.run("run", "--once", BACKUP_LEDGER_LOG_FORMAT="json").err.count("\n") == 3
    assert place.run("run", "--once").err == ""
    refused = place.run("run", "--once", "--log-format", "xml")
    assert (refused.code, "setting 'log_format'" in refused.err) == (2, True)


def test_a_second_signal_gives_up_what_runs(place: Place) -> None:
    """At once, and recorded: nobody has to wait until the lease runs out."""
    place.schedule(1, FIVE_DAYS_AGO)
    process = subprocess.Popen(
        [PROGRAM, "run", "--max-mb-per-second", "0.001"],  # it takes minutes
        env=os.environ | place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        _wait_for(place, "backup_scheduler.backup_started")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "once more stops it at once" not in process.stderr.readline():
            continue
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert place.types()[-2:] == ["backup_scheduler.backup_abandoned", "backup_scheduler.stop"]
    assert place.events()[-1]["details"]["reason"] == "KeyboardInterrupt"
    staged = [path for path in (place.backups / ".staging").rglob("*") if path.is_file()]
    assert [path for path in staged if path.name != "lock"] == []
