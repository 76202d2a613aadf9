"""How backup files are called, and what a name says about a backup.

    auto_backup_user<id>_<YYYY-MM-DDTHH-MM-SS>.db    scheduled, of this user
    <database stem>_backup_<..>.db                   manual
    pre_restore_backup_<..>.db                       protected
    pre_migration_<..>.db                            protected

Times are UTC. A clash gets `_2`, `_3` ... before `.db`. The rules of a name given by a person
are those of `person_backup_name`; every name made here keeps to them as well.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

from ledger.clock import require_aware
from ledger.vocabulary import MAX_USER_ID, Kind

SUFFIX: Final = ".db"
MAX_NAME_BYTES: Final = 200
"""In UTF-8, with `.db`. File systems take 255; the rest is room for what tools append."""

_SCHEDULED = re.compile(r"auto_backup_user([1-9][0-9]{0,18})_.*", re.DOTALL)
_PRE_MIGRATION = "pre_migration_"
_PRE_RESTORE = "pre_restore_backup"
RESERVED_PREFIXES: Final = ("auto_backup_user", _PRE_MIGRATION, _PRE_RESTORE)
"""What a name says of a file that nobody knows: whose it is, and that retention keeps it."""
# Controls (C0, C1), surrogates (no valid Unicode), line and paragraph separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They make a name look like another one on a screen.
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_SEPARATORS = frozenset("/\\")
_SHOWN_CHARACTERS = 60
_STEM_OF_NOTHING = "database"


class InvalidBackupName(ValueError):
    """A name that a person gave and that no backup can have."""


@dataclass(frozen=True, slots=True)
class Classified:
    """What a file name says about the backup: its kind, and its owner if it is scheduled."""

    kind: Kind
    user_id: int | None


def classify(filename: str) -> Classified:
    """What kind of backup a file of this name is, for files nobody has told us about."""
    scheduled = _SCHEDULED.fullmatch(filename)
    if scheduled and int(scheduled[1]) <= MAX_USER_ID:
        return Classified("scheduled", int(scheduled[1]))
    if filename.startswith(_PRE_MIGRATION):
        return Classified("pre_migration", None)
    if filename.startswith(_PRE_RESTORE):
        return Classified("pre_restore", None)
    return Classified("manual", None)


def is_protected(filename: str, kind: Kind | None = None) -> bool:
    """Whether retention must never delete it: its name or its known kind says so."""
    return not {"pre_migration", "pre_restore"}.isdisjoint({kind, classify(filename).kind})


def auto_backup_name(user_id: int, now: datetime) -> str:
    """The name of a scheduled backup of this user.

    Raises:
        ValueError: no positive user id, or a naive `now`.
    """
    if not 1 <= user_id <= MAX_USER_ID:
        raise ValueError(f"there is no user {user_id}: user ids are positive 64-bit integers")
    return f"auto_backup_user{user_id}_{_stamp(now)}{SUFFIX}"


def pre_restore_backup_name(now: datetime) -> str:
    """The name of the copy made just before a restore; a naive `now` is a ValueError."""
    return f"{_PRE_RESTORE}_{_stamp(now)}{SUFFIX}"


def pre_migration_backup_name(now: datetime) -> str:
    """The name of the copy made just before a migration; a naive `now` is a ValueError."""
    return f"{_PRE_MIGRATION}{_stamp(now)}{SUFFIX}"


def manual_backup_name(database_stem: str, now: datetime) -> str:
    """The name of a backup made by hand; a naive `now` is a ValueError.

    The stem is cleaned and cut where it must be, because a database may be called anything.
    """
    end = f"_backup_{_stamp(now)}{SUFFIX}"
    cleaned = "".join("_" if _is_forbidden(character) else character for character in database_stem)
    stem = cleaned.strip().lstrip(".") or _STEM_OF_NOTHING
    if _reserved(stem + end, RESERVED_PREFIXES):
        # A database may be called pre_restore.db; its backups by hand are not protected.
        stem = f"{_STEM_OF_NOTHING}_{stem}"
    return _cut(stem, MAX_NAME_BYTES - len(end)) + end


def _stamp(now: datetime) -> str:
    # Not strftime: its %Y has no leading zeros on some platforms.
    moment = require_aware(now).replace(tzinfo=None)
    return moment.isoformat(timespec="seconds").replace(":", "-")


def _is_forbidden(character: str) -> bool:
    return (
        character in _SEPARATORS
        or character in _BIDI_CONTROLS
        or unicodedata.category(character) in _FORBIDDEN_CATEGORIES
    )


def _size_bytes(text: str) -> int:
    # A file name that is not UTF-8 reaches Python with surrogates; it must not crash us.
    return len(text.encode("utf-8", "surrogatepass"))


def _cut(text: str, limit_bytes: int) -> str:
    """As much of the text as fits, whole characters only."""
    text = text[:limit_bytes]
    while _size_bytes(text) > limit_bytes:
        text = text[:-1]
    return text


def with_suffix(name: str, number: int) -> str:
    """The `number`-th name to try: itself, then `_2`, `_3` ... before `.db`, cut to fit.

    Raises:
        ValueError: `number` is below 1.
    """
    if number < 1:
        raise ValueError(f"there is no name number {number}: they are numbered from 1")
    if number == 1:
        return name
    end = f"_{number}{SUFFIX}"
    return _cut(name.removesuffix(SUFFIX), MAX_NAME_BYTES - len(end)) + end


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """The first of `name`, `name_2`, `name_3` ... that is not taken."""
    candidates = (with_suffix(name, number) for number in count(1))
    return next(candidate for candidate in candidates if not taken(candidate))


def person_backup_name(text: str, *, allow_scheduled: bool = False) -> str:
    """The file name for a name that a person gave: the same, with `.db`.

    A name that makes a backup protected, or another user's, is reserved.
    `allow_scheduled`: also a name that a scheduled backup could have.

    Raises:
        InvalidBackupName: it is blank, reserved or too long, begins with a dot, or holds a
            separator, a control character, one that turns the direction of text, or invalid
            Unicode.
    """
    name = text if text.endswith(SUFFIX) else text + SUFFIX
    reserved = (_PRE_MIGRATION, _PRE_RESTORE) if allow_scheduled else RESERVED_PREFIXES
    problem = _problem(name) or _reserved(name, reserved)
    if problem:
        shown = f"{text[:_SHOWN_CHARACTERS]!r}" + ("..." if len(text) > _SHOWN_CHARACTERS else "")
        raise InvalidBackupName(f"the backup name {shown} {problem}")
    return name


def _reserved(name: str, prefixes: tuple[str, ...]) -> str | None:
    """Compared without case: some file systems take both for one name."""
    found = next((each for each in prefixes if name.lower().startswith(each)), None)
    if found is None:
        return None
    return f"begins with {found!r}, which is reserved: choose another beginning"


def _problem(name: str) -> str | None:
    if not name.removesuffix(SUFFIX).strip():
        return "is blank: give it at least one letter or digit"
    if name.startswith("."):
        return "begins with a dot: leave the dot out"
    for position, character in enumerate(name, start=1):
        if character in _SEPARATORS:
            return f"holds {character!r} at character {position}: give a plain name, not a path"
        if _is_forbidden(character):
            return f"holds U+{ord(character):04X} at character {position}: leave that out"
    if (size_bytes := _size_bytes(name)) > MAX_NAME_BYTES:
        return f"has {size_bytes} bytes with {SUFFIX}: use at most {MAX_NAME_BYTES}"
    return None


_STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}"
_MADE_HERE = re.compile(
    rf"(auto_backup_user[0-9]+|pre_restore_backup|pre_migration|.+_backup)_{_STAMP}"
    r"(_[0-9]+)?\.db|erased-[0-9a-f-]{36}\.db",
    re.DOTALL,
)


def was_given(filename: str) -> bool:
    """Whether a person chose the name: it is none of those that are made here."""
    return _MADE_HERE.fullmatch(filename) is None
