"""What is read out of a SQLite file."""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.errors import (
    NotADatabase,
    NotEnoughSpace,
    SourceMissing,
    SQLiteFileError,
    shown,
    translated,
)
from commands.sqlite.inspection import (
    TableRows,
    inspect,
    is_application_table,
    open_immutable,
    schema_fingerprint,
    sha256_of,
)
from commands.sqlite.integrity import integrity_problems

SCHEMA = "CREATE TABLE b (x); CREATE TABLE a (x, y UNIQUE); CREATE VIEW v AS SELECT x FROM b;"


def database(path: Path, script: str = SCHEMA, page_size: int = 4096) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.executescript(script)
    return path


def fingerprint_after(path: Path, script: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        return schema_fingerprint(connection)


@pytest.mark.parametrize("name", ["backup_settings", "Audit_Trail", "ledger_projection_x"])
def test_tables_of_ours_are_not_the_applications(name: str) -> None:
    """Our read models may live in the application's database and are left out."""
    assert not is_application_table(name)
    assert is_application_table(name + "s" if name != "ledger_projection_x" else "ledger_x")


def test_inspection_counts_tables_and_rows_sorted_by_name(tmp_path: Path) -> None:
    """Every table of the application's is there with its rows, and nothing of ours or SQLite's."""
    script = SCHEMA + (
        "CREATE TABLE backup_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, z);"
        "CREATE INDEX runs_z ON backup_runs (z);"
        "INSERT INTO backup_runs (z) VALUES (1), (2); INSERT INTO a VALUES (1, 2), (1, 3); ANALYZE;"
    )
    found = inspect(database(tmp_path / "x.db", script, page_size=1024))
    assert found.tables == (TableRows("a", 2), TableRows("b", 0))
    assert (found.table_count, found.row_count, found.page_size) == (2, 2, 1024)
    assert found.warnings == ()


@pytest.mark.parametrize(
    "script",
    [
        "INSERT INTO a VALUES (1, 2); ANALYZE;",
        "PRAGMA page_size=512; VACUUM;",
        "CREATE TABLE audit_trail (x UNIQUE); CREATE INDEX i ON audit_trail (x);",
        "CREATE TABLE extra (x); DROP TABLE extra; VACUUM;",
    ],
)
def test_fingerprint_is_not_changed_by_what_is_not_schema(tmp_path: Path, script: str) -> None:
    """Data, VACUUM, page size and our own tables leave the fingerprint alone."""
    path = database(tmp_path / "x.db")
    before = inspect(path).schema_fingerprint
    assert fingerprint_after(path, script) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "script",
    ["CREATE INDEX i ON a (x);", "ALTER TABLE b ADD COLUMN z;", "DROP VIEW v;"],
)
def test_fingerprint_is_changed_by_schema(tmp_path: Path, script: str) -> None:
    """An index, a column, a view: each counts."""
    path = database(tmp_path / "x.db")
    before = inspect(path).schema_fingerprint
    assert fingerprint_after(path, script) != before


def test_fingerprint_stays_what_it_was_in_earlier_versions(tmp_path: Path) -> None:
    """Stored fingerprints are compared for years, so the formula is fixed."""
    path = database(tmp_path / "x.db", "CREATE TABLE t (x)")
    text = '[["table","t","t","CREATE TABLE t (x)"]]'
    assert inspect(path).schema_fingerprint == hashlib.sha256(text.encode()).hexdigest()


def test_table_names_may_be_anything(tmp_path: Path) -> None:
    """Quotes, spaces and other scripts in a name are counted like the rest."""
    script = """CREATE TABLE "a ""b' é" (x); INSERT INTO "a ""b' é" VALUES (1);"""
    assert inspect(database(tmp_path / "x.db", script)).tables == (TableRows("a \"b' é", 1),)


def test_virtual_table_without_its_module_is_a_warning(tmp_path: Path) -> None:
    """A module that only the application has must not stop a backup."""
    path = database(tmp_path / "x.db", "CREATE TABLE t (x); CREATE VIRTUAL TABLE f USING fts5(x);")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET sql=replace(sql, 'fts5', 'no_such')")
        connection.commit()
    found = inspect(path)
    assert TableRows("f", 0) in found.tables
    assert len(found.warnings) == 1
    assert "no such module" in found.warnings[0]


@pytest.mark.parametrize("name", [b"a?b#c%41 .db", b"caf\xe9.db", b"line\nbreak.db", b"&=;.db"])
def test_odd_file_names_are_opened_as_they_are(tmp_path: Path, name: bytes) -> None:
    """A name with marks of an address, or not UTF-8, reaches exactly that file."""
    plain = database(tmp_path / "x.db")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    plain.rename(odd)
    assert inspect(odd).table_count == 2
    assert [os.fsencode(entry.name) for entry in tmp_path.iterdir()] == [name]
    assert shown(odd).isprintable()


def test_open_immutable_makes_and_changes_nothing(tmp_path: Path) -> None:
    """Not the file, not a sidecar."""
    with pytest.raises(SourceMissing):
        open_immutable(tmp_path / "missing.db")
    path = database(tmp_path / "x.db")
    with (
        closing(open_immutable(path)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("CREATE TABLE t (x)")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("content", [b"", b"hello", b"text " * 4000])
def test_what_is_no_database_is_called_so(tmp_path: Path, content: bytes) -> None:
    """Empty files and text files, short or long."""
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(NotADatabase, match=r"x\.db"):
        inspect(path)
    with pytest.raises(NotADatabase):
        inspect(tmp_path)


def test_integrity_problems_names_damage_and_stops_at_the_limit(tmp_path: Path) -> None:
    """A sound file has none; overwritten pages are found."""
    rows = "INSERT INTO b SELECT randomblob(500) FROM (SELECT 1 FROM a a1, a a2, a a3);"
    more = "INSERT INTO a VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7);" + rows
    path = database(tmp_path / "x.db", SCHEMA + more + "CREATE INDEX i ON b (x);", 512)
    with closing(open_immutable(path)) as connection:
        assert integrity_problems(connection) == []
    content = bytearray(path.read_bytes())
    content[512 * 20 : 512 * 40] = b"\xee" * (512 * 20)
    path.write_bytes(content)
    with closing(open_immutable(path)) as connection:
        assert 1 <= len(integrity_problems(connection, limit=3)) <= 3


def test_sha256_is_the_files_and_tells_progress(tmp_path: Path) -> None:
    """In pieces, to the end."""
    path = tmp_path / "x"
    path.write_bytes(os.urandom(9_000_001))
    told: list[tuple[str, int, int]] = []
    assert sha256_of(path, lambda *call: told.append(call)) == (
        hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert told[-1] == ("hash", 9_000_001, 9_000_001)
    assert len(told) > 1


def test_full_disk_is_named_whatever_sqlite_calls_it(tmp_path: Path) -> None:
    """SQLITE_FULL becomes NotEnoughSpace, an OSError in one plain line."""
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("PRAGMA max_page_count=2")
        connection.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (randomblob(100000))")
    error = translated(caught.value, tmp_path / "x.db")
    assert isinstance(error, NotEnoughSpace)
    assert isinstance(error, OSError)
    assert isinstance(error, SQLiteFileError)
    said = str(caught.value)
    assert str(error).startswith(f"the disk of {tmp_path / 'x.db'} is full ({said}): no space left")
    assert "\n" not in str(error)
