"""From the options before the command to an open site, and back to nothing."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from commands.cli.errors import GlobalOptions
from commands.reporting.humanize import count
from commands.reporting.terminal import note, plain, progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.recovery.reconcile import Reconciliation
    from commands.site.configuration import Configuration, LogFormat
    from commands.site.opening import Mode
    from commands.site.site import Site
    from ledger.append.ledger import Context


@dataclass(frozen=True, slots=True)
class Session:
    """One command's site, and who acts on it. `found`: what adopting came to."""

    site: Site
    context: Context
    found: Reconciliation | None = None


class _OneLineHandler(logging.Handler):
    """Warnings as lines on stderr, without their tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{record.levelname.capitalize()}: {plain(record.getMessage())}\n")
        sys.stderr.flush()


def configured(ctx: typer.Context) -> Configuration:
    """The settings of the one database that a command acts on.

    Raises:
        InvalidArgument: names the setting and what is wrong with it, or asks which site.
    """
    from commands.site.sites import chosen_site

    return chosen_site(whole_configuration(ctx))


def whole_configuration(ctx: typer.Context) -> Configuration:
    """Options, then the environment, then backup-ledger.toml; perhaps of several sites.

    Raises:
        InvalidArgument: names the setting and what is wrong with it.
    """
    from commands.site.configuration import load_configuration

    options: GlobalOptions = ctx.obj
    configuration = load_configuration(
        config=options.config,
        site=options.site,
        database=options.database,
        backups=options.backups,
        ledger=options.ledger,
        projections=options.projections,
        debug=options.debug or None,
        max_mb_per_second=options.max_mb_per_second,
        log_format=options.log_format,
    )
    options.debug = configuration.debug
    return configuration


@contextmanager
def opened(ctx: typer.Context, mode: Mode, *, adopt: bool = False) -> Iterator[Session]:
    """Open the site for a command; closed whatever happens.

    `adopt`: unknown files in the folder are adopted first, and missing ones noticed; as always
    where a ledger begins.
    """
    from commands.site.actors import operator
    from commands.site.opening import QUESTIONS, open_site

    configuration = configured(ctx)
    show_log(logging.WARNING)
    site = open_site(configuration, mode, actor=operator())
    try:
        context = site.context(operator())
        if site.is_new:
            note(f"A ledger begins in {configuration.backups_folder}")
        found = (
            _recover_and_adopt(site, context, adopt=adopt or site.is_new)
            if mode not in QUESTIONS
            else None
        )
        if site.is_new and found is not None and found.adopted:
            note(f"Adopted {count(len(found.adopted), 'older backup')} that were in the folder")
        yield Session(site, context, found)
    finally:
        site.close()


def show_log(level: int, log_format: LogFormat = "text") -> None:
    """Let what the software says while it works reach stderr, a line each."""
    from commands.reporting.logs import STRUCTURED, JSONHandler

    handler = JSONHandler() if log_format == "json" else _OneLineHandler()
    logger = logging.getLogger("backup_ledger")
    logger.setLevel(level)
    STRUCTURED.setLevel(logging.INFO)
    server = logging.getLogger("uvicorn.error")
    for each, is_heard in ((logger, True), (server, True), (STRUCTURED, log_format == "json")):
        for old in [old for old in each.handlers if isinstance(old, _OneLineHandler | JSONHandler)]:
            each.removeHandler(old)
        if is_heard:
            each.addHandler(handler)


def log_work(session: Session, level: int) -> bool:
    """Begin the log of a process that stays, as it is configured; whether that is JSON."""
    from commands.reporting.logs import RecordedEvents

    log_format = session.site.configuration.log_format
    show_log(level, log_format)
    if log_format == "json":
        session.site.listeners.append(RecordedEvents(session.site.configuration.site))
    return log_format == "json"


def remark(text: str) -> None:
    """A remark on stderr, in the form of the log."""
    logger = logging.getLogger("backup_ledger")
    if any(getattr(each, "is_json", False) for each in logger.handlers):
        logger.info("%s", text)
    else:
        note(text)


def adopt_files(site: Site, context: Context) -> Reconciliation:
    """Make catalog and folder agree, with a progress bar where there is much to adopt."""
    from commands.recovery.reconcile import reconcile

    with progress_bar("adopting old backups") as progress:

        def on_progress(done: int, total: int) -> None:
            if progress is not None:
                progress("reading", done, total)

        found = reconcile(site, context, on_progress)
    for name in found.missing:
        note(f"The file of backup {name} is gone; see: backup-ledger audit history {name}")
    return found


def is_interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        InvalidArgument: there is nobody to ask.
        CommandError: the answer is no.
    """
    from commands.errors import CommandError, InvalidArgument

    if yes:
        return
    if not is_interactive():
        raise InvalidArgument(f"there is no terminal to ask: {question} Give --yes to do it")
    if not typer.confirm(plain(question), err=True):
        raise CommandError("nothing was done, as you said no")


def _recover_and_adopt(site: Site, context: Context, *, adopt: bool) -> Reconciliation | None:
    """Finish what a killed process began, before anything new."""
    if adopt:
        return adopt_files(site, context)
    from commands.recovery.recover import recover

    recover(site)
    return None
