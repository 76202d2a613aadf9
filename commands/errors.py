"""What a command can answer instead of doing what it was asked to.

Each error is also the built-in one that callers of the former service catch, and knows the
exit code that the command line gives it: 1 failed, 2 usage, 3 verification found something,
4 not found, 5 conflict or busy.
"""

from __future__ import annotations

from typing import ClassVar

from eventsourcing.persistence import IntegrityError

from commands.sqlite.errors import (
    DatabaseBusy,
    FileInTheWay,
    FolderMissing,
    SourceMissing,
    SQLiteFileError,
)
from ledger.errors import CopyRefused, LedgerBusy, LedgerError, LedgerMissing, NameTaken

FAILED, USAGE, FOUND_SOMETHING, NOT_FOUND, CONFLICT = 1, 2, 3, 4, 5


class CommandError(Exception):
    """Base of every error of this package."""

    exit_code: ClassVar[int] = FAILED


class StoreUnknown(CommandError, OSError):
    """The backups folder cannot be recognized, or has no ledger where one must be."""


class NoDatabase(CommandError, ValueError):
    """A command needs the database and was not told which."""

    exit_code = USAGE


class BackupNotFound(CommandError, FileNotFoundError):
    exit_code = NOT_FOUND


class SettingsNotFound(CommandError, LookupError):
    exit_code = NOT_FOUND


class SettingsChanged(CommandError):
    """Somebody changed the settings since they were read."""

    exit_code = CONFLICT


class UnknownUser(CommandError, ValueError):
    """The application's database has no such user."""

    exit_code = NOT_FOUND


class InvalidSettings(CommandError, ValueError):
    """A settings change that was rejected; nothing was changed."""

    exit_code = USAGE


class InvalidArgument(CommandError, ValueError):
    exit_code = USAGE


class Refused(CommandError, PermissionError):
    """The backup is protected, held, being restored, or the last good one."""


class BackupNameTaken(CommandError, FileExistsError):
    exit_code = CONFLICT


class TargetExists(CommandError, FileExistsError):
    exit_code = CONFLICT


class OtherSource(CommandError, PermissionError):
    """The backup is of another database than the one it was to replace."""

    exit_code = CONFLICT


class EncryptionDiffers(CommandError, PermissionError):
    """Of a backup and the database that it was to replace, one is encrypted and one is not."""

    exit_code = CONFLICT


class FlawedBackup(CommandError, PermissionError):
    """The database had an integrity finding when the backup was made."""

    exit_code = CONFLICT


class FolderOfAnother(CommandError, OSError):
    """The backups folder belongs to another database."""

    exit_code = CONFLICT


class TooMany(CommandError):
    """A limit on how much one caller may have or ask for at once."""

    exit_code = CONFLICT


class CorruptBackup(CommandError, OSError):
    """The backup's bytes are not the ones that were recorded."""


class VerificationFailed(CommandError, OSError):
    """A check could not be made, which says nothing about the backup."""


_CONFLICTS = (
    CopyRefused,
    DatabaseBusy,
    FileInTheWay,
    IntegrityError,
    LedgerBusy,
    NameTaken,
)


def exit_code_of(error: BaseException) -> int:
    """The exit code for an error of ours."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, _CONFLICTS):
        return CONFLICT
    if isinstance(error, FolderMissing | LedgerMissing | SourceMissing):
        return NOT_FOUND
    if isinstance(error, LookupError):
        return NOT_FOUND
    if isinstance(error, ValueError) and not isinstance(error, LedgerError):
        return USAGE
    return FAILED


def message_of(error: BaseException) -> str:
    """What an error says; its kind where it says nothing."""
    return str(error) or type(error).__name__


OUR_ERRORS = (CommandError, LedgerError, SQLiteFileError)
