"""Encrypted databases: recognized, opened, and copied without the key while they are in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite import encryption
from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import is_encrypted, open_immutable, open_live
from commands.sqlite.content import content_problem
from commands.sqlite.errors import (
    DamagedDatabase,
    DatabaseBusy,
    KeyMissing,
    NoTables,
    NotADatabase,
    SQLiteFileError,
    WrongDatabaseKey,
)
from commands.sqlite.header import header_problem
from commands.sqlite.snapshot import Snapshot, SnapshotLimits, take_snapshot
from tests.commands.encrypted import (
    KEY,
    OTHER_KEY,
    TOTAL,
    application,
    make_encrypted,
    opened,
    rekey,
    secret_titles,
    total_of,
)


def keys_with(folder: Path, *keys: str) -> Keys:
    file = folder / "key"
    file.write_text("\n".join(keys), "utf-8")
    file.chmod(0o600)
    return Keys(file=file)


def snapshot_of(path: Path, staged: Path, keys: Keys, wait_seconds: float = 5.0) -> Snapshot:
    return take_snapshot(path, staged, limits=SnapshotLimits(keys=keys), wait_seconds=wait_seconds)


def test_an_encrypted_database_is_told_from_other_files(tmp_path: Path) -> None:
    """Random bytes in whole pages; not text, not zeros, not a cut file, not a plain database."""
    assert is_encrypted(make_encrypted(tmp_path / "secret.db"))
    with closing(sqlite3.connect(tmp_path / "plain.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    others = {
        "plain.db": (tmp_path / "plain.db").read_bytes(),
        "text.db": b"this is not a database " * 2_048,
        "zeros.db": bytes(8_192),
        "cut.db": os.urandom(8_191),
        "half.db": os.urandom(512) + b"0" * 512,
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert not is_encrypted(tmp_path / name), name
    assert not is_encrypted(tmp_path / "gone.db")


def test_the_first_key_that_fits_opens_it(tmp_path: Path) -> None:
    """Older backups may have an older key."""
    path = make_encrypted(tmp_path / "app.db")
    keys = keys_with(tmp_path, OTHER_KEY, KEY)
    with closing(open_immutable(path, keys)) as connection:
        assert connection.execute("SELECT sum(balance) FROM accounts").fetchone() == (TOTAL,)
    with closing(open_live(path, 1.0, keys=keys)) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone() == (20,)


@pytest.mark.slow
def test_a_wrong_key_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    """SQLCipher says the same of both; but a wrong key fits no page at all."""
    path = make_encrypted(tmp_path / "app.db")
    with pytest.raises(WrongDatabaseKey, match=r"does not open .*app\.db"):
        open_immutable(path, keys_with(tmp_path, OTHER_KEY, "a passphrase"))
    with path.open("r+b") as file:
        file.seek(60)
        file.write(b"damaged!")
    with pytest.raises(DamagedDatabase, match="page 1"):
        open_immutable(path, keys_with(tmp_path, KEY))


def test_damage_inside_is_found_by_the_pages_own_codes(tmp_path: Path) -> None:
    """Also on a page that no table uses any more."""
    path, keys = make_encrypted(tmp_path / "app.db", journal="delete"), keys_with(tmp_path, KEY)
    assert content_problem(path, keys=keys) is None
    with path.open("r+b") as file:
        file.seek(-200, os.SEEK_END)
        file.write(b"damaged!")
    assert "HMAC verification failed for page" in str(content_problem(path, keys=keys))


def test_without_key_or_extra_it_says_so_and_not_that_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of the content then."""
    path = make_encrypted(tmp_path / "app.db")
    for keys in (Keys(), Keys(file=tmp_path / "gone")):
        with pytest.raises(KeyMissing, match=r"app\.db is encrypted: "):
            content_problem(path, keys=keys)
    assert header_problem(path) is None
    monkeypatch.setattr(encryption, "find_spec", lambda _name: None)
    with pytest.raises(KeyMissing, match=r"backup-ledger\[sqlcipher\]"):
        open_immutable(path, keys_with(tmp_path, KEY))


@pytest.mark.parametrize("journal", ["wal", "delete", "persist"])
def test_a_snapshot_is_the_same_with_and_without_the_key(tmp_path: Path, journal: str) -> None:
    """The copy needs none; what is said of it does."""
    path = make_encrypted(tmp_path / "app.db", journal=journal)
    sealed = snapshot_of(path, tmp_path / "one.db", Keys())
    seen = snapshot_of(path, tmp_path / "two.db", keys_with(tmp_path, KEY))
    assert sealed.sha256 == seen.sha256
    assert (sealed.engine, sealed.cipher, seen.cipher) == ("copy", "sqlcipher", "sqlcipher")
    assert (sealed.unchecked, sealed.table_count) == (("*",), 0)
    assert (seen.unchecked, seen.table_count, seen.row_count) == ((), 2, 320)
    assert "no key is set" in sealed.warnings[0]
    assert str(tmp_path) not in sealed.warnings[0]  # a staged file's name helps nobody
    assert total_of(tmp_path / "one.db") == TOTAL


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_copies_under_a_writer_hold_one_state_each(tmp_path: Path, journal: str) -> None:
    """It commits and checkpoints all the time; no copy sees half of a transfer."""
    path, keys = make_encrypted(tmp_path / "app.db", journal=journal), Keys()
    with application(path) as process:
        for number in range(4):
            copy = tmp_path / f"copy-{number}.db"
            snapshot_of(path, copy, keys, 20.0)
            assert total_of(copy) == TOTAL
        assert process.poll() is None
    assert total_of(path) == TOTAL


def test_what_is_only_in_the_log_is_in_the_copy(tmp_path: Path) -> None:
    """With the application at rest, and after it crashed."""
    path = make_encrypted(tmp_path / "app.db")
    with closing(opened(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO cases (title) VALUES ('in the log')")
        snapshot_of(path, tmp_path / "copy.db", Keys())
        leftover = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    for suffix, content in leftover.items():
        Path(f"{tmp_path / 'crashed.db'}{suffix}").write_bytes(content)
    snapshot_of(tmp_path / "crashed.db", tmp_path / "copy-2.db", Keys())
    for name in ("copy.db", "copy-2.db"):
        assert secret_titles(tmp_path / name)[-1] == "in the log"


def crashed_writer(folder: Path) -> Path:
    """A database in rollback mode whose application died in a transaction, half written."""
    path, crashed = make_encrypted(folder / "app.db", journal="delete"), folder / "crashed.db"
    with closing(opened(path)) as connection:
        connection.execute("PRAGMA cache_size=2")  # so that pages are written early
        connection.execute("BEGIN")
        connection.execute("UPDATE accounts SET balance = 0")
        for suffix in ("", "-journal"):
            Path(f"{crashed}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    return crashed


def test_a_crashed_writers_journal_needs_the_key(tmp_path: Path) -> None:
    """It is rolled back before the copy, and never half of it copied."""
    crashed = crashed_writer(tmp_path)
    with pytest.raises(SQLiteFileError, match="journal of a crashed writer"):
        snapshot_of(crashed, tmp_path / "copy.db", Keys())
    assert not (tmp_path / "copy.db").exists()
    snapshot_of(crashed, tmp_path / "copy.db", keys_with(tmp_path, KEY))
    assert total_of(tmp_path / "copy.db") == TOTAL


def test_a_writer_that_never_lets_go_is_waited_for_and_named(tmp_path: Path) -> None:
    """As with a plain database."""
    path = make_encrypted(tmp_path / "app.db", journal="delete")
    with closing(opened(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy, match="stayed locked"):
            snapshot_of(path, tmp_path / "copy.db", Keys(), 0.1)
    assert not (tmp_path / "copy.db").exists()


def test_a_changed_key_leaves_a_kept_and_unchecked_copy(tmp_path: Path) -> None:
    """Until the setting follows; the older key then stands behind the new one."""
    path = make_encrypted(tmp_path / "app.db")
    snapshot_of(path, tmp_path / "before.db", keys_with(tmp_path, KEY))
    rekey(path, KEY, OTHER_KEY)
    wrong = snapshot_of(path, tmp_path / "wrong.db", keys_with(tmp_path, KEY))
    assert wrong.is_sealed
    assert "the key does not open the database" in wrong.warnings[0]
    both = keys_with(tmp_path, OTHER_KEY, KEY)
    assert not snapshot_of(path, tmp_path / "after.db", both).is_sealed
    assert content_problem(tmp_path / "before.db", keys=both) is None


def test_an_encrypted_database_without_tables_is_refused(tmp_path: Path) -> None:
    """As a plain one: it is a wrong path, or a setting that names the wrong file."""
    with closing(opened(tmp_path / "app.db")) as connection:
        connection.execute("PRAGMA user_version=1")
    with pytest.raises(NoTables, match=r"app\.db has no table"):
        snapshot_of(tmp_path / "app.db", tmp_path / "copy.db", keys_with(tmp_path, KEY))
    (tmp_path / "text.db").write_bytes(b"this is not a database " * 2_048)
    with pytest.raises(NotADatabase):
        snapshot_of(tmp_path / "text.db", tmp_path / "copy.db", keys_with(tmp_path, KEY))
