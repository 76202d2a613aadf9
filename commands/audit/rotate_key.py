"""Replace the key that signs checkpoints: the old key signs that the new one goes on.

The event and the checkpoint with both signatures are one transaction: there is never a moment in
which neither key may sign, or in which both may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from commands.audit.keys import make_key, read_private_key
from commands.audit.sign_checkpoint import keep_copy
from ledger.append.kept_checkpoints import KeptCheckpoint, rotate_key
from ledger.append.ledger import Draft
from ledger.clock import to_microseconds
from ledger.events.housekeeping import KeyRotated
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from pathlib import Path

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.tree.signed_note import SignerKey, VerifierKey


class Rotated(NamedTuple):
    """The new public key, and the checkpoint that both keys signed."""

    public_key: VerifierKey
    kept: KeptCheckpoint


def rotate(site: Site, context: Context, old: SignerKey, out: Path) -> Rotated:
    """Make a new key of the same name in a new file, and hand over to it.

    Raises:
        SQLiteFileError: the file already exists (never overwritten) or cannot be made.
        LedgerBroken: the tree does not continue what was signed before, or the old key was
            replaced already; nothing is signed, and no file is left.
    """
    public = make_key(old.name, out)
    try:
        new = read_private_key(out)
        details = KeyRotated(old_key=old.verifier().to_text(), new_key=public.to_text())
        with site.ledger.locked() as locked:
            recorded = site.ledger.append_locked(locked, context, [Draft(LEDGER_STREAM, details)])
            now = to_microseconds(site.clock.now())
            kept = rotate_key(locked.connection, old, new, now)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    site.notify(recorded)
    folder = site.configuration.checkpoint_folder
    if folder is not None:
        keep_copy(folder, public, kept)
    return Rotated(public, kept)
