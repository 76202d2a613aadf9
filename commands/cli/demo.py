"""backup-ledger demo: wiring only; the story is in `commands.demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Where it lives; by default a new folder here."),
    ] = None,
) -> None:
    """Live through some weeks of backups in seconds, on a sample database, and tell the story.

    \b
    Example:
      backup-ledger demo
    """
    from commands.demo import run_demo
    from commands.reporting.terminal import console

    run_demo(folder, console())
