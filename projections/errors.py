"""What can go wrong while adding up."""

from __future__ import annotations

from ledger.errors import LedgerError


class ProjectionError(LedgerError):
    """Base of every error of this package."""


class UnreadableEvent(ProjectionError):
    """An event that cannot be read stops the fold; it names position and reason."""


class UnfoldableEvent(UnreadableEvent):
    """An event that can be read, but not be folded onto the rows as they stand."""


class UnknownProjection(ProjectionError, LookupError):
    """No read model has this name."""


class NoSuchGeneration(ProjectionError, LookupError):
    """There is no such generation of a read model, or it serves."""


class TableInTheWay(ProjectionError):
    """The application has a table of its own with the name of a read model."""


class ProjectionsTooNew(ProjectionError):
    """The read models were written by newer software."""
