"""The ledger's own tables and the triggers that keep history append-only."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
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

SCHEMA_VERSION = 2
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
    # Nullable, so that a record may one day be erased while its leaf hash stays.
    Column("record", LargeBinary, nullable=True),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("recorded_at", Big, nullable=False),
    UniqueConstraint("stream", "stream_version", name="uq_ledger_events_stream"),
    CheckConstraint("length(leaf_hash) = 32", name="ck_ledger_events_leaf_hash"),
)
Index("ix_ledger_events_recorded_at", events.c.recorded_at)

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

_SQLITE_TRIGGERS = (
    """CREATE TRIGGER ledger_events_no_update BEFORE UPDATE ON ledger_events
    BEGIN SELECT RAISE(ABORT, 'ledger_events is append-only: UPDATE refused'); END""",
    """CREATE TRIGGER ledger_events_no_delete BEFORE DELETE ON ledger_events
    BEGIN SELECT RAISE(ABORT, 'ledger_events is append-only: DELETE refused'); END""",
    # INSERT OR REPLACE fires no delete trigger, so what it would replace is refused here.
    """CREATE TRIGGER ledger_events_only_append BEFORE INSERT ON ledger_events
    WHEN NEW.position <> (SELECT COALESCE(MAX(position), 0) + 1 FROM ledger_events)
      OR EXISTS (SELECT 1 FROM ledger_events
                 WHERE stream = NEW.stream AND stream_version = NEW.stream_version)
    BEGIN SELECT RAISE(ABORT, 'ledger_events is append-only: INSERT out of order refused'); END""",
)

CHANNEL = "backup_ledger"
"""Where a server tells whoever listens that the head has moved on; the payload is its size."""

POSTGRESQL_FUNCTIONS = {
    "ledger_refuse_change": (
        " BEGIN RAISE EXCEPTION USING MESSAGE = "
        "TG_TABLE_NAME || ' is append-only: ' || TG_OP || ' refused'; END "
    ),
    "ledger_only_append": (
        " BEGIN IF NEW.position <> (SELECT COALESCE(MAX(position), 0) + 1 FROM ledger_events) "
        "THEN RAISE EXCEPTION 'ledger_events is append-only: INSERT out of order refused'; "
        "END IF; RETURN NEW; END "
    ),
    "ledger_tell": f" BEGIN PERFORM pg_notify('{CHANNEL}', NEW.size::text); RETURN NULL; END ",
}
"""Name -> body of the functions that a ledger's triggers on PostgreSQL call."""


class ServerTrigger(NamedTuple):
    """A trigger on PostgreSQL. `bits`: its kind, as the server's own catalogue has it."""

    name: str
    table: str
    when: str
    function: str
    bits: int


POSTGRESQL_TRIGGERS = (
    ServerTrigger(
        "ledger_events_no_change",
        "ledger_events",
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_events FOR EACH STATEMENT",
        "ledger_refuse_change",
        2 | 8 | 16 | 32,
    ),
    ServerTrigger(
        "ledger_events_only_append",
        "ledger_events",
        "BEFORE INSERT ON ledger_events FOR EACH ROW",
        "ledger_only_append",
        1 | 2 | 4,
    ),
    ServerTrigger(
        "ledger_head_tells",
        "ledger_head",
        "AFTER UPDATE ON ledger_head FOR EACH ROW",
        "ledger_tell",
        1 | 16,
    ),
)

_POSTGRESQL_DDL = (
    *(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
        for name, body in POSTGRESQL_FUNCTIONS.items()
    ),
    *(
        f"CREATE TRIGGER {each.name} {each.when} EXECUTE FUNCTION {each.function}()"
        for each in POSTGRESQL_TRIGGERS
    ),
)

for _statement in _SQLITE_TRIGGERS:
    _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
    event.listen(events, "after_create", _ddl.execute_if(dialect="sqlite"))

for _statement in _POSTGRESQL_DDL:
    _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", _ddl.execute_if(dialect="postgresql"))


def sqlite_triggers() -> dict[str, str]:
    """The triggers that a ledger in SQLite has: name -> statement."""
    return {statement.split()[2]: statement for statement in _SQLITE_TRIGGERS}
