"""What can go wrong in the ledger. Every message says what, which one, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable


class LedgerError(Exception):
    """Base of every error of this package."""


class RecordError(LedgerError, ValueError):
    """Bytes or values that are not a valid record."""


class UnknownEvent(RecordError):
    """An event type or schema version that this software does not know."""


class NotALedger(LedgerError):
    """The database at the given place contains something else."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer version of this software."""


class LedgerMissing(LedgerError):
    """There is no ledger at the given place."""


class LedgerBusy(LedgerError):
    """Another process held the ledger's lock for too long."""


class LedgerUnreachable(LedgerBusy):
    """The database server cannot be reached, or the connection to it was lost."""


class LedgerBroken(LedgerError):
    """The ledger contradicts itself; `audit verify` says where."""


class CopyRefused(LedgerError):
    """The target of a copy is not an earlier state of its source; nothing was written."""


class ConcurrencyConflict(LedgerError, IntegrityError):
    """Somebody else appended to the same streams first; nothing was appended.

    `streams` names the streams that moved.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self.streams = tuple(streams)
        super().__init__(
            f"the ledger has changed: {', '.join(self.streams)} changed in the meantime; try again"
        )


class LeaseLost(LedgerError):
    """A run's lease is gone or belongs to somebody else; nothing was appended."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id} no longer owns its lease; its work was discarded")


class NameTaken(LedgerError):
    """Another backup of the store has this file name."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(f"a backup named {filename!r} already exists; choose another name")
