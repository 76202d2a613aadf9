"""An application as the former service's users have one: a database with users, a session."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from commands import BackupRetentionPolicy, BackupScheduler, BackupService


@dataclass
class HeardEvents:
    """An application's audit logger, as a list."""

    heard: list[dict[str, Any]] = field(default_factory=list)

    def log(self, **event: Any) -> None:
        self.heard.append(event)

    @property
    def types(self) -> list[str]:
        return [event["event_type"] for event in self.heard]


@dataclass
class Application:
    """The services wired as the former documentation shows."""

    db_path: Path
    backups_dir: Path
    session: Session
    audit_logger: HeardEvents
    backup_service: BackupService
    retention_policy: BackupRetentionPolicy
    scheduler: BackupScheduler


def make_database(path: Path, cases: int = 50) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
        "CREATE TABLE cases (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id),"
        " title TEXT NOT NULL);"
        "INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace');"
    )
    rows = [(1 + number % 2, f"Case {number}") for number in range(cases)]
    connection.executemany("INSERT INTO cases (user_id, title) VALUES (?, ?)", rows)
    connection.commit()
    connection.close()


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    path = tmp_path / "justice.db"
    make_database(path)
    return path


@pytest.fixture
def application(db_path: Path) -> Iterator[Application]:
    engine = create_engine(f"sqlite:///{db_path}")
    session = Session(engine)
    audit_logger = HeardEvents()
    backups_dir = db_path.parent / "kept"
    service = BackupService(db_path=str(db_path), backups_dir=str(backups_dir))
    policy = BackupRetentionPolicy(backup_service=service, audit_logger=audit_logger)
    scheduler = BackupScheduler.get_instance(
        db=session,
        backup_service=service,
        retention_policy=policy,
        audit_logger=audit_logger,
    )
    yield Application(db_path, backups_dir, session, audit_logger, service, policy, scheduler)
    BackupScheduler.reset_instance()
    service.close()
    session.close()
    engine.dispose()
