"""The command as the shell starts it: help, version, terminals, pipes, signals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.acceptance.place import PROGRAM, Place, require_clear

HEAVY = ("sqlalchemy", "pydantic", "eventsourcing", "cryptography", "rich", "sqlite3")
OURS_IN_HELP = {"ledger", "ledger.vocabulary"}
"""What help names: the words that options take, which need the standard library alone."""


def test_help_lists_commands_and_exit_codes(empty_place: Place) -> None:
    """What a newcomer reads first."""
    ended = empty_place.spawn("--help")
    assert (ended.code, ended.err) == (0, "")
    for command in ("demo", "run", "settings", "backup", "retention", "audit", "status"):
        assert f"\n  {command} " in ended.out
    assert "5 conflict or busy" in " ".join(ended.out.split())
    assert "--install-completion" in ended.out


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """So it stays quick, however large the rest grows."""
    code = (
        "import sys; sys.argv = ['backup-ledger', '--help']\n"
        "from commands.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    modules = set(ended.stderr.split())
    loaded = {name.partition(".")[0] for name in modules}
    assert "typer" in loaded
    assert loaded & set(HEAVY) == set()
    assert {name for name in modules if name.startswith(("ledger", "projections"))} <= OURS_IN_HELP


def test_every_command_has_help_with_an_example_and_the_exit_codes(empty_place: Place) -> None:
    """Also the ones that somebody adds later."""
    paths = [()]
    while paths:
        path = paths.pop()
        said = empty_place.done(*path, "--help").out
        assert "Exit codes:" in said, path
        _head, _, menu = said.partition("\nCommands:\n")
        assert "..." not in menu, path
        paths += [(*path, name) for name in re.findall(r"^  ([a-z-]+)  ", menu, re.MULTILINE)]
        assert menu or f"backup-ledger {' '.join(path)}" in said.partition("Usage:")[2][20:], path


def test_version_is_one_line(empty_place: Place) -> None:
    """For reports of errors."""
    assert re.fullmatch(r"backup-ledger \d+\.\d+\.\d+\n", empty_place.spawn("--version").out)


@pytest.mark.parametrize("args", [(), ("backup",)], ids=["nothing", "a group"])
def test_without_a_command_the_help_is_shown(args: tuple[str, ...], empty_place: Place) -> None:
    """On stderr and with exit code 2, since nothing was done."""
    ended = empty_place.spawn(*args)
    assert ended.code == 2
    assert ended.err.startswith("Usage: backup-ledger")


def test_the_whole_way_as_a_person_goes_it(place: Place) -> None:
    """From nothing to a restore, with options before the command and no environment."""
    before = ["--database", str(place.database), "--backups", str(place.folder / "elsewhere")]
    nothing = {"BACKUP_LEDGER_DATABASE": str(place.folder / "wrong.db")}
    made = place.spawn(*before, "backup", "create", "one", "--json", **nothing)
    assert made.code == 0, made
    assert made.json["filepath"] == str(place.folder / "elsewhere" / "one.db")
    place.add_cases(1)
    assert place.spawn(*before, "backup", "restore", "one.db", "--yes", **nothing).code == 0
    assert place.count_cases() == 20
    assert "there is no schedule" in place.spawn(*before, "status", **nothing).out
    assert place.spawn(*before, "settings", "set", "1", **nothing).code == 0
    assert place.spawn(*before, "status", **nothing).out.startswith("All is well.")


def test_of_three_who_want_the_same_name_one_gets_it(place: Place) -> None:
    """The others are told at once, with exit code 5."""
    place.done("ledger", "init")
    command = [PROGRAM, "backup", "create", "same"]
    environment = os.environ | place.environment
    racing = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    assert sorted(each.wait(timeout=60) for each in racing) == [0, 5, 5]
    assert [path.name for path in place.backups.glob("*.db")] == ["same.db"]


def test_settings_come_from_a_file_too(place: Place) -> None:
    """backup-ledger.toml in the current folder."""
    other = place.folder / "vault"
    (place.folder / "backup-ledger.toml").write_text(f'backups = "{other}"\n')
    assert place.spawn("backup", "create", "one").code == 0
    assert (other / "one.db").exists()


def test_a_terminal_without_unicode_is_no_reason_to_crash(place: Place) -> None:
    """Characters that it cannot show appear as their numbers."""
    place.done("backup", "create", "größe-✓")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for command in (["backup", "list"], ["audit", "log"], ["backup", "show", "größe-✓.db"]):
        ended = place.spawn(*command, **ascii_only)
        assert ended.code == 0, ended
        assert "gr\\xf6\\xdfe-\\u2713.db" in ended.out.replace("\n", "")
    ended = place.spawn("backup", "list", "--json", **ascii_only)
    assert ended.json[0]["filename"] == "größe-✓.db"
    require_clear(place.spawn("backup", "show", "fehlt-✓.db", **ascii_only), 4, "fehlt-\\u2713")


def test_a_reader_that_goes_away_is_no_error(place: Place) -> None:
    """`audit log --json | head -1` is quiet."""
    place.fill_ledger(1_000)
    ended = subprocess.run(
        ["sh", "-c", f"'{PROGRAM}' audit log --json | head -1"],
        env=os.environ | place.environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.startswith(b'{"position":1,')
    assert ended.stderr == b""


@pytest.mark.parametrize(
    ("where", "code", "says"), [(">&-", 0, ""), (">/dev/full", 1, "No space left on device")]
)
def test_an_output_that_takes_nothing_is_survived(
    where: str, code: int, says: str, place: Place
) -> None:
    """A closed one is somebody's wish; a full disk under it is a failure."""
    place.done("backup", "create", "one")
    ended = subprocess.run(
        ["sh", "-c", f"'{PROGRAM}' backup list --json {where}"],
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == code
    assert says in ended.stderr
    assert ended.stderr.count("\n") == code


def test_an_unexpected_error_is_one_line_and_debug_shows_where(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but a developer wants a traceback."""

    def broken(*_args: object) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr("commands.site.opening.look_around", broken)
    ended = place.run("status")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "unexpected ZeroDivisionError: division by zero; run it again" in ended.err
    for args, environment in ((["--debug"], {}), ([], {"BACKUP_LEDGER_DEBUG": "1"})):
        ended = place.run(*args, "status", **environment)
        assert ended.code == 1
        assert "Traceback" in ended.err
        assert ended.err.splitlines()[-1].startswith("Error: unexpected")


@pytest.mark.parametrize(("answer", "code", "is_there"), [("n\n", 1, True), ("y\n", 0, False)])
def test_on_a_terminal_the_person_is_asked(
    answer: str, code: int, is_there: bool, place: Place
) -> None:
    """And what they say is done."""
    place.done("backup", "create", "one")
    ended_code, said = on_a_terminal(place, answer, "backup", "delete", "one.db")
    assert "Delete one.db (" in said
    assert "[y/N]" in said
    assert ended_code == code, said
    assert (place.backups / "one.db").exists() is is_there


def test_colors_and_bars_are_for_terminals_only(place: Place) -> None:
    """A pipe gets plain text."""
    place.done("backup", "create", "one")
    assert "\x1b[" in on_a_terminal(place, "", "status")[1]
    assert "\x1b[" not in place.spawn("status").out
    assert place.spawn("backup", "create").err == ""


def test_completion_knows_the_commands(empty_place: Place) -> None:
    """Typer's own, switched on by --install-completion."""
    asked = {
        "_BACKUP_LEDGER_COMPLETE": "complete_bash",
        "COMP_WORDS": "backup-ledger ret",
        "COMP_CWORD": "1",
    }
    assert empty_place.spawn(**asked).out.split() == ["retention"]


def on_a_terminal(place: Place, typed: str, *args: str) -> tuple[int, str]:
    """Run the command in a pseudo-terminal; its exit code, and what was seen."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    environment = os.environ | place.environment | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [PROGRAM, *args], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:
            pass  # Linux says so when the other side has closed
    os.close(ours)
    return process.returncode, seen.decode()
