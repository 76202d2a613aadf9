"""An encrypted database from the first backup to the last restore, as a person has it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.place import PROGRAM, Place, make_database
from tests.commands.encrypted import (
    KEY,
    OTHER_KEY,
    TOTAL,
    add_secret_case,
    application,
    make_encrypted,
    opened,
    rekey,
    secret_titles,
    total_of,
)

KEY_FILE = "BACKUP_LEDGER_KEY_FILE"


def write_key(place: Place, *keys: str) -> str:
    file = place.folder / "keys" / "app"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(keys) + "\n", "utf-8")
    file.chmod(0o600)
    return str(file)


@pytest.fixture
def keyed(empty_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place with an encrypted database, and its key in a file."""
    make_encrypted(empty_place.database)
    monkeypatch.setenv(KEY_FILE, write_key(empty_place, KEY))
    return empty_place


def test_a_database_in_use_is_backed_up_looked_into_and_put_back(keyed: Place) -> None:
    """The application has it open and writes; the restore is one transaction, with its key."""
    with application(keyed.database):
        made = keyed.json("backup", "create", "first")
        assert (made["cipher"], made["condition"], made["unchecked"]) == ("sqlcipher", "ok", [])
        assert keyed.done("backup", "verify", "first", "--level", "drill").code == 0
        restored = keyed.json("backup", "restore", "first", "--yes")
        assert restored["mode"] == "transaction"
    assert total_of(keyed.backups / "first.db") == TOTAL
    assert total_of(keyed.database) == TOTAL
    assert "encrypted, 2 tables, 320 rows" in keyed.done("audit", "history", "first.db").out
    assert "encrypted" in keyed.done("backup", "list").out
    kept = keyed.json("backup", "list")[0]
    assert (kept["kind"], kept["cipher"], kept["condition"]) == ("pre_restore", "sqlcipher", "ok")


def test_encrypted_databases_are_compared_and_put_back_in_part_and_without_the_ledger(
    keyed: Place,
) -> None:
    """With their key, as plain ones are."""
    keyed.json("backup", "create", "first")
    with closing(opened(keyed.database)) as connection:
        connection.execute("UPDATE cases SET title = 'changed' WHERE id = 3")
        connection.execute("DELETE FROM accounts WHERE id = 7")
    tables = {each["name"]: each for each in keyed.json("backup", "diff", "first")["tables"]}
    assert tables["cases"]["changed"] == 1
    assert tables["accounts"]["removed"] == 1
    keyed.done("backup", "restore", "first", "--table", "cases", "--exact", "--yes")
    assert "changed" not in secret_titles(keyed.database)
    assert total_of(keyed.database) == TOTAL - 1_000

    digest = keyed.json("backup", "show", "first")["sha256"]
    for each in keyed.backups.glob("*.sqlite*"):
        each.unlink()
    argv = ("backup", "restore", "first.db", "--without-ledger", "--sha256", digest, "--yes")
    keyed.done(*argv)
    assert total_of(keyed.database) == TOTAL


def test_without_a_key_a_backup_is_kept_and_says_unchecked(keyed: Place) -> None:
    """It is looked into once the key is there; until then only its digest is checked."""
    made = keyed.done("backup", "create", "first", **{KEY_FILE: None})
    assert "encrypted, nothing inside was checked, SHA-256 recorded" in made.out
    assert "no key is set; give key_command or key_file" in made.err
    shown = keyed.json("backup", "show", "first")
    assert (shown["condition"], shown["unchecked"]) == ("unchecked", ["*"])
    assert shown["verified_level"] == "digest"
    assert keyed.done("backup", "verify", "first", "--level", "digest", **{KEY_FILE: None})
    failed = keyed.run("backup", "verify", "first", "--level", "drill", **{KEY_FILE: None})
    assert failed.code != 0
    assert "could not be checked, which says nothing about it" in failed.out + failed.err
    keyed.done("backup", "verify", "first", "--level", "drill")
    assert keyed.json("backup", "show", "first")["verified_level"] == "drill"


def test_a_missing_database_is_put_back_without_its_key(keyed: Place) -> None:
    """The bytes are enough; nothing of them lies in the clear."""
    keyed.done("backup", "create", "first", **{KEY_FILE: None})
    for path in keyed.folder.glob("app.db*"):
        path.unlink()
    keyed.done("backup", "restore", "first", "--yes", **{KEY_FILE: None})
    assert total_of(keyed.database) == TOTAL


def test_over_an_encrypted_database_nothing_is_put_without_its_key(keyed: Place) -> None:
    """It could not be locked against its application."""
    keyed.done("backup", "create", "first")
    add_secret_case(keyed.database, "newer")
    refused = keyed.run("backup", "restore", "first", "--yes", "--force", **{KEY_FILE: None})
    assert refused.code == 1
    assert "is encrypted: no key is set" in refused.err
    assert secret_titles(keyed.database)[-1] == "newer"


def test_encrypted_and_plain_do_not_replace_each_other_by_mistake(keyed: Place) -> None:
    """Neither direction; --force does it, and what was there is kept."""
    keyed.done("backup", "create", "secret")
    encrypted = keyed.folder / "kept"
    shutil.move(keyed.database, encrypted)
    make_database(keyed.database)
    made = keyed.done("backup", "create", "plain")
    assert "the database is not encrypted any more; it was in secret.db" in made.err
    refused = keyed.run("backup", "restore", "secret", "--yes")
    assert refused.code == 5
    assert "'secret.db' is encrypted and" in refused.err
    assert "nothing was touched" in refused.err
    assert keyed.json("backup", "restore", "secret", "--yes", "--force")["mode"] == "replace"
    assert total_of(keyed.database) == TOTAL
    refused = keyed.run("backup", "restore", "plain", "--yes")
    assert refused.code == 5
    assert "'plain.db' is not encrypted and" in refused.err
    keyed.done("backup", "restore", "plain", "--yes", "--force")
    with closing(sqlite3.connect(keyed.database)) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone() == (20,)


def test_a_database_that_cannot_be_read_any_more_does_not_push_out_the_plain_ones(
    empty_place: Place,
) -> None:
    """Encrypted on purpose, or destroyed: without a key nobody knows, so both are kept."""
    place = empty_place
    make_database(place.database)
    place.done("backup", "create", "plain")
    place.database.write_bytes(os.urandom(40_960))
    made = place.done("backup", "create", "sealed")
    assert "the database is encrypted now; it was not in plain.db" in made.err
    status = place.json("status")
    assert "collapse" in [finding["kind"] for finding in status["findings"]]
    place.done("backup", "create", "again")
    place.done("retention", "apply", "1", "--global")
    assert "plain.db" in [each["filename"] for each in place.json("backup", "list")]
    place.done("backup", "accept", "again.db")


def test_backups_from_before_a_rekey_go_back_under_the_new_key(
    keyed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older key stands behind the new one; the database keeps the new one."""
    keyed.done("backup", "create", "before")
    rekey(keyed.database, KEY, OTHER_KEY)
    wrong = keyed.done("backup", "create", "wrong")
    assert "the key does not open the database" in wrong.err
    assert keyed.json("backup", "show", "wrong")["condition"] == "unchecked"
    refused = keyed.run("backup", "restore", "before", "--yes")
    assert refused.code == 1
    assert "or was changed since; check key_command or key_file" in refused.err
    write_key(keyed, OTHER_KEY, KEY)
    for each in ("before", "wrong"):
        keyed.done("backup", "verify", each, "--level", "drill")
    with closing(opened(keyed.database, OTHER_KEY)) as connection:
        connection.execute("UPDATE accounts SET balance = 0")
    assert keyed.json("backup", "restore", "before", "--yes")["mode"] == "transaction"
    assert total_of(keyed.database, OTHER_KEY) == TOTAL


def test_a_damaged_backup_is_told_from_one_that_no_key_opens(keyed: Place) -> None:
    """Damage is recorded as damage; a wrong key says nothing about the backup."""
    keyed.done("backup", "create", "first")
    write_key(keyed, OTHER_KEY)
    failed = keyed.run("backup", "verify", "first", "--level", "integrity")
    assert "could not be checked, which says nothing about it" in failed.out + failed.err
    assert keyed.json("backup", "show", "first")["status"] == "ok"
    with (keyed.backups / "first.db").open("r+b") as file:
        file.seek(9_000)
        file.write(b"damaged!")
    assert keyed.run("backup", "verify", "first", "--level", "integrity").code == 3
    assert keyed.json("backup", "show", "first")["status"] == "corrupt"


def processes_below(pid: int) -> Iterator[Path]:
    """A process and its children, and theirs, as folders of /proc."""
    yield Path(f"/proc/{pid}")
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from processes_below(int(child))
    except OSError:
        return  # it has ended


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
def test_the_key_is_nowhere_to_be_found(keyed: Place) -> None:
    """Not in a file, an argument, an environment, an answer, a log, or the ledger."""
    secret = KEY[2:-1].encode()
    command = f"cat {write_key(keyed, KEY)}"
    environment = os.environ | keyed.environment | {"BACKUP_LEDGER_KEY_COMMAND": command}
    environment |= {"BACKUP_LEDGER_MAX_MB_PER_SECOND": "0.7"}  # so that the copying can be watched
    del environment[KEY_FILE]
    said, seen = b"", b""
    for arguments in (
        ["backup", "create", "first", "--json"],
        ["backup", "restore", "first", "--yes"],
        ["config", "show"],
        ["audit", "log", "--json"],
    ):
        program = [str(PROGRAM), "--debug", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(program, env=environment, stdout=pipe, stderr=pipe) as process:
            while process.poll() is None:
                time.sleep(0.02)
                for each in processes_below(process.pid):
                    for name in ("cmdline", "environ"):
                        try:
                            seen += (each / name).read_bytes()
                        except OSError:
                            continue
            out, err = process.communicate()
        assert process.returncode == 0, err
        said += out + err
    assert b"copy_process" in seen
    assert secret not in said + seen
    files = [path for path in keyed.folder.rglob("*") if path.is_file()]
    holding = [path.name for path in files if secret in path.read_bytes()]
    assert holding == ["app"]  # the file that the command reads
