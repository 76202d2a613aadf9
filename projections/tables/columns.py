"""The read models' tables. Their names are fixed: they may live in an application's database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from ledger.append.tables import Big
from ledger.vocabulary import CRON_MAX_LENGTH, KEEP_COUNT_MAX, KEEP_COUNT_MIN


class UtcDateTime(TypeDecorator[datetime]):
    """Stored in UTC without a zone, as applications have it; aware UTC in Python."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


class PlainText(TypeDecorator[str]):
    """Text of any origin. PostgreSQL's cannot hold NUL, so that stands as U+FFFD on every database.

    The record keeps what was said; without this one such record would end all folding on a server.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else plain(value)


def plain(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text


metadata = MetaData()


def _settings_table(metadata: MetaData, *, refers_to_users: bool) -> Table:
    """The former service's table, column for column, then columns of ours."""
    reference = [ForeignKey("users.id")] if refers_to_users else []
    if refers_to_users:
        Table("users", metadata, Column("id", Integer, primary_key=True))
    return Table(
        "backup_settings",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("user_id", Big, *reference, nullable=False, unique=True),
        Column("enabled", Boolean, nullable=False, server_default=text("TRUE")),
        Column("frequency", String(20), nullable=False, server_default=text("'daily'")),
        Column("backup_time", String(5), nullable=False, server_default=text("'03:00'")),
        Column("keep_count", Integer, nullable=False, server_default=text("7")),
        Column("last_backup_at", UtcDateTime),
        Column("next_backup_at", UtcDateTime),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("timezone", String(64), nullable=False, server_default=text("'UTC'")),
        Column("paused", Boolean, nullable=False, server_default=text("FALSE")),
        Column("failures", Integer, nullable=False, server_default=text("0")),
        Column("next_slot", UtcDateTime),
        Column("next_attempt", Integer, nullable=False, server_default=text("1")),
        Column("open_run_id", String(36)),
        Column("stream_version", Big, nullable=False, server_default=text("0")),
        Column("anchor_day", Integer),
        Column("missed_from", UtcDateTime),
        Column("is_recomputed", Boolean, nullable=False, server_default=text("FALSE")),
        Column("keep_within_days", Integer, nullable=False, server_default=text("0")),
        Column("keep_daily", Integer, nullable=False, server_default=text("0")),
        Column("keep_weekly", Integer, nullable=False, server_default=text("0")),
        Column("keep_monthly", Integer, nullable=False, server_default=text("0")),
        Column("keep_yearly", Integer, nullable=False, server_default=text("0")),
        Column("cron", String(CRON_MAX_LENGTH)),
        CheckConstraint(
            f"keep_count >= {KEEP_COUNT_MIN} AND keep_count <= {KEEP_COUNT_MAX}",
            name="ck_keep_count",
        ),
        CheckConstraint("frequency IN ('daily', 'weekly', 'monthly')", name="ck_frequency"),
        Index("idx_backup_settings_next_backup", "enabled", "next_backup_at"),
        # Finds times further ahead than a frequency allows, without reading what is in order.
        Index("idx_backup_settings_frequency", "frequency", "next_backup_at"),
        Index("idx_backup_settings_missed_from", "missed_from"),
        Index("idx_backup_settings_cron", "cron", "timezone", "next_backup_at"),
        sqlite_autoincrement=True,
    )


backup_settings = _settings_table(metadata, refers_to_users=False)
backup_settings_of_users = _settings_table(MetaData(), refers_to_users=True)
"""The same with the reference to the application's users, for creating it."""

users = Table("users", MetaData(), Column("id", Big, primary_key=True))
"""The application's, where the read models live in its database: never made or written here."""

backup_catalog = Table(
    "backup_catalog",
    metadata,
    Column("backup_id", String(36), primary_key=True),
    Column("filename", PlainText, nullable=False),
    Column("store", String(36), nullable=False),
    Column("source", String(36)),
    Column("user_id", Big),
    Column("run_id", String(36)),
    Column("kind", String(20), nullable=False),
    Column("size", Big, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("status", String(10), nullable=False),
    Column("is_protected", Boolean, nullable=False),
    Column("holds", JSON, nullable=False),
    Column("shared_with", String(36)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("verified_level", String(10)),
    Column("verified_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("position", Big, nullable=False),
    Column("condition", String(10)),
    Column("findings", JSON, nullable=False),
    Column("unchecked", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("cipher", Text),
    Column("local_day", String(10)),
    Column("collapsed_from", String(36)),
    Column("accepted_at", UtcDateTime),
    Index("ix_backup_catalog_name", "store", "filename"),
    Index("ix_backup_catalog_owner", "user_id", "status"),
    Index("ix_backup_catalog_status", "status", "created_at"),
    Index("ix_backup_catalog_source", "source", "position"),
    Index("ix_backup_catalog_shared", "shared_with"),
    Index("ix_backup_catalog_run", "run_id"),
)

backup_runs = Table(
    "backup_runs",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("user_id", Big, nullable=False),
    Column("slot", UtcDateTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("backup_id", String(36)),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("duration_seconds", Float),
    Column("error_type", PlainText),
    Column("error_message", PlainText),
    Column("position", Big, nullable=False),
    Index("ix_backup_runs_user", "user_id", "position"),
    Index("ix_backup_runs_outcome", "outcome"),
)

offsite_copies = Table(
    "offsite_copies",
    metadata,
    Column("copy_id", String(36), primary_key=True),
    Column("destination", String(36), nullable=False),
    Column("backup_id", String(36), nullable=False),
    Column("source", String(36)),
    Column("filename", PlainText, nullable=False),
    Column("user_id", Big),
    Column("status", String(10), nullable=False),
    Column("owner", PlainText, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("size", Big),
    Column("sha256", String(64)),
    Column("manifest_sha256", String(64)),
    Column("packs", Integer),
    Column("packs_root", String(64)),
    Column("pages", Big),
    Column("new_pages", Big),
    Column("sent_bytes", Big),
    Column("readable_by", JSON, nullable=False),
    Column("protected_until", UtcDateTime),
    Column("verified_level", String(10)),
    Column("verified_at", UtcDateTime),
    Column("proved", Boolean, nullable=False),
    Column("problem", PlainText),
    Column("corrupt_level", String(10)),
    Column("deletable_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("position", Big, nullable=False),
    Index("ix_offsite_copies_backup", "backup_id"),
    Index("ix_offsite_copies_destination", "destination", "status"),
)

offsite_destinations = Table(
    "offsite_destinations",
    metadata,
    Column("repository_id", String(36), primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("url", PlainText, nullable=False),
    Column("options", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("clear", Boolean, nullable=False),
    Column("share", Boolean, nullable=False),
    Column("salt", String(32), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("stated", JSON, nullable=False),
    Column("missing_packs", JSON, nullable=False),
    Column("damaged_packs", JSON, nullable=False),
    Column("condemned", JSON, nullable=False),
    Column("collect_id", String(36)),
    Column("collect_owner", PlainText),
    Column("collect_problem", PlainText),
    Column("added_at", UtcDateTime, nullable=False),
    Column("position", Big, nullable=False),
)

audit_trail = Table(
    "audit_trail",
    metadata,
    Column("position", Big, primary_key=True, autoincrement=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("recorded_at", Big, nullable=False),
    Column("event_id", String(36)),
    Column("event_type", PlainText, nullable=False),
    Column("stream", PlainText, nullable=False),
    Column("stream_version", Big, nullable=False),
    Column("user_id", Big),
    Column("resource_type", PlainText, nullable=False),
    Column("resource_id", PlainText, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", PlainText, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("error_message", PlainText),
    Index("ix_audit_trail_timestamp", "timestamp"),
    Index("ix_audit_trail_type", "event_type", "position"),
    Index("ix_audit_trail_user", "user_id", "position"),
    Index("ix_audit_trail_stream", "stream", "stream_version"),
    Index("ix_audit_trail_failed", "success", "position"),
)

SCHEMA_VERSION = 2
"""Version of these tables as a whole; newer ones are refused. 1 had no other generations."""

meta = Table(
    "ledger_projection_meta",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
)

generations = Table(
    "ledger_projection_generations",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("state", String(10), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("ledger_id", String(36), nullable=False),
    Column("position", Big, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("has_rows", Boolean, nullable=False),
    Column("problem", PlainText),
)
"""Generations beside the one that serves: being built, or kept from before."""

progress = Table(
    "ledger_projection_progress",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("ledger_id", String(36), nullable=False),
    Column("position", Big, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("has_rows", Boolean, nullable=False),
)
"""How far each read model has come, written with its rows in one transaction."""

heals = Table(
    "ledger_projection_heals",
    metadata,
    Column("event_id", String(36), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("after_version", Big, nullable=False),
)
"""Rows that were discarded and folded again, until the next command that acts records it.

`event_id`: of the record to come. `after_version`: it is not among the ledger's own stream's first
so many events.
"""

READ_MODELS = tuple(
    each for each in metadata.tables.values() if each not in (meta, generations, progress, heals)
)
"""The tables that are folded; the others tell how far."""
