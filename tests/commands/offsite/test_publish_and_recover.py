"""The ledger beside the copies, and a bare machine that gets everything back."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.audit.keys import read_private_key
from commands.offsite.change import attach_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.destinations import find_destination
from commands.offsite.errors import (
    DestinationConflict,
    DestinationRefused,
    RepositoryDamaged,
    RepositoryForked,
    WrongKey,
)
from commands.offsite.publish import publish_ledger
from commands.offsite.recover import Recovered, recover_ledger
from commands.offsite.repository.seal import new_identity
from commands.restore.from_copy import restore_from_copy
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from ledger.append.database import open_engine
from ledger.append.leases_and_names import claim_lease
from ledger.append.reading import read_records
from ledger.events.housekeeping import LedgerRecovered
from ledger.tree.signed_note import generate_key
from ledger.tree.tiles import decode_bundle
from ledger.verify.verify import verify
from tests.commands.offsite.conftest import IDENTITIES, Offsite
from tests.commands.world import titles_in


def fill(offsite: Offsite, count: int) -> None:
    """So many records more."""
    world = offsite.world
    for number in range(count):
        world.configure(1, keep_count=number % 20 + 1)


def recovered(offsite: Offsite, into: Path, **changes: object) -> Recovered:
    fields: dict[str, object] = {"identities": IDENTITIES[:1]}
    return recover_ledger(f"file://{offsite.folder}", into, **fields | changes)  # type: ignore[arg-type]


def public_key(offsite: Offsite) -> str:
    key = offsite.world.site.configuration.checkpoint_key
    assert key is not None
    return read_private_key(key).verifier().to_text()


def test_copying_publishes_what_a_stranger_cannot_read(offsite: Offsite) -> None:
    """Tiles, signed checkpoints; the records themselves are sealed."""
    offsite.backup("one")
    copy_missing(offsite.world.site, offsite.world.context())
    paths = offsite.objects("ledger/")
    size = offsite.world.site.ledger.log_recorder.head().size
    assert paths == [
        "ledger/checkpoint",
        f"ledger/checkpoints/{size}",
        f"ledger/tile/0/000.p/{size}",
        f"ledger/tile/entries/000.p/{size}",
    ]
    for each in offsite.store.list():
        assert b"one.db" not in offsite.store.get(each.path)


def test_in_a_clear_destination_the_tiles_are_byte_for_byte_the_specifications(
    offsite: Offsite, tmp_path: Path
) -> None:
    offsite.add(
        name="open", url=f"file://{tmp_path}/open", clear=True, recipients=(), identities=()
    )
    site = offsite.world.site
    destination = find_destination(site, "open")
    size = publish_ledger(site, destination)
    bundle = (tmp_path / "open" / f"ledger/tile/entries/000.p/{size}").read_bytes()
    assert decode_bundle(bundle) == [row.record for row in site.ledger.records()]


def test_whole_tiles_take_the_place_of_partial_ones(offsite: Offsite) -> None:
    """Partial ones go once the whole one is there; old checkpoints stay."""
    site = offsite.world.site
    first = publish_ledger(site, offsite.nas)
    fill(offsite, 300)
    second = publish_ledger(site, offsite.nas)
    assert second > 256
    paths = offsite.objects("ledger/tile/")
    assert "ledger/tile/entries/000" in paths
    assert f"ledger/tile/entries/001.p/{second - 256}" in paths
    assert "ledger/tile/1/000.p/1" in paths
    assert not [each for each in paths if each.startswith("ledger/tile/entries/000.p/")]
    assert offsite.objects("ledger/checkpoints/") == [
        f"ledger/checkpoints/{size}" for size in sorted((first, second), key=str)
    ]


def test_a_bare_machine_gets_the_ledger_and_the_database_back(
    offsite: Offsite, tmp_path: Path
) -> None:
    """The same root; then a backup that nobody has locally is restored from its copy."""
    world = offsite.world
    before = titles_in(world.database)
    offsite.backup("one")
    fill(offsite, 270)
    copy_missing(world.site, world.context())
    root = world.site.ledger.log_recorder.head().frontier.root()
    found = recovered(offsite, tmp_path / "new", public_key=public_key(offsite))
    assert (found.signed, found.destinations) == (True, ["nas"])
    site = open_site(Configuration(backups=tmp_path / "new"), "act")
    try:
        engine = open_engine(site.configuration.ledger_url)
        with engine.connect() as connection:
            later = [each.event_type for each in read_records(connection, after=found.size)]
            assert later == [
                "ledger.clock_jumped",
                "ledger.recovered",
                "backup_offsite.destination_detached",
            ]
        engine.dispose()
        assert found.root == root.hex()
        (fact,) = [
            each.event.details
            for each in site.ledger.recorded(after=found.size)
            if isinstance(each.event.details, LedgerRecovered)
        ]
        assert (fact.size, fact.root) == (found.size, found.root)
        assert not verify(site.ledger.engine).findings
        restore_from_copy(
            site,
            site.context(actors.operator()),
            "one.db",
            destination="nas",
            identities=IDENTITIES[1:],
            to=tmp_path / "back.db",
        )
    finally:
        site.close()
    assert titles_in(tmp_path / "back.db") == before


def test_a_recovered_ledger_only_reads_until_it_is_attached(
    offsite: Offsite, tmp_path: Path
) -> None:
    """The machine that it replaces may still live."""
    world = offsite.world
    offsite.backup("one")
    copy_missing(world.site, world.context())
    recovered(offsite, tmp_path / "new")
    site = open_site(
        Configuration(
            backups=tmp_path / "new", checkpoint_key=world.site.configuration.checkpoint_key
        ),
        "act",
    )
    try:
        context = site.context(actors.operator())
        with pytest.raises(DestinationConflict, match="offsite attach nas"):
            copy_missing(site, context, to="nas")
        assert copy_missing(site, context) == []
        assert attach_destination(site, context, find_destination(site, "nas"))
        publish_ledger(site, find_destination(site, "nas"))
    finally:
        site.close()
    # The old machine, if it lives, notices: both would write one history, and only one may.
    with pytest.raises(RepositoryForked):
        publish_ledger(world.site, offsite.nas)


def test_an_older_ledger_that_was_put_back_writes_nothing(offsite: Offsite) -> None:
    """What is there was written by a later state: it is left alone."""
    world = offsite.world
    offsite.backup("one")
    world.close()
    ledger = world.backups / "ledger.sqlite"
    older = ledger.read_bytes()
    world.open("act")
    copy_missing(world.site, world.context())
    world.close()
    for each in world.backups.glob("ledger.sqlite*"):
        each.unlink()
    ledger.write_bytes(older)
    for each in world.backups.glob("projections.sqlite*"):
        each.unlink()
    site = world.open("act")
    before = [(each.path, each.size) for each in offsite.store.list()]
    (outcome,) = copy_missing(site, world.context())
    assert isinstance(outcome.error, RepositoryForked)
    assert [(each.path, each.size) for each in offsite.store.list()] == before


def test_an_older_checkpoint_put_back_there_does_not_hide_the_newer_one(
    offsite: Offsite, tmp_path: Path
) -> None:
    site = offsite.world.site
    publish_ledger(site, offsite.nas)
    older = offsite.store.get("ledger/checkpoint")
    fill(offsite, 3)
    size = publish_ledger(site, offsite.nas)
    offsite.store.put("ledger/checkpoint", older)
    assert recovered(offsite, tmp_path / "new").size == size


def test_a_checkpoint_whose_records_are_cut_is_passed_over(
    offsite: Offsite, tmp_path: Path
) -> None:
    """The one before it is taken, and what was skipped is said."""
    site = offsite.world.site
    smaller = publish_ledger(site, offsite.nas)
    fill(offsite, 3)
    size = publish_ledger(site, offsite.nas)
    path = f"ledger/tile/entries/000.p/{size}"
    offsite.store.delete(path)
    found = recovered(offsite, tmp_path / "new")
    assert found.size == smaller
    assert len(found.skipped) == 1
    assert not found.signed


def test_a_checkpoint_of_another_key_is_not_believed(offsite: Offsite, tmp_path: Path) -> None:
    publish_ledger(offsite.world.site, offsite.nas)
    stranger = generate_key("example.com/site").verifier().to_text()
    with pytest.raises(RepositoryDamaged, match="no checkpoint"):
        recovered(offsite, tmp_path / "new", public_key=stranger)
    assert not (tmp_path / "new").exists()


def test_without_the_right_identity_nothing_is_made(offsite: Offsite, tmp_path: Path) -> None:
    publish_ledger(offsite.world.site, offsite.nas)
    with pytest.raises(WrongKey):
        recovered(offsite, tmp_path / "new", identities=[new_identity()])
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(DestinationRefused, match="not empty"):
        recovered(offsite, tmp_path / "full")


def test_two_publishers_take_turns(offsite: Offsite) -> None:
    site, nas = offsite.world.site, offsite.nas
    with site.ledger.locked() as locked:
        name = f"publish/{nas.repository_id}"
        assert claim_lease(locked.connection, name, "another", site.clock.monotonic(), 300)
    with pytest.raises(DestinationConflict, match="another process"):
        publish_ledger(site, nas)
    offsite.world.advance(seconds=301)
    assert publish_ledger(site, nas) > 0


def test_what_is_configured_here_is_not_about_the_recovered_ledger(
    offsite: Offsite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting for another ledger leads nobody into it."""
    world = offsite.world
    offsite.backup("one")
    copy_missing(world.site, world.context())
    monkeypatch.setenv("BACKUP_LEDGER_LEDGER", str(tmp_path / "another.sqlite"))
    monkeypatch.setenv("BACKUP_LEDGER_DATABASE", str(world.database))
    url = f"file://{offsite.folder}"
    found = recover_ledger(url, tmp_path / "new", identities=IDENTITIES[:1])
    assert found.destinations == ["nas"]
    assert not (tmp_path / "another.sqlite").exists()


def test_a_place_that_moved_is_recorded_where_it_was_found(
    offsite: Offsite, tmp_path: Path
) -> None:
    """The folder is mounted elsewhere on the new machine; its copies are fetched from there."""
    offsite.backup("one")
    copy_missing(offsite.world.site, offsite.world.context())
    place = offsite.folder.rename(tmp_path / "mounted-elsewhere")
    found = recover_ledger(f"file://{place}", tmp_path / "new", identities=IDENTITIES[:1])
    site = open_site(Configuration(backups=found.folder), "act")
    try:
        destination = find_destination(site, found.destinations[0])
        assert (destination.url, destination.status) == (f"file://{place}", "detached")
        assert "url" not in destination.settings
        restore_from_copy(
            site,
            site.context(actors.operator()),
            "one.db",
            destination="nas",
            identities=IDENTITIES[:1],
            to=tmp_path / "back.db",
        )
        assert titles_in(tmp_path / "back.db")
    finally:
        site.close()
