"""audit: log with its filters, and the history of one thing."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from commands.cli.audit.csv import safe_cell
from tests.acceptance.place import PROGRAM, Place


@pytest.fixture
def lived_in(place: Place) -> Place:
    """Two users, a refused change, two backups, a retention."""
    place.schedule(1, datetime(2025, 1, 13, 3, tzinfo=UTC))
    place.schedule(2, datetime(2025, 1, 14, 3, tzinfo=UTC), frequency="weekly")
    assert place.run("settings", "set", "2", "--time", "24:00").code == 2
    place.done("backup", "create", "one", "--user", "1")
    place.done("backup", "create", "two", "--user", "2")
    place.done("retention", "apply", "1", "--user", "1")
    return place


def positions(place: Place, *options: str) -> list[int]:
    return [line["position"] for line in place.done("audit", "log", "--json", *options).lines]


def test_the_log_is_the_stored_bytes(lived_in: Place) -> None:
    """Each line is spliced around the record as it was hashed; never serialized again."""
    with closing(sqlite3.connect(lived_in.ledger)) as connection:
        rows = connection.execute("SELECT position, record FROM ledger_events ORDER BY position")
        expected = b"".join(b'{"position":%d,"record":%s}\n' % row for row in rows)
    assert lived_in.spawn("audit", "log", "--json").out.encode() == expected


def test_each_filter_gives_exactly_the_events_that_match(lived_in: Place) -> None:
    """Against a plain loop over the records."""
    events = list(enumerate(lived_in.events(), 1))
    moment = "2025-01-14T03:00:00.000000Z"
    wanted = {
        ("--user", "2"): lambda e: e["user_id"] == "2",
        ("--failed",): lambda e: not e["success"],
        ("--type", "backup_scheduler.settings_created"): lambda e: (
            e["event_type"] == "backup_scheduler.settings_created"
        ),
        ("--type", "backup_catalog."): lambda e: e["event_type"].startswith("backup_catalog."),
        ("--since", moment): lambda e: e["timestamp"] >= moment,
        ("--until", moment): lambda e: e["timestamp"] < moment,
        ("--since", "2025-01-14"): lambda e: e["timestamp"] >= "2025-01-14",
        ("--until", "2025-01-14 04:00"): lambda e: e["timestamp"] < "2025-01-14T04",
        ("--since", "2025-01-14T05:00+02:00"): lambda e: e["timestamp"] >= moment,
        ("--user", "1", "--type", "backup_catalog.", "--since", "2026-01-01"): lambda e: (
            e["user_id"] == "1"
            and e["event_type"].startswith("backup_catalog.")
            and e["timestamp"] >= "2026"
        ),
    }
    for options, matches in wanted.items():
        expected = [position for position, event in events if matches(event)]
        assert expected, options
        assert positions(lived_in, *options) == expected, options


def test_since_is_inclusive_and_until_exclusive(lived_in: Place) -> None:
    """So that two days that follow each other share no event and lose none."""
    days = [positions(lived_in, "--since", "2025-01-13", "--until", "2025-01-14")]
    days.append(positions(lived_in, "--since", "2025-01-14", "--until", "2025-01-15"))
    assert days == [[1, 2], [3]]


def test_limit_is_the_newest_still_oldest_first(lived_in: Place) -> None:
    """With a filter and without."""
    every = positions(lived_in)
    assert positions(lived_in, "--limit", "3") == every[-3:]
    assert positions(lived_in, "--limit", "1000") == every
    of_user = positions(lived_in, "--user", "2")
    assert positions(lived_in, "--user", "2", "--limit", "2") == of_user[-2:]


def test_a_person_sees_the_newest_fifty(place: Place) -> None:
    """And is told that there are more."""
    place.fill_ledger(55)
    total = len(place.events())
    shown = place.done("audit", "log")
    assert f"{total - 49}  20" in shown.out
    assert f"\n{total - 50}  20" not in shown.out
    assert "The newest 50" in shown.err
    assert len(place.done("audit", "log", "--json").lines) == total


def test_the_log_reads_as_sentences_in_80_columns(lived_in: Place) -> None:
    """Who, when, what, why, and whether it worked."""
    said = lived_in.done("audit", "log").out
    assert max(len(line) for line in said.splitlines()) <= 80
    flat = " ".join(said.split())
    assert "User 1: Settings created: daily at 03:00 (UTC), keep 7." in flat
    assert "A change of settings was refused: time 24:00. Reason: backup_time:" in flat
    assert "Manual backup one.db made:" in flat


def test_an_unknown_type_says_so_and_matches_nothing(lived_in: Place) -> None:
    """A typing error must not look like a quiet week."""
    ended = lived_in.done("audit", "log", "--type", "backup_retention", "--json")
    assert ended.out == ""
    assert "No event type is called 'backup_retention'" in ended.err


def test_history_tells_the_story_of_a_stream_or_a_file(lived_in: Place) -> None:
    """A backup may be named by its file, which a person knows."""
    lived_in.done("backup", "hold", "one.db", "--reason", "audit 2025")
    said = lived_in.done("audit", "history", "one.db").out
    assert "Manual backup one.db made" in said
    assert "Held until released: audit 2025." in said
    backup_id = lived_in.json("backup", "show", "one.db")["backup_id"]
    lines = lived_in.done("audit", "history", f"backup/{backup_id}", "--json").lines
    assert [line["record"]["stream_version"] for line in lines] == [1, 2]
    lines = lived_in.done("audit", "history", "schedule/2", "--json").lines
    assert [line["record"]["success"] for line in lines] == [True, False]
    assert "first time" in lived_in.done("audit", "history", "ledger").out


def test_history_of_nothing_is_not_found(lived_in: Place) -> None:
    """Exit code 4, and how streams are called."""
    ended = lived_in.run("audit", "history", "schedule/77")
    assert ended.code == 4
    assert "nothing is recorded of 'schedule/77'" in ended.err


def test_text_from_data_never_reaches_the_terminal_raw(place: Place) -> None:
    """No markup, no escape sequence, no line break, no text that runs backwards."""
    place.done("backup", "create", "one")
    reason = "[bold red]x[/] \x1b[31mred \u202egnp.exe \x07"
    place.done("backup", "hold", "one.db", "--reason", reason)
    for command in (["backup", "show", "one.db"], ["audit", "history", "one.db"], ["audit", "log"]):
        flat = " ".join(place.done(*command).out.split())
        assert "[bold red]x[/] \\x1b[31mred \\u202egnp.exe \\x07" in flat
        assert not {"\x1b", "\x07", "\u202e"} & set(flat)
    assert place.json("backup", "show", "one.db")["holds"][0]["reason"] == reason


def test_follow_prints_what_is_appended_later(lived_in: Place) -> None:
    """Until Ctrl-C, which ends it with 130 and one line."""
    process = subprocess.Popen(
        [PROGRAM, "--database", lived_in.database, "audit", "log", "-f", "--json", "--limit", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        first = json.loads(process.stdout.readline())
        lived_in.done("settings", "set", "3")
        later = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert later["position"] == first["position"] + 1
    assert later["record"]["resource_id"] == "3"
    assert process.returncode == 130
    assert json.loads(said)["error"].startswith("interrupted")
    assert len(said.splitlines()) == 1


def test_a_day_without_events_says_so(lived_in: Place) -> None:
    """Instead of an empty screen."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert (
        "Nothing in the ledger matches." in lived_in.done("audit", "log", "--since", tomorrow).out
    )


def test_the_log_can_be_filtered_by_thing_and_by_text(place: Place) -> None:
    """A stream, the type or id of a thing; a text anywhere in details or error message."""
    place.done("settings", "set", "1", "--timezone", "Europe/Berlin")
    place.done("settings", "set", "2")
    place.run("settings", "set", "2", "--keep", "31")
    by_stream = place.done("audit", "log", "--resource", "schedule/2", "--json").out
    assert by_stream.count("\n") == 2
    by_text = place.done("audit", "log", "--text", "europe/BERLIN", "--json").out
    assert by_text.count("\n") == 1
    newest = place.done("audit", "log", "--text", "keep", "--limit", "1", "--json").out
    assert '"backup_scheduler.settings_error"' in newest


def test_the_log_as_csv_holds_no_formula(place: Place) -> None:
    """A note that begins with an equals sign stays text in a spreadsheet."""
    place.done("settings", "set", "1")
    place.run("settings", "set", "1", "--frequency", "=1+1")
    rows = list(csv.reader(io.StringIO(place.done("audit", "log", "--csv").out)))
    assert rows[0][:3] == ["position", "timestamp", "event_type"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, len(rows))]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert safe_cell("=1+1") == "'=1+1"
