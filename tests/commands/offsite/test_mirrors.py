"""A mirror of a destination, made by others: a destination of its own once it has another id."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from commands.offsite.add import add_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.errors import DestinationConflict
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import copies_at
from tests.commands.offsite.conftest import Offsite


@pytest.fixture
def mirror(offsite: Offsite, tmp_path: Path) -> Path:
    offsite.copy(offsite.backup("one"))
    place = tmp_path / "mirror"
    copytree(offsite.folder, place)
    return place


def test_a_mirror_is_refused_unless_it_gets_an_id_of_its_own(
    offsite: Offsite, mirror: Path
) -> None:
    world = offsite.world
    wanted = offsite.wanted(name="mirror", url=f"file://{mirror}")
    with pytest.raises(DestinationConflict, match="--new-repository-id"):
        add_destination(world.site, world.context(), wanted)
    wanted = offsite.wanted(name="mirror", url=f"file://{mirror}", new_repository_id=True)
    add_destination(world.site, world.context(), wanted)
    found = find_destination(world.site, "mirror")
    assert found.repository_id != offsite.nas.repository_id


def test_what_lay_in_the_mirror_is_never_deleted_and_does_not_count(
    offsite: Offsite, mirror: Path
) -> None:
    world = offsite.world
    before = {each.relative_to(mirror) for each in mirror.rglob("*") if each.is_file()}
    wanted = offsite.wanted(
        name="mirror", url=f"file://{mirror}", new_repository_id=True, settings={"keep": 1}
    )
    add_destination(world.site, world.context(), wanted)
    outcomes = copy_missing(world.site, world.context(), to="mirror")
    assert [each.error for each in outcomes] == [None]
    for _ in range(3):
        found = find_destination(world.site, "mirror")
        assert collect(world.site, world.context(), found).plan.problem is None
        world.advance(hours=30)
    after = {each.relative_to(mirror) for each in mirror.rglob("*") if each.is_file()}
    assert before <= after
    with world.site.read_models.reading() as connection:
        copies = copies_at(connection, found.repository_id, (CopyStatus.OK,))
    assert [each.filename for each in copies] == ["one.db"]
