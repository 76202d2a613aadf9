"""Recompute everything that the ledger says about itself, and report what does not fit.

It reads in one snapshot, row after row, and never repairs anything. What it compares:

- each record with its leaf hash, its columns, the record format and the registry of events;
- positions and stream versions, which have no holes;
- the tree grown from the leaf hashes with every stored node and with the head;
- checkpoints that were kept, and those that an auditor brings along;
- the tables' keys and triggers.

The tree is grown from the stored leaf hashes, each of which was compared with its record: so
one changed record is one finding at its position, not a thousand further up in the tree; and
a record that was erased on request still leaves a tree that can be checked.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, literal_column, select
from sqlalchemy.exc import DBAPIError

from ledger.append.backend import backend_of
from ledger.append.database import reading_snapshot
from ledger.append.prepared import Prepared
from ledger.append.tables import events, meta
from ledger.errors import LedgerBroken
from ledger.sqlite_driver import any_text
from ledger.tree.merkle import HASH_BYTES, leaf_hash
from ledger.verify import schema as schema_check
from ledger.verify.checkpoints import CheckpointCheck, Given
from ledger.verify.clocks import ClockNotes
from ledger.verify.cosignatures import NO_WITNESSES, WitnessPolicy
from ledger.verify.erasures import ErasureCheck
from ledger.verify.findings import Finding, Findings, Report, erasure_notes
from ledger.verify.records import Problem, Row, problems_of, sound_rows, timestamp_of
from ledger.verify.streams import check_streams
from ledger.verify.tree import TreeCheck, check_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from ledger.tree.signed_note import VerifierKey

__all__ = ["Finding", "Given", "Report", "verify"]

BATCH_ROWS = 5_000
"""Leaves that are added to the tree at a time."""

CHUNK_ROWS = 100
"""Rows in memory at a time: 6.5 MB if every record had its largest size."""

CUT_SHORT = "the rest of the database cannot be read: its file is damaged"
"""The problem of the finding that ends a verification."""

Progress = Callable[[str, int, int], None]
"""Told (step, rows done, rows in all)."""

_BEFORE_ALL = -(2**63)
_ROWS = Prepared(
    select(*(events.c[name] for name in Row._fields))
    .where(events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(literal_column(str(BATCH_ROWS)))
)

_ALWAYS_OPEN = (
    "whether what the records say is true: backup files are checked by `backup verify`",
    "recorded_at: it is not hashed; only its order and its difference from timestamp were checked",
    "ledger_meta and the tables of leases, names, snapshots and verifications: not history",
    "the read models: compare them with `projections diff`",
)


def verify(
    engine: Engine,
    *,
    checkpoints: Sequence[Given] = (),
    public_keys: Sequence[VerifierKey] = (),
    witnesses: WitnessPolicy = NO_WITNESSES,
    on_progress: Progress | None = None,
) -> Report:
    """Check the whole history behind an engine.

    `checkpoints`: signed notes that somebody kept elsewhere. `public_keys`: of their signers, and
    of those of the checkpoints that the ledger keeps. `witnesses`: who may have cosigned them.

    Raises:
        ValueError: a checkpoint that must be signed, and no public key.
        NoteError: a checkpoint that must be signed is none.
        LedgerBroken: the tables of a ledger are not all there.
    """
    if not public_keys and any(each.must_be_signed for each in checkpoints):
        raise ValueError("checkpoints can only be checked with the public key of their signer")
    outside = _Outside(checkpoints, public_keys, witnesses)
    with reading_snapshot(engine) as connection:
        try:
            return _Verification(connection, outside, on_progress).run()
        except _TextIsNotUnicode:
            # Once more, reading text as it stands, for the finding that it becomes.
            with any_text(connection.connection.driver_connection, "surrogateescape"):
                return _Verification(connection, outside, on_progress).run()


class _Outside(NamedTuple):
    """What does not come from the ledger, and what of it is checked with."""

    checkpoints: Sequence[Given]
    public_keys: Sequence[VerifierKey]
    witnesses: WitnessPolicy


class _TextIsNotUnicode(Exception):
    """A text column that the driver refuses to read: nobody but tampering puts one there."""


class _Verification:
    """One run: the counters and collectors that its steps share."""

    def __init__(
        self,
        connection: Connection,
        outside: _Outside,
        on_progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._findings = Findings()
        self._clocks = ClockNotes()
        self._tree = TreeCheck(connection, self._findings)
        self._checkpoints = CheckpointCheck(connection, self._findings, *outside)
        self._on_progress = on_progress
        self._erasures = ErasureCheck(connection, self._findings)
        self._open: list[str] = []
        self._total = self._position = self._done = 0

    def run(self) -> Report:
        """Every step; a database that cannot be read further ends them with a finding."""
        try:
            schema_check.check_schema(self._connection, self._findings)
            statement = select(func.count()).select_from(events)
            self._total = self._connection.execute(statement).scalar_one()
            self._walk_records()
            self._compare_with_the_end()
            self._walk_streams()
        except LedgerBroken as error:
            self._findings.add("schema", None, str(error), "the tables of a ledger", "others")
            self._open.append("everything: the tables cannot be read as a ledger")
        except (DBAPIError, self._connection.dialect.loaded_dbapi.Error) as error:
            if "UTF-8" in str(error):
                raise _TextIsNotUnicode from error
            self._stop_at(error)
        return self._report()

    def _stop_at(self, error: Exception) -> None:
        self._findings.add(
            "database",
            self._position + 1,
            CUT_SHORT,
            "readable tables",
            str(getattr(error, "orig", error)),
        )
        self._open.append(
            f"everything after position {self._position}, and everything that depends on it"
        )

    def _walk_records(self) -> None:
        """Records in the order of positions, a batch at a time."""
        after = _BEFORE_ALL
        while leaves := self._check_batch(after):
            self._checkpoints.grow(self._tree, leaves)
            after = self._position
            self._tell("records", len(leaves))
        self._erasures.finish()
        self._checkpoints.finish(self._tree.frontier.size)

    def _check_batch(self, after: int) -> list[bytes]:
        """Check the rows after a position; the leaves that stand for them in the tree."""
        leaves: list[bytes] = []
        rows = _read(self._connection, after)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            self._take(chunk, leaves)
        return leaves

    def _take(self, rows: Sequence[Any], leaves: list[bytes]) -> None:
        """Pass over rows, or look at the halves: the few that are not all right are soon alone."""
        if self._pass(rows, leaves):
            return
        if len(rows) == 1:
            leaves.append(self._explain(Row(*rows[0])))
            return
        middle = len(rows) // 2
        self._take(rows[:middle], leaves)
        self._take(rows[middle:], leaves)

    def _pass(self, rows: Sequence[Any], leaves: list[bytes]) -> bool:
        """Pass over rows that are all right."""
        found = sound_rows(rows, self._position)
        if found is None:
            return False
        self._clocks.look_at_all(self._position + 1, found.recorded_at, found.timestamps)
        leaves += found.leaves
        self._position += len(rows)
        return True

    def _check_position(self, position: int) -> None:
        last = self._position
        if position <= last:
            problem = "positions begin at 1"
        elif position == last + 2:
            problem = f"the record at position {last + 1} is missing"
        else:
            problem = f"the records at positions {last + 1} to {position - 1} are missing"
        self._findings.add("positions", last + 1, problem, last + 1, position)

    def _explain(self, row: Row) -> bytes:
        """Everything that is wrong with a row; the leaf that stands for it in the tree."""
        if row.position != self._position + 1:
            self._check_position(row.position)
        self._position = row.position
        if row.record is None:
            self._erasures.saw(row)
        else:
            for problem in problems_of(row):
                self._add(row.position, problem)
        if type(row.recorded_at) is not int:
            kind = "column recorded_at"
            self._findings.add(
                kind,
                row.position,
                "recorded_at is not a valid time",
                "microseconds",
                row.recorded_at,
            )
        else:
            self._clocks.look_at(row.position, row.recorded_at, timestamp_of(row.record))
        if type(row.leaf_hash) is bytes and len(row.leaf_hash) == HASH_BYTES:
            return row.leaf_hash
        self._findings.add("leaf hash", row.position, "no leaf hash", "32 bytes", row.leaf_hash)
        return leaf_hash(row.record if type(row.record) is bytes else b"")

    def _compare_with_the_end(self) -> None:
        self._tree.find_extra_nodes()
        check_head(self._connection, self._findings, self._tree.frontier, self._clocks.last)
        rows = self._connection.execute(select(func.count()).select_from(meta)).scalar_one()
        if rows != 1:
            self._findings.add("schema", None, "ledger_meta must have one row", 1, rows)

    def _walk_streams(self) -> None:
        self._done = 0
        found = check_streams(
            self._connection, self._findings, lambda rows: self._tell("streams", rows)
        )
        if found != self._tree.frontier.size:
            self._findings.add(
                "schema",
                None,
                "the index of streams does not hold all records",
                f"{self._tree.frontier.size} records",
                f"{found} records",
            )

    def _add(self, position: int, problem: Problem) -> None:
        self._findings.add(problem.kind, position, problem.problem, problem.expected, problem.found)

    def _tell(self, step: str, rows: int) -> None:
        self._done += rows
        if self._on_progress is not None:
            self._on_progress(step, self._done, self._total)

    def _report(self) -> Report:
        findings = self._findings.listed()
        frontier = self._tree.frontier
        return Report(
            ok=not findings,
            size=frontier.size,
            root=frontier.root().hex(),
            findings=findings,
            notes=(
                *erasure_notes(self._erasures.accepted),
                *self._clocks.notes(),
                *self._checkpoints.notes(frontier.size),
            ),
            erased=self._erasures.accepted,
            not_checked=(
                *self._open,
                *self._checkpoints.not_checked(),
                *_ALWAYS_OPEN,
                backend_of(self._connection).unchecked,
            ),
            checked=tuple(self._checkpoints.checked()),
        )


def _read(connection: Connection, after: int) -> Iterator[Sequence[Any]]:
    """The next rows, as the driver gives them: each is checked while it is warm in the cache."""
    return iter(_ROWS.run(connection, {"after": after}))
