"""The chapter on copies elsewhere: the house burns, and a new machine gets everything back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from rich.filesize import decimal

from commands.audit.keys import make_key
from commands.demo.keeping import ANNA
from commands.demo.office import DemoConfiguration, demo_configuration
from commands.demo.proof import DemoFailed
from commands.demo.sample_database import count_rows
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.change import remove_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.destinations import find_destination
from commands.offsite.keys import make_identity, read_identities
from commands.offsite.recover import recover_ledger
from commands.restore.from_copy import restore_from_copy
from commands.site import actors
from commands.site.opening import open_site
from ledger.tree.merkle import Frontier
from projections.queries.catalog import backups_of_store

if TYPE_CHECKING:
    from pathlib import Path

    from commands.demo.narrator import Narrator
    from commands.demo.office import Office
    from commands.offsite.recover import Recovered
    from projections.folds.offsite_copy import OffsiteCopy

PLACE: Final = "elsewhere"
COPIES: Final = 3


def burn_and_recover(office: Office, tell: Narrator) -> None:
    """A destination, a fire, a new machine."""
    tell.chapter("A fire and a new machine")
    keys = office.folder / "two-safe-places"
    keys.mkdir()
    files = [keys / name for name in ("usb-stick.txt", "bank.txt")]
    recipients = tuple(make_identity(each) for each in files)
    identities = [each for file in files for each in read_identities(file)]
    signer = office.folder / "checkpoint.key"
    public_key = make_key("demo.example/office", signer).to_text()
    office.reopen(DemoConfiguration(database=office.database, checkpoint_key=signer))
    url = f"file://{(office.folder / PLACE).absolute()}"
    wanted = NewDestination(url, PLACE, recipients, tuple(identities))
    add_destination(office.site, office.site.context(actors.operator()), wanted)
    tell.say(
        f"Backups in the same building burn with it. So {COPIES} of Anna's are copied to {PLACE}/ "
        "(in reality a bucket): encrypted to two keys that this machine does not have, and only "
        "the pages that are not there yet."
    )
    copies = _copy_newest(office, tell)
    tell.bad("Then the building burns: database, backups and ledger.")
    recovered = recover_ledger(
        url, office.folder / "new-machine", identities=identities[:1], public_key=public_key
    )
    _tell_recovered(office, tell, recovered)
    _restore_newest(office, tell, copies[-1], identities[0])
    destination = find_destination(office.site, PLACE)
    remove_destination(office.site, office.site.context(actors.operator()), destination)
    tell.say(
        "(The demo continues on the old machine, so the destination is removed: offsite remove.)"
    )
    office.reopen(demo_configuration(office.folder))


def _copy_newest(office: Office, tell: Narrator) -> list[OffsiteCopy]:
    site = office.site
    with site.read_models.reading() as connection:
        there = backups_of_store(connection, site.store.store_id)
    newest = [each for each in there if each.user_id == ANNA][: 2 * COPIES : 2]
    with tell.waiting("copying"):
        outcomes = copy_missing(
            site, site.context(actors.operator()), names=[each.filename for each in newest]
        )
    copies = [each.copy for each in outcomes if each.copy is not None]
    if len(copies) != len(newest):
        raise DemoFailed(f"a copy was not made: {[str(each.error) for each in outcomes]}")
    tell.table(
        ["backup", "size", "sent", "new pages"],
        [
            [
                each.filename,
                decimal(each.size or 0),
                decimal(each.sent_bytes or 0),
                f"{each.new_pages} of {each.pages}",
            ]
            for each in copies
        ],
        right=["size", "sent", "new pages"],
    )
    return copies


def _tell_recovered(office: Office, tell: Narrator, recovered: Recovered) -> None:
    leaves = [row.leaf_hash for row in office.site.ledger.records(up_to=recovered.size)]
    if Frontier().append_leaves(leaves)[0].root().hex() != recovered.root:
        raise DemoFailed("the recovered ledger has another root; please report this")
    tell.good(
        f"offsite recover, with one key from a safe place: {recovered.size} events are back, "
        "signed, and their root is the one that the burned ledger had."
    )


def _restore_newest(office: Office, tell: Narrator, copy: OffsiteCopy, identity: str) -> None:
    target: Path = office.folder / "new-machine" / "office.db"
    configuration = DemoConfiguration(backups=office.folder / "new-machine")
    with closing(open_site(configuration, "act")) as site:
        restore_from_copy(
            site,
            site.context(actors.operator()),
            copy.filename,
            destination=PLACE,
            identities=[identity],
            to=target,
        )
    with closing(sqlite3.connect(target)) as connection:
        rows = sum(count_rows(connection).values())
    tell.good(f"backup restore {copy.filename} --from {PLACE}: {rows:,} rows are back.")
