"""backup-ledger: the options before the command, and the menu of commands.

Only typer is imported here and in the command files; everything else is imported inside the
functions that need it, so that `--help` and shell completion answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.cli import config as config_group
from commands.cli import erasure, notify, projections, retention, settings, tokens
from commands.cli.audit import group as audit
from commands.cli.backup import group as backup
from commands.cli.demo import demo
from commands.cli.errors import EXIT_CODES, GlobalOptions, ReportingGroup
from commands.cli.ledger import group as ledger
from commands.cli.offsite import group as offsite
from commands.cli.run import run
from commands.cli.serve import serve
from commands.cli.status.status import status

app = typer.Typer(
    name="backup-ledger",
    cls=ReportingGroup,
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


app.command(
    "demo", short_help="Try everything on a sample database, in seconds.", epilog=EXIT_CODES
)(demo)
app.command("run", short_help="Run the scheduler.", epilog=EXIT_CODES)(run)
app.command("serve", short_help="Serve the HTTP API and console.", epilog=EXIT_CODES)(serve)
app.command("status", short_help="Show what needs attention.", epilog=EXIT_CODES)(status)
app.add_typer(settings.app, name="settings", help="Manage backup schedules.")
app.add_typer(backup.app, name="backup", help="Make, list, verify, restore and delete backups.")
app.add_typer(offsite.app, name="offsite", help="Manage off-site copies, encrypted and verified.")
app.add_typer(retention.app, name="retention", help="Preview and apply retention; clean up.")
app.add_typer(audit.app, name="audit", help="Read, prove, verify and export the history.")
app.add_typer(projections.app, name="projections", help="Rebuild and compare the read models.")
app.add_typer(ledger.app, name="ledger", help="Begin, copy, split and salvage ledgers.")
app.add_typer(erasure.app, name="erase", help="Erase a person's records; show what remains.")
app.add_typer(config_group.app, name="config", help="Show and check the configuration.")
app.add_typer(notify.app, name="notify", help="Test and preview notifications.")
app.add_typer(tokens.app, name="tokens", help="Manage API tokens.")
