"""A watcher of a ledger: it keeps the last checkpoint that it saw, and compares.

What it keeps is on a machine that the ledger's owner cannot write to. So it finds a history that
was rewritten, put back or forked, even if the owner has every key and signed it all anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from commands.errors import FOUND_SOMETHING, CommandError
from commands.sqlite.files import file_error, flush_directory, write_private
from ledger.clock import format_instant, parse_instant
from ledger.tree.checkpoint import Checkpoint, open_checkpoint
from ledger.tree.proofs import ProofError
from ledger.tree.signed_note import Note, NoteError, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from commands.audit.watched_places import WatchedPlace

FORMAT = 1
MAX_STATE_BYTES = 1_000_000


class Alarm(CommandError):
    """What a watcher is there for. `kind`: fork, rollback, silent or signature."""

    exit_code: ClassVar[int] = FOUND_SOMETHING

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StateUnreadable(CommandError, OSError):
    """The watcher's own memory is damaged: without it nothing can be compared."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The last checkpoint that was found good, and when it was first seen and last looked for."""

    note: bytes
    seen_at: datetime
    looked_at: datetime

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.from_text(Note.from_bytes(self.note).text)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises ValueError, KeyError, TypeError or NoteError where it is something else."""
        fields = json.loads(data)
        if fields["format"] != FORMAT:
            raise ValueError(f"format {fields['format']} is not known")
        found = cls(
            fields["checkpoint"].encode(),
            parse_instant(fields["seen_at"]),
            parse_instant(fields["looked_at"]),
        )
        assert found.checkpoint is not None
        return found

    def to_bytes(self) -> bytes:
        fields = {
            "format": FORMAT,
            "checkpoint": self.note.decode(),
            "seen_at": format_instant(self.seen_at),
            "looked_at": format_instant(self.looked_at),
        }
        return json.dumps(fields, indent=1, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Look:
    """One look that found nothing wrong. `before`: the size that was remembered; None at first."""

    size: int
    root: str
    before: int | None
    seen_at: datetime

    @property
    def sentence(self) -> str:
        """For people; it says what was compared."""
        if self.before is None:
            return f"First look: {self.size} records. Remembered; there was nothing to compare."
        if self.before == self.size:
            return f"The same {self.size} records as before."
        return f"{self.size} records: those {self.before} that were known, and more at their end."


def look(
    place: WatchedPlace, key: VerifierKey, state: Path, now: datetime, silent: timedelta
) -> Look:
    """Compare the newest checkpoint of a place with the remembered one, and remember it.

    Raises:
        Alarm: a fork, a rollback, a signature that is not the key's, or a log that is silent. What
            was found is kept beside the state; the state itself stays.
        PlaceUnreadable: nothing can be said this time.
        StateUnreadable: the state is damaged; it is left alone.
    """
    with _locked(state):
        memory = _read(state)
        try:
            note = place.checkpoint(key)
            found = _compared(place, key, memory, note, now, state)
        except CommandError as error:
            if not isinstance(error, Alarm):
                _require_not_silent(memory, now, silent, str(error))
            raise
        _write(state, found)
    _require_not_silent(found, now, silent)
    tree = found.checkpoint
    before = None if memory is None else memory.checkpoint.size
    return Look(tree.size, tree.root.hex(), before, found.seen_at)


def _compared(
    place: WatchedPlace,
    key: VerifierKey,
    memory: Memory | None,
    note: bytes,
    now: datetime,
    state: Path,
) -> Memory:
    """What is remembered from now on."""
    try:
        tree = open_checkpoint(note, key).checkpoint
    except NoteError as error:
        kept = _keep_evidence(state, note)
        raise Alarm(
            "signature", f"the checkpoint is not what {key.name} signs: {error}; {kept}"
        ) from (error)
    if memory is None:
        return Memory(note, now, now)
    known = memory.checkpoint
    if tree.size < known.size:
        kept = _keep_evidence(state, note)
        raise Alarm(
            "rollback",
            f"a rollback: {known.size} records were signed before, now it has {tree.size}; {kept}",
        )
    proof = place.consistency(known.size, tree.size) if 0 < known.size < tree.size else ()
    try:
        tree.check_continues(known, proof)
    except (NoteError, ProofError) as error:
        kept = _keep_evidence(state, note)
        raise Alarm(
            "fork",
            f"a fork: the {tree.size} records of now do not continue the {known.size} that were "
            f"signed before ({error}); {kept}",
        ) from error
    has_grown = tree.size > known.size
    return Memory(note, now, now) if has_grown else Memory(memory.note, memory.seen_at, now)


def _require_not_silent(
    memory: Memory | None, now: datetime, silent: timedelta, why: str = ""
) -> None:
    if memory is None or now - memory.seen_at <= silent:
        return
    hours = int((now - memory.seen_at) / timedelta(hours=1))
    raise Alarm(
        "silent",
        f"the log is silent: no new checkpoint for {hours} hours, since that of "
        f"{memory.checkpoint.size} records{f' ({why})' if why else ''}",
    )


def default_state(key: VerifierKey) -> Path:
    """One memory for each log, wherever it is looked at: so that two places cannot differ."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = "".join(each if each.isalnum() or each in ".-" else "_" for each in key.name)[:100]
    digest = hashlib.sha256(key.name.encode()).hexdigest()[:8]
    return Path(base) / "backup-ledger" / "watch" / f"{name}-{digest}.json"


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """One watcher at a time has the state."""
    try:
        state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with state.with_name(f".{state.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        if isinstance(error, CommandError):
            raise
        raise file_error(error, state) from error


def _read(state: Path) -> Memory | None:
    try:
        with state.open("rb") as file:
            data = file.read(MAX_STATE_BYTES)
    except FileNotFoundError:
        return None
    try:
        return Memory.from_bytes(data)
    except (ValueError, KeyError, TypeError, AttributeError, NoteError) as error:
        raise StateUnreadable(
            f"the state {state} is damaged ({error}); restore it, or begin anew with another "
            "--state and keep this one"
        ) from error


def _write(state: Path, memory: Memory) -> None:
    """Whole or not at all, and on disk."""
    staged = state.with_name(f".{state.name}.{os.getpid()}")
    staged.unlink(missing_ok=True)
    write_private(staged, memory.to_bytes())
    os.replace(staged, state)
    flush_directory(state.parent)


def _keep_evidence(state: Path, note: bytes) -> str:
    """The other checkpoint, beside the state: together they are the evidence."""
    digest = hashlib.sha256(note).hexdigest()[:16]
    path = state.with_name(f"{state.stem}-{digest}.evidence")
    if not path.exists():
        write_private(path, note)
    return f"kept as evidence: {path}"


def as_json(found: Look) -> dict[str, Any]:
    return {
        "ok": True,
        "alarm": None,
        "message": found.sentence,
        "size": found.size,
        "root": found.root,
        "before": found.before,
        "seen_at": format_instant(found.seen_at),
    }
