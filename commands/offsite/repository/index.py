"""Which chunks a repository holds, and where: a cache that is never believed without proof.

For each pack the index keeps the ordered hashes of its chunks under one SHA-256. A place is
believed only where that list, whole, has the chunk's hash. Lost, the index costs bytes that are
sent again, never data. A pack's row is written once the store has the pack, so a copy that was
killed sends only the rest.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import struct
import tempfile
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from commands.offsite.errors import IndexUnusable
from commands.offsite.repository.manifest import decode_frames, encode_frames
from commands.offsite.repository.packs import Pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

logger = logging.getLogger("backup_ledger.offsite")
VERSION = 1
HASH_BYTES = 32
OWN_BITS = 1 << 24
"""Of a filter of the chunks that one copy added: 2 MB."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    source TEXT NOT NULL, recipients TEXT NOT NULL, chunk_bytes INTEGER NOT NULL,
    frames BLOB NOT NULL, hashes BLOB NOT NULL, hashes_sha256 BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS chunks (
    hash INTEGER NOT NULL, pack INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (hash, pack, place)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
_USES = """
CREATE TABLE IF NOT EXISTS uses (
    source TEXT NOT NULL, pack INTEGER NOT NULL, pages INTEGER NOT NULL,
    PRIMARY KEY (source, pack)
) WITHOUT ROWID
"""
"""How many pages of a pack a source's newest copy names; 0 where an older one named some."""


class Place(NamedTuple):
    """A chunk's pack, by its id in the index, and its place among the pack's chunks."""

    pack_id: int
    place: int


class Index:
    """The index of one repository, for one copy. `usable`: ids of packs that may be leaned on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _open(path)
        self._lists = _VerifiedLists(path.parent)
        self._own = bytearray(OWN_BITS // 8)
        self.usable: set[int] = set()
        self._has_others = False

    def close(self) -> None:
        self._lists.close()
        self._connection.close()

    def entries(self) -> list[tuple[int, bytes, int, str]]:
        """(id, name, object size, recipients) of every pack."""
        rows = self._connection.execute("SELECT id, name, size, recipients FROM packs")
        return [(row[0], bytes(row[1]), row[2], row[3]) for row in rows]

    def use(self, pack_ids: Collection[int]) -> None:
        """From now on these packs, and those that are added, are leaned on."""
        self.usable = set(pack_ids)
        self._has_others = bool(self.usable)

    def confirmed(
        self, hashes: Sequence[bytes], places: Sequence[Place | None], chunk_bytes: int
    ) -> dict[bytes, Place]:
        """Of supposed places of chunks, in the order of `hashes`, those that hold them."""
        return {
            digest: place
            for digest, place in zip(hashes, places, strict=True)
            if place is not None and self._has(place, digest, chunk_bytes)
        }

    def find(self, hashes: Collection[bytes], chunk_bytes: int) -> dict[bytes, Place]:
        """Places of chunks, by the hash of each; those that are not known are not in it."""
        wanted = {_short(each): each for each in hashes if self._has_others or self._is_own(each)}
        if not wanted:
            return {}
        marks = ",".join("?" * len(wanted))
        rows = self._connection.execute(
            f"SELECT hash, pack, place FROM chunks WHERE hash IN ({marks})",  # noqa: S608
            list(wanted),
        )
        found: dict[bytes, Place] = {}
        for short, pack_id, place in rows:
            digest = wanted[short]
            if digest in found or pack_id not in self.usable:
                continue
            if self._has(Place(pack_id, place), digest, chunk_bytes):
                found[digest] = Place(pack_id, place)
        return found

    def pack(self, pack_id: int) -> Pack:
        name, size, frames = self._connection.execute(
            "SELECT name, size, frames FROM packs WHERE id = ?", (pack_id,)
        ).fetchone()
        return Pack(bytes(name), size, decode_frames(frames))

    def ids(self, names: Collection[bytes]) -> dict[bytes, int]:
        wanted = set(names)
        return {name: pack_id for pack_id, name, _, _ in self.entries() if name in wanted}

    def add(
        self, pack: Pack, hashes: bytes, *, chunk_bytes: int, source: str, recipients: str
    ) -> int:
        """Keep a pack that the store has; its id."""
        with self._connection:
            cursor = self._connection.execute(
                "INSERT OR REPLACE INTO packs (name, size, source, recipients, chunk_bytes, "
                "frames, hashes, hashes_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    pack.name,
                    pack.size,
                    source,
                    recipients,
                    chunk_bytes,
                    encode_frames(pack.frames),
                    hashes,
                    sha256(hashes).digest(),
                ),
            )
            pack_id = int(cursor.lastrowid or 0)
            self._connection.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)",
                [(short, pack_id, place) for short, place in _in_order(hashes)],
            )
        for start in range(0, len(hashes), HASH_BYTES):
            byte, bit = _own_bit(hashes[start : start + HASH_BYTES])
            self._own[byte] |= bit
        self.usable.add(pack_id)
        return pack_id

    def keep_uses(self, source: str, pages: Mapping[int, int]) -> None:
        """Keep how many pages of each pack, by id, the newest copy of a source names."""
        rows = [(source, pack_id, count) for pack_id, count in pages.items()]
        with self._connection:
            self._connection.execute("UPDATE uses SET pages = 0 WHERE source = ?", (source,))
            self._connection.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", rows)

    def retired(self) -> set[int]:
        """Packs of whose pages the newest copies of all sources name less than half.

        One that no copy has named yet, as a copy that was killed leaves it, is not retired.
        """
        rows = self._connection.execute(
            "SELECT id FROM packs JOIN "
            "(SELECT pack, SUM(pages) AS used FROM uses GROUP BY pack) ON pack = id "
            "WHERE 2 * used < LENGTH(hashes) / 32"
        )
        return {row[0] for row in rows}

    def hardly_used(self, source: str, pages: Mapping[int, int]) -> set[int]:
        """Packs that are retired once the newest copy of a source names so many pages of each."""
        rows = self._connection.execute(
            "SELECT id, LENGTH(hashes) / 32, "
            "(SELECT COALESCE(SUM(pages), 0) FROM uses WHERE pack = id AND source <> ?) FROM packs",
            (source,),
        )
        return {
            pack_id
            for pack_id, count, others in rows
            if pack_id in pages and 2 * (pages[pack_id] + others) < count
        }

    def forget(self, names: Collection[bytes]) -> None:
        """Drop packs that are gone for good."""
        with self._connection:
            for pack_id in self.ids(names).values():
                self._connection.execute("DELETE FROM chunks WHERE pack = ?", (pack_id,))
                self._connection.execute("DELETE FROM uses WHERE pack = ?", (pack_id,))
                self._connection.execute("DELETE FROM packs WHERE id = ?", (pack_id,))

    def _has(self, place: Place, digest: bytes, chunk_bytes: int) -> bool:
        """Whether a pack's list, whole and of chunks of this size, has a hash at a place."""
        if place.pack_id not in self._lists:
            hashes, its_digest, its_bytes = self._connection.execute(
                "SELECT hashes, hashes_sha256, chunk_bytes FROM packs WHERE id = ?",
                (place.pack_id,),
            ).fetchone() or (b"", b"", 0)
            is_whole = its_bytes == chunk_bytes and sha256(hashes).digest() == its_digest
            self._lists.keep(place.pack_id, hashes if is_whole else b"")
        return self._lists.digest(place) == digest

    def _is_own(self, digest: bytes) -> bool:
        """Whether this copy may have added a chunk; where it says no, it has not."""
        byte, bit = _own_bit(digest)
        return bool(self._own[byte] & bit)


class _VerifiedLists:
    """Packs' lists of hashes that were looked at, in a scratch file that has no name.

    After many copies a block's chunks are in dozens of packs: to read and verify a list again
    whenever it is needed would take longer than everything else, and all of them in memory would
    be 128 MB for 16 GB.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (see `close`)
        self._starts: dict[int, tuple[int, int]] = {}
        self._end = 0

    def __contains__(self, pack_id: int) -> bool:
        return pack_id in self._starts

    def keep(self, pack_id: int, hashes: bytes) -> None:
        """Keep a list, empty where nothing is to be found in it.

        Raises:
            IndexUnusable: there is no room for it.
        """
        rest = memoryview(hashes)
        try:
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._starts[pack_id] = (self._end, len(hashes))
        self._end += len(hashes)

    def digest(self, place: Place) -> bytes:
        """The hash at a place; nothing where the list ends before it."""
        start, length = self._starts[place.pack_id]
        at = HASH_BYTES * place.place
        return os.pread(self._file.fileno(), HASH_BYTES, start + at) if at < length else b""

    def close(self) -> None:
        self._file.close()


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """An error of SQLite while an index is used, in words.

    Raises:
        IndexUnusable: in place of what SQLite said.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> IndexUnusable:
    return IndexUnusable(
        f"the index {path} cannot be used: {error}; free some space there, and try again"
    )


def _open(path: Path) -> sqlite3.Connection:
    """Open the index; one that cannot be read is begun anew."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        logger.warning("the index %s is begun anew: %s", path, error)
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60.0)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        connection.execute(_USES)
        connection.execute("SELECT pages FROM uses LIMIT 1").fetchone()
        connection.execute("SELECT hashes_sha256 FROM packs LIMIT 1").fetchone()
        connection.execute("SELECT place FROM chunks LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _short(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True)


def _in_order(hashes: bytes) -> list[tuple[int, int]]:
    """(short hash, place), sorted, so that neighbors go into the same pages of the index."""
    shorts = struct.unpack(">" + "q24x" * (len(hashes) // HASH_BYTES), hashes)
    return sorted((short, place) for place, short in enumerate(shorts))


def _own_bit(digest: bytes) -> tuple[int, int]:
    """Where a chunk is in the filter: a byte, and a bit in it."""
    number = int.from_bytes(digest[:3], "big")
    return number >> 3, 1 << (number & 7)
