"""Opening a database that SQLCipher encrypted, and saying why a key does not open it.

SQLCipher has no header: a page is a salt, AES in blocks, an initialization vector and an HMAC, all
of which look random (https://www.zetetic.net/sqlcipher/design/). A wrong key and a damaged first
page give the same error; but with a wrong key no page has the right HMAC.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from commands.sqlite.errors import KeyMissing, WrongDatabaseKey, damaged, shown, translated
from commands.sqlite.raw_files import SQLITE_BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    from commands.sqlite.cipher.keys import Keys

CIPHER = "sqlcipher"
"""The name of the encryption in events and in the catalog."""
SMALLEST_PAGE_BYTES = 512
MAX_CHI_SQUARE = 400.0
"""Of the counts of byte values: 255 +- 23 for random bytes; text has thousands."""
EXTRA_MISSING = (
    "encrypted databases need an extra; install it: pip install 'backup-ledger[sqlcipher]'"
)


def looks_encrypted(beginning: bytes, size_bytes: int) -> bool:
    """Whether a file of whole pages begins with random bytes. `beginning`: up to 4 KiB."""
    if beginning.startswith(SQLITE_BEGINNING):
        return False
    if size_bytes < SMALLEST_PAGE_BYTES or size_bytes % SMALLEST_PAGE_BYTES:
        return False
    expected = len(beginning) / 256
    counts = (beginning.count(value) for value in range(256))
    return sum((count - expected) ** 2 / expected for count in counts) < MAX_CHI_SQUARE


def connect_with_key(
    path: Path, uris: tuple[str, str], wait_seconds: float, keys: Keys
) -> sqlite3.Connection:
    """Open with the first key that fits. `uris`: as wanted, and as a file that nobody writes.

    Raises:
        KeyMissing: there is no key, or the extra is not installed.
        WrongDatabaseKey: no key fits any page.
        DamagedDatabase: a key fits other pages than the first.
        SQLiteFileError: it is busy, or cannot be read.
    """
    if find_spec("sqlcipher3") is None:
        raise KeyMissing(f"{shown(path)} is encrypted: {EXTRA_MISSING}")
    try:
        known = keys.read()
    except KeyMissing as error:
        raise KeyMissing(f"{shown(path)} is encrypted: {error}") from None
    for key in known:
        connection = _try_key(path, uris[0], wait_seconds, key)
        if connection is not None:
            return connection
    for key in known:
        _require_no_page_of(path, uris[1], key)
    keys.forget()
    raise WrongDatabaseKey(
        f"the key does not open {shown(path)}: it is another one, or was changed since; check "
        "key_command or key_file (keys of older backups may follow, one a line)"
    )


def _try_key(path: Path, uri: str, wait_seconds: float, key: str) -> sqlite3.Connection | None:
    """A connection whose key fits; None where it does not."""
    from commands.sqlite.cipher.driver import connect  # noqa: PLC0415 - of an extra

    connection = None
    try:
        connection = connect(uri, wait_seconds, key)
        connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            return None
        raise translated(error, path) from error
    return connection


def _require_no_page_of(path: Path, uri: str, key: str) -> None:
    """See that a key fits no page at all, or the file is damaged."""
    from commands.sqlite.cipher.driver import connect  # noqa: PLC0415 - of an extra

    try:
        with closing(connect(uri, 0.0, key)) as connection:
            wrong = [str(row[0]) for row in connection.execute("PRAGMA cipher_integrity_check")]
            (page_bytes,) = connection.execute("PRAGMA cipher_page_size").fetchone()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    if len(wrong) < path.stat().st_size // int(page_bytes):
        raise damaged(path, wrong or ["its first page cannot be read"])
