"""A ledger that the disk damaged: what can be read is said, and docs/OPERATIONS.md leads back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.place import Place, require_clear

GUIDE = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"
PAGE = 4096
NAMES = ("before-the-storm", "second", "third")

Damage = Callable[[bytes], bytes]


def cut(data: bytes) -> bytes:
    """The last pages are gone, and records in them."""
    return data[: -2 * PAGE]


DAMAGES: dict[str, Damage] = {
    "header": lambda data: b"\x07" * 100 + data[100:],
    "schema": lambda data: data[:200] + bytes(PAGE - 200) + data[PAGE:],
    "root page": lambda data: data[:PAGE] + b"\xee" * 60 + data[PAGE + 60 :],
    "cut": cut,
}


@pytest.fixture
def begun(place: Place) -> Place:
    for name in NAMES:
        place.done("backup", "create", name)
    place.fill_ledger(30)
    with closing(sqlite3.connect(place.ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return place


def damage(place: Place, how: Damage) -> None:
    data = place.ledger.read_bytes()
    place.ledger.write_bytes(how(data))


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_every_command_names_what_helps(begun: Place, how: Damage) -> None:
    """One line, exit code 1, and both commands that it recommends work."""
    damage(begun, how)
    for command in ("backup list", "backup create more", "backup restore third.db --yes"):
        ended = begun.run(*command.split())
        require_clear(ended, 1, "audit verify")
        assert "--without-ledger" in ended.err
    verified = begun.run("audit", "verify")
    assert verified.code == 3
    assert "records can be read, and each has its recorded hash" in verified.out
    assert "ledger salvage" in verified.out


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_verify_says_as_json_what_is_lost(begun: Place, how: Damage) -> None:
    """The keys are those of every verification."""
    size = len(begun.events())
    damage(begun, how)
    report = begun.run("audit", "verify", "--json").json
    assert set(report) == {"ok", "size", "root", "findings", "notes", "not_checked"}
    assert report["ok"] is False
    assert report["findings"][0]["problem"] == "the ledger's file is damaged"
    if how is not cut:
        assert f"{size} of {size} records can be read" in " ".join(report["notes"])
        assert "they have the root of the ledger's head" in " ".join(report["notes"])
        assert len(report["findings"]) == 1
    else:
        assert "cannot be read" in report["findings"][1]["problem"]


def test_restore_without_the_ledger_is_as_careful(begun: Place) -> None:
    """The digest first, the current content kept, and it says what it could not check."""
    digest = begun.json("backup", "show", "third.db")["sha256"]
    begun.add_cases(5)
    damage(begun, DAMAGES["header"])
    wrong = begun.run("backup", "restore", "third", "--without-ledger", "--sha256", "0" * 64)
    require_clear(wrong, 1, "nothing was touched")
    missing = begun.run("backup", "restore", "third", "--without-ledger")
    require_clear(missing, 2, "--sha256")
    unasked = begun.run("backup", "restore", "third", "--without-ledger", "--sha256", digest)
    require_clear(unasked, 2, "--yes")
    assert begun.count_cases() == 25
    done = begun.done(
        "backup", "restore", "third", "--without-ledger", "--sha256", digest.upper(), "--yes"
    )
    assert begun.count_cases() == 20
    assert "Not checked: whether this is the digest that was recorded" in done.err
    (kept,) = begun.backups.glob("pre_restore_backup_*.db")
    assert begun.count_cases(kept) == 25
    assert list(begun.folder.rglob(".backup-ledger-bare-*")) == []


def test_restore_without_any_ledger_into_a_missing_or_damaged_database(begun: Place) -> None:
    """By putting a new file in its place; a damaged one is kept with its sidecars."""
    digest = begun.json("backup", "show", "third.db")["sha256"]
    file = begun.folder / "elsewhere.db"
    shutil.move(begun.backups / "third.db", file)
    shutil.rmtree(begun.backups)
    begun.database.write_bytes(b"this is not a database " * 100)
    log = begun.database.with_name("app.db-wal")
    log.write_bytes(b"old log")
    arguments = ("backup", "restore", str(file), "--without-ledger", "--sha256", digest, "--yes")
    done = begun.json(*arguments)
    assert (done["mode"], done["reason"], done["restored"]) == ("replace", "damaged", True)
    assert begun.count_cases() == 20
    kept = Path(done["pre_restore_backup"])
    assert kept.read_bytes().startswith(b"this is not a database")
    assert (begun.backups / ".sidecars" / kept.name / "database-wal").read_bytes() == b"old log"
    begun.database.unlink()
    assert begun.json(*arguments)["reason"] == "missing"
    assert begun.count_cases() == 20


def test_restore_without_the_ledger_refuses_what_is_not_sound(begun: Place) -> None:
    """A damaged file whose digest is right; another application's; a path that exists."""
    bad = begun.folder / "bad.db"
    bad.write_bytes(b"dear diary " * 100)
    other = begun.folder / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (id)")
    for path, says in ((bad, "is damaged"), (other, "no table in common")):
        arguments = ["backup", "restore", str(path), "--without-ledger", "--sha256", sha256(path)]
        require_clear(begun.run(*arguments, "--yes"), 1 if path is bad else 5, says)
    arguments[-1] = sha256(other)
    taken = begun.run(*arguments, "--to", str(bad))
    require_clear(taken, 5, "already exists")
    look = begun.folder / "look.db"
    begun.done(*arguments, "--to", str(look))
    assert look.read_bytes() == other.read_bytes()
    assert begun.count_cases() == 20


def test_sha256_alone_is_refused(begun: Place) -> None:
    """With the ledger, the digest is the recorded one."""
    require_clear(begun.run("backup", "restore", "third", "--sha256", "0" * 64), 2, "--without")


def test_salvage_leaves_what_stands_there(begun: Place) -> None:
    """A file that exists is never overwritten, and a file that is not a ledger is refused."""
    damage(begun, DAMAGES["header"])
    there = begun.folder / "there.sqlite"
    there.write_text("mine")
    ended = begun.run("ledger", "salvage", str(begun.ledger), str(there))
    require_clear(ended, 5, "already exists")
    assert there.read_text() == "mine"
    ended = begun.run("ledger", "salvage", str(there), "new.sqlite")
    require_clear(ended, 1, "holds no record")
    assert not (begun.folder / "new.sqlite").exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="the guide is for a POSIX shell")
@pytest.mark.parametrize("how", [*DAMAGES.values()][::2], ids=[*DAMAGES][::2])
def test_the_guide_leads_back_to_a_good_ledger(begun: Place, how: Damage, warm_path: str) -> None:
    """Each box of the page, as it stands and in its order."""
    before = begun.events()
    begun.add_cases(5)
    damage(begun, how)
    text = GUIDE.read_text("utf-8")
    page = text[text.index("\n## A damaged ledger\n") : text.index("\n## A copy of the ledger\n")]
    boxes = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(boxes) == 5
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(boxes)],
        cwd=begun.folder,
        env=os.environ | begun.environment | {"PATH": warm_path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert "The history is whole" in finished.stdout
    assert begun.count_cases() == 20
    after = begun.events()
    kept = len(before) if how is not cut else len(saved_records(begun))
    assert after[:kept] == before[:kept]
    assert kept > len(NAMES)
    listed = {each["filename"] for each in begun.json("backup", "list")}
    assert {f"{name}.db" for name in NAMES} < listed
    assert saved_records(begun)[:kept] == before[:kept]


def saved_records(place: Place) -> list[dict[str, Any]]:
    lines = (place.folder / "saved.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["record"] for line in lines]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
