"""The ledger's own tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from ledger.append.backend import backend_of
from ledger.events.housekeeping import RecordRedacted

SCHEMA_VERSION = 3
"""Version of these tables; a ledger with a newer one is refused. 1 is that of 0.1.0.

A table or column that came later says so (`SINCE_2`), so that an older ledger can still be read.
"""

SINCE = "since"
SINCE_2 = {SINCE: 2}

Big = BigInteger().with_variant(Integer(), "sqlite")
# A range of streams is one of bytes, whatever language the server's database speaks.
_Stream = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

events = Table(
    "ledger_events",
    metadata,
    Column("position", Big, primary_key=True, autoincrement=False),
    Column("stream", _Stream, nullable=False),
    Column("stream_version", Big, nullable=False),
    Column("event_type", Text, nullable=False),
    # Null where the record was erased; its leaf hash stays.
    Column("record", LargeBinary, nullable=True),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("recorded_at", Big, nullable=False),
    UniqueConstraint("stream", "stream_version", name="uq_ledger_events_stream"),
    CheckConstraint("length(leaf_hash) = 32", name="ck_ledger_events_leaf_hash"),
)
Index("ix_ledger_events_recorded_at", events.c.recorded_at)
IS_REDACTION = events.c.event_type == RecordRedacted.event_type
redactions = Index("ix_ledger_events_redactions", events.c.position)
"""Only of redactions: `open_engine` gives it the condition, an option whose name is the dialect's.

To name a dialect imports it, and PostgreSQL's takes longer than most commands need on SQLite.
"""

head = Table(
    "ledger_head",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("size", Big, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("recorded_at", Big, nullable=False),
)

meta = Table(
    "ledger_meta",
    metadata,
    Column("ledger_id", Text, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    # The newest version of this software that worked on the ledger.
    Column("software_version", Text, info=SINCE_2),
)

nodes = Table(
    "ledger_nodes",
    metadata,
    Column("height", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", Big, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, CheckConstraint("length(hash) = 32"), nullable=False),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("id", Big, primary_key=True),
    Column("size", Big, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("created_at", Big, nullable=False),
)
Index("ix_ledger_checkpoints_size", checkpoints.c.size)

# Operational, not history: rebuildable from the ledger.

leases = Table(
    "ledger_leases",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_at", Big, nullable=False),
)

names = Table(
    "ledger_names",
    metadata,
    Column("store", Text, primary_key=True),
    Column("filename", Text, primary_key=True),
    Column("backup_id", Text, nullable=False),
)

schedulers = Table(
    "ledger_schedulers",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("labels", Text, nullable=False),
    Column("not_ready", Text),
    Column("seen_at", Big, nullable=False),
    info=SINCE_2,
)

snapshots = Table(
    "ledger_snapshots",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("stream_version", Big, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

verified = Table(
    "ledger_verified",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("verified_at", Big, nullable=False),
    Column("size", Big, nullable=False),
    Column("root", Text, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("checked", Text, nullable=False),
    info=SINCE_2,
)
"""When all of history was last verified: a reminder for `status`, no proof of anything."""


@event.listens_for(metadata, "after_create")
def _guard(_metadata: MetaData, connection: Connection, **_options: object) -> None:
    backend_of(connection).add_guards(connection)
