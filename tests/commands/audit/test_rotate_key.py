"""The checkpoint key is replaced without a hole: the old key signs that the new one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.audit.export import export_evidence
from commands.audit.keys import make_key, read_private_key
from commands.audit.rotate_key import Rotated, rotate
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.sqlite.errors import FileInTheWay
from ledger.append.kept_checkpoints import keep_cosigned
from ledger.append.kept_checkpoints import sign_head as _sign_head
from ledger.errors import LedgerBroken
from ledger.events.housekeeping import KeyRotated
from ledger.evidence.bundle import Choice
from ledger.tree.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from ledger.tree.checkpoint import sign_checkpoint as sign
from ledger.tree.rotation import rotation_in, sign_rotation
from ledger.tree.signed_note import SignerKey, generate_key
from ledger.verify.verify import Given, verify
from ledger.verify_evidence import Key, Problem, check
from tests.commands.world import World

MakeWorld = Callable[..., World]
NAME = "example.com/backups"


@pytest.fixture
def old(world: World, tmp_path: Path) -> SignerKey:
    """A key that signed two checkpoints."""
    make_key(NAME, tmp_path / "old.key")
    key = read_private_key(tmp_path / "old.key")
    for keep_count in (3, 4):
        world.configure(keep_count=keep_count)
        sign_with(world, key)
    return key


def sign_with(world: World, key: SignerKey) -> bytes:
    note: bytes = sign_checkpoint(world.site.ledger.engine, key, world.clock).note
    return note


def rotated(world: World, old: SignerKey, out: Path) -> tuple[SignerKey, Rotated]:
    done = rotate(world.site, world.context(), old, out)
    return read_private_key(out), done


def test_old_signs_new_and_the_ledger_says_so(world: World, old: SignerKey, tmp_path: Path) -> None:
    """One checkpoint with both signatures, over the record that names the new key."""
    new, done = rotated(world, old, tmp_path / "new.key")
    for key in (old, new):
        open_checkpoint(done.kept.note, key.verifier())
    found = rotation_in(done.kept.note)
    assert found is not None
    assert (found.before, found.after) == (old.verifier(), new.verifier())
    last = list(world.site.ledger.recorded())[-1].event.details
    assert isinstance(last, KeyRotated)
    assert (last.old_key, last.new_key) == (found.before.to_text(), found.after.to_text())
    assert found.size == world.site.ledger.log_recorder.head().size
    assert (tmp_path / "new.key").stat().st_mode & 0o777 == 0o600


def test_the_old_key_signs_nothing_afterwards(world: World, old: SignerKey, tmp_path: Path) -> None:
    """Neither a checkpoint nor another successor."""
    rotated(world, old, tmp_path / "new.key")
    world.configure(keep_count=5)
    with pytest.raises(LedgerBroken, match="was replaced at"):
        sign_with(world, old)
    with pytest.raises(LedgerBroken, match="was replaced at"):
        rotate(world.site, world.context(), old, tmp_path / "another.key")
    assert not (tmp_path / "another.key").exists()
    assert not any(
        isinstance(each.event.details, KeyRotated)
        for each in list(world.site.ledger.recorded())[-1:]
    )


def test_a_key_file_is_never_overwritten(world: World, old: SignerKey, tmp_path: Path) -> None:
    """And nothing is recorded."""
    size = world.site.ledger.log_recorder.head().size
    with pytest.raises(FileInTheWay):
        rotate(world.site, world.context(), old, tmp_path / "old.key")
    assert world.site.ledger.log_recorder.head().size == size
    assert read_private_key(tmp_path / "old.key") == old


@pytest.mark.parametrize("whose", ["old", "new", "both"])
def test_verification_needs_one_of_the_keys(
    world: World, old: SignerKey, tmp_path: Path, whose: str
) -> None:
    """All signatures are checked, before and after, whichever of the keys is known."""
    new, _ = rotated(world, old, tmp_path / "new.key")
    world.configure(keep_count=5)
    sign_with(world, new)
    keys = {"old": [old], "new": [new], "both": [old, new]}[whose]
    report = verify(world.site.ledger.engine, public_keys=[each.verifier() for each in keys])
    assert report.ok, report.findings
    assert "4 checkpoints kept in the ledger, 4 of 4 signatures checked" in report.verdict


def test_three_keys_one_after_the_other(world: World, old: SignerKey, tmp_path: Path) -> None:
    """Bundles are good for the holder of any of the keys; the chain begins with hers."""
    second, _ = rotated(world, old, tmp_path / "second.key")
    world.configure(keep_count=5)
    sign_with(world, second)
    third, _ = rotated(world, second, tmp_path / "third.key")
    out = tmp_path / "bundle"
    export_evidence(world.site, world.context(), out, Choice(), third)
    for key, links in ((old, 5), (second, 3), (third, 1)):
        said = check(str(out), Key(key.verifier().to_text()))
        assert f"one and the same growing history: {links}." in said[2]
        assert ("with the key you gave" in said[0]) == (key is third)
        assert (third.verifier().to_text() in said[0]) == (key is not third)
    with pytest.raises(Problem, match="not signed by your public key"):
        check(str(out), Key(generate_key(NAME).verifier().to_text()))


def test_a_stolen_old_key_signs_on_and_is_found(
    world: World, old: SignerKey, tmp_path: Path
) -> None:
    """Whoever writes the database puts a checkpoint there, signed with the old key."""
    new, _ = rotated(world, old, tmp_path / "new.key")
    world.configure(keep_count=5)
    with world.site.ledger.engine.begin() as connection:
        kept = _sign_head(connection, new, 1)
        keep_cosigned(connection, kept._replace(note=sign(kept.checkpoint, old)))
    report = verify(world.site.ledger.engine, public_keys=[new.verifier()])
    assert any("a key that was replaced at" in each.problem for each in report.findings)


def test_a_stolen_old_key_names_another_successor_and_is_found(
    world: World, old: SignerKey, tmp_path: Path
) -> None:
    """Two successors of one key: one of them is somebody else's."""
    _, done = rotated(world, old, tmp_path / "new.key")
    thief = generate_key(NAME)
    tree = done.kept.checkpoint
    forged = sign_rotation(Checkpoint(tree.origin, tree.size, tree.root), old, thief)
    report = verify(
        world.site.ledger.engine,
        checkpoints=[Given("the forged one", forged)],
        public_keys=[old.verifier()],
    )
    assert any("was replaced twice" in each.problem for each in report.findings)


def test_a_forged_rotation_hands_over_nothing(world: World, old: SignerKey, tmp_path: Path) -> None:
    """A line that names a new key counts only with the old key's signature."""
    thief, stranger = generate_key(NAME), generate_key(NAME)
    note = sign_rotation(Checkpoint(NAME, 1, b"\1" * 32), stranger, thief)
    lines = note.decode().replace(stranger.verifier().to_text(), old.verifier().to_text())
    assert rotation_in(lines.encode()) is None
    with pytest.raises(CheckpointError):
        sign_rotation(Checkpoint(NAME, 1, b"\1" * 32), old, generate_key("example.com/other"))
    with pytest.raises(CheckpointError):
        sign_rotation(Checkpoint(NAME, 1, b"\1" * 32), old, old)
    out = tmp_path / "bundle"
    export_evidence(world.site, world.context(), out, Choice(), old)
    (out / "chain.jsonl").write_text(
        json.dumps({"checkpoint": lines, "proof": []}) + "\n" + (out / "chain.jsonl").read_text()
    )
    with pytest.raises(Problem):
        check(str(out), Key(old.verifier().to_text()))
