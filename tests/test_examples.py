"""The files of examples/ work as they stand: only their folder is another one."""

from __future__ import annotations

import asyncio
import configparser
import hashlib
import re
import runpy
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from commands import BackupService
from commands.http import Caller
from commands.schedules.settings import configure
from ledger.clock import ManualClock
from tests.commands.world import make_database
from tests.http.in_process import client_of
from tests.readme import ROOT

EXAMPLES = ROOT / "examples"
PROGRAM = Path(sys.executable).with_name("backup-ledger")


def due_since_long(database: Path) -> BackupService:
    """User 1's schedule, as it was set a long time ago: a backup is due."""
    service = BackupService(database)
    site = service.site
    usual, then = site.clock, ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    site.clock = site.ledger.clock = then
    try:
        configure(site, site.context(Caller("1", "operator").actor), 1, {"backup_time": "03:00"})
    finally:
        site.clock = site.ledger.clock = usual
    return service


@pytest.fixture
def app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What /srv/app or /var/lib/app is elsewhere: a database, and the program in its .venv."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "app"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "backup-ledger").symlink_to(PROGRAM)
    due_since_long(make_database(folder / "app.db"))
    return folder


def backups_in(folder: Path) -> list[str]:
    return [each.name for each in (folder / "backups").glob("auto_backup_user1_*.db")]


def run_shell(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """By sh, with no more in its environment than cron, systemd or a container gives."""
    given = {"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "HOME": str(folder)} | environment
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )


def answers(address: str) -> bool:
    """Whether a service is up; a login page is an answer."""
    try:
        return httpx.get(address, trust_env=False).status_code < 400
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_the_application_backs_itself_up_while_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own users are let in as what they are, and the scheduler ends with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_DATABASE", str(tmp_path / "app.db"))
    app = runpy.run_path(str(EXAMPLES / "application.py"))["create_app"]()
    users = [(1, hashlib.sha256(b"anna").hexdigest(), 0), (2, hashlib.sha256(b"bo").hexdigest(), 1)]
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", users)
        connection.execute("INSERT INTO notes (text) VALUES ('a note')")
        connection.commit()
    service = due_since_long(tmp_path / "app.db")
    client = client_of(app)

    def ask(path: str, token: str) -> Any:
        return client.get(path, headers={"Authorization": f"Bearer {token}"})

    def until_it_ran() -> None:
        deadline = time.monotonic() + 60
        while not ask("/database/runs?outcome=completed", "anna").json()["runs"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/notes").json() == ["a note"]
        assert ask("/database/settings/1", "bo").status_code == 200  # an operator
        assert ask("/database/settings/2", "anna").status_code == 404  # not hers
        assert ask("/database/backups", "stranger").status_code == 401
        away = client.get("/backups/runs").headers["location"]
        assert away == "/sign-in?next=%2Fbackups%2Fruns"
        signed_in = client.post("/sign-in", data={"token": "anna"})
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        page = client.get("/backups/runs", headers={"Cookie": cookie})  # hers, in the console
        assert "completed" in page.text

    async def serve() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(until_it_ran)

    asyncio.run(serve())
    assert len(backups_in(tmp_path)) == 1
    types = [each.event.event_type for each in service.site.ledger.recorded()]
    assert types[-1] == "backup_scheduler.stop"


@pytest.mark.slow
def test_the_line_for_cron_makes_the_backup_that_is_due_and_then_is_silent(
    app_folder: Path,
) -> None:
    text = (EXAMPLES / "backup-ledger.cron").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    environment = dict(line.split("=", 1) for line in lines[:-1])
    assert environment.pop("SHELL") == "/bin/sh"
    *when, account, command = lines[-1].split(None, 6)
    assert (when, account) == (["*"] * 5, "app")
    assert "%" not in command  # a line break to cron
    here = {name: value.replace("/srv/app", str(app_folder)) for name, value in environment.items()}
    first, second = (
        run_shell(command.replace("/srv/app", str(app_folder)), app_folder, here) for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, ""), first.stderr
    assert len(backups_in(app_folder)) == 1
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_unit_runs_the_scheduler_and_its_stop_ends_it_well(app_folder: Path) -> None:
    text = (EXAMPLES / "backup-ledger.service").read_text("utf-8")
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text.replace("/srv/app", str(app_folder)))
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    folder = Path(service["WorkingDirectory"])
    name, _, database = service["Environment"].partition("=")
    assert (folder, Path(database).parent) == (app_folder, app_folder)
    assert service["ReadWritePaths"] == unit["Unit"]["RequiresMountsFor"] == str(app_folder)
    assert service["User"] != "root"
    scheduler = subprocess.Popen(
        shlex.split(service["ExecStart"]),
        cwd=folder,
        env={name: database, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not backups_in(app_folder):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        scheduler.send_signal(signal.SIGTERM)
        assert scheduler.wait(60) == 0
    finally:
        scheduler.kill()
        scheduler.wait()


@pytest.mark.slow
def test_the_containers_commands_run(app_folder: Path) -> None:
    """Both, in their folder and environment; the image installs what they need."""
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text("utf-8"))
    assert set(compose["services"]) == {"scheduler", "console"}
    for each in compose["services"].values():
        volume, _, mounted = each["volumes"][0].partition(":")
        assert volume in compose["volumes"]
        assert mounted == each["working_dir"]
        assert each["user"].partition(":")[0] not in ("0", "root")
        build = each["build"]
        assert (EXAMPLES / build["context"]).resolve() == ROOT
        [extras] = re.findall(r"\[(.*?)\]", build["dockerfile_inline"])
        assert {"http", "offsite"} == set(extras.split(","))
    scheduler, console = (compose["services"][name] for name in ("scheduler", "console"))
    here = {
        name: value.replace(scheduler["working_dir"], str(app_folder))
        for name, value in scheduler["environment"].items()
    }
    once = run_shell(shlex.join([*scheduler["command"], "--once"]), app_folder, here)
    assert once.returncode == 0, once.stderr
    assert len(backups_in(app_folder)) == 1
    _, inside = console["ports"][0].rsplit(":", 1)
    assert (
        f"[default: {inside};" in run_shell("backup-ledger serve --help", app_folder, here).stdout
    )
    # Any free port, as 8080 may be somebody's here.
    serving = subprocess.Popen(
        [PROGRAM, *console["command"][1:], "--port", "0"],
        cwd=app_folder,
        env=here | {"HOME": str(app_folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert serving.stdout is not None
        [address] = next(
            found for line in serving.stdout if (found := re.findall(r"http://\S+/console", line))
        )
        port = address.split(":")[2].split("/")[0]
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/console"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0
    finally:
        serving.kill()
        serving.communicate()
