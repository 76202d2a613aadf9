"""The command line: one file a command group."""

from __future__ import annotations


def main() -> None:
    """Run `backup-ledger` with this process's arguments, and exit."""
    from commands.cli.app import app

    app(prog_name="backup-ledger")
