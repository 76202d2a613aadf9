"""backup-ledger demo: wiring only; the story is in `commands.demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="The folder to create [default: a new one here]."),
    ] = None,
) -> None:
    """Simulate six weeks of backups in seconds, on a sample database, and explain each step.

    \b
    Example:
      backup-ledger demo
    """
    from commands.demo import run_demo
    from commands.reporting.terminal import console

    run_demo(folder, console())
