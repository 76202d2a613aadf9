"""What deletes and what repairs off-site, from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from tests.acceptance.place import Place
from tests.acceptance.test_offsite_commands import add, keyed  # noqa: F401  (a fixture)
from tests.commands.offsite.conftest import spoiled
from tests.commands.world import add_case


@pytest.fixture
def copied(keyed: Place) -> tuple[Place, list[str]]:  # noqa: F811
    """Three copies, and the identities that read them."""
    keys = add(keyed, "--keep", "1")
    for name in ("two", "three"):
        add_case(keyed.database, name * 100)
        keyed.done("backup", "create", name)
    keyed.done("offsite", "copy")
    return keyed, keys


def test_old_copies_are_condemned_then_deleted(copied: tuple[Place, list[str]]) -> None:
    """A dry run says it first; `status` says what goes, and when."""
    place, _keys = copied
    (planned,) = place.json("offsite", "collect", "--dry-run")
    assert planned["dry_run"]
    assert [each["filename"] for each in planned["condemned_copies"]] == ["one.db", "two.db"]
    assert "would be condemned" in place.done("offsite", "collect", "--dry-run").out
    said = place.done("offsite", "collect", "--to", "nas").out
    assert "one.db condemned (retention)" in said
    (status,) = place.json("offsite", "status")
    assert (status["copies"], status["condemned_copies"]) == (1, 2)
    assert status["append_only"] is False
    assert "2 copies and" in place.done("offsite", "status").out
    with freeze_time(datetime.now(UTC) + timedelta(hours=25), tick=True):
        (done,) = place.json("offsite", "collect")
        assert (done["deleted_copies"], done["problem"]) == (2, None)
        assert "nothing to delete" in place.done("offsite", "collect").out
        (status,) = place.json("offsite", "status")
    assert (status["copies"], status["condemned_copies"], status["condemned_packs"]) == (1, 0, 0)


def test_settings_are_shown_and_taken_back(copied: tuple[Place, list[str]]) -> None:
    place, _keys = copied
    place.done("offsite", "set", "nas", "--keep", "7", "--keep-daily", "30", "--lock-days", "30")
    shown = place.json("offsite", "show", "nas")
    assert shown["settings"] == {"keep": 7, "keep_daily": 30}
    assert shown["stated"] == {"lock_days": 30}
    refused = place.run("offsite", "set", "nas", "--keep", "0")
    assert (refused.code, "give --keep N as well" in refused.err) == (2, True)
    place.done("offsite", "set", "nas", "--keep", "0", "--keep-daily", "0")
    assert "every copy is kept" in place.done("offsite", "show", "nas").out


def test_a_recipient_comes_and_another_one_goes(copied: tuple[Place, list[str]]) -> None:
    place, _keys = copied
    key = place.folder / "third.txt"
    third = place.done("offsite", "keygen", "--out", str(key)).out.splitlines()[-1]
    unproved = place.run("offsite", "recipients", "nas", "add", third)
    assert (unproved.code, "was not proved" in unproved.err) == (2, True)
    added = place.json("offsite", "recipients", "nas", "add", third, "--identity", str(key))
    first = added["recipients"][0]
    needed = place.run("offsite", "recipients", "nas", "remove", first)
    assert (needed.code, "make a new backup and copy it first" in needed.err) == (5, True)
    add_case(place.database, "four")
    place.done("backup", "create", "four")
    (copy,) = place.json("offsite", "copy")
    assert copy["new_pages"] == copy["pages"]
    left = place.json("offsite", "recipients", "nas", "remove", first)
    assert left["recipients"] == added["recipients"][1:]


def test_a_damaged_copy_is_repaired(copied: tuple[Place, list[str]]) -> None:
    place, _keys = copied
    assert "No damaged copy" in place.done("offsite", "repair").out
    for pack in (place.folder / "nas" / "packs").glob("*/*"):
        pack.write_bytes(spoiled(pack.read_bytes()))
    assert place.run("offsite", "verify", "--level", "digest").code == 3
    (place.backups / "one.db").unlink()
    ended = place.run("offsite", "repair", "--json")
    assert ended.code == 3
    repaired = {each["filename"]: each["repaired_by"] is not None for each in ended.json}
    assert repaired == {"one.db": False, "two.db": True, "three.db": True}
    place.run("offsite", "verify", "--level", "digest")
    assert (place.json("offsite", "status")[0]["copies"]) == 2


def test_an_index_is_made_again(copied: tuple[Place, list[str]]) -> None:
    place, keys = copied
    for each in place.backups.glob(".offsite/*/index.sqlite*"):
        each.unlink()
    (found,) = place.json("offsite", "reindex", "--identity", keys[0])
    assert found["packs"] > 0
    assert found["problems"] == []
    assert place.done("offsite", "reindex", "--identity", keys[0]).out.startswith("nas: 0 packs")


def test_where_every_copy_is_known_there_is_nothing_to_adopt(
    copied: tuple[Place, list[str]],
) -> None:
    place, keys = copied
    assert "is known" in place.done("offsite", "adopt", "--identity", keys[0]).out
    unknown = place.folder / "nas/copies/00000000-0000-4000-8000-00000000abcd"
    unknown.write_bytes(b"nonsense")
    refused = place.run("offsite", "collect")
    assert (refused.code, "offsite adopt" in refused.err) == (5, True)
    ended = place.run("offsite", "adopt", "--identity", keys[0], "--json")
    assert (ended.code, ended.json[0]["filename"]) == (3, None)


def test_the_ledger_is_published_for_others(copied: tuple[Place, list[str]]) -> None:
    place, _keys = copied
    log = place.folder / "log"
    published = place.json("ledger", "publish", str(log))
    assert (log / "checkpoint").is_file()
    assert published["size"] > 0
    refused = place.run("ledger", "publish", str(place.folder / "nas"))
    assert (refused.code, "off-site repository" in refused.err) == (5, True)
    half = place.run("ledger", "publish", str(log), "--sealed")
    assert (half.code, "go together" in half.err) == (2, True)


def test_a_recovery_is_held_to_a_kept_checkpoint(copied: tuple[Place, list[str]]) -> None:
    place, keys = copied
    kept = place.folder / "kept.checkpoint"
    add_case(place.database, "more")
    place.done("backup", "create", "more")
    log = place.folder / "log"
    place.done("ledger", "publish", str(log))
    kept.write_bytes((log / "checkpoint").read_bytes())
    arguments = [
        "offsite", "recover", f"file://{place.folder}/nas", "--identity", keys[0],
        "--into", str(place.folder / "new"),
    ]  # fmt: skip
    refused = place.run(*arguments, "--checkpoint", str(kept))
    assert (refused.code, "an older state was put there" in refused.err) == (5, True)
    assert not (place.folder / "new").exists()
    place.done(*arguments)
    on_the_new = ("--ledger", f"sqlite:///{place.folder}/new/ledger.sqlite", "--backups",
                  str(place.folder / "new"))  # fmt: skip
    listed = place.run(*on_the_new, "backup", "list").out
    assert "restore three.db --from" in listed
    for name in ("three", "three.db", "latest"):
        back = place.folder / f"back-{name}.db"
        fetched = ("--from", "nas", "--identity", keys[0], "--to", str(back))
        place.done(*on_the_new, "backup", "restore", name, *fetched)
        assert back.read_bytes()[:15] == b"SQLite format 3"


def test_a_copied_ledger_reads_only_until_it_is_attached(
    copied: tuple[Place, list[str]],
) -> None:
    place, _keys = copied
    place.done("ledger", "copy", str(place.ledger), str(place.folder / "copy.sqlite"))
    refused = place.run("offsite", "copy", "--to", "nas")
    assert (refused.code, "offsite attach nas" in refused.err) == (5, True)
    place.done("offsite", "attach", "nas")
    place.done("offsite", "copy", "--to", "nas")
