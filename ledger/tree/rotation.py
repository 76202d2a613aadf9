"""A log gets a new key: the old key signs a checkpoint that names the new one.

Rules (our own use of the extension lines of https://c2sp.org/tlog-checkpoint):

- the checkpoint has the extension line `key-rotated <old key> <new key>`, both as verifier keys
  with the log's name, so the log stays the log that it was;
- both keys sign it. Whoever trusts the old key may trust the new one from this size on; whoever
  trusts the new one knows by whom the checkpoints before were signed;
- after it the old key signs nothing.
"""

from typing import NamedTuple

from ledger.tree.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from ledger.tree.signed_note import Note, NoteError, SignerKey, VerifierKey

_LINE = "key-rotated "


class Rotation(NamedTuple):
    """From a ledger of `size` records on `after` signs instead of `before`."""

    size: int
    before: VerifierKey
    after: VerifierKey


def sign_rotation(checkpoint: Checkpoint, old: SignerKey, new: SignerKey) -> bytes:
    """The checkpoint, naming the new key, signed by both. See `Checkpoint.check_continues` first.

    Raises:
        CheckpointError: the keys are the same, or not both of this log.
    """
    before, after = old.verifier(), new.verifier()
    if before == after or not before.name == after.name == checkpoint.origin:
        raise CheckpointError(f"a new key of {checkpoint.origin!r} has its name, and is another")
    line = f"{_LINE}{before.to_text()} {after.to_text()}"
    text = Checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root, (line,)).to_text()
    note = Note(text, (new.sign(text), old.sign(text))).to_bytes()
    open_checkpoint(note, before)
    return note


def rotation_in(note: bytes) -> Rotation | None:
    """The rotation that a checkpoint is about, if it is one and both keys signed it."""
    if f"\n{_LINE}".encode() not in note:
        return None
    try:
        checkpoint = Checkpoint.from_text(Note.from_bytes(note).text)
        for line in checkpoint.extensions:
            if line.startswith(_LINE):
                old, _, new = line.removeprefix(_LINE).partition(" ")
                before, after = VerifierKey.parse(old), VerifierKey.parse(new)
                open_checkpoint(note, before)
                open_checkpoint(note, after)
                return Rotation(checkpoint.size, before, after) if before != after else None
    except NoteError:
        return None
    return None
