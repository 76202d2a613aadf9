"""Erased records off-site: empty entries, a list of them, and a bare machine that gets no more."""

from __future__ import annotations

from pathlib import Path

from commands.backups.hold import place_hold
from commands.erasure.find import Person
from commands.erasure.redact import Wanted, erase, plan_of
from commands.offsite.destinations import find_destination
from commands.offsite.publish import publish_ledger
from commands.offsite.recover import recover_ledger
from commands.site.configuration import sqlite_url
from ledger.append.database import open_engine
from ledger.events.catalog import HoldPlaced
from ledger.records.record import Actor
from ledger.tree.tiles import decode_bundle
from ledger.verify.verify import verify
from tests.commands.offsite.conftest import Offsite

ANNA = Actor(id="anna-of-the-archive", kind="operator")


def erase_anna(offsite: Offsite) -> int:
    """Erase what she did; the position of the first."""
    site = offsite.world.site
    wanted = Wanted.checked("article 17", "DSR-1", person=Person(actor=ANNA.id))
    done = erase(site, offsite.world.context(), wanted, plan_of(site, wanted))
    return done.plan.positions[0]


def test_what_was_published_is_replaced_by_an_empty_entry(offsite: Offsite, tmp_path: Path) -> None:
    """In the bundle that it stood in; `redacted` names its index, its leaf, and who says so."""
    world, site = offsite.world, offsite.world.site
    offsite.add(
        name="open", url=f"file://{tmp_path}/open", clear=True, recipients=(), identities=()
    )
    offsite.backup("one")
    place_hold(site, site.context(ANNA), world.present()[0].filename, "said-by-anna")
    for number in range(260):
        world.configure(1, keep_count=number % 20 + 1)
    publish_ledger(site, find_destination(site, "open"))
    bundle = tmp_path / "open" / "ledger" / "tile" / "entries" / "000"
    assert b"said-by-anna" in bundle.read_bytes()
    position = erase_anna(offsite)
    publish_ledger(site, find_destination(site, "open"))
    entries = decode_bundle(bundle.read_bytes())
    assert len(entries) == 256
    assert [number for number, entry in enumerate(entries) if not entry] == [position - 1]
    folder = tmp_path / "open"
    texts = [path for path in folder.rglob("*") if path.is_file() and b"anna" in path.read_bytes()]
    assert texts == []
    (line,) = (folder / "ledger" / "redacted").read_text().splitlines()
    index, leaf, said_by = line.split(" ")
    (row,) = site.ledger.records(after=position - 1, up_to=position)
    assert (int(index), leaf) == (position - 1, row.leaf_hash.hex())
    assert int(said_by) > int(index)


def test_a_bare_machine_gets_the_ledger_without_what_was_erased(
    offsite: Offsite, tmp_path: Path
) -> None:
    """The same root, the same fold; also where an old bundle could not be replaced."""
    world, site = offsite.world, offsite.world.site
    offsite.add(
        name="open", url=f"file://{tmp_path}/open", clear=True, recipients=(), identities=()
    )
    offsite.backup("one")
    place_hold(site, site.context(ANNA), world.present()[0].filename, "said-by-anna")
    destination = find_destination(site, "open")
    publish_ledger(site, destination)
    erase_anna(offsite)
    size = publish_ledger(site, destination)
    found = recover_ledger(f"file://{tmp_path}/open", tmp_path / "bare", identities=())
    assert found.size == size
    engine = open_engine(sqlite_url(tmp_path / "bare" / "ledger.sqlite"))
    report = verify(engine)
    engine.dispose()
    assert report.findings == ()
    assert report.erased == 1
    assert b"anna" not in (tmp_path / "bare" / "ledger.sqlite").read_bytes()
    assert [each.reason for each in world.recorded(HoldPlaced)] == ["[erased]"]
