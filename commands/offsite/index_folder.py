"""Where this machine keeps what it knows of a repository; one copy at a time works with it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination

OFFSITE = ".offsite"
PUBLISHED = "published"


def index_folder(site: Site, repository_id: str) -> Path:
    """The folder of a repository's index; made where it is not there."""
    above = site.store.folder / OFFSITE
    above.mkdir(mode=0o700, exist_ok=True)
    folder = above / repository_id
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def locked_index(site: Site, repository_id: str) -> Iterator[None]:
    """Work with an index alone: two copies at once would send the same pages twice."""
    path = index_folder(site, repository_id) / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def published_size(site: Site, destination: Destination) -> int | None:
    """How many records of the ledger this machine last saw there; None where none."""
    path = site.store.folder / OFFSITE / destination.repository_id / PUBLISHED
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def remember_published(site: Site, destination: Destination, size: int) -> None:
    """Keep how many records are there now; nothing depends on it."""
    (index_folder(site, destination.repository_id) / PUBLISHED).write_text(f"{size}\n")
