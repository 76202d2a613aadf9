"""Getting a database back from a copy, with its own file gone, damaged or deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.backups.delete import delete_backup
from commands.errors import BackupNotFound
from commands.offsite import fetch as fetching
from commands.offsite.change import remove_destination
from commands.offsite.errors import CopyUnknown, RepositoryDamaged, WrongKey
from commands.offsite.repository.layout import manifest_path
from commands.offsite.repository.opening import open_store
from commands.offsite.repository.seal import new_identity
from commands.offsite.status import placed_copies
from commands.offsite.worker.fetch import fetch_copy
from commands.offsite.worker.jobs import FetchJob, FetchResult
from commands.offsite.worker.received_packs import ReceivedPacks
from commands.restore.from_copy import plan_fetch, restore_from_copy
from ledger.events.offsite import CopyFetched, CopyNotFetched
from ledger.events.restoring import RestoreCompleted
from tests.commands.offsite.conftest import IDENTITIES, Offsite, spoiled
from tests.commands.offsite.repositories import nothing
from tests.commands.world import add_case, titles_in


def restore(offsite: Offsite, name: str = "one.db", **changes: object) -> None:
    fields: dict[str, object] = {"destination": None, "identities": IDENTITIES[:1]}
    world = offsite.world
    restore_from_copy(world.site, world.context(), name, **fields | changes)  # type: ignore[arg-type]


def killed_after_receiving(job: FetchJob, *_: object) -> None:
    fetch_copy(open_store(job.url), job, nothing)
    raise KeyboardInterrupt


@pytest.mark.parametrize("lost", ["gone", "damaged", "deleted"])
def test_the_database_comes_back_whatever_became_of_the_backup(offsite: Offsite, lost: str) -> None:
    """Each of the two identities is enough; what was there is kept first."""
    backup = offsite.backup("one")
    before = titles_in(offsite.world.database)
    offsite.copy(backup)
    add_case(offsite.world.database, "after")
    path = offsite.world.backups / backup.filename
    if lost == "gone":
        path.unlink()
    elif lost == "damaged":
        path.write_bytes(b"")
    else:
        delete_backup(offsite.world.site, offsite.world.context(), backup.filename)
    restore(offsite, identities=IDENTITIES[1:])
    assert titles_in(offsite.world.database) == before
    assert [each.reason for each in offsite.world.recorded(CopyFetched)] == ["restore"]
    assert len(offsite.world.recorded(RestoreCompleted)) == 1
    assert any(name.startswith("pre_restore") for name in offsite.world.files())
    assert offsite.world.staged() == []


def test_a_destination_that_is_removed_ends_its_fetches_and_keeps_its_copies(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are detached: there, and not restored from until the destination is added again."""
    backup, nas, world = offsite.backup("one"), offsite.nas, offsite.world
    offsite.copy(backup)

    def removing(job: FetchJob, *_: object) -> FetchResult:
        result = fetch_copy(open_store(job.url), job, nothing)
        remove_destination(world.site, world.context(), nas)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "run_fetch", removing)
        with pytest.raises(CopyUnknown, match="when its destination 'nas' was removed"):
            restore(offsite, to=tmp_path / "look.db")
    assert [each.error_type for each in world.recorded(CopyNotFetched)] == ["removed"]
    assert world.recorded(CopyFetched) == []
    assert world.staged() == []
    (placed,) = placed_copies(world.site, backup)
    assert (placed.destination.name, placed.copy.status) == ("nas", "detached")
    with pytest.raises(CopyUnknown, match="has no good copy anywhere"):
        restore(offsite, to=tmp_path / "look.db")
    offsite.add()
    assert [each.copy.status for each in placed_copies(world.site, backup)] == ["ok"]
    restore(offsite, to=tmp_path / "look.db")


def test_a_copy_is_restored_elsewhere_without_touching_the_database(
    offsite: Offsite, tmp_path: Path
) -> None:
    offsite.copy(offsite.backup("one"))
    before = titles_in(offsite.world.database)
    add_case(offsite.world.database, "after")
    restore(offsite, to=tmp_path / "look.db", destination="nas")
    assert titles_in(tmp_path / "look.db") == before
    assert titles_in(offsite.world.database) == [*before, "after"]


def test_an_identity_that_does_not_fit_changes_nothing(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    before = titles_in(offsite.world.database)
    for identities in ([new_identity()], []):
        with pytest.raises(WrongKey):
            restore(offsite, identities=identities)
    assert titles_in(offsite.world.database) == before
    assert [each.error_type for each in offsite.world.recorded(CopyNotFetched)] == ["WrongKey"] * 2
    assert offsite.world.staged() == []


def test_a_manifest_of_another_copy_is_refused(offsite: Offsite) -> None:
    """Swapped by whoever can write there: the ledger names each manifest by its digest."""
    one, two = offsite.copy(offsite.backup("one")), offsite.copy(offsite.backup("two"))
    other = offsite.store.get(manifest_path(two.copy_id))
    offsite.store.put(manifest_path(one.copy_id), other)
    with pytest.raises(RepositoryDamaged, match="not the manifest"):
        restore(offsite)


def test_a_forged_pack_is_refused(offsite: Offsite) -> None:
    """Anybody can encrypt to a public key; nobody can make it have the recorded name."""
    offsite.copy(offsite.backup("one"))
    (pack,) = offsite.objects("packs/")
    offsite.store.put(pack, spoiled(offsite.store.get(pack)))
    with pytest.raises(RepositoryDamaged, match="SHA-256"):
        restore(offsite)


def test_the_plan_says_what_is_fetched(offsite: Offsite) -> None:
    copy = offsite.copy(offsite.backup("one"))
    plan = plan_fetch(offsite.world.site, offsite.nas, copy)
    assert plan.bytes == sum(each.size for each in offsite.store.list("packs/"))
    assert plan.requests == 3


def test_what_has_no_copy_is_said(offsite: Offsite) -> None:
    offsite.backup("one")
    with pytest.raises(CopyUnknown, match="no good copy"):
        restore(offsite)
    with pytest.raises(BackupNotFound):
        restore(offsite, "never.db")


def test_a_restore_that_was_cut_short_receives_only_the_rest(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had received waits, sealed, beside the index; then nothing of it is left."""
    offsite.copy(offsite.backup("one"))
    offsite.world.database.write_bytes(b"")
    with monkeypatch.context() as patched:
        patched.setattr(fetching, "run_fetch", killed_after_receiving)
        patched.setattr(ReceivedPacks, "clear", lambda _packs: None)
        with pytest.raises(KeyboardInterrupt):
            restore(offsite)
    kept = offsite.world.backups / ".offsite" / offsite.nas.repository_id / "fetched"
    (pack,) = kept.glob("*/*")
    assert pack.read_bytes().startswith(b"age-encryption.org")
    for path in offsite.objects("packs/"):
        offsite.store.delete(path)
    restore(offsite)
    assert not list(kept.glob("*/*"))
