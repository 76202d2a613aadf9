"""backup-ledger config: the settings, where each came from, and whether they fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import EXIT_CODES, FOUND_SOMETHING, GlobalOptions
from commands.cli.options import JsonOption
from commands.cli.session import configured, whole_configuration
from commands.cli.sites import several_sites
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, say, show_table, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.site.configuration import Configuration
    from commands.site.settings_origin import Setting

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def config() -> None:
    """Show the settings and where they come from; check them."""


@app.command(epilog=EXIT_CODES)
def show(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Include settings that have their default.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show each setting and where its value came from.

    Passwords are masked.

    \b
    Examples:
      backup-ledger config show
      backup-ledger config show --all --json
    """
    settings = [
        each for each in _settings(ctx, _looked_at(ctx)) if everything or each.origin != "default"
    ]
    if as_json:
        write_json(
            [{"name": each.name, "value": each.value, "origin": each.origin} for each in settings]
        )
        return
    if not settings:
        say("Every setting has its default; see them with --all.")
        return
    table = new_table("Setting", "Value", "From")
    for each in settings:
        add_row(table, each.name, _text(each.value), each.origin)
    show_table(table)


@app.command(epilog=EXIT_CODES)
def check(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check the settings and the files that they name.

    Changes nothing and opens no database. The exit code is 3 if something is wrong.

    \b
    Example:
      backup-ledger config check
    """
    problems = list(_all_problems(ctx))
    if as_json:
        write_json({"ok": not problems, "problems": problems})
    elif problems:
        for each in problems:
            say(f"- {each}", "red")
    elif not ctx.obj.quiet:
        named = sum(each.origin != "default" for each in _settings(ctx, _looked_at(ctx)))
        say(f"The settings fit: {count(named, 'setting')} given, the rest have their defaults.")
    if problems:
        raise typer.Exit(FOUND_SOMETHING)


def _looked_at(ctx: typer.Context) -> Configuration:
    """A site's settings where one is named, else those of the file, with all its sites."""
    whole = whole_configuration(ctx)
    return whole if whole.site is None else configured(ctx)


def _all_problems(ctx: typer.Context) -> Iterator[str]:
    from commands.site.settings_origin import unknown_variables

    for name in unknown_variables():
        yield f"{name} is not a setting; see: backup-ledger config show --all"
    sites = several_sites(ctx)
    for name, configuration in sites.items():
        for problem in _problems(configuration):
            yield f"site {name}: {problem}"
    if not sites:
        yield from _problems(configured(ctx))


def _settings(ctx: typer.Context, configuration: Configuration) -> Iterator[Setting]:
    from commands.site.settings_origin import settings_with_origin

    options: GlobalOptions = ctx.obj
    given = {
        name for name in ("database", "backups", "ledger", "projections") if getattr(options, name)
    }
    return settings_with_origin(configuration, given, options.config)


def _problems(configuration: Configuration) -> Iterator[str]:
    from commands.errors import CommandError

    if configuration.database is None:
        yield "which database? give --database PATH (or BACKUP_LEDGER_DATABASE)"
    elif not configuration.database_path.is_file():
        yield f"there is no database at {configuration.database_path}"
    for name in ("key_file", "checkpoint_key", "checkpoint_folder"):
        path = getattr(configuration, name)
        if path is not None and not path.exists():
            yield f"{name}: there is no {path}"
    for name in ("ledger_url", "projections_url"):
        try:
            getattr(configuration, name)
        except CommandError as error:
            yield str(error)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
