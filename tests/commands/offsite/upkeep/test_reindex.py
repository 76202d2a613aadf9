"""A lost index is made again from what is there, and then nothing is sent twice."""

from __future__ import annotations

import pytest

from commands.offsite.errors import WrongKey
from commands.offsite.repository.seal import new_identity
from commands.offsite.upkeep.reindex import reindex
from tests.commands.offsite.conftest import IDENTITIES, Offsite
from tests.commands.offsite.repositories import change_bytes
from tests.commands.world import add_case


def lose_the_index(offsite: Offsite) -> None:
    folder = offsite.world.backups / ".offsite" / offsite.nas.repository_id
    for each in folder.glob("index.sqlite*"):
        each.unlink()


def test_after_reindexing_only_new_pages_are_sent(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    add_case(offsite.world.database, "another")
    offsite.copy(offsite.backup("two"))
    packs = len(offsite.objects("packs/"))
    lose_the_index(offsite)
    found = reindex(offsite.world.site, offsite.nas, IDENTITIES[:1])
    assert (found.packs, found.problems) == (packs, [])
    assert found.received_bytes > 0
    assert offsite.copy(offsite.backup("three")).new_pages == 0
    assert reindex(offsite.world.site, offsite.nas, IDENTITIES[:1]).packs == 0


def test_a_damaged_pack_is_left_out_and_named(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    lose_the_index(offsite)
    (path,) = offsite.objects("packs/")
    change_bytes(offsite.folder / path, 300, b"rot")
    found = reindex(offsite.world.site, offsite.nas, IDENTITIES)
    assert found.packs == 0
    assert "is damaged" in found.problems[0]


def test_another_key_indexes_nothing(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    lose_the_index(offsite)
    with pytest.raises(WrongKey):
        reindex(offsite.world.site, offsite.nas, [new_identity()])
