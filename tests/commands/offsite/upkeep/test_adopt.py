"""Copies that the ledger does not know: read with a key, and from then on like any other."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from commands.offsite.deleting.collect import collect
from commands.offsite.errors import RepositoryAhead, WrongKey
from commands.offsite.repository.layout import LEDGER
from commands.offsite.repository.seal import new_identity
from commands.offsite.upkeep.adopt import adopt_copies
from commands.restore.from_copy import restore_from_copy
from ledger.events.offsite_deletion import CopyFound
from tests.commands.offsite.conftest import IDENTITIES, Offsite
from tests.commands.world import add_case


@pytest.fixture
def older(offsite: Offsite, tmp_path: Path) -> Offsite:
    """The folder was put back as it was before the second backup, of which nothing was published.

    What is at the destination stays: a copy that the ledger does not know.
    """
    offsite.copy(offsite.backup("one"))
    world = offsite.world
    world.close()
    kept = tmp_path / "kept"
    copytree(world.backups, kept)
    world.open("act")
    add_case(world.database, "lost with the ledger")
    offsite.copy(offsite.backup("two"))
    world.close()
    rmtree(world.backups)
    kept.rename(world.backups)
    world.open("act")
    assert offsite.objects(LEDGER) == []
    return offsite


def adopt(offsite: Offsite, *identities: str) -> list[tuple[str, str | None]]:
    world = offsite.world
    found = adopt_copies(world.site, world.context(), offsite.nas, identities or IDENTITIES[:1])
    return [(each.filename, each.problem) for each in found]


def test_an_unknown_copy_is_adopted_and_restores(older: Offsite, tmp_path: Path) -> None:
    world = older.world
    with pytest.raises(RepositoryAhead):
        collect(world.site, world.context(), older.nas)
    assert adopt(older) == [("two.db", None)]
    assert [each.filename for each in older.copies()] == ["one.db", "two.db"]
    assert collect(world.site, world.context(), older.nas).plan.is_empty
    target = tmp_path / "restored.db"
    restore_from_copy(
        world.site,
        world.context(),
        "two.db",
        destination="nas",
        identities=IDENTITIES[1:],
        to=target,
    )
    assert sha256(target.read_bytes()).hexdigest() == older.copies()[1].sha256
    assert adopt(older) == []


def test_another_key_adopts_nothing(older: Offsite) -> None:
    with pytest.raises(WrongKey):
        adopt(older, new_identity())
    assert older.world.recorded(CopyFound) == []


def test_a_copy_whose_packs_are_gone_is_adopted_as_damaged(older: Offsite) -> None:
    for path in older.objects("packs/"):
        older.store.delete(path)
    ((filename, problem),) = adopt(older)
    assert filename == "two.db"
    assert problem is not None
    assert older.copies()[1].status == "corrupt"


def test_what_is_no_manifest_is_named_and_stays_unknown(offsite: Offsite) -> None:
    path = "copies/00000000-0000-4000-8000-00000000abcd"
    offsite.store.put(path, b"nonsense")
    offsite.store.put(f"{path}.packs", b"")
    ((filename, problem),) = adopt(offsite)
    assert filename == ""
    assert problem is not None
    assert "neither an age file" in problem
    assert offsite.store.get(path) == b"nonsense"
