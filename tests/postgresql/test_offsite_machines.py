"""Two machines with one ledger and a destination that both copy to: each has its own backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.errors import BackupNotFound
from commands.offsite.copy_all import copy_missing
from commands.offsite.status import destination_statuses
from commands.offsite.upkeep.repair import repair_copies
from commands.offsite.verify import verify_copies
from commands.restore.from_copy import restore_from_copy
from commands.site.configuration import Configuration
from commands.site.opening import begin
from commands.site.site import Site
from tests.commands.offsite.conftest import IDENTITIES, Offsite, spoiled
from tests.commands.world import World, titles_in


def missing(site: Site) -> list[str]:
    (status,) = destination_statuses(site)
    return [each.filename for each in status.missing]


def test_each_copies_its_own_backups_and_reads_the_others(served: World, tmp_path: Path) -> None:
    key = tmp_path / "checkpoint.key"
    make_key("example.com/both", key)
    served.close()
    served.options |= {"checkpoint_key": key}
    offsite = Offsite(served, tmp_path / "nas")
    here = served.open()
    options = served.options | {"backups": served.folder / "there"}
    begin(Configuration(database=served.database, **options), served.clock, new=True)
    there = served.open("act", **options)
    offsite.add()
    for site, name in ((here, "here"), (there, "there")):
        take_backup(site, served.context(), filename=name)
    there.catch_up()
    assert (missing(here), missing(there)) == (["here.db"], ["there.db"])

    context = served.context()
    with pytest.raises(BackupNotFound, match="in another backups folder of this ledger"):
        copy_missing(here, context, names=["there.db"])
    first = copy_missing(here, context)
    second = copy_missing(there, context)
    assert [each.backup.filename for each in (*first, *second)] == ["here.db", "there.db"]
    assert [each.error for each in (*first, *second)] == [None, None]
    assert (missing(here), missing(there)) == ([], [])

    before = titles_in(served.database)
    restore_from_copy(
        here,
        context,
        "there.db",
        destination="nas",
        identities=IDENTITIES[:1],
        to=tmp_path / "back.db",
    )
    assert titles_in(tmp_path / "back.db") == before

    for path in offsite.objects("packs/"):
        offsite.store.put(path, spoiled(offsite.store.get(path)))
    checked = list(verify_copies(here, context, offsite.nas, "digest"))
    assert all(each.problem for each in checked)
    repaired = {each.corrupt.filename: each for each in repair_copies(here, context, offsite.nas)}
    assert repaired["here.db"].made is not None
    assert "repair it from there" in str(repaired["there.db"].reason)
    (left,) = [each for each in repair_copies(there, context, offsite.nas) if each.made]
    assert left.corrupt.filename == "there.db"
