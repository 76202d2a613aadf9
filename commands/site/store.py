"""One backups folder: its identity, its files, and how they come and go.

Nothing here decides anything: the ledger has said already what is to be published or
unlinked. Every step may be repeated.
"""

from __future__ import annotations

import filecmp
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from commands.errors import StoreUnknown
from commands.sqlite.files import copy_file, create_private, file_error, flush_directory
from commands.sqlite.publishing import link, publish_new
from projections.folds.backup_names import free_name

if TYPE_CHECKING:
    from collections.abc import Callable

STORE_FILE = ".store"
STAGING = ".staging"
SIDECARS = ".sidecars"
BLOCK_BYTES = 512
"""The unit of st_blocks, whatever the file system's own blocks are."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file in the folder, as it was when looked at. `mtime_ns` in nanoseconds."""

    filename: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    bytes_on_disk: int = field(default=0, compare=False)
    links: int = field(default=1, compare=False)


class Store:
    """A backups folder that is recognized by the UUID in its `.store` file."""

    def __init__(self, folder: Path, store_id: str) -> None:
        self.folder = folder
        self.store_id = store_id

    @property
    def staging(self) -> Path:
        return self.folder / STAGING

    def path(self, filename: str) -> Path:
        return self.folder / filename

    def sidecar_folder(self, backup_id: str) -> Path:
        return self.folder / SIDECARS / backup_id

    def require_there(self) -> None:
        """See that the folder is still the one that was opened.

        Raises:
            StoreUnknown: it is gone, or another one: what is not in there is not lost.
        """
        if read_store_id(self.folder) != self.store_id:
            raise StoreUnknown(
                f"{self.folder} is not the backups folder that was opened: is it still mounted?"
            )

    def has(self, filename: str) -> bool:
        return os.path.lexists(self.path(filename))

    def staged_files(self) -> list[Path]:
        """Everything that is staged, whoever staged it; a backup's file has its id for a name."""
        if not self.staging.is_dir():
            return []
        return sorted(path for path in self.staging.glob("*/*") if path.is_file())

    def publish(self, staged: Path, filename: str) -> str | None:
        """Give a staged file its name, which is durable after `flush`; never overwrites.

        A foreign file in the way is moved to a free name, which is returned. The staged file
        stays; `discard` removes it once every name is given.
        """
        final, moved = self.path(filename), None
        while True:
            try:
                _link_or_copy(staged, final)
                break
            except FileExistsError:
                if _same_content(staged, final):
                    break
                moved = self._move_away(filename)
        return moved

    def flush(self) -> None:
        """Bring names that were given or taken away to the disk."""
        flush_directory(self.folder)

    def discard(self, staged: Path) -> None:
        """Remove a staged file."""
        staged.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            flush_directory(staged.parent)

    def unlink(self, filename: str, backup_id: str) -> None:
        """Remove a backup's file and what was kept beside it; fine where it is gone.

        It is gone for good after `flush`.

        Raises:
            OSError: the file cannot be removed.
        """
        self.path(filename).unlink(missing_ok=True)
        for staged in (each for each in self.staged_files() if each.name == backup_id):
            staged.unlink(missing_ok=True)
        self.remove_sidecars(backup_id)

    def remove_sidecars(self, backup_id: str) -> None:
        """Remove what was kept beside a backup; fine where there is nothing."""
        kept = self.sidecar_folder(backup_id)
        if kept.is_dir():
            for each in kept.iterdir():
                each.unlink(missing_ok=True)
            kept.rmdir()

    def bytes_on_disk(self) -> int:
        """What the backup files take; one that has several names counts once."""
        blocks: dict[tuple[int, int], int] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".db") and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        found = entry.stat(follow_symlinks=False)
                        blocks[found.st_dev, found.st_ino] = found.st_blocks * BLOCK_BYTES
        return sum(blocks.values())

    def share(self, staged: Path, filename: str, is_equal: Callable[[Path], bool]) -> bool:
        """Make a staged file another name of a published one that is equal; says whether it is.

        Raises:
            OSError: it cannot be; the staged file is as it was.
        """
        link = staged.with_name(f"{staged.name}.shared")
        try:
            os.link(self.path(filename), link, follow_symlinks=False)
            if not is_equal(link):
                return False
            os.rename(link, staged)
        finally:
            link.unlink(missing_ok=True)
        flush_directory(staged.parent)
        return True

    def look_at(self, filename: str) -> FoundFile | None:
        """A regular file of this name, or None; symbolic links are not followed."""
        try:
            found = os.lstat(self.path(filename))
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return FoundFile(
            filename,
            found.st_size,
            found.st_mtime_ns,
            found.st_dev,
            found.st_ino,
            found.st_blocks * BLOCK_BYTES,
            found.st_nlink,
        )

    def list_candidates(self) -> tuple[list[FoundFile], list[str]]:
        """Regular `.db` files without a leading dot; and names that are no UTF-8, for reporting."""
        names, unreadable = self.list_names()
        candidates = [found for name in names if (found := self.look_at(name)) is not None]
        return candidates, unreadable

    def list_names(self) -> tuple[list[str], list[str]]:
        """What `list_candidates` looks at, without looking."""
        names: list[str] = []
        unreadable: list[str] = []
        for entry in sorted(os.listdir(os.fsencode(self.folder))):
            if not entry.endswith(b".db") or entry.startswith(b"."):
                continue
            try:
                names.append(entry.decode())
            except UnicodeDecodeError:
                unreadable.append(entry.decode("utf-8", "backslashreplace"))
        return names, unreadable

    def _move_away(self, filename: str) -> str:
        """Move a foreign file to a free name, atomically and without overwriting."""
        while True:
            free = free_name(filename, self.has)
            try:
                os.link(self.path(filename), self.path(free), follow_symlinks=False)
            except FileExistsError:
                continue
            except FileNotFoundError:
                return free  # it went away by itself
            except OSError:
                os.rename(self.path(filename), self.path(free))  # a directory has no hard links
                return free
            self.path(filename).unlink(missing_ok=True)
            return free


def read_store_id(folder: Path) -> str | None:
    """The UUID in the folder's `.store` file; None where there is no such file.

    Raises:
        StoreUnknown: the file contains something else.
    """
    try:
        text = (folder / STORE_FILE).read_text("ascii")
        return str(UUID(text.strip()))
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise StoreUnknown(f"{folder} is not a folder; give another with --backups") from None
    except (ValueError, OSError) as error:
        raise StoreUnknown(f"{folder / STORE_FILE} cannot be read: {error}") from error


def make_folder(folder: Path) -> None:
    """Make the backups folder, 0700, if it is not there.

    Raises:
        StoreUnknown: something else stands at its place, or it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_directory(folder.parent)  # or a power cut takes the folder, and the ledger in it
    except OSError as error:
        raise StoreUnknown(
            f"the backups folder {folder} cannot be made: {error.strerror}"
        ) from error


def make_store(folder: Path) -> str:
    """Write a new `.store` file; its UUID.

    Raises:
        StoreUnknown: it cannot be written.
    """
    store_id = str(uuid4())
    unfinished = folder / f"{STORE_FILE}.new"  # half of an identity would be worse than none
    try:
        unfinished.unlink(missing_ok=True)
        with open(create_private(unfinished), "wb") as file:
            file.write(f"{store_id}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, folder / STORE_FILE)
        flush_directory(folder)
    except OSError as error:
        raise StoreUnknown(f"{folder / STORE_FILE} cannot be made: {error}") from error
    return store_id


def _link_or_copy(staged: Path, final: Path) -> None:
    """Another name for a staged file; a copy of it where the file system has no hard links."""
    if link(staged, final):
        return
    if os.path.lexists(final) and _same_content(staged, final):
        return
    copy = staged.with_name(f"{staged.name}.copy")
    try:
        copy.unlink(missing_ok=True)
        copy_file(staged, copy)
        publish_new(copy, final)
    finally:
        copy.unlink(missing_ok=True)


def _same_content(one: Path, other: Path) -> bool:
    """The same file, or one of the same bytes: what an earlier attempt published as a copy."""
    try:
        first, second = os.lstat(one), os.lstat(other)
        if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
            return True
        if not stat.S_ISREG(second.st_mode) or first.st_size != second.st_size:
            return False
        return filecmp.cmp(one, other, shallow=False)
    except FileNotFoundError:
        return False


__all__ = ["FoundFile", "Store", "file_error", "make_folder", "make_store", "read_store_id"]
