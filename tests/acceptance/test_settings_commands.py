"""settings: set, show, list, pause, resume, preview."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from commands.site.actors import operator
from ledger.append.ledger import Draft
from ledger.events.scheduling import BackupFailed, BackupStarted
from ledger.vocabulary import schedule_stream
from tests.acceptance.place import Place

COLUMNS = [
    "id",
    "user_id",
    "enabled",
    "frequency",
    "backup_time",
    "keep_count",
    "last_backup_at",
    "next_backup_at",
    "created_at",
    "updated_at",
    "timezone",
    "paused",
    "failures",
    "next_slot",
    "next_attempt",
    "open_run_id",
    "stream_version",
    "anchor_day",
    "missed_from",
    "is_recomputed",
    "keep_within_days",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
    "cron",
]


def chosen(settings: dict[str, Any]) -> tuple[Any, ...]:
    fields = ("enabled", "frequency", "backup_time", "keep_count", "timezone")
    return tuple(settings[name] for name in fields)


def test_settings_begin_with_the_defaults_and_change_one_by_one(place: Place) -> None:
    """What is not given stays as it is; an enabled schedule has a next run at once."""
    made = place.json("settings", "set", "1")
    assert list(made) == COLUMNS
    assert chosen(made) == (True, "daily", "03:00", 7, "UTC")
    assert made["next_backup_at"].endswith("T03:00:00.000000Z")
    options = ["--frequency", "weekly", "--time", "22:30", "--keep", "3"]
    changed = place.json("settings", "set", "1", *options, "--timezone", "Asia/Tokyo")
    assert chosen(changed) == (True, "weekly", "22:30", 3, "Asia/Tokyo")
    assert changed["next_backup_at"].endswith("T13:30:00.000000Z")
    off = place.json("settings", "set", "1", "--disabled")
    assert (off["enabled"], off["next_backup_at"]) == (False, None)
    assert place.types() == [
        "ledger.source_registered",
        "backup_scheduler.settings_created",
        "backup_scheduler.settings_updated",
        "backup_scheduler.settings_updated",
    ]


def test_show_is_one_object_and_reads_as_a_sentence(place: Place) -> None:
    """Exact and relative times stand beside each other."""
    place.done("settings", "set", "1", "--time", "04:15")
    assert list(place.json("settings", "show", "1")) == COLUMNS
    said = place.done("settings", "show", "1").out
    assert "daily at 04:15 (UTC)" in said
    assert "04:15:00 UTC (in " in said


def test_list_has_every_user_in_80_columns(place: Place) -> None:
    """One row a user, whatever their time zone is called."""
    place.done("settings", "set", "1", "--timezone", "America/Argentina/Buenos_Aires")
    assert "America/Argentina/Buenos_Aires" in place.done("settings", "list").out
    place.done("settings", "set", "9223372036854775807", "--disabled")
    listed = place.json("settings", "list")
    assert [each["user_id"] for each in listed] == [1, 2**63 - 1]
    assert [each["orphan"] for each in listed] == [False, False]
    said = place.done("settings", "list").out
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "9223372036854775807  daily 03:00" in said
    assert "disabled" in said


def test_an_empty_list_says_how_to_begin(place: Place) -> None:
    """A newcomer is told the next command."""
    place.done("ledger", "init")
    assert "settings set 1" in place.done("settings", "list").out
    assert place.json("settings", "list") == []


def test_pause_and_resume_keep_the_settings(place: Place) -> None:
    """Both are events with the note that was given."""
    place.done("settings", "set", "1")
    paused = place.json("settings", "pause", "1", "--note", "disk is being replaced")
    assert (paused["paused"], paused["next_backup_at"]) == (True, None)
    assert "paused" in place.done("settings", "show", "1").out
    assert "paused" in place.done("settings", "preview", "1").out
    resumed = place.json("settings", "resume", "1")
    assert resumed["paused"] is False
    assert resumed["next_backup_at"] is not None
    assert place.events()[2]["details"]["note"] == "disk is being replaced"
    assert place.types()[2:] == ["backup_scheduler.paused", "backup_scheduler.resumed"]


def test_preview_lists_the_next_runs_in_both_times(place: Place) -> None:
    """UTC for the ledger, local time for the person."""
    place.done("settings", "set", "1", "--timezone", "Asia/Tokyo", "--time", "06:00")
    runs = place.json("settings", "preview", "1", "--count", "3")
    assert len(runs) == 3
    assert all(run.endswith("T21:00:00.000000Z") for run in runs)
    said = place.done("settings", "preview", "1").out
    assert said.count(" 21:00:00 ") == 10
    assert said.count(" 06:00") == 10
    place.done("settings", "set", "1", "--disabled")
    assert place.json("settings", "preview", "1") == []


def test_a_refused_change_is_recorded_and_changes_nothing(place: Place) -> None:
    """Who tried what is part of history."""
    place.done("settings", "set", "1")
    before = place.json("settings", "show", "1")
    refused = place.run("settings", "set", "1", "--keep", "31", "--frequency", "weekly")
    assert refused.code == 2
    assert "keep_count: 31" in refused.err
    last = place.events()[-1]
    assert last["event_type"] == "backup_scheduler.settings_error"
    assert last["details"]["attempted"] == {"frequency": "weekly", "keep_count": 31}
    after = place.json("settings", "show", "1")
    assert (before.pop("stream_version"), after.pop("stream_version")) == (1, 2)
    assert after == before


def test_a_schedule_by_cron_by_hour_and_by_weekday(place: Place) -> None:
    """Three ways to say what the three frequencies cannot; a frequency ends them."""
    made = place.json("settings", "set", "1", "--cron", "0 3 * * MON#1")
    assert (made["cron"], made["frequency"]) == ("0 3 * * MON#1", "monthly")
    assert "on the first Monday of the month (UTC; cron 0 3 * * MON#1)" in " ".join(
        place.done("settings", "show", "1").out.split()
    )
    assert place.json("settings", "set", "1", "--hourly")["cron"] == "0 * * * *"
    runs = place.json("settings", "preview", "1", "--count", "3")
    assert len({run[:13] for run in runs}) == 3
    sunday = ["--frequency", "weekly", "--weekday", "sun", "--time", "04:05"]
    assert place.json("settings", "set", "1", *sunday)["cron"] == "5 4 * * sun"
    assert place.json("settings", "set", "1", "--weekday", "mon-fri")["cron"] == "0 3 * * mon-fri"
    assert "0 3 * * mon-fri" in place.done("settings", "list").out
    assert place.json("settings", "set", "1", "--frequency", "daily")["cron"] is None


def test_two_ways_to_say_when_are_one_too_many(place: Place) -> None:
    """Usage, exit 2; nothing is recorded."""
    place.done("settings", "set", "1")
    for options in (
        ["--hourly", "--time", "04:00"],
        ["--cron", "0 3 * * *", "--frequency", "daily"],
        ["--weekday", "sun", "--hourly"],
        ["--weekday", "sun mon"],
        ["--weekday", "sun", "--time", "4:00"],
    ):
        assert place.run("settings", "set", "1", *options).code == 2
    refused = place.run("settings", "set", "1", "--weekday", "someday")
    assert refused.code == 2
    assert "its day-of-week is wrong" in refused.err
    assert place.types()[2:] == ["backup_scheduler.settings_error"]


def test_show_says_what_is_kept_longer(place: Place) -> None:
    """And says nothing of it where it is not asked for."""
    plain = place.done("settings", "set", "1", "--keep", "5").out
    assert "the newest 5\n" in plain
    place.done("settings", "set", "1", "--keep-weekly", "4", "--keep-yearly", "1")
    place.done("settings", "set", "1", "--keep-within-days", "3")
    shown = " ".join(place.done("settings", "show", "1").out.split())
    assert (
        "; also all of the last 3 days, one per week for 4 weeks, one per year for 1 year" in shown
    )


def test_show_says_why_a_run_failed(place: Place) -> None:
    """Who asks why a user has no backup need not search the log."""
    place.done("settings", "set", "77")
    with place.opened() as site:
        slot = datetime(2025, 1, 14, 3, tzinfo=UTC)
        failed = BackupFailed(
            run_id=str(uuid4()),
            slot=slot,
            attempt=1,
            error_type="OSError",
            next_backup_at=slot,
            next_slot=slot,
        )
        started = BackupStarted(slot=slot, attempt=1, scheduler="db1:1:boot", lease_seconds=5)
        stream, context = schedule_stream(77), site.context(operator())
        site.ledger.append(
            context,
            Draft(stream, started, 77, event_id=failed.run_id),
            Draft(stream, failed, 77, error_message="the disk is full"),
        )
    said = place.done("settings", "show", "77").out
    assert "failed once" in said
    assert "The run for 2025-01-14 03:00 UTC failed: the disk is full" in said
    assert "audit history schedule/77" in said
    place.done("settings", "set", "78")
    assert "failed" not in place.done("settings", "show", "78").out
