"""Publishing the ledger by itself: byte for byte C2SP tlog-tiles, or sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.audit.keys import read_private_key
from commands.errors import InvalidArgument
from commands.offsite.errors import DestinationConflict, RepositoryForked
from commands.offsite.log.plain import publish_log
from commands.offsite.repository.seal import AGE_BEGINNING, Opener
from ledger.append.reading import read_records
from ledger.tree.checkpoint import open_checkpoint
from ledger.tree.tiles import decode_bundle
from tests.commands.offsite.conftest import IDENTITIES, RECIPIENTS, MakeOffsite, Offsite


def publish(offsite: Offsite, folder: Path, **options: object) -> int:
    return publish_log(offsite.world.site, str(folder), **options)  # type: ignore[arg-type]


def test_whoever_reads_there_gets_every_record_and_a_signed_checkpoint(
    make_offsite: MakeOffsite, tmp_path: Path
) -> None:
    offsite, folder = make_offsite(), tmp_path / "log"
    site = offsite.world.site
    offsite.backup("one")
    size = publish(offsite, folder)
    key = site.configuration.checkpoint_key
    assert key is not None
    signed = open_checkpoint((folder / "checkpoint").read_bytes(), read_private_key(key).verifier())
    assert signed.checkpoint.size == size == site.ledger.log_recorder.head().size
    with site.ledger.engine.connect() as connection:
        records = [row.record for row in read_records(connection)]
    bundle = (folder / f"tile/entries/000.p/{size}").read_bytes()
    assert decode_bundle(bundle) == records


def test_called_again_it_adds_what_came_since(make_offsite: MakeOffsite, tmp_path: Path) -> None:
    offsite, folder = make_offsite(), tmp_path / "log"
    first = publish(offsite, folder)
    for number in range(260):
        offsite.world.configure(1, keep_count=number % 20 + 1)
    second = publish(offsite, folder)
    assert second > 256 > first
    assert (folder / "tile/entries/000").is_file()
    assert not list((folder / "tile/entries").glob("000.p/*"))
    assert publish(offsite, folder) == second


def test_sealed_only_a_key_reads_the_records(make_offsite: MakeOffsite, tmp_path: Path) -> None:
    offsite, folder = make_offsite(), tmp_path / "log"
    size = publish(offsite, folder, recipients=RECIPIENTS[:1])
    sealed = (folder / f"tile/entries/000.p/{size}").read_bytes()
    assert sealed.startswith(AGE_BEGINNING)
    assert len(decode_bundle(Opener(IDENTITIES[:1]).open(sealed, "it"))) == size


def test_what_belongs_to_others_is_left_alone(offsite: Offsite, tmp_path: Path) -> None:
    """A folder with something in it, a repository of copies, another ledger's log."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(DestinationConflict, match=r"cat\.jpg"):
        publish(offsite, folder)
    with pytest.raises(DestinationConflict, match="an off-site repository"):
        publish(offsite, offsite.folder)
    assert list(folder.iterdir()) == [folder / "cat.jpg"]


def test_another_history_is_not_overwritten(make_offsite: MakeOffsite, tmp_path: Path) -> None:
    one, other, folder = make_offsite("one"), make_offsite("other"), tmp_path / "log"
    publish(one, folder)
    before = (folder / "checkpoint").read_bytes()
    for _ in range(5):
        other.world.configure(1)
    with pytest.raises(RepositoryForked):
        publish(other, folder)
    assert (folder / "checkpoint").read_bytes() == before


def test_nothing_is_published_unsigned(make_offsite: MakeOffsite, tmp_path: Path) -> None:
    offsite = make_offsite()
    site = offsite.world.open(checkpoint_key=None)
    with pytest.raises(InvalidArgument, match="--key FILE"):
        publish_log(site, str(tmp_path / "log"))
    assert not (tmp_path / "log").exists()
