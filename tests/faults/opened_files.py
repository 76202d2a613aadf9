"""Which files a process opens as plain files, as Python itself tells it (an audit hook)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from commands.sqlite.connections import SIDECAR_SUFFIXES

DATABASES = ("app.db", "backups/ledger.sqlite", "backups/projections.sqlite")
NAME = "opened.txt"


def tell_opened(folder: Path, site: Path) -> None:
    """From here on, name each database that is opened past SQLite in `folder`/opened.txt."""
    forbidden = {
        str(site / f"{name}{suffix}") for name in DATABASES for suffix in ("", *SIDECAR_SUFFIXES)
    }
    told = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or isinstance(arguments[0], int):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        # The first time, an empty file is made for SQLite to fill: nobody can have it open.
        if path in forbidden and os.path.lexists(path):
            os.write(told, f"{path}\n".encode())

    sys.addaudithook(hook)
