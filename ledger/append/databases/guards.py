"""What the databases themselves refuse: triggers that keep history append-only, and the tree true.

SQLite's file belongs to whoever may write it, so its triggers are against accidents. On a server
logins have different rights: what an appender must be able to do (insert events, write the head)
is checked there by functions of the owner's. They compute the tree again from what was inserted,
so a login that wants to do harm can spoil neither head nor tree, and an event counts only with
its head. They name everything in full: nobody else's table or function is ever meant.
"""

from __future__ import annotations

from typing import NamedTuple

_NO_UPDATE_OF_2 = """CREATE TRIGGER ledger_events_no_update BEFORE UPDATE ON ledger_events
    BEGIN SELECT RAISE(ABORT, 'ledger_events is append-only: UPDATE refused'); END"""
"""What version 2 of the tables had in place of the first one below."""

ERASABLE_SINCE = 3
"""Version of the tables since which a record can be erased."""

SQLITE_TRIGGERS = (
    # Erasure: exactly this, and only where a later record says so. The search for the leaf hash
    # comes first because it is quick; what JSON says is looked at where that found something.
    """CREATE TRIGGER ledger_events_no_update BEFORE UPDATE ON ledger_events
    WHEN NOT (
      NEW.record IS NULL AND OLD.record IS NOT NULL AND NEW.position IS OLD.position
      AND NEW.stream IS OLD.stream AND NEW.stream_version IS OLD.stream_version
      AND NEW.event_type IS OLD.event_type AND NEW.leaf_hash IS OLD.leaf_hash
      AND NEW.recorded_at IS OLD.recorded_at
      AND EXISTS (
        SELECT 1 FROM ledger_events AS redaction
        WHERE redaction.event_type = 'ledger.record_redacted'
          AND redaction.position > OLD.position AND redaction.record IS NOT NULL
          AND instr(redaction.record, CAST(lower(hex(OLD.leaf_hash)) AS BLOB)) > 0
          AND json_extract(CAST(redaction.record AS TEXT), '$.details.leaf_hash')
            = lower(hex(OLD.leaf_hash))
          AND json_extract(CAST(redaction.record AS TEXT), '$.details.position') = OLD.position
          AND json_extract(CAST(redaction.record AS TEXT), '$.details.event_type') = OLD.event_type
      )
    )
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

_IS_OWNER = (
    "pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER')"
)

_REFUSE_CHANGE = """
BEGIN
  RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only: ' || TG_OP || ' refused';
END """

_ONLY_ERASE = """
BEGIN
  IF NOT {is_owner} OR NEW.record IS NOT NULL OR OLD.record IS NULL
    OR (NEW.position, NEW.stream, NEW.stream_version, NEW.event_type, NEW.leaf_hash,
        NEW.recorded_at)
      IS DISTINCT FROM (OLD.position, OLD.stream, OLD.stream_version, OLD.event_type,
        OLD.leaf_hash, OLD.recorded_at)
    OR NOT EXISTS (
      SELECT FROM {schema}.ledger_events AS redaction
      WHERE redaction.event_type = 'ledger.record_redacted'
        AND redaction.position > OLD.position AND redaction.record IS NOT NULL
        AND CASE WHEN position(convert_to(encode(OLD.leaf_hash, 'hex'), 'UTF8')
              IN redaction.record) > 0 THEN
          convert_from(redaction.record, 'UTF8')::jsonb #>> '{details,leaf_hash}'
            = encode(OLD.leaf_hash, 'hex')
          AND convert_from(redaction.record, 'UTF8')::jsonb #>> '{details,position}'
            = OLD.position::text
          AND convert_from(redaction.record, 'UTF8')::jsonb #>> '{details,event_type}'
            = OLD.event_type
        ELSE false END
    )
  THEN
    RAISE EXCEPTION 'ledger_events is append-only: UPDATE refused';
  END IF;
  RETURN NEW;
END """

_ONLY_APPEND = """
BEGIN
  IF NEW.position <> (SELECT COALESCE(MAX(position), 0) + 1 FROM {schema}.ledger_events) THEN
    RAISE EXCEPTION 'ledger_events is append-only: INSERT out of order refused';
  END IF;
  IF NEW.record IS NULL AND NOT {is_owner} THEN
    RAISE EXCEPTION 'ledger_events: only the owner may copy an event without its record';
  END IF;
  IF NEW.leaf_hash <> sha256('\\x00'::bytea || NEW.record) THEN
    RAISE EXCEPTION 'ledger_events: the leaf hash of position % is not of its record',
      NEW.position;
  END IF;
  RETURN NEW;
END """

_COUNTED = """
BEGIN
  IF NEW.position > (SELECT size FROM {schema}.ledger_head) THEN
    RAISE EXCEPTION 'ledger_events: ledger_head does not count position %', NEW.position;
  END IF;
  RETURN NULL;
END """

_HEAD_GROWS = """
DECLARE
  leaf bytea; joined bytea; level integer; before bigint := OLD.size; found bytea := OLD.frontier;
BEGIN
  IF NEW.id <> OLD.id OR NEW.size < OLD.size THEN
    RAISE EXCEPTION 'ledger_head only grows';
  END IF;
  FOR leaf IN SELECT e.leaf_hash FROM {schema}.ledger_events AS e
    WHERE e.position > OLD.size ORDER BY e.position
  LOOP
    joined := leaf;
    level := 0;
    WHILE (before >> level) & 1 = 1 LOOP
      joined := sha256('\\x01'::bytea || substring(found FROM length(found) - 31) || joined);
      found := substring(found FROM 1 FOR length(found) - 32);
      level := level + 1;
      IF level >= 8 AND NOT EXISTS (
        SELECT FROM {schema}.ledger_nodes AS n
        WHERE n.height = level AND n.number = before >> level AND n.hash = joined
      ) THEN
        RAISE EXCEPTION 'ledger_nodes: node %/% is not that of the events', level, before >> level;
      END IF;
    END LOOP;
    found := found || joined;
    before := before + 1;
  END LOOP;
  IF NEW.size <> before OR NEW.frontier <> found THEN
    RAISE EXCEPTION 'ledger_head: size or frontier is not that of the events';
  END IF;
  joined := substring(found FROM length(found) - 31);
  FOR level IN REVERSE length(found) / 32 - 2 .. 0 LOOP
    joined := sha256('\\x01'::bytea || substring(found FROM level * 32 + 1 FOR 32) || joined);
  END LOOP;
  IF before > 0 AND (NEW.root <> joined OR NEW.recorded_at <> (
    SELECT e.recorded_at FROM {schema}.ledger_events AS e WHERE e.position = before
  )) THEN
    RAISE EXCEPTION 'ledger_head: root or recorded_at is not that of the events';
  END IF;
  RETURN NEW;
END """

_NODE_BELONGS = """
BEGIN
  IF NEW.height NOT BETWEEN 8 AND 62 OR NEW.number < 0 OR NEW.number >= (
    SELECT COALESCE(MAX(position), 0) FROM {schema}.ledger_events
  ) >> NEW.height::integer THEN
    RAISE EXCEPTION 'ledger_nodes: %/% belongs to no tree of this size', NEW.height, NEW.number;
  END IF;
  RETURN NEW;
END """

_CHECKPOINT_FITS = """
DECLARE
  lines text[] := string_to_array(convert_from(NEW.note, 'UTF8'), E'\\n');
BEGIN
  IF {is_owner} THEN
    RETURN NEW;
  END IF;
  IF lines[2] IS DISTINCT FROM NEW.size::text OR length(NEW.note) > 65535 OR NOT EXISTS (
    SELECT FROM {schema}.ledger_head AS h
    WHERE h.size > NEW.size OR h.size = NEW.size AND encode(h.root, 'base64') = lines[3]
  ) THEN
    RAISE EXCEPTION 'ledger_checkpoints: this is no checkpoint of this ledger';
  END IF;
  RETURN NEW;
END """

_TELL = f" BEGIN PERFORM pg_notify('{CHANNEL}', NEW.size::text); RETURN NULL; END "

_FUNCTIONS = {
    "ledger_refuse_change": _REFUSE_CHANGE,
    "ledger_only_erase": _ONLY_ERASE,
    "ledger_only_append": _ONLY_APPEND,
    "ledger_counted": _COUNTED,
    "ledger_head_grows": _HEAD_GROWS,
    "ledger_node_belongs": _NODE_BELONGS,
    "ledger_checkpoint_fits": _CHECKPOINT_FITS,
    "ledger_tell": _TELL,
}

FUNCTION_NAMES = tuple(_FUNCTIONS)


class ServerTrigger(NamedTuple):
    """A trigger on PostgreSQL. `bits`: its kind, as the server's own catalog has it."""

    name: str
    table: str
    when: str
    function: str
    bits: int
    kind: str = "TRIGGER"
    options: str = "FOR EACH ROW"

    def made(self, schema: str) -> tuple[str, str]:
        """The statements that make it, or make it anew."""
        table, call = f"{schema}.{self.table}", f"EXECUTE FUNCTION {schema}.{self.function}()"
        return (
            f"DROP TRIGGER IF EXISTS {self.name} ON {table}",
            f"CREATE {self.kind} {self.name} {self.when} ON {table} {self.options} {call}",
        )


POSTGRESQL_TRIGGERS = (
    ServerTrigger(
        "ledger_events_no_change",
        "ledger_events",
        "BEFORE DELETE OR TRUNCATE",
        "ledger_refuse_change",
        2 | 8 | 32,
        options="FOR EACH STATEMENT",
    ),
    ServerTrigger(
        "ledger_events_only_erase",
        "ledger_events",
        "BEFORE UPDATE",
        "ledger_only_erase",
        1 | 2 | 16,
    ),
    ServerTrigger(
        "ledger_events_only_append",
        "ledger_events",
        "BEFORE INSERT",
        "ledger_only_append",
        1 | 2 | 4,
    ),
    ServerTrigger(
        "ledger_events_counted",
        "ledger_events",
        "AFTER INSERT",
        "ledger_counted",
        1 | 4,
        kind="CONSTRAINT TRIGGER",
        options="DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    ),
    ServerTrigger(
        "ledger_head_grows", "ledger_head", "BEFORE UPDATE", "ledger_head_grows", 1 | 2 | 16
    ),
    ServerTrigger("ledger_head_tells", "ledger_head", "AFTER UPDATE", "ledger_tell", 1 | 16),
    ServerTrigger(
        "ledger_nodes_belong", "ledger_nodes", "BEFORE INSERT", "ledger_node_belongs", 1 | 2 | 4
    ),
    ServerTrigger(
        "ledger_checkpoints_fit",
        "ledger_checkpoints",
        "BEFORE INSERT",
        "ledger_checkpoint_fits",
        1 | 2 | 4,
    ),
)


def function_body(name: str, schema: str) -> str:
    """The body of one of the functions. `schema`: the ledger's, quoted where it must be."""
    return _FUNCTIONS[name].replace("{schema}", schema).replace("{is_owner}", _IS_OWNER)


def server_statements(schema: str) -> list[str]:
    """What makes functions and triggers on PostgreSQL; those of an older version are replaced."""
    functions = [
        f"CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog, pg_temp AS $body${function_body(name, schema)}$body$"
        for name in FUNCTION_NAMES
    ]
    return functions + [each for trigger in POSTGRESQL_TRIGGERS for each in trigger.made(schema)]


def sqlite_triggers(version: int = ERASABLE_SINCE) -> dict[str, str]:
    """The triggers that a ledger in SQLite has: name -> statement. `version`: of its tables."""
    found = {statement.split()[2]: statement for statement in SQLITE_TRIGGERS}
    if version < ERASABLE_SINCE:
        found[_NO_UPDATE_OF_2.split()[2]] = _NO_UPDATE_OF_2
    return found
