"""Somebody who can write at a destination: what he puts there neither counts nor deletes."""

from __future__ import annotations

import pytest

from commands.offsite.deleting import collect as collecting
from commands.offsite.errors import CopyUnknown, RepositoryForked
from commands.offsite.fetch import newest_copy
from commands.offsite.publish import publish_ledger
from commands.offsite.repository.layout import REPOSITORY
from commands.offsite.verify import verify_copies
from tests.commands.offsite.deleting.conftest import Deleting


def kept_objects(deleting: Deleting) -> dict[str, bytes]:
    store = deleting.offsite.store
    return {path: store.get(path) for path in deleting.offsite.objects()}


def put_back(deleting: Deleting, objects: dict[str, bytes]) -> None:
    for path, content in objects.items():
        if deleting.offsite.store.head(path) is None:
            deleting.offsite.store.put(path, content)


def test_a_replayed_manifest_of_a_deleted_copy_does_not_count(deleting: Deleting) -> None:
    """With its packs and all: the ledger says that it is gone, and no copy leans on them."""
    deleting.set(keep=1)
    backup = deleting.offsite.backup("first")
    deleting.copy()
    deleting.offsite.world.advance(days=1)
    deleting.copies_made(3)
    before = kept_objects(deleting)
    deleting.collect_until_done()
    put_back(deleting, before)
    world = deleting.offsite.world
    with pytest.raises(CopyUnknown):
        newest_copy(world.site, backup)
    checked = verify_copies(world.site, world.context(), deleting.offsite.nas, "digest")
    assert [each.copy.filename for each in checked] == ["backup-03.db"]
    assert deleting.collect().plan.problem is None
    deleting.copies_made(1)
    assert "first.db" not in deleting.with_status("ok")


def test_with_an_older_checkpoint_put_back_nothing_more_is_deleted_than_before(
    deleting: Deleting,
) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    site, store = deleting.offsite.world.site, deleting.offsite.store
    older = store.get("ledger/checkpoint")
    deleting.collect()
    publish_ledger(site, deleting.offsite.nas)
    store.put("ledger/checkpoint", older)
    deleting.offsite.world.advance(hours=25)
    deleting.collect()
    assert deleting.require_restorable() == 1


@pytest.mark.parametrize("change", ["checkpoint", "repository"])
def test_another_ledgers_files_stop_every_deletion(
    deleting: Deleting, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read again just before: here they change after the session began."""
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    deleting.offsite.world.advance(hours=25)
    store = deleting.offsite.store
    path = REPOSITORY if change == "repository" else "ledger/checkpoint"
    ours = store.get(path)
    before = deleting.offsite.objects()
    look_at = collecting.look_at

    def looked(*arguments: object) -> object:
        found = look_at(*arguments)  # type: ignore[arg-type]
        altered = ours.replace(b'"repository_id":"', b'"repository_id":"0')
        store.put(path, altered if change == "repository" else b"example.com/site\n9999\n")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(collecting, "look_at", looked)
        with pytest.raises(RepositoryForked):
            deleting.collect()
    assert deleting.offsite.objects() == before
    store.put(path, ours)
    deleting.collect()
    assert deleting.require_restorable() == 1
