"""backup-ledger backup: the menu."""

from __future__ import annotations

import typer

from commands.cli.backup.accept import accept
from commands.cli.backup.create import create
from commands.cli.backup.delete import delete, hold, release
from commands.cli.backup.diff import diff
from commands.cli.backup.list import list_backups, show
from commands.cli.backup.reconcile import reconcile
from commands.cli.backup.restore import restore
from commands.cli.backup.verify import verify
from commands.cli.errors import EXIT_CODES

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)
app.command("create", epilog=EXIT_CODES)(create)
app.command("list", epilog=EXIT_CODES)(list_backups)
app.command("show", epilog=EXIT_CODES)(show)
app.command("verify", epilog=EXIT_CODES)(verify)
app.command("diff", epilog=EXIT_CODES)(diff)
app.command("restore", epilog=EXIT_CODES)(restore)
app.command("delete", epilog=EXIT_CODES)(delete)
app.command("hold", epilog=EXIT_CODES)(hold)
app.command("release", epilog=EXIT_CODES)(release)
app.command("accept", epilog=EXIT_CODES)(accept)
app.command("reconcile", epilog=EXIT_CODES)(reconcile)
