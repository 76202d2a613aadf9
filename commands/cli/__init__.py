"""The command line: a file or a folder for each command group."""

from __future__ import annotations


def main() -> None:
    """Run `backup-ledger` with this process's arguments, and exit."""
    from commands.cli.app import app

    app(prog_name="backup-ledger")
