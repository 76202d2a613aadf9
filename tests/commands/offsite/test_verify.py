"""Looking at copies: what is found is recorded, and no later copy leans on what is bad."""

from __future__ import annotations

from typing import Any

import pytest

from commands.offsite.copy_all import copy_missing
from commands.offsite.errors import DestinationUnreachable, RepositoryDamaged, WrongKey
from commands.offsite.repository.layout import manifest_path, pack_list_path
from commands.offsite.repository.seal import new_identity, recipient_of
from commands.offsite.upkeep.recipients import add_recipient
from commands.offsite.verify import verify_copies
from commands.restore.from_copy import restore_from_copy
from ledger.events.offsite import CopyCorrupt, CopyVerified, PacksFound, PacksMissing
from ledger.vocabulary import CopyLevel
from tests.commands.offsite.conftest import IDENTITIES, Offsite
from tests.commands.world import add_case, titles_in


def problems(offsite: Offsite, level: CopyLevel) -> list[str | None]:
    world = offsite.world
    checked = verify_copies(
        world.site, world.context(), offsite.nas, level, identities=IDENTITIES[:1]
    )
    return [each.problem for each in checked]


@pytest.mark.parametrize("level", ["listed", "digest", "integrity", "drill"])
def test_a_good_copy_is_good_at_every_level(offsite: Offsite, level: CopyLevel) -> None:
    """With a key it is proved as well."""
    offsite.copy(offsite.backup("one"))
    assert problems(offsite, level) == [None]
    (fact,) = offsite.world.recorded(CopyVerified)
    assert (fact.level, fact.opened) == (level, level in ("integrity", "drill"))
    (copy,) = offsite.copies()
    assert copy.verified_level == level
    assert copy.proved is fact.opened


def flip_pack(offsite: Offsite) -> tuple[str, bytes]:
    """Damage the only pack, without changing its size."""
    (pack,) = offsite.objects("packs/")
    content = offsite.store.get(pack)
    offsite.store.put(pack, content[:-1] + bytes([content[-1] ^ 1]))
    return pack, content


def test_no_later_copy_leans_on_a_pack_that_was_found_damaged(offsite: Offsite) -> None:
    """It is there, and has its size; but its name is known to be wrong."""
    before = titles_in(offsite.world.database)
    offsite.copy(offsite.backup("one"))
    offsite.copy(offsite.backup("two"))
    pack, content = flip_pack(offsite)
    assert all(problems(offsite, "digest"))
    assert [each.packs for each in offsite.world.recorded(PacksMissing)] == [
        [pack.rpartition("/")[2]]
    ]
    assert len(offsite.world.recorded(CopyCorrupt)) == 2
    world = offsite.world
    outcomes = copy_missing(world.site, world.context())
    assert [each.backup.filename for each in outcomes] == ["one.db", "two.db"]
    add_case(world.database, "after")
    restore_from_copy(
        world.site, world.context(), "two.db", destination="nas", identities=IDENTITIES[:1]
    )
    assert titles_in(world.database) == before
    offsite.store.put(pack, content)
    assert problems(offsite, "digest") == [None] * 4
    assert len(world.recorded(PacksFound)) == 1
    assert offsite.nas.damaged_packs == []


def test_a_pack_that_was_damaged_and_is_whole_again_makes_its_copies_good(
    offsite: Offsite,
) -> None:
    offsite.copy(offsite.backup("one"))
    pack, content = flip_pack(offsite)
    assert all(problems(offsite, "digest"))
    offsite.store.put(pack, content)
    assert problems(offsite, "digest") == [None]
    assert [each.status for each in offsite.copies()] == ["ok"]


@pytest.mark.parametrize("found_by", ["digest", "integrity", "restore"])
def test_a_look_at_names_and_sizes_does_not_make_a_damaged_copy_good(
    offsite: Offsite, found_by: Any
) -> None:
    """Whoever found the damage looked more closely."""
    world = offsite.world
    offsite.copy(offsite.backup("one"))
    flip_pack(offsite)
    if found_by == "restore":
        with pytest.raises(RepositoryDamaged):
            restore_from_copy(
                world.site, world.context(), "one.db", destination=None, identities=IDENTITIES[:1]
            )
    else:
        assert all(problems(offsite, found_by))
    assert problems(offsite, "listed") == [None]
    assert [each.status for each in offsite.copies()] == ["corrupt"]
    assert len(offsite.nas.damaged_packs) == 1
    copy_missing(world.site, world.context())
    assert [each.status for each in offsite.copies()] == ["corrupt", "ok"]
    assert problems(offsite, "drill")[1] is None


@pytest.mark.parametrize("what", ["manifest", "list"])
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_manifest_or_list_that_is_not_what_was_recorded(
    offsite: Offsite, what: str, how: str
) -> None:
    copy = offsite.copy(offsite.backup("one"))
    path = (manifest_path if what == "manifest" else pack_list_path)(copy.copy_id)
    if how == "gone":
        offsite.store.delete(path)
    else:
        offsite.store.put(path, offsite.store.get(path) + b"\0" * 40)
    (problem,) = problems(offsite, "listed")
    assert problem is not None
    assert path in problem


def test_a_store_that_does_not_answer_says_nothing_about_copies(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    offsite.folder.rename(offsite.folder.with_name("away"))
    with pytest.raises(DestinationUnreachable):
        problems(offsite, "listed")
    assert offsite.world.recorded(CopyCorrupt) == []


def test_parts_cover_everything_once(offsite: Offsite) -> None:
    for name in ("one", "two", "three"):
        offsite.copy(offsite.backup(name))
    world, seen = offsite.world, []
    for part in (1, 2, 3, 4):
        found = verify_copies(world.site, world.context(), offsite.nas, "listed", part=(part, 4))
        seen += [each.copy.copy_id for each in found]
    assert sorted(seen) == sorted(each.copy_id for each in offsite.copies())


def test_a_copy_that_no_key_given_opens_is_named_and_the_others_are_looked_at(
    offsite: Offsite,
) -> None:
    """Nothing is recorded of it: it may be whole. Without any key nothing could be looked at."""
    world = offsite.world
    third = new_identity()
    offsite.copy(offsite.backup("one"))
    add_recipient(world.site, world.context(), offsite.nas, recipient_of(third), identities=[third])
    offsite.copy(offsite.backup("two"))
    with pytest.raises(WrongKey, match="give the identity"):
        list(verify_copies(world.site, world.context(), offsite.nas, "integrity"))
    found = verify_copies(world.site, world.context(), offsite.nas, "integrity", identities=[third])
    first, second = found
    assert (first.unopened, second.unopened, second.problem) == (True, False, None)
    assert "no identity given opens" in str(first.problem)
    assert [each.status for each in offsite.copies()] == ["ok", "ok"]
    assert len(world.recorded(CopyVerified)) == 1
