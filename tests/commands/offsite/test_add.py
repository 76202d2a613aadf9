"""Adding a destination: whose place it is, and who can read what goes there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.offsite.add import add_destination
from commands.offsite.errors import (
    DestinationConflict,
    DestinationRefused,
    DestinationUnreachable,
    RepositoryForked,
    WrongKey,
)
from commands.offsite.repository.layout import reader_bytes
from commands.offsite.repository.seal import Opener
from ledger.events.offsite import DestinationAdded
from tests.commands.offsite.conftest import IDENTITIES, RECIPIENTS, MakeOffsite, Offsite


def test_the_repository_says_what_it_is_and_nobodys_keys(offsite: Offsite) -> None:
    """Fingerprints under a random salt; the reader and plain words beside them."""
    about = json.loads(offsite.store.get("repository.json"))
    assert about["format"] == 1
    assert about["ledger_id"] == offsite.world.site.ledger.meta.ledger_id
    assert about["repository_id"] == offsite.nas.repository_id
    assert len(set(about["recipients"])) == 2
    assert not any(each.encode() in offsite.store.get("repository.json") for each in RECIPIENTS)
    assert offsite.store.get("restore.py") == reader_bytes()
    assert b"age" in offsite.store.get("README.txt")
    assert offsite.objects("probe/") == []


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"recipients": ()}, DestinationRefused, "to whom"),
        ({"recipients": RECIPIENTS[:1]}, DestinationRefused, "one lost key"),
        ({"recipients": RECIPIENTS[:1] * 2}, DestinationRefused, "twice"),
        ({"clear": True}, DestinationRefused, "--clear encrypts nothing"),
        ({"identities": IDENTITIES[:1]}, WrongKey, "not proved"),
        ({"name": "a b"}, DestinationRefused, "not a valid destination name"),
    ],
)
def test_what_is_refused_leaves_no_repository(
    make_offsite: MakeOffsite, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    offsite = make_offsite()
    with pytest.raises(error, match=said):
        offsite.add(**changes)
    assert not (offsite.folder / "repository.json").exists()
    assert offsite.world.recorded(DestinationAdded) == []


def test_without_a_checkpoint_key_there_is_no_destination(
    make_offsite: MakeOffsite,
) -> None:
    """The ledger goes along, signed."""
    offsite = make_offsite()
    offsite.world.open(checkpoint_key=None)
    with pytest.raises(DestinationRefused, match="audit keygen"):
        offsite.add()


@pytest.mark.parametrize("below", ["", "/inner", "/.."])
def test_a_place_within_or_around_another_destinations_is_refused(
    offsite: Offsite, below: str
) -> None:
    url = f"file://{offsite.folder}{below}" if below != "/.." else f"file://{offsite.folder.parent}"
    with pytest.raises(DestinationConflict, match="is inside"):
        offsite.add(name="other", url=url)


def test_another_ledgers_repository_is_refused(offsite: Offsite, make_offsite: MakeOffsite) -> None:
    other = make_offsite("other")
    with pytest.raises(RepositoryForked, match="another ledger"):
        other.add(url=f"file://{offsite.folder}")


def test_another_tools_folder_is_refused(make_offsite: MakeOffsite) -> None:
    offsite = make_offsite()
    offsite.folder.mkdir()
    (offsite.folder / "precious.txt").write_text("mine")
    with pytest.raises(DestinationConflict, match=r"precious\.txt"):
        offsite.add()
    assert [path.name for path in offsite.folder.iterdir()] == ["precious.txt"]


def test_a_folder_is_made_only_in_one_that_is_there(offsite: Offsite, tmp_path: Path) -> None:
    """A typing error would begin a destination on the wrong disk."""
    missing = tmp_path / "mnt" / "nsa"
    with pytest.raises(DestinationUnreachable, match=f"there is no folder {tmp_path}/mnt"):
        offsite.add(name="other", url=f"file://{missing}/app")
    assert not (tmp_path / "mnt").exists()


def test_a_copied_repository_is_not_another_destination(offsite: Offsite, tmp_path: Path) -> None:
    """A mirror has the id of what it mirrors."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "repository.json").write_bytes(offsite.store.get("repository.json"))
    with pytest.raises(DestinationConflict, match="a mirror of it"):
        offsite.add(name="mirror", url=f"file://{mirror}")


def test_a_repository_of_a_newer_format_is_refused(make_offsite: MakeOffsite) -> None:
    offsite = make_offsite()
    offsite.folder.mkdir()
    (offsite.folder / "repository.json").write_text('{"format":2}')
    with pytest.raises(Exception, match="update backup-ledger"):
        offsite.add()


def test_a_recipient_is_proved_by_a_code_that_is_decrypted_elsewhere(
    make_offsite: MakeOffsite,
) -> None:
    """No identity comes to this machine; a wrong code proves nothing."""
    offsite = make_offsite()
    wanted, world = offsite.wanted(identities=()), offsite.world

    def elsewhere(recipient: str, path: str) -> str:
        identity = IDENTITIES[RECIPIENTS.index(recipient)]
        return Opener([identity]).open(offsite.store.get(path), path).decode()

    with pytest.raises(WrongKey, match="not the code"):
        add_destination(world.site, world.context(), wanted, lambda *_: "00000000")
    added = add_destination(world.site, world.context(), wanted, elsewhere)
    assert added.proved == list(RECIPIENTS)
    assert offsite.objects("probe/") == []


def test_a_clear_destination_has_to_be_asked_for_and_says_so(make_offsite: MakeOffsite) -> None:
    """Equal content never has an equal name."""
    offsite = make_offsite()
    offsite.add(clear=True, recipients=(), identities=())
    assert [each.clear for each in offsite.world.recorded(DestinationAdded)] == [True]
    first = offsite.copy(offsite.backup("one"))
    assert first.readable_by == []
    (pack,) = offsite.objects("packs/")
    offsite.store.delete(pack)
    offsite.copy(offsite.backup("two"))
    assert offsite.objects("packs/") != [pack]
