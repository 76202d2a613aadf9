"""Where the demo happens: a folder that is new or empty, never one that holds something."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Final

from commands.errors import CONFLICT, CommandError

DEFAULT_NAME: Final = "backup-ledger-demo"


class FolderTaken(CommandError, FileExistsError):
    """The folder for the demo is not empty, or cannot be made."""

    exit_code = CONFLICT


def demo_folder(folder: Path | None) -> Path:
    """Make the folder that a person named, or the next free default one in this directory.

    Raises:
        FolderTaken: something is there already, or it cannot be made; nothing was touched.
    """
    chosen = _free_name() if folder is None else folder
    try:
        chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_empty = not any(chosen.iterdir())
    except OSError as error:
        raise FolderTaken(
            f"the folder {chosen} cannot be used ({error.strerror}); give another: "
            "backup-ledger demo FOLDER"
        ) from error
    if not is_empty:
        raise FolderTaken(
            f"the folder {chosen} is not empty, and the demo overwrites nothing; "
            "give a name that is free: backup-ledger demo FOLDER"
        )
    return chosen


def _free_name() -> Path:
    for number in count(1):
        path = Path(DEFAULT_NAME if number == 1 else f"{DEFAULT_NAME}-{number}")
        if not path.exists() and not path.is_symlink():
            return path
    raise AssertionError("unreachable")
