"""backup-ledger: the options before the command, and the menu of commands.

A command's module is imported when the command is called, and everything but typer inside the
functions that need it, so that `--help` and shell completion answer at once.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from commands.cli.errors import EXIT_CODES, GlobalOptions, ReportingGroup

if TYPE_CHECKING:
    from typer._click.core import Command, Context

SINGLE = {
    "demo": ("demo", "Try everything on a sample database, in seconds."),
    "run": ("run", "Run the scheduler."),
    "serve": ("serve", "Serve the HTTP API and console."),
    "status": ("status.status", "Show what needs attention."),
}
"""The module and a sentence of each command that stands by itself."""

GROUPS = {
    "settings": ("settings", "Manage backup schedules."),
    "backup": ("backup.group", "Make, list, verify, restore and delete backups."),
    "offsite": ("offsite.group", "Manage off-site copies, encrypted and verified."),
    "retention": ("retention", "Preview and apply retention; clean up."),
    "audit": ("audit.group", "Read, prove, verify and export the history."),
    "projections": ("projections", "Rebuild and compare the read models."),
    "ledger": ("ledger.group", "Begin, copy, split and salvage ledgers."),
    "erase": ("erasure", "Erase a person's records; show what remains."),
    "config": ("config", "Show and check the configuration."),
    "notify": ("notify", "Test and preview notifications."),
    "tokens": ("tokens", "Manage API tokens."),
}


@cache
def command_of(name: str) -> Command:
    """The command or group of this name, ready to run; its module is imported now."""
    module, sentence = (SINGLE | GROUPS)[name]
    imported = import_module(f"commands.cli.{module}")
    menu = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if name in SINGLE:
        menu.command(name, short_help=sentence, epilog=EXIT_CODES)(getattr(imported, name))
        return get_command(menu)
    menu.add_typer(imported.app, name=name, help=sentence)
    return get_group(menu).commands[name]


class Menu(ReportingGroup):
    """Help and completion need a name and a sentence each; only what is called is imported."""

    def __init__(self, **attributes: Any) -> None:
        named = {
            name: TyperCommand(name, short_help=sentence)
            for name, (_module, sentence) in (SINGLE | GROUPS).items()
        }
        super().__init__(**attributes | {"commands": named})

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        name, named, rest = super().resolve_command(ctx, args)
        return name, named and command_of(str(name)), rest


app = typer.Typer(
    name="backup-ledger",
    cls=Menu,
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich for a help text would double its time
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    typer.echo(f"backup-ledger {version('backup-ledger')}")
    raise typer.Exit


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The settings [default: backup-ledger.toml in the current folder]."
    ),
]
SiteOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which database, if the settings have several [sites]."),
]
QuietOption = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print nothing on stdout if nothing happened.")
]


@app.callback(epilog=EXIT_CODES)
def backup_ledger(  # noqa: PLR0913, PLR0917  (options are parameters)
    ctx: typer.Context,
    database: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The SQLite database that is backed up."),
    ] = None,
    backups: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The backups folder [default: `backups` beside the database]."
        ),
    ] = None,
    ledger_url: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            metavar="URL",
            help="The ledger's database, or a file [default: ledger.sqlite in the folder].",
        ),
    ] = None,
    projections_url: Annotated[
        str | None,
        typer.Option(
            "--projections",
            metavar="URL",
            help="The read models' database, or a file [default: projections.sqlite there].",
        ),
    ] = None,
    config: ConfigOption = None,
    site: SiteOption = None,
    quiet: QuietOption = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Scheduled, verified backups of a SQLite database, with a ledger of everything that was done.

    These options can be given before or after the command. They can also be set in the
    environment, as BACKUP_LEDGER_DATABASE, or in backup-ledger.toml in the current folder.

    \b
    Examples:
      backup-ledger demo
      backup-ledger --database app.sqlite backup create
      backup-ledger --database app.sqlite settings set 1 --time 03:00 --keep 7
      backup-ledger --database app.sqlite run
      backup-ledger --database app.sqlite status
    """
    options: GlobalOptions = ctx.obj
    options.database, options.backups = database, backups
    options.ledger, options.projections = ledger_url, projections_url
    options.debug, options.config, options.quiet = debug, config, quiet
    options.site = site
