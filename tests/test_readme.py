"""The README's Python runs as it stands, in a folder with an application's database."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from commands import BackupScheduler
from tests.readme import blocks


@pytest.fixture
def application_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with `app.db`, as the README assumes it."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        connection.execute("INSERT INTO users VALUES (1, 'Anna')")
        connection.commit()
    monkeypatch.chdir(tmp_path)
    BackupScheduler.reset_instance()
    yield tmp_path
    BackupScheduler.reset_instance()


@pytest.mark.slow
def test_the_readmes_python_runs(
    application_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each snippet runs after the ones before it, and they leave backups."""
    snippets = blocks("python")
    assert snippets
    namespace: dict[str, object] = {"__name__": "readme"}
    for number, snippet in enumerate(snippets, 1):
        exec(compile(snippet, f"README.md, snippet {number}", "exec"), namespace)  # noqa: S102
    assert "before_the_upgrade.db" in capsys.readouterr().out
    names = {each.name for each in (application_folder / "backups").glob("*.db")}
    assert "before_the_upgrade.db" in names
    assert any(each.startswith("pre_restore_backup_") for each in names)


@pytest.mark.slow
def test_the_readmes_commands_end_as_it_says(application_folder: Path, warm_path: str) -> None:
    """The tour can be typed as it stands; only what shows an error there is one."""
    environment = os.environ | {
        "PATH": warm_path,
        "BACKUP_LEDGER_DATABASE": "app.db",
        "COLUMNS": "80",
    }
    turns = re.findall(r"^\$ backup-ledger (.*)\n(.*)", "".join(blocks("console")), re.MULTILINE)
    assert turns
    for command, first_line in turns:
        finished = subprocess.run(
            ["backup-ledger", *shlex.split(command)],
            cwd=application_folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        is_refused = first_line.startswith("Error: ")
        assert (finished.returncode != 0) == is_refused, (command, finished.stderr)
        shown = finished.stderr if is_refused else finished.stdout
        expected = first_line.replace('"anna"', f'"{pwd.getpwuid(os.geteuid()).pw_name}"')
        assert _shape(shown.splitlines()[0]) == _shape(expected), command


def _shape(line: str) -> str:
    """A line without what differs from one time to the next."""
    words = re.sub(r"[0-9a-f-]{32,}|[0-9][0-9:,.-]*", "#", line).split()
    return " ".join(words[:2])
