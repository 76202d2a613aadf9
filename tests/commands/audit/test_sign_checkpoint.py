"""Signing, keeping copies outside, and the scheduler that signs by itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from commands.audit.export import NothingToExport, export_evidence
from commands.audit.keys import make_key, parse_public_key, read_private_key
from commands.audit.prove import NoSuchPosition, prove
from commands.audit.sign_checkpoint import AutomaticCheckpoints, CopyDiffers, sign_checkpoint
from commands.errors import CommandError, InvalidArgument, TargetExists
from commands.scheduler.checks import Checks
from commands.sqlite.errors import FileInTheWay
from ledger.append.tables import checkpoints
from ledger.errors import LedgerBroken
from ledger.events.scheduling import CheckFailed
from ledger.evidence.bundle import Choice
from ledger.tree import checkpoint as tree
from ledger.tree.checkpoint import open_checkpoint
from ledger.tree.signed_note import SignatureType, generate_key
from ledger.verify.verify import verify
from tests.commands.world import World

MakeWorld = Callable[..., World]
NAME = "example.com/backups"


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.key"
    make_key(NAME, path)
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.fixture
def signing(make_world: MakeWorld, key_path: Path, outside: Path) -> World:
    """A world whose scheduler signs every ten minutes, with copies outside."""
    return make_world(
        checkpoint_key=key_path, checkpoint_interval_minutes=10, checkpoint_folder=outside
    )


def kept(world: World) -> int:
    with world.site.ledger.engine.connect() as connection:
        counted: int = connection.execute(select(func.count(checkpoints.c.id))).scalar_one()
        return counted


def failures(world: World) -> list[str | None]:
    recorded = world.site.ledger.recorded()
    return [
        each.event.error_message for each in recorded if isinstance(each.event.details, CheckFailed)
    ]


def test_a_check_signs_what_it_recorded(signing: World, key_path: Path, outside: Path) -> None:
    """Kept in the ledger, and the same bytes outside."""
    signing.configure()
    Checks(signing.site).check()
    [copy] = outside.iterdir()
    size = signing.site.ledger.log_recorder.head().size
    opened = open_checkpoint(copy.read_bytes(), read_private_key(key_path).verifier())
    assert opened.checkpoint.size == size
    assert copy.name.endswith(f"_{size:019d}.checkpoint")
    assert kept(signing) == 1


def test_it_signs_at_most_once_an_interval_and_only_what_is_new(signing: World) -> None:
    """Not at every check, and not the same head twice."""
    signing.configure()
    checks = Checks(signing.site)
    checks.check()
    signing.advance(minutes=9)
    signing.configure(keep_count=3)
    checks.check()
    assert kept(signing) == 1
    signing.advance(minutes=1)
    checks.check()
    assert kept(signing) == 2
    signing.advance(hours=1)
    checks.check()
    assert kept(signing) == 2


def test_the_interval_outlives_the_process(signing: World) -> None:
    """`run --once` from cron does not sign every minute either."""
    signing.configure()
    assert AutomaticCheckpoints(signing.site).sign_when_due() is not None
    signing.advance(minutes=5)
    signing.configure(keep_count=3)
    signing.reopen()
    assert AutomaticCheckpoints(signing.site).sign_when_due() is None
    signing.advance(minutes=5)
    assert AutomaticCheckpoints(signing.site).sign_when_due() is not None


def test_a_clock_that_was_set_back_does_not_stop_the_signing(signing: World) -> None:
    """The newest checkpoint seems to be of the future; it is time, then."""
    signing.configure()
    AutomaticCheckpoints(signing.site).sign_when_due()
    signing.advance(days=-30)
    signing.configure(keep_count=3)
    signing.reopen()
    assert AutomaticCheckpoints(signing.site).sign_when_due() is not None


def test_without_a_key_nothing_is_signed(world: World) -> None:
    """And an empty ledger neither."""
    world.configure()
    assert AutomaticCheckpoints(world.site).sign_when_due() is None
    assert kept(world) == 0


def test_an_empty_ledger_is_not_signed_by_itself(signing: World) -> None:
    """There is nothing to say yet: not even a database was registered."""
    site = signing.open(database=None, backups=signing.backups)
    assert site.ledger.log_recorder.head().size == 0
    assert AutomaticCheckpoints(site).sign_when_due() is None
    assert kept(signing) == 0


def test_a_failure_is_recorded_and_stops_no_backup(
    make_world: MakeWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once an interval, not at every check: the ledger must not fill with it."""
    world = make_world(checkpoint_key=tmp_path / "nothing", checkpoint_interval_minutes=10)
    world.configure(backup_time="00:30")
    world.advance(hours=1)
    with caplog.at_level(logging.CRITICAL, logger="backup_ledger"):
        checks = Checks(world.site)
        report = checks.check()
        assert (report.completed, report.failed) == (1, 0)
        for _ in range(5):
            world.advance(minutes=1)
            checks.check()
        assert len(failures(world)) == 1
        world.advance(minutes=5)
        checks.check()
    first, second = failures(world)
    assert first == second
    assert first is not None
    assert "nothing cannot be read" in first


def test_a_rewritten_ledger_is_caught_by_the_copy_outside(
    signing: World, key_path: Path, outside: Path
) -> None:
    """Even where the checkpoints in the ledger are gone: nothing is signed."""
    signing.configure()
    key = read_private_key(key_path)
    site = signing.site
    sign_checkpoint(site.ledger.engine, key, site.clock, outside)
    other = World(signing.folder.parent / "other", signing.clock)
    other.folder.mkdir()
    other.database.write_bytes(signing.database.read_bytes())
    other.configure(keep_count=9)
    other.configure(keep_count=10)
    try:
        with pytest.raises(LedgerBroken, match="does not continue"):
            sign_checkpoint(other.site.ledger.engine, key, other.clock, outside)
        assert kept(other) == 0
        assert len(list(outside.iterdir())) == 1
    finally:
        other.close()


def test_a_copy_outside_that_was_changed_is_not_signed_over(
    signing: World, key_path: Path, outside: Path
) -> None:
    """The signer trusts only what it signed."""
    signing.configure()
    key, site = read_private_key(key_path), signing.site
    sign_checkpoint(site.ledger.engine, key, site.clock, outside)
    [copy] = outside.iterdir()
    copy.write_bytes(copy.read_bytes().replace(b"\n2\n", b"\n3\n"))
    signing.configure(keep_count=2)
    with pytest.raises(LedgerBroken, match="not signed by"):
        sign_checkpoint(site.ledger.engine, key, site.clock, outside)
    assert kept(signing) == 1


def test_a_copy_that_got_lost_is_written_again(
    signing: World, key_path: Path, outside: Path
) -> None:
    """Signing again costs nothing and makes no second row."""
    signing.configure()
    key, site = read_private_key(key_path), signing.site
    first = sign_checkpoint(site.ledger.engine, key, site.clock, outside)
    [copy] = outside.iterdir()
    copy.unlink()
    assert sign_checkpoint(site.ledger.engine, key, site.clock, outside).note == first.note
    assert copy.read_bytes() == first.note
    assert kept(signing) == 1


def test_another_file_under_a_copys_name_is_left_alone(
    signing: World, key_path: Path, outside: Path
) -> None:
    """Two ledgers with one key and one size: that is for a person."""
    signing.configure()
    key, site = read_private_key(key_path), signing.site
    first = sign_checkpoint(site.ledger.engine, key, site.clock)
    name = f"{key.verifier().key_id.hex()}_{first.checkpoint.size:019d}.checkpoint"
    other = tree.sign_checkpoint(replace(first.checkpoint, extensions=("another",)), key)
    (outside / name).write_bytes(other)
    with pytest.raises(CopyDiffers, match="two histories"):
        sign_checkpoint(site.ledger.engine, key, site.clock, outside)
    assert (outside / name).read_bytes() == other


def test_a_folder_outside_that_is_gone_is_an_error(
    signing: World, key_path: Path, outside: Path
) -> None:
    """An unmounted folder must not pass for one without checkpoints."""
    signing.configure()
    outside.rmdir()
    site = signing.site
    with pytest.raises(CommandError, match="cannot be read"):
        sign_checkpoint(site.ledger.engine, read_private_key(key_path), site.clock, outside)
    assert kept(signing) == 0


def test_a_new_key_with_a_new_name_continues_the_ledger(
    signing: World, key_path: Path, tmp_path: Path
) -> None:
    """Both signers' checkpoints are of one history; verification knows one key at a time."""
    signing.configure()
    site = signing.site
    sign_checkpoint(site.ledger.engine, read_private_key(key_path), site.clock)
    new = generate_key("example.com/backups-2026")
    sign_checkpoint(site.ledger.engine, new, site.clock)
    report = verify(site.ledger.engine, public_keys=[new.verifier()])
    assert report.ok
    assert any("signatures of 1 checkpoints" in each for each in report.not_checked)


def test_prove_signs_and_leads_to_the_head(signing: World, key_path: Path) -> None:
    """Every position; none beyond."""
    for keep_count in range(1, 6):
        signing.configure(keep_count=keep_count)
    key, site = read_private_key(key_path), signing.site
    for position in range(1, 7):
        found = prove(site.ledger.engine, position, key, site.clock)
        found.proof.verify(found.leaf_hash, key.verifier())
    for position in (-1, 0, 7, 2**63 - 1):
        with pytest.raises(NoSuchPosition, match=f"no position {position};"):
            prove(site.ledger.engine, position, key, site.clock)


def test_an_export_that_fails_leaves_neither_bundle_nor_event(
    signing: World, key_path: Path, tmp_path: Path
) -> None:
    """No staging folder either."""
    signing.configure()
    key, site = read_private_key(key_path), signing.site
    head = site.ledger.log_recorder.head()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(NothingToExport):
        export_evidence(site, signing.context(), tmp_path / "out", Choice(user="9"), key)
    with pytest.raises(TargetExists):
        export_evidence(site, signing.context(), key_path, Choice(), key)
    assert sorted(os.listdir(tmp_path)) == before
    assert site.ledger.log_recorder.head() == head


def test_a_bundle_is_private(signing: World, key_path: Path, tmp_path: Path) -> None:
    """It holds other people's data: 0600 and 0700."""
    signing.configure()
    key = read_private_key(key_path)
    done = export_evidence(signing.site, signing.context(), tmp_path / "out", Choice(), key)
    assert done.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in done.path.iterdir()} == {0o600}
    done = export_evidence(signing.site, signing.context(), tmp_path / "o.zip", Choice(), key)
    assert done.path.stat().st_mode & 0o777 == 0o600


def test_keys_are_never_overwritten(key_path: Path) -> None:
    """A lost private key cannot be made again."""
    before = key_path.read_bytes()
    with pytest.raises(FileInTheWay):
        make_key(NAME, key_path)
    assert key_path.read_bytes() == before


def test_keys_of_witnesses_do_not_sign_ledgers(tmp_path: Path) -> None:
    """Nor are they taken for a ledger's public key."""
    witness = generate_key("witness", None, SignatureType.COSIGNATURE)
    path = tmp_path / "witness.key"
    path.write_text(witness.to_text())
    with pytest.raises(InvalidArgument, match="witness"):
        read_private_key(path)
    with pytest.raises(InvalidArgument, match="witness"):
        parse_public_key(witness.verifier().to_text())
