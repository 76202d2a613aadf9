"""Packs while a copy is fetched: kept as received, so that a fetch that was cut short goes on.

They are sealed as they came, so nothing lies there in the clear. What is kept is believed only
where its SHA-256 is its name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.layout import pack_path
from commands.sqlite.files import create_private

if TYPE_CHECKING:
    from commands.offsite.repository.packs import Pack
    from commands.offsite.repository.stores import ObjectStore


class ReceivedPacks:
    """Gets packs from a folder of this machine, or else from the store.

    `needed_bytes`: what the file itself takes; nothing is kept where that would get too little.
    """

    def __init__(self, store: ObjectStore, kept: str | None, *, needed_bytes: int) -> None:
        self._store, self._needed_bytes = store, needed_bytes
        self._folder = None if kept is None else Path(kept)
        self.received_bytes = 0

    def get(self, pack: Pack) -> bytes:
        """The bytes of a pack.

        Raises:
            RepositoryDamaged: the store gives other ones.
        """
        found = self._kept(pack)
        if found is not None:
            return found
        path = pack_path(pack.name)
        sealed = self._store.get(path)
        self.received_bytes += len(sealed)
        if sha256(sealed).digest() != pack.name:
            raise RepositoryDamaged(f"{path} is damaged: its SHA-256 is not its name")
        self._keep(pack, sealed)
        return sealed

    def clear(self) -> None:
        """The file is whole: nothing is needed any more."""
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)

    def _kept(self, pack: Pack) -> bytes | None:
        if self._folder is None:
            return None
        try:
            content = (self._folder / pack.name.hex()).read_bytes()
        except OSError:
            return None
        return content if sha256(content).digest() == pack.name else None

    def _keep(self, pack: Pack, sealed: bytes) -> None:
        """Without room for it, it is received again next time."""
        if self._folder is None:
            return
        path = self._folder / pack.name.hex()
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if disk_usage(self._folder).free < self._needed_bytes + len(sealed):
                return
            path.unlink(missing_ok=True)
            with os.fdopen(create_private(path), "wb") as file:
                file.write(sealed)
