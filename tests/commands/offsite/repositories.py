"""Repositories without a ledger: what the helper process does, done in this one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.layout import (
    READER,
    README,
    README_TEXT,
    REPOSITORY,
    RepositoryFile,
    fingerprint,
    reader_bytes,
)
from commands.offsite.repository.seal import recipient_of
from commands.offsite.repository.stores import ObjectStore
from commands.offsite.worker.fetch import fetch_copy
from commands.offsite.worker.jobs import CopyJob, CopyResult, FetchJob
from commands.offsite.worker.send import make_copy
from projections.folds.offsite_copy import OffsiteCopy
from tests.sample_events import uuid_of

IDENTITY = "AGE-SECRET-KEY-1277QUVT50MSN5G38J0044A5W0CNRTNTCQ6SCV9SUW24UMF34SFRSS8K3F5"
"""Of the golden repositories: it protects nothing."""


def nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def make_sqlite(path: Path, page_bytes: int, rows: int = 60, seed: int = 1) -> None:
    random = Random(seed)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        texts = [(random.randbytes(60).hex(),) for _ in range(rows)]
        connection.executemany("INSERT INTO notes (text) VALUES (?)", texts)
        connection.commit()


@dataclass
class Repository:
    """One repository in a folder, its index beside it, and the copies made so far."""

    folder: Path
    identities: tuple[str, ...] = ()
    share: bool = True
    numbers: int = 0
    jobs: dict[str, CopyJob] = field(default_factory=dict)
    results: dict[str, CopyResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.make_root()
        self.index.mkdir(mode=0o700, exist_ok=True)

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "repository")

    @property
    def index(self) -> Path:
        return self.folder / "index"

    @property
    def recipients(self) -> list[str]:
        return [recipient_of(each) for each in self.identities]

    def begin(self) -> None:
        """The files that say what it is."""
        salt = "00" * 16
        prints = tuple(sorted(fingerprint(salt, each) for each in self.recipients))
        made = "2025-01-13T03:00:00.000000Z"
        about = RepositoryFile(uuid_of(1), uuid_of(2), made, salt, prints)
        self.store.put(README, README_TEXT.encode())
        self.store.put(READER, reader_bytes())
        self.store.put(REPOSITORY, about.to_bytes())

    def job(self, path: Path, **changes: Any) -> CopyJob:
        content = path.read_bytes()
        self.numbers += 1
        fields: dict[str, Any] = {
            "url": f"file://{self.store.root}",
            "options": {},
            "path": str(path),
            "size": len(content),
            "sha256": sha256(content).hexdigest(),
            "backup_id": uuid_of(1000 + self.numbers),
            "copy_id": uuid_of(2000 + self.numbers),
            "source": uuid_of(3),
            "schema_fingerprint": "ab" * 32,
            "created_at": 1_736_737_205_000_000 + self.numbers,
            "filename": path.name,
            "recipients": self.recipients,
            "share": self.share,
            "condemned": [],
            "missing": [],
            "index_folder": str(self.index),
            "scratch": str(self.folder / "columns"),
        }
        return CopyJob(**fields | changes)

    def copy(self, path: Path, store: Any = None, **changes: Any) -> CopyResult:
        job = self.job(path, **changes)
        result = make_copy(store or self.store, job, nothing)
        self.jobs[job.copy_id], self.results[job.copy_id] = job, result
        return result

    @property
    def newest(self) -> str:
        return list(self.jobs)[-1]

    def fetch_job(self, copy_id: str, path: Path, **changes: Any) -> FetchJob:
        job, result = self.jobs[copy_id], self.results[copy_id]
        fields: dict[str, Any] = {
            "url": job.url,
            "options": {},
            "path": str(path),
            "copy_id": copy_id,
            "backup_id": job.backup_id,
            "size": job.size,
            "sha256": job.sha256,
            "manifest_sha256": result.manifest_sha256,
            "packs_root": result.packs_root,
            "identities": list(self.identities),
        }
        return FetchJob(**fields | changes)

    def fetched(self, copy_id: str | None = None, **changes: Any) -> bytes:
        """The bytes of a copy, fetched; the newest one's without an id."""
        path = self.folder / "fetched"
        path.unlink(missing_ok=True)
        fetch_copy(self.store, self.fetch_job(copy_id or self.newest, path, **changes), nothing)
        return path.read_bytes()


def change_bytes(path: Path, at: int, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, content, at)
    os.close(descriptor)


def fetched_digest(
    store: ObjectStore, copy: OffsiteCopy, path: Path, identities: Sequence[str] = (IDENTITY,)
) -> str:
    """The SHA-256 of what a copy gives back, fetched by what was recorded of it."""
    assert copy.size is not None
    job = FetchJob(
        url="file:///unused",
        options={},
        path=str(path),
        copy_id=copy.copy_id,
        backup_id=copy.backup_id,
        size=copy.size,
        sha256=str(copy.sha256),
        manifest_sha256=str(copy.manifest_sha256),
        packs_root=str(copy.packs_root),
        identities=list(identities),
    )
    fetch_copy(store, job, nothing)
    digest = sha256(path.read_bytes()).hexdigest()
    path.unlink()
    return digest
