"""A repository in a folder, such as a mounted disk: written so that a power cut loses nothing."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.offsite.errors import DeletionForbidden, DestinationUnreachable, ObjectMissing
from commands.offsite.repository.stores import StoredObject
from commands.sqlite.files import create_private, flush_directory, missing_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNFINISHED = ".unfinished-"
"""What a name begins with while its content is written; never listed."""


class FolderStore:
    """Objects as files. The folder itself is made by `make_root` and by nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        return str(self.root)

    def make_root(self) -> None:
        """Make the folder, 0700, where it is not there; never one above it.

        Raises:
            DestinationUnreachable: it cannot be made.
        """
        if (above := missing_folder(self.root)) is not None:
            raise DestinationUnreachable(
                f"there is no folder {above}, so {self.root} is not made: is it mounted, and the "
                "path right? Make the folder first if you mean it"
            )
        try:
            if not self.root.exists():
                self.root.mkdir(mode=0o700, exist_ok=True)
                flush_directory(self.root.parent)
        except OSError as error:
            raise self._failed("make", self.root, error) from error

    def put(self, path: str, content: bytes) -> None:
        final = self.root / path
        unfinished = final.with_name(f"{UNFINISHED}{uuid4()}")
        try:
            self._make_folders(final.parent)
            descriptor = create_private(unfinished)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(unfinished, final)
            flush_directory(final.parent)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise self._failed("write", final, error) from error

    def get(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            self._require_root()
            raise ObjectMissing(f"there is no {path} in {self.root}") from error
        except OSError as error:
            raise self._failed("read", self.root / path, error) from error

    def head(self, path: str) -> int | None:
        try:
            found = os.lstat(self.root / path)
        except (FileNotFoundError, NotADirectoryError):
            self._require_root()
            return None
        except OSError as error:
            raise self._failed("read", self.root / path, error) from error
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._require_root()
        yield from self._walk(self.root / prefix, prefix)

    def delete(self, path: str) -> None:
        self.delete_all([path])

    def delete_all(self, paths: Sequence[str]) -> None:
        self._require_root()
        folders = set()
        for target in (self.root / path for path in paths):
            try:
                target.unlink(missing_ok=True)
            except PermissionError as error:
                raise DeletionForbidden(f"{target} may not be deleted from here") from error
            except OSError as error:
                raise self._failed("delete", target, error) from error
            folders.add(target.parent)
        for folder in sorted(folders):
            try:
                if folder.is_dir():
                    flush_directory(folder)
            except OSError as error:
                raise self._failed("delete in", folder, error) from error

    def clear_unfinished(self, before: float) -> None:
        """Remove what was left half written before a moment (seconds since 1970)."""
        for folder, _folders, names in os.walk(self.root):
            for name in names:
                if name.startswith(UNFINISHED):
                    with suppress(OSError):
                        found = Path(folder, name)
                        if found.stat().st_mtime < before:
                            found.unlink()

    def _walk(self, folder: Path, prefix: str) -> Iterator[StoredObject]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("list", folder, error) from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(UNFINISHED):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield StoredObject(prefix + entry.name, found.st_size, found.st_mtime)

    def _make_folders(self, folder: Path) -> None:
        """Make the folders below the root, each durable; never the root."""
        self._require_root()
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with suppress(FileExistsError):
                each.mkdir(mode=0o700)
            flush_directory(each.parent)

    def _require_root(self) -> None:
        if not self.root.is_dir():
            raise DestinationUnreachable(f"there is no folder {self.root}: is it mounted?")

    def _failed(self, what: str, path: Path, error: OSError) -> DestinationUnreachable:
        if isinstance(error, DestinationUnreachable):
            return error
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "no space left; free some there"
        return DestinationUnreachable(f"cannot {what} {path}: {why}")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
