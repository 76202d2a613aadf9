"""A real database copied to a folder, its backups gone, and the database back: three ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.place import Place
from tests.commands.offsite.conftest import spoiled
from tests.commands.offsite.programs import environment_with_programs
from tests.commands.world import titles_in


@pytest.fixture
def keyed(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With a checkpoint key, two identities, and one backup."""
    place.done("audit", "keygen", "example.com/app", "--out", str(place.folder / "log.key"))
    monkeypatch.setenv("BACKUP_LEDGER_CHECKPOINT_KEY", str(place.folder / "log.key"))
    place.done("backup", "create", "one")
    return place


def add(place: Place, *more: str, name: str = "nas") -> list[str]:
    """Make two keys and a destination; the identity files."""
    arguments, keys = [], []
    for number in (1, 2):
        key = place.folder / f"{name}-{number}.txt"
        made = place.done("offsite", "keygen", "--out", str(key))
        recipient = made.out.splitlines()[-1]
        assert recipient.startswith("age1")
        assert "AGE-SECRET" not in made.out + made.err
        assert key.stat().st_mode & 0o777 == 0o600
        keys.append(str(key))
        arguments += ["--recipient", recipient, "--identity", str(key)]
    url = f"file://{place.folder}/{name}"
    place.done("offsite", "add", url, "--name", name, *arguments, *more)
    return keys


def test_the_database_comes_back_by_us_by_the_reader_and_by_age_and_zstd(keyed: Place) -> None:
    """The first identity opens it as well as the second; each result is the same file."""
    before = titles_in(keyed.database)
    keys = add(keyed, "--no-share")
    (copied,) = keyed.json("offsite", "copy")
    assert set(copied) == {
        "filename", "copy_id", "destination", "sent_bytes", "new_pages", "pages", "packs",
    }  # fmt: skip
    backup = keyed.backups / "one.db"
    content = backup.read_bytes()
    backup.unlink()
    keyed.database.write_bytes(b"")
    keyed.done("backup", "restore", "one.db", "--from", "nas", "--identity", keys[0], "--yes")
    assert titles_in(keyed.database) == before

    repository, programs = keyed.folder / "nas", keyed.folder / "programs"
    programs.mkdir()
    environment = environment_with_programs(programs)
    out = keyed.folder / "out.db"
    reader = [sys.executable, "-I", "-S", str(repository / "restore.py")]
    arguments = [copied["copy_id"], "--identity", keys[1], "--out", str(out)]
    subprocess.run([*reader, *arguments], env=environment, check=True, capture_output=True)
    assert out.read_bytes() == content

    (pack,) = (repository / "packs").glob("*/*")
    alone = f"age -d -i {keys[1]} {pack} | zstd -dc"
    ended = subprocess.run(["sh", "-c", alone], env=environment, check=True, capture_output=True)
    assert ended.stdout == content


def test_nothing_secret_is_said_or_kept(keyed: Place) -> None:
    """An identity is read, and stands in no record, no output, no file of ours."""
    keys = add(keyed)
    commands = [
        ("offsite", "copy"),
        ("backup", "restore", "one.db", "--from", "nas", "--identity", keys[0], "--yes"),
        ("audit", "log", "--json"),
    ]
    said = [keyed.done(*each) for each in commands]
    secrets = [Path(key).read_text().splitlines()[-1] for key in keys]
    kept = [path for path in keyed.folder.rglob("*") if path.is_file() and str(path) not in keys]
    for secret in secrets:
        assert secret.startswith("AGE-SECRET-KEY-1")
        assert not any(secret in each.out + each.err for each in said)
        assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_status_says_what_is_missing_and_the_copy_mends_it(keyed: Place) -> None:
    assert "no off-site destination" in keyed.done("offsite", "status").out
    assert keyed.run("offsite", "copy").code == 4
    add(keyed)
    (status,) = keyed.json("offsite", "status")
    assert (status["name"], status["copies"], status["missing"]) == ("nas", 0, 1)
    assert "1 of 1 backups are not off-site yet" in keyed.done("offsite", "status").out
    keyed.done("offsite", "copy")
    (status,) = keyed.json("offsite", "status")
    assert (status["copies"], status["missing"]) == (1, 0)
    assert "by the ledger every good backup has its copy" in keyed.done("offsite", "copy").out


def test_verify_ends_with_3_where_it_finds_something(keyed: Place) -> None:
    keys = add(keyed)
    keyed.done("offsite", "copy")
    for level in ("listed", "digest"):
        keyed.done("offsite", "verify", "--level", level)
    keyed.done("offsite", "verify", "--level", "drill", "--identity", keys[1])
    (pack,) = (keyed.folder / "nas" / "packs").glob("*/*")
    pack.write_bytes(spoiled(pack.read_bytes()))
    keyed.done("offsite", "verify")  # it is there, and has its size
    ended = keyed.run("offsite", "verify", "--level", "digest", "--json")
    assert ended.code == 3
    (found,) = ended.json
    assert not found["ok"]
    assert pack.name in found["problem"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ftp://nas/app", "--clear"], 2, "is not a destination"),
        (["file://nas/app", "--clear"], 2, "names no folder"),
        (["s3://key:secret@bucket/app", "--clear"], 2, "no credentials"),
        (["file:///tmp/x"], 2, "to whom"),
        (["file:///tmp/x", "--recipient", "age1nonsense", "--one-recipient"], 2, "not an age"),
        (["file:///tmp/x", "--clear", "--option", "secret_access_key=x"], 2, "is a secret"),
        (["file:///proc/nothing/app", "--clear"], 1, "no folder /proc/nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_said_and_nothing_is_recorded(
    keyed: Place, arguments: list[str], code: int, said: str
) -> None:
    ended = keyed.run("offsite", "add", "--name", "nas", *arguments)
    assert (ended.code, said in ended.err) == (code, True), ended
    assert keyed.json("offsite", "list") == []
    assert "secret@" not in ended.err


def test_a_key_is_never_overwritten(keyed: Place) -> None:
    key = keyed.folder / "key.txt"
    keyed.done("offsite", "keygen", "--out", str(key))
    before = key.read_text()
    assert keyed.run("offsite", "keygen", "--out", str(key)).code == 5
    assert key.read_text() == before


def test_a_destination_is_removed_and_added_again_with_its_copies(
    keyed: Place, tmp_path: Path
) -> None:
    """Its repository is its identity; nothing there was touched."""
    keys = add(keyed)
    keyed.done("offsite", "copy")
    recipients = keyed.json("offsite", "show", "nas")["recipients"]
    keyed.done("offsite", "remove", "nas", "--yes")
    assert keyed.json("offsite", "list") == []
    assert keyed.run("backup", "restore", "one.db", "--from", "nas", "--yes").code == 4
    again = [each for pair in zip(recipients, keys, strict=True)
             for each in ("--recipient", pair[0], "--identity", pair[1])]  # fmt: skip
    keyed.done("offsite", "add", f"file://{keyed.folder}/nas", "--name", "attic", *again)
    assert len(keyed.json("offsite", "show", "attic")["copies"]) == 1
    assert keyed.json("offsite", "copy") == []


def test_an_estimate_a_window_and_what_is_due(keyed: Place) -> None:
    """What it will be, when it is copied, and what the scheduler would look at."""
    (found,) = keyed.json("offsite", "estimate")
    assert set(found) == {
        "source", "backups", "first_copy_bytes", "per_day_bytes", "month_bytes",
        "month_whole_bytes",
    }  # fmt: skip
    assert found["per_day_bytes"] is None  # one backup says nothing about changes
    add(keyed)
    keyed.done("offsite", "copy")
    keyed.done("offsite", "set", "nas", "--window", "22:00-06:00", "--upload-mb-per-second", "2")
    shown = keyed.json("offsite", "show", "nas")["settings"]
    assert (shown["copy_window"], shown["upload_kb_per_second"]) == ("22:00-06:00", 2_000)
    assert keyed.json("offsite", "verify", "--due") == []
    keyed.done("offsite", "set", "nas", "--window", "none")
    assert keyed.json("offsite", "show", "nas")["settings"]["copy_window"] is None
