"""Three databases, one configuration: commands that mean all of them, and those that mean one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from commands.site.configuration import load_configuration
from commands.site.sites import site_configurations
from tests.acceptance.place import PROGRAM, Place, make_database
from tests.commands.encrypted import KEY, make_encrypted

NAMES = ["crm", "shop", "vault"]


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Three databases without a ledger yet; the last one is encrypted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKUP_LEDGER_DATABASE", raising=False)
    text = ""
    for name in NAMES:
        (tmp_path / name).mkdir()
        text += f'[sites.{name}]\ndatabase = "{name}/app.db"\n'
    (tmp_path / "backup-ledger.toml").write_text(f'{text}key_file = "key"\n')
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    make_database(tmp_path / "crm" / "app.db")
    make_database(tmp_path / "shop" / "app.db")
    make_encrypted(tmp_path / "vault" / "app.db")
    return Place(tmp_path)


def run(place: Place, *args: str) -> tuple[int, str, str]:
    ended = place.run(*args, BACKUP_LEDGER_DATABASE=None)
    return ended.code, ended.out, ended.err


def begin(place: Place, *names: str) -> None:
    for name in names or NAMES:
        assert run(place, "backup", "create", "first", "--site", name)[0] == 0


def test_a_command_that_acts_on_one_asks_which(three: Place) -> None:
    """And does it there, and nowhere else."""
    code, _out, err = run(three, "backup", "create")
    assert code == 2
    assert "which site? give --site NAME, one of: crm, shop, vault" in err
    assert run(three, "--site", "nope", "backup", "list")[0] == 2
    begin(three, "vault")
    assert (three.folder / "vault" / "backups" / "first.db").exists()
    assert not (three.folder / "crm" / "backups").exists()
    shown = json.loads(run(three, "backup", "show", "first", "--site", "vault", "--json")[1])
    assert shown["cipher"] == "sqlcipher"


def test_status_and_verify_mean_all_and_one_without_a_ledger_keeps_no_other(three: Place) -> None:
    """Its exit code is the command's, its message has its name, the others are answered."""
    begin(three, "crm", "vault")
    code, out, err = run(three, "status", "--json")
    assert code == 4
    sites = json.loads(out)["sites"]
    assert list(sites) == NAMES
    assert [name for name in NAMES if sites[name].get("verdict")] == ["crm", "vault"]
    assert "site shop: there is no ledger" in err
    code, out, err = run(three, "audit", "verify")
    assert code == 4
    assert out.count("The history is whole") == 2
    begin(three, "shop")
    code, out, _err = run(three, "audit", "verify", "--json")
    assert code == 0
    assert [each["ok"] for each in json.loads(out)["sites"].values()] == [True] * 3
    code, out, _err = run(three, "status", "--site", "crm", "--json")
    assert code == 0
    assert "verdict" in json.loads(out)  # of one site: as it always was


def test_what_is_found_at_one_site_is_the_exit_code_of_all(three: Place) -> None:
    """3, as of one database; 1 where two sites end differently."""
    begin(three)
    for name in NAMES:
        assert run(three, "settings", "set", "1", "--time", "03:00", "--site", name)[0] == 0
    assert run(three, "status", "--check")[0] == 0
    (three.folder / "shop" / "backups" / "first.db").unlink()
    assert run(three, "status", "--check")[0] == 3
    (three.folder / "crm" / "backups").rename(three.folder / "crm" / "unmounted")
    assert run(three, "status", "--check")[0] == 1


def test_one_night_for_all(three: Place) -> None:
    """A site whose folder is gone fails alone; run --once says so with exit code 1."""
    begin(three)
    (three.folder / "shop" / "backups").rename(three.folder / "shop" / "unmounted")
    code, out, err = run(three, "run", "--once", "--json")
    assert code == 1
    assert json.loads(out)["sites"]["crm"] == {
        "completed": 0,
        "failed": 0,
        "abandoned": 0,
        "missed_slots": 0,
    }
    assert json.loads(out)["sites"]["shop"] is None
    assert "site shop: " in err


def test_one_token_for_all_and_its_end(three: Place) -> None:
    """Each site's ledger records it; without --site it is made, and revoked, everywhere."""
    begin(three)
    code, out, _err = run(three, "tokens", "create", "--role", "operator", "--json")
    assert code == 0
    token_id = json.loads(out)["token_id"]
    listed = json.loads(run(three, "tokens", "list", "--json")[1])["sites"]
    assert {name: [each["token_id"] for each in found] for name, found in listed.items()} == {
        name: [token_id] for name in NAMES
    }
    assert run(three, "tokens", "revoke", token_id)[0] == 0
    listed = json.loads(run(three, "tokens", "list", "--json")[1])["sites"]
    assert [found[0]["is_valid"] for found in listed.values()] == [False] * 3


def test_the_settings_are_shown_and_checked_of_each(three: Place) -> None:
    """A site's own setting says which table it stands in."""
    (three.folder / "shop" / "app.db").unlink()
    code, out, _err = run(three, "config", "check")
    assert code == 3
    assert "site shop: there is no database at" in out
    shown = json.loads(run(three, "config", "show", "--site", "vault", "--json")[1])
    origin = {each["name"]: each["origin"] for each in shown}["key_file"]
    assert origin.endswith("backup-ledger.toml, sites.vault")


@pytest.mark.slow
def test_the_scheduler_runs_all_and_stops_at_once(three: Place) -> None:
    """Each site has a scheduler; what is due is taken, whatever happens to a neighbor."""
    begin(three)
    (three.folder / "shop" / "backups").rename(three.folder / "shop" / "unmounted")
    for name in ("crm", "vault"):
        assert run(three, "settings", "set", "1", "--time", "03:00", "--site", name)[0] == 0
        assert run(three, "settings", "pause", "1", "--site", name)[0] == 0
    environment = {k: v for k, v in os.environ.items() if k != "BACKUP_LEDGER_DATABASE"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [str(PROGRAM), "run"], env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _line in range(2)]
        deadline = 200
        while deadline and not all(started(three, name) for name in ("crm", "vault")):
            deadline -= 1
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Checking 3 sites" in lines[0] + lines[1]
    assert "site shop: " in lines[0] + lines[1]
    for name in ("crm", "vault"):
        log = run(three, "audit", "log", "--site", name, "--type", "backup_scheduler.", "--json")[1]
        types = [json.loads(each)["record"]["event_type"] for each in log.splitlines()]
        assert "backup_scheduler.start" in types
        assert "backup_scheduler.stop" in types


def started(place: Place, name: str) -> bool:
    answer = run(
        place, "audit", "log", "--site", name, "--type", "backup_scheduler.start", "--json"
    )
    return bool(answer[1])


def test_the_page_about_sites_shows_settings_that_are_right(tmp_path: Path) -> None:
    """Its example is loaded as it stands."""
    page = (Path(__file__).parents[2] / "docs" / "SITES.md").read_text("utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "example.toml").write_text(example, "utf-8")
    sites = site_configurations(load_configuration(config=tmp_path / "example.toml"))
    assert [each.keep_within_days for each in sites.values()] == [3, 14]
    assert sites["vault"].keys.is_configured


@pytest.mark.slow
def test_serve_has_all_sites_and_prints_one_token_for_them(three: Place) -> None:
    """A site without a ledger is not served, and keeps nobody else from it."""
    begin(three, "crm", "vault")
    environment = {k: v for k, v in os.environ.items() if k != "BACKUP_LEDGER_DATABASE"}
    pipe = subprocess.PIPE
    command = [str(PROGRAM), "serve", "--port", "0", "--with-scheduler"]
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.readline()
        assert said.startswith("3 sites at http://127.0.0.1:")
        address = said.split()[3].partition("/sites/")[0]
        lines = iter(process.stderr.readline, "")
        token = next(line.strip() for line in lines if line.startswith("blt_"))
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False) as client:
            for name in ("crm", "vault"):
                assert client.get(f"/sites/{name}/database/backups").json()["count"] == 1
            assert client.get("/sites/shop/database/backups").status_code == 503
            assert client.get("/ready").json()["status"] == "in part"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
