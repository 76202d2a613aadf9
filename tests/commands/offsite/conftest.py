"""A world with a checkpoint key, two identities, and a destination in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.offsite.add import AddedDestination, NewDestination, add_destination
from commands.offsite.copy import copy_backup
from commands.offsite.destinations import find_destination
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.seal import new_identity, recipient_of
from projections.folds.backup import Backup
from projections.folds.offsite_copy import OffsiteCopy
from projections.folds.offsite_destination import Destination
from projections.queries.offsite import copies_at
from tests.commands.conftest import MakeWorld
from tests.commands.offsite.repositories import Repository
from tests.commands.world import World

IDENTITIES = (new_identity(), new_identity())
RECIPIENTS = tuple(recipient_of(each) for each in IDENTITIES)


def spoiled(content: bytes) -> bytes:
    """The same with another last byte; one that is fixed could be the one that is there."""
    return content[:-1] + bytes([content[-1] ^ 1])


@dataclass
class Offsite:
    """A world and its destination `nas`."""

    world: World
    folder: Path

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder)

    @property
    def nas(self) -> Destination:
        return find_destination(self.world.site, "nas")

    def wanted(self, **changes: Any) -> NewDestination:
        fields: dict[str, Any] = {
            "url": f"file://{self.folder}",
            "name": "nas",
            "recipients": RECIPIENTS,
            "identities": IDENTITIES,
        }
        return NewDestination(**fields | changes)

    def add(self, **changes: Any) -> AddedDestination:
        world = self.world
        return add_destination(world.site, world.context(), self.wanted(**changes))

    def backup(self, name: str) -> Backup:
        return take_backup(self.world.site, self.world.context(), filename=name)

    def copy(self, backup: Backup) -> OffsiteCopy:
        return copy_backup(self.world.site, self.world.context(), self.nas, backup)

    def copies(self) -> list[OffsiteCopy]:
        """Every copy, oldest first."""
        with self.world.site.read_models.reading() as connection:
            return copies_at(connection, self.nas.repository_id)

    def objects(self, prefix: str = "") -> list[str]:
        return [each.path for each in self.store.list(prefix)]


MakeOffsite = Callable[..., Offsite]


@pytest.fixture
def make_offsite(make_world: MakeWorld, tmp_path: Path) -> MakeOffsite:
    def make(name: str = "site", **options: Any) -> Offsite:
        key = tmp_path / f"{name}.key"
        make_key(f"example.com/{name}", key)
        world = make_world(name, checkpoint_key=key, **options)
        return Offsite(world, tmp_path / f"{name}-nas")

    return make


@pytest.fixture
def offsite(make_offsite: MakeOffsite) -> Offsite:
    """With the destination added."""
    made = make_offsite()
    made.add()
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository without a ledger."""
    folder = tmp_path / "alone"
    folder.mkdir()
    return Repository(folder, IDENTITIES)
