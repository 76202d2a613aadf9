"""A watcher's own memory finds what the ledger's owner can hide everywhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from commands.audit.keys import make_key, read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.audit.watch import Alarm, Look, Memory, StateUnreadable, default_state, look
from commands.audit.watched_places import (
    LedgerFile,
    PlaceUnreadable,
    PublishedTiles,
    WatchedPlace,
    folder_fetch,
)
from commands.site.configuration import sqlite_url
from ledger.append.reading import read_records
from ledger.append.stored_tree import TreeReader
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.checkpoint import sign_checkpoint as sign
from ledger.tree.merkle import TILE_HEIGHT
from ledger.tree.signed_note import SignerKey, generate_key
from ledger.tree.tiles import TilePlace, tiles_between
from tests.commands.world import World

MakeWorld = Callable[..., World]
NAME = "example.com/backups"


@pytest.fixture
def key(tmp_path: Path) -> SignerKey:
    make_key(NAME, tmp_path / "ledger.key")
    return read_private_key(tmp_path / "ledger.key")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "watcher" / "state.json"


def signed(world: World, key: SignerKey, records: int = 1) -> bytes:
    """The world's ledger with more records, and a checkpoint over them."""
    for number in range(records):
        world.configure(keep_count=1 + (number + world.site.ledger.log_recorder.head().size) % 30)
    note: bytes = sign_checkpoint(world.site.ledger.engine, key, world.clock).note
    return note


def publish(world: World, note: bytes, folder: Path) -> WatchedPlace:
    """Tiles of the ledger and a checkpoint, as C2SP tlog-tiles."""
    size = int(note.split(b"\n")[1])
    with world.site.ledger.engine.connect() as connection:
        tree = TreeReader(connection)
        assert len(read_records(connection, up_to=size)) == size
        for place in tiles_between(0, size):
            path = folder / place.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_hashes(tree, place))
    (folder / "checkpoint").write_bytes(note)
    return PublishedTiles(str(folder), folder_fetch(folder))


def _hashes(tree: TreeReader, place: TilePlace) -> bytes:
    first = place.number * 256
    if place.level == 0:
        return b"".join(tree.leaf_hashes(first, first + place.width))
    height = TILE_HEIGHT * place.level
    wanted = [(height, number) for number in range(first, first + place.width)]
    return b"".join(tree.nodes(wanted).values())


def ledger_of(world: World) -> WatchedPlace:
    return LedgerFile(sqlite_url(world.backups / "ledger.sqlite"))


def looked(world: World, place: WatchedPlace, key: SignerKey, state: Path) -> Look:
    return look(place, key.verifier(), state, world.clock.now(), timedelta(hours=48))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tiles", "ledger"])
def test_a_growing_ledger_is_followed(
    world: World, key: SignerKey, state: Path, tmp_path: Path, kind: str
) -> None:
    """Beyond a tile's width, so that whole tiles and partial ones are read."""
    before = None
    for records in (2, 1, 254, 3, 260):
        note = signed(world, key, records)
        place = publish(world, note, tmp_path / "t") if kind == "tiles" else ledger_of(world)
        found = looked(world, place, key, state)
        assert found.before == before
        assert found.size == int(note.split(b"\n")[1])
        before = found.size
    assert looked(world, place, key, state).sentence == f"The same {before} records as before."
    assert state.stat().st_mode & 0o777 == 0o600


def test_a_history_rewritten_by_its_owner_is_found(
    world: World, make_world: MakeWorld, key: SignerKey, state: Path, tmp_path: Path
) -> None:
    """With all keys, everything in it agrees; the watcher's state alone says otherwise."""
    publish(world, signed(world, key, 3), tmp_path / "t")
    looked(world, publish(world, signed(world, key), tmp_path / "t"), key, state)
    other = make_world("rewritten")
    place = publish(other, signed(other, key, 9), tmp_path / "other")
    kept = state.read_bytes()
    with pytest.raises(Alarm, match=r"a fork: the .* do not continue") as caught:
        looked(world, place, key, state)
    assert caught.value.kind == "fork"
    assert state.read_bytes() == kept
    [evidence] = state.parent.glob("*.evidence")
    assert evidence.read_bytes() == (tmp_path / "other" / "checkpoint").read_bytes()
    with pytest.raises(Alarm):
        looked(world, place, key, state)


def test_another_root_at_the_same_size_is_a_fork(
    world: World, key: SignerKey, state: Path, tmp_path: Path
) -> None:
    """The owner signs two trees of one size."""
    note = signed(world, key)
    place = publish(world, note, tmp_path / "t")
    looked(world, place, key, state)
    size = int(note.split(b"\n")[1])
    (tmp_path / "t" / "checkpoint").write_bytes(sign(Checkpoint(NAME, size, b"\1" * 32), key))
    with pytest.raises(Alarm, match="fork"):
        looked(world, place, key, state)


def test_a_ledger_that_was_put_back_is_a_rollback(
    world: World, key: SignerKey, state: Path, tmp_path: Path
) -> None:
    """An older copy of everything."""
    old = signed(world, key)
    place = publish(world, signed(world, key, 3), tmp_path / "t")
    looked(world, place, key, state)
    (tmp_path / "t" / "checkpoint").write_bytes(old)
    with pytest.raises(Alarm, match="a rollback: ") as caught:
        looked(world, place, key, state)
    assert caught.value.kind == "rollback"


def test_a_log_without_new_checkpoints_is_silent(
    world: World, key: SignerKey, state: Path, tmp_path: Path
) -> None:
    """Counted from when the newest one was first seen; a place that is gone counts as well."""
    place = publish(world, signed(world, key), tmp_path / "t")
    looked(world, place, key, state)
    world.advance(hours=48)
    looked(world, place, key, state)
    world.advance(hours=1)
    with pytest.raises(Alarm, match="silent: no new checkpoint for 49 hours") as caught:
        looked(world, place, key, state)
    assert caught.value.kind == "silent"
    (tmp_path / "t" / "checkpoint").unlink()
    with pytest.raises(Alarm, match="has no checkpoint"):
        looked(world, place, key, state)


def test_what_cannot_be_seen_is_no_alarm_at_once(
    world: World, key: SignerKey, state: Path, tmp_path: Path
) -> None:
    """A place that is away, or a tile that is not there yet: said, and the state stays."""
    place = publish(world, signed(world, key), tmp_path / "t")
    looked(world, place, key, state)
    kept = state.read_bytes()
    publish(world, signed(world, key, 3), tmp_path / "t")
    for path in (tmp_path / "t" / "tile" / "0").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(PlaceUnreadable, match=r"tile/0/000\.p/\d+ is missing"):
        looked(world, place, key, state)
    (tmp_path / "t" / "checkpoint").unlink()
    with pytest.raises(PlaceUnreadable, match="has no checkpoint"):
        looked(world, place, key, state)
    assert state.read_bytes() == kept


@pytest.mark.parametrize("note", [b"", b"text\n", b"\xff", b"a\n1\nAA==\n\nno signature\n"])
def test_what_the_key_did_not_sign_is_an_alarm(
    world: World, key: SignerKey, state: Path, tmp_path: Path, note: bytes
) -> None:
    """Whatever stands where the checkpoint should."""
    place = publish(world, signed(world, key), tmp_path / "t")
    (tmp_path / "t" / "checkpoint").write_bytes(note)
    with pytest.raises(Alarm, match=r"is not what example\.com/backups signs"):
        looked(world, place, key, state)
    (tmp_path / "t" / "checkpoint").write_bytes(signed(world, generate_key("example.com/b")))
    with pytest.raises(Alarm) as caught:
        looked(world, place, key, state)
    assert caught.value.kind == "signature"


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b'{"format": 1, "checkpoint": "x"}']
)
def test_a_damaged_state_is_left_alone(
    world: World, key: SignerKey, state: Path, tmp_path: Path, damage: bytes
) -> None:
    """Going on without it would forget what was seen."""
    place = publish(world, signed(world, key), tmp_path / "t")
    state.parent.mkdir()
    state.write_bytes(damage)
    with pytest.raises(StateUnreadable, match="is damaged"):
        looked(world, place, key, state)
    assert state.read_bytes() == damage


def test_the_state_is_one_for_each_log(key: SignerKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is looked at, so that two places cannot show two histories."""
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    path = default_state(key.verifier())
    assert str(path).startswith("/nowhere/backup-ledger/watch/example.com_backups-")
    assert default_state(generate_key(NAME).verifier()) == path
    assert default_state(generate_key("example.com/b").verifier()) != path
    monkeypatch.delenv("XDG_STATE_HOME")
    assert str(default_state(key.verifier())).startswith(os.path.expanduser("~/.local/state/"))


def test_the_state_round_trips(world: World, key: SignerKey) -> None:
    """As a file that people can read."""
    memory = Memory(signed(world, key), world.clock.now(), world.clock.now())
    assert Memory.from_bytes(memory.to_bytes()) == memory
    assert set(json.loads(memory.to_bytes())) == {"format", "checkpoint", "seen_at", "looked_at"}
