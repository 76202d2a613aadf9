"""backup-ledger run: the scheduler."""

from __future__ import annotations

import logging
import signal
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import FAILED
from commands.cli.options import JsonOption, LogFormatOption, RateOption
from commands.cli.session import log_work, opened, remark, show_log
from commands.cli.sites import for_each_site, several_sites
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, write_json

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from threading import BoundedSemaphore

    from commands.scheduler.check import CheckReport
    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from ledger.records.record import Event

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Check once and end, for cron.")] = False,
    max_mb_per_second: RateOption = None,
    log_format: LogFormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the backups that are due, now and from now on.

    Runs that were missed are caught up. A failed backup is tried again later and does not delay
    others. Ctrl-C (or SIGTERM) stops after the running backup; twice stops at once. With --once,
    the exit code is 1 if a backup failed or was abandoned. If the settings have several [sites],
    each has its own scheduler in this process; `max_running` of them copy at once.

    \b
    Examples:
      backup-ledger run
      backup-ledger run --once --quiet
    """
    ctx.obj.max_mb_per_second, ctx.obj.log_format = max_mb_per_second, log_format
    if not once and len(several_sites(ctx)) > 1:
        _run_all(ctx)
        return
    for_each_site(_run_one)(ctx, once=once, as_json=as_json)


def _run_one(ctx: typer.Context, *, once: bool, as_json: bool) -> None:
    import threading

    from commands.scheduler.check import CheckReport
    from commands.scheduler.process import run_scheduler

    stop = threading.Event()
    with opened(ctx, "act") as session, _stopped_by_signals(stop):
        in_json = log_work(session, logging.WARNING if once else logging.INFO)
        if not once and not in_json:
            seconds = session.site.configuration.check_interval_seconds
            note(f"Checking every {seconds} s; Ctrl-C stops it.", style="dim")
        on_check = None if in_json else _reporter(session.site, quiet=once or as_json)
        report = run_scheduler(session.site, once=once, stop=stop, on_check=on_check)
        if as_json:
            write_json(_report_json(report))
        elif once and not (ctx.obj.quiet and report == CheckReport()):
            say(_sentence(report))
    if once and report.failed + report.abandoned:
        raise typer.Exit(FAILED)


def _run_all(ctx: typer.Context) -> None:
    """Every site's scheduler, until a signal says to stop."""
    import threading

    from commands.cli.session import whole_configuration
    from commands.scheduler.all_sites import run_all_sites

    whole, sites = whole_configuration(ctx), several_sites(ctx)
    show_log(logging.INFO, whole.log_format)
    in_json = whole.log_format == "json"
    stop, turns = threading.Event(), threading.BoundedSemaphore(whole.max_running)

    def reporter(name: str, site: Site) -> Callable[[CheckReport], None] | None:
        return None if in_json else _reporter(site, quiet=False, prefix=f"{name}: ")

    if not in_json:
        note(f"Checking {count(len(sites), 'site')}; Ctrl-C stops it.", style="dim")
    with _stopped_by_signals(stop):
        run_all_sites(
            {name: partial(_opened_site, each, turns) for name, each in sites.items()},
            stop=stop,
            retry_seconds=whole.check_interval_seconds,
            reporter=reporter,
        )


@contextmanager
def _opened_site(configuration: Configuration, turns: BoundedSemaphore) -> Iterator[Site]:
    """A site for its scheduler, with what a killed process began there finished."""
    from commands.recovery.recover import recover
    from commands.reporting.logs import RecordedEvents
    from commands.site.actors import operator
    from commands.site.opening import open_site
    from commands.site.ownership import require_own_folders

    require_own_folders(configuration)
    with closing(open_site(configuration, "act", actor=operator())) as site:
        site.turns = turns
        if configuration.log_format == "json":
            site.listeners.append(RecordedEvents(configuration.site))
        recover(site)
        yield site


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """The first signal asks the scheduler to stop, the second one stops it."""

    def on_signal(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        name = signal.Signals(number).name
        remark(f"{name}: stopping after the running backup; once more stops it at once")

    before = {each: signal.signal(each, on_signal) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _reporter(site: Site, *, quiet: bool, prefix: str = "") -> Callable[[CheckReport], None]:
    """After each check: what was done, and whose backup failed and why. `prefix`: of each line."""
    from ledger.errors import LedgerError

    ledger = site.ledger
    seen = ledger.log_recorder.head().size

    def on_check(report: CheckReport) -> None:
        nonlocal seen
        if not quiet and (report.completed or report.failed or report.abandoned):
            say(f"{prefix}{moments.exact(site.clock.now())} {_sentence(report)}")
        try:
            for recorded in ledger.recorded(after=seen):
                seen = recorded.position
                _say_trouble(recorded.event, prefix)
        except LedgerError as error:  # told after the next check
            remark(f"{prefix}what failed cannot be read now: {error}")

    return on_check


def _say_trouble(event: Event, prefix: str) -> None:
    from commands.reporting.sentences import sentence
    from ledger.events.catalog import BackupCreated
    from ledger.events.scheduling import BackupAbandoned, BackupFailed

    details = event.details
    if isinstance(details, BackupFailed | BackupAbandoned):
        note(f"{prefix}User {event.resource_id}: {sentence(event)}", style="red")
    elif isinstance(details, BackupCreated) and details.kind == "scheduled":
        for warning in () if details.shared_with else details.warnings:
            note(f"{prefix}Warning: {details.filename}: {warning}")


def _sentence(report: CheckReport) -> str:
    if not (report.completed or report.failed or report.abandoned):
        return "Nothing was due."
    parts = [f"{count(report.completed, 'backup')} completed"]
    if report.failed:
        parts.append(f"{report.failed} failed")
    if report.abandoned:
        parts.append(f"{report.abandoned} abandoned")
    if report.missed_slots:
        parts.append(f"{count(report.missed_slots, 'missed slot')} recorded")
    return ", ".join(parts) + "."


def _report_json(report: CheckReport) -> dict[str, int]:
    return {
        "completed": report.completed,
        "failed": report.failed,
        "abandoned": report.abandoned,
        "missed_slots": report.missed_slots,
    }
