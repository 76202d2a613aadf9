"""Small comforts of the command line: where options stand, names that are meant, settings shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import typer
from freezegun import freeze_time

from commands.cli.app import app, command_of
from commands.cli.errors import global_first
from commands.reporting.humanize import parse_moment_end
from tests.acceptance.place import Place, make_database, require_clear


@pytest.fixture
def begun(place: Place) -> Place:
    place.done("backup", "create", "first")
    place.done("backup", "create", "second", "--user", "7")
    place.done("backup", "create", "third")
    return place


def test_options_before_the_command_are_taken_after_it_too(empty_place: Place) -> None:
    """In any place up to `--`, with = or without."""
    elsewhere = empty_place.folder / "else.db"
    make_database(elsewhere)
    environment = {"BACKUP_LEDGER_DATABASE": None}
    empty_place.done("backup", "create", "one", "--database", str(elsewhere), **environment)
    listed = empty_place.done("backup", "list", "--json", f"--database={elsewhere}", **environment)
    assert [each["filename"] for each in listed.json] == ["one.db"]
    assert global_first(["a", "-q", "--", "--debug"]) == ["-q", "a", "--", "--debug"]
    assert global_first(["a", "--config"]) == ["a", "--config"]


@pytest.mark.parametrize("command", [("-h",), ("backup", "-h"), ("backup", "list", "-h")])
def test_h_is_help(command: tuple[str, ...], empty_place: Place) -> None:
    assert empty_place.done(*command).out.startswith("Usage: ")


def test_every_command_has_an_example_and_every_option_a_help_text() -> None:
    """Who types --help is told what each word is for, and what a whole line looks like."""
    menu = typer.main.get_command(app)
    silent = [each.name for each in menu.params if not getattr(each, "help", "")]
    commands = [((name,), command_of(name)) for name in menu.commands]
    while commands:
        path, command = commands.pop()
        silent += [(*path, each.name) for each in command.params if not getattr(each, "help", "")]
        inner = getattr(command, "commands", {})
        commands += [((*path, name), each) for name, each in inner.items()]
        if not inner and "backup-ledger" not in (command.help or ""):
            silent.append(path)
    assert silent == []


def test_names_that_are_meant(begun: Place) -> None:
    for text, meant in (
        ("first", "first.db"),
        ("first.db", "first.db"),
        ("latest", "third.db"),
        ("latest:7", "second.db"),
        ("@2999-01-01", "third.db"),
    ):
        assert begun.json("backup", "show", text)["filename"] == meant
        assert begun.json("backup", "restore", text, "--plan")["filename"] == meant
        (verified,) = begun.json("backup", "verify", text)
        assert verified["filename"] == meant


def test_a_name_that_is_there_is_itself(begun: Place) -> None:
    """Also where it looks like something else."""
    begun.done("backup", "create", "latest")
    begun.done("backup", "create", "after")
    assert begun.json("backup", "show", "latest.db")["filename"] == "latest.db"
    assert begun.json("backup", "show", "latest")["filename"] == "after.db"


def test_what_a_clock_ahead_dated_is_not_the_latest(begun: Place) -> None:
    """Restoring it would lose what was backed up since; where there is no other, it is."""
    with freeze_time(datetime.now(UTC) + timedelta(days=11), tick=True):
        begun.done("backup", "create", "ahead")
    begun.done("backup", "create", "after")
    assert begun.json("backup", "show", "latest")["filename"] == "after.db"
    with freeze_time("1990-01-01", tick=True):
        assert begun.json("backup", "show", "latest")["filename"] == "ahead.db"


def test_names_that_nothing_is_meant_by(begun: Place) -> None:
    for text, code, says in (
        ("@2001-01-01", 4, "no good backup"),
        ("latest:9", 4, "no good backup"),
        ("latest:x", 2, "not a user id"),
        ("@yesterday", 2, "yesterday"),
        ("nothing", 4, "nothing"),
    ):
        require_clear(begun.run("backup", "restore", text, "--yes"), code, says)


def test_what_was_kept_before_a_restore_is_not_the_latest(begun: Place) -> None:
    """Else restoring `latest` twice would undo the first time."""
    begun.add_cases(3)
    begun.done("backup", "restore", "latest", "--yes")
    assert begun.json("backup", "show", "latest")["filename"] == "third.db"


def test_a_date_up_to_which_is_asked_means_its_end() -> None:
    assert parse_moment_end("2025-01-13") == datetime(2025, 1, 13, 23, 59, 59, 999_999, UTC)
    assert parse_moment_end("2025-01-13T00:00") == datetime(2025, 1, 13, tzinfo=UTC)
    with pytest.raises(ValueError, match="an earlier one"):
        parse_moment_end("9999-12-31")


def test_as_of_today_knows_of_today(begun: Place) -> None:
    today = datetime.now(UTC).date().isoformat()
    assert len(begun.json("audit", "as-of", today)["backups"]) == 3


def test_settings_say_where_they_come_from(place: Place) -> None:
    """Option, environment, file, default; passwords are masked everywhere."""
    file = place.folder / "my.toml"
    file.write_text(
        'lease_seconds = 60\nledger = "postgresql://ada:hunter2@db.example/x"\n'
        'notify_urls = ["slack://hunter2/a/b"]\nping_success_url = "https://hc.example/hunter2"\n'
    )
    file.chmod(0o600)
    shown = place.json(
        "config", "show", "--all", "--config", str(file), "--backups", str(place.backups)
    )
    found = {each["name"]: (each["value"], each["origin"]) for each in shown}
    assert found["database"] == (str(place.database), "BACKUP_LEDGER_DATABASE")
    assert found["backups"] == (str(place.backups), "option")
    assert found["lease_seconds"] == (60, str(file))
    assert found["niceness"] == (0, "default")
    assert found["ledger"] == ("postgresql://ada:***@db.example/x", str(file))
    assert found["notify_urls"] == (["slack://***"], str(file))
    assert found["ping_success_url"] == ("https://***", str(file))
    assert "hunter2" not in json.dumps(shown)
    few = place.done("config", "show").out
    assert "niceness" not in few


def test_config_check_names_what_does_not_fit(place: Place) -> None:
    assert "The settings fit" in place.done("config", "check").out
    assert place.done("config", "check", "-q").out == ""
    ended = place.run(
        "config", "check", "--json", BACKUP_LEDGER_DATABASE="none.db", BACKUP_LEDGER_LEESE="1"
    )
    assert ended.code == 3
    problems = ended.json["problems"]
    assert any("BACKUP_LEDGER_LEESE is not a setting" in each for each in problems)
    assert any("there is no database" in each for each in problems)


def test_home_is_known_in_settings(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell does it, where no shell is."""
    monkeypatch.setenv("HOME", str(place.folder))
    shown = place.json("config", "show", BACKUP_LEDGER_DATABASE="~/app.db")
    assert {each["name"]: each["value"] for each in shown}["database"] == str(place.database)


def test_quiet_run_says_nothing_where_nothing_was_due(begun: Place) -> None:
    """For cron, which sends what is said."""
    assert begun.done("run", "--once").out == "Nothing was due.\n"
    assert begun.done("run", "--once", "--quiet").out == ""
    begun.schedule(1, datetime(2025, 1, 1, tzinfo=UTC), enabled=True)
    assert "completed" in begun.done("run", "--once", "-q").out


@pytest.mark.parametrize(
    "command", ["backup reconcile", "backup verify --due", "retention cleanup-empty"]
)
def test_quiet_commands_say_nothing_where_nothing_happened(begun: Place, command: str) -> None:
    assert begun.done(*command.split()).out != ""
    assert begun.done(*command.split(), "--quiet").out == ""
