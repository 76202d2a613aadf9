"""A recovery is held to checkpoints that were kept elsewhere: older or rewritten is refused."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from commands.audit.sign_checkpoint import kept_notes
from commands.offsite.errors import RepositoryForked
from commands.offsite.publish import publish_ledger
from commands.offsite.recover import recover_ledger
from commands.sqlite.files import SQLiteFileError
from tests.commands.offsite.conftest import IDENTITIES, MakeOffsite, Offsite


def newest_note(offsite: Offsite) -> bytes:
    return offsite.store.get("ledger/checkpoint")


def recovered(place: Path, into: Path, *kept: bytes) -> int:
    return recover_ledger(f"file://{place}", into, identities=IDENTITIES, kept=kept).size


def test_an_older_state_that_was_put_there_is_refused(offsite: Offsite, tmp_path: Path) -> None:
    """Everything in it is signed and whole; only what was kept elsewhere knows better."""
    site, nas = offsite.world.site, offsite.nas
    publish_ledger(site, nas)
    old = tmp_path / "old"
    copytree(offsite.folder, old)
    first = newest_note(offsite)
    offsite.world.configure(1)
    size = publish_ledger(site, nas)
    kept = newest_note(offsite)
    with pytest.raises(RepositoryForked, match=f"there were {size}"):
        recovered(old, tmp_path / "new", first, kept)
    assert not (tmp_path / "new").exists()
    assert recovered(offsite.folder, tmp_path / "new", first, kept) == size


def test_a_rewritten_one_is_refused(make_offsite: MakeOffsite, tmp_path: Path) -> None:
    """The same origin, other records: somebody who can sign made a ledger of his own."""
    offsite = make_offsite()
    offsite.add()
    publish_ledger(offsite.world.site, offsite.nas)
    kept = newest_note(offsite)
    other = make_offsite("other")
    key = offsite.world.site.configuration.checkpoint_key
    site = other.world.open(checkpoint_key=key)
    other.add()
    for _ in range(5):
        other.world.configure(1)
    publish_ledger(site, other.nas)
    with pytest.raises(RepositoryForked, match="it was rewritten"):
        recovered(other.folder, tmp_path / "new", kept)


def test_checkpoints_of_other_ledgers_in_the_folder_say_nothing(
    make_offsite: MakeOffsite, tmp_path: Path
) -> None:
    offsite, other = make_offsite("one"), make_offsite("other")
    for each in (offsite, other):
        each.add()
    other.world.configure(1)
    for each in (offsite, other):
        publish_ledger(each.world.site, each.nas)
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "other.checkpoint").write_bytes(newest_note(other))
    (folder / "nonsense.checkpoint").write_bytes(b"nonsense")
    notes = kept_notes([], folder)
    assert len(notes) == 2
    assert recovered(offsite.folder, tmp_path / "new", *notes) > 0


def test_a_checkpoint_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SQLiteFileError):
        kept_notes([tmp_path / "missing"], None)
