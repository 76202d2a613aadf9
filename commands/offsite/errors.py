"""What can go wrong with a destination. Every message says what, which one, and what to do."""

from __future__ import annotations

from commands.errors import CONFLICT, FOUND_SOMETHING, NOT_FOUND, USAGE, CommandError


class OffsiteError(CommandError):
    """Base of every error of this room."""


class DestinationUnknown(OffsiteError, LookupError):
    """No destination has this name."""

    exit_code = NOT_FOUND


class CopyUnknown(OffsiteError, LookupError):
    """No copy can be used for what was asked."""

    exit_code = NOT_FOUND


class DestinationRefused(OffsiteError, ValueError):
    """A destination cannot be added or changed as it was asked."""

    exit_code = USAGE


class DestinationConflict(OffsiteError):
    """The destination is in use by something else."""

    exit_code = CONFLICT


class DestinationUnreachable(OffsiteError, OSError):
    """The store did not answer, or refused; tried again later."""


class ObjectMissing(DestinationUnreachable):
    """The store answered that it has no such object."""


class RepositoryForked(DestinationConflict):
    """The repository belongs to another ledger, or to another history of this one."""


class RepositoryAhead(DestinationConflict):
    """The repository holds copies that this ledger does not know: the ledger is older."""


class ListingDoubtful(OffsiteError):
    """The store's listing lacks so much that it is not believed."""

    exit_code = FOUND_SOMETHING


class RepositoryDamaged(OffsiteError, ValueError):
    """Bytes of the repository are not what they must be."""

    exit_code = FOUND_SOMETHING


class WrongKey(OffsiteError, ValueError):
    """A recipient or an identity that is not valid, or does not fit."""

    exit_code = USAGE


class RecipientNeeded(OffsiteError):
    """Copies could not be read any more without this recipient."""

    exit_code = CONFLICT


class NoIdentity(OffsiteError):
    """A key is needed, and none is configured; HTTP takes none."""

    exit_code = CONFLICT


class CopyDropped(OffsiteError):
    """A copy was not completed: its destination, lease or backup changed meanwhile."""

    exit_code = CONFLICT


class IndexUnusable(OffsiteError):
    """What this machine keeps of a destination cannot be read or written, as on a full disk."""


class CopyStopped(CopyDropped):
    """A copy was stopped on the way, as with its scheduler; the rest is sent next time."""


class DeletionForbidden(DestinationUnreachable):
    """The credentials may write and not delete: a state, not a fault."""
