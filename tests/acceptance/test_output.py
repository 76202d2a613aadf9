"""What happens to the answer: full disks, closed pipes, terminals, narrow windows."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.place import PROGRAM, Place, make_database

HOSTILE = "why \x1b]0;title\x07 \x9b31m red \x7f \u202e end"
COMMANDS = (
    "--help",
    "backup --help",
    "--version",
    "backup list",
    "backup list --json",
    "backup show one.db",
    "audit log --json",
    "audit log --csv",
    "audit log",
    "audit verify",
)
BUFFERINGS = [
    *((command, "") for command in COMMANDS),
    *((command, "1") for command in ("--help", "backup list", "audit log --json")),
]
"""By whom it is printed; without the interpreter's buffer for one of each."""


@pytest.fixture
def begun(place: Place) -> Place:
    place.done("backup", "create", "one")
    return place


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place for questions, which change nothing."""
    place = Place(tmp_path_factory.mktemp("asked"))
    make_database(place.database)
    place.done("backup", "create", "one")
    return place


def ended(place: Place, command: str, redirected: str, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose output goes somewhere."""
    chosen = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    finished = subprocess.run(
        ["bash", "-c", f"'{PROGRAM}' {command} {redirected}"],
        env=chosen | place.environment | environment,
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=240,
    )
    return finished.returncode, finished.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("command", "unbuffered"), BUFFERINGS)
def test_full_output_is_one_line_and_exit_code_1(
    asked: Place, command: str, unbuffered: str
) -> None:
    """Whoever prints, and whether the interpreter buffers or not."""
    code, said = ended(asked, command, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    errors = [line for line in said.splitlines() if not line.startswith("Not checked: ")]
    assert code == 1, said
    assert len(errors) == 1
    assert errors[0].startswith("Error: standard output cannot be written: No space left")


@pytest.mark.parametrize(("command", "unbuffered"), BUFFERINGS)
def test_closed_pipe_is_silent_and_141(asked: Place, command: str, unbuffered: str) -> None:
    """As of any command that SIGPIPE ends."""
    # The reader is gone before the command begins to write.
    reader, writer = os.pipe()
    os.close(reader)
    chosen = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    finished = subprocess.run(
        [PROGRAM, *command.split()],
        env=chosen | asked.environment | {"PYTHONUNBUFFERED": unbuffered},
        cwd=asked.folder,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=240,
    )
    os.close(writer)
    errors = [
        line for line in finished.stderr.decode().splitlines() if not line.startswith("Not checked")
    ]
    assert (finished.returncode, errors) == (141, [])


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_remarks_that_nobody_takes_fail_nothing(begun: Place, where: str) -> None:
    """What was asked for was done, and its exit code says so."""
    assert ended(begun, "backup create two", f"{where} >/dev/null")[0] == 0
    assert (begun.backups / "two.db").exists()
    assert ended(begun, "backup show none", where)[0] == 4


def on_a_terminal(place: Place, *args: str) -> bytes:
    """What a command writes to a terminal."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *args],
        env=os.environ | place.environment | {"TERM": "dumb"},
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(terminal)
        written = b""
        try:
            while piece := os.read(controller, 65_536):
                written += piece
        except OSError:  # Linux: the other side is closed
            pass
        assert process.wait(240) == 0
    os.close(controller)
    return written


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_terminal_is_never_sent_what_it_obeys(begun: Place, form: str) -> None:
    """ESC, C1, DEL, marks of direction: shown, and the JSON means the same."""
    begun.done("backup", "hold", "one.db", "--reason", HOSTILE)
    written = on_a_terminal(begun, "audit", "log", form)
    text = written.decode().replace("\r", "")
    assert "red" in text
    assert [each for each in text if not each.isprintable() and each != "\n"] == []
    if form == "--json":
        records = [json.loads(line)["record"] for line in text.splitlines()]
        reasons = [record["details"].get("reason") for record in records]
        assert HOSTILE in reasons
    # Into a file it stays as it was recorded.
    plain = begun.spawn("audit", "log", form).out
    assert "\x9b31m" in plain
    assert "\u202e" in plain


def test_names_survive_a_narrow_window(begun: Place) -> None:
    """A name that is longer than the window stays in one piece, to be copied."""
    name = "auto_backup_user1234567_2025-01-13T03-00-00.db"
    begun.done("backup", "create", name.removeprefix("auto_backup_"))
    for columns in ("20", "40", "60", "80"):
        lines = begun.done("backup", "list", COLUMNS=columns).out.splitlines()
        assert any(name.removeprefix("auto_backup_") in line for line in lines), columns


def test_tests_can_interrupt_a_command_also_where_sigint_was_ignored() -> None:
    """A shell gives `nohup ... &` an ignored SIGINT, which children would inherit for ever."""
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_interrupt_ends_what_follows_and_what_watches(begun: Place) -> None:
    """Also where the command was started with SIGINT ignored, SIGTERM does."""
    with subprocess.Popen(
        ["bash", "-c", f"trap '' INT; exec '{PROGRAM}' audit log --follow --json"],
        env=os.environ | begun.environment,
        cwd=begun.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"position":1,')
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
