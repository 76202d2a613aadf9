"""backup-ledger settings: each user's schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.backup.table import backup_json
from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption, NoteOption, UserArgument, parse_integer
from commands.cli.schedule_tables import show_runs, show_schedule, show_schedules, state_of
from commands.cli.session import Session, opened
from commands.reporting import humanize as moments
from commands.reporting.terminal import (
    progress_bar,
    say,
    write_json,
)

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from projections.folds.schedule import Schedule


def _keep(help_text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar="N", parser=parse_integer, help=help_text
    )
    return option


WithinOption = Annotated[int | None, _keep("Also keep every backup of the last N days; 0: none.")]
DailyOption = Annotated[int | None, _keep("Also keep one backup per day, for N days; 0: none.")]
WeeklyOption = Annotated[int | None, _keep("... one per week, for N weeks.")]
MonthlyOption = Annotated[int | None, _keep("... one per month, for N months.")]
YearlyOption = Annotated[int | None, _keep("... one per year, for N years.")]
EnabledOption = Annotated[
    bool | None, typer.Option("--enabled/--disabled", help="Whether backups are taken.")
]
FrequencyOption = Annotated[str | None, typer.Option(help="daily, weekly or monthly.")]
TimeOption = Annotated[
    str | None, typer.Option(metavar="HH:MM", help="The time, 00:00 to 23:59, in the time zone.")
]
CountOption = Annotated[
    int | None, typer.Option(metavar="N", parser=parse_integer, help="How many to keep, 1 to 30.")
]
ZoneOption = Annotated[
    str | None, typer.Option(metavar="ZONE", help="The time zone, such as Europe/Berlin.")
]
CronOption = Annotated[
    str | None,
    typer.Option(metavar="EXPR", help="A cron expression, such as '30 2 * * 1-5'."),
]
WeekdayOption = Annotated[
    str | None,
    typer.Option(metavar="DAYS", help="Weekly, on these days: sun, mon-fri or mon,thu."),
]
HourlyOption = Annotated[bool, typer.Option("--hourly", help="At the start of every hour.")]
RunNowOption = Annotated[
    bool, typer.Option("--run-now", help="Make a first backup for the user now.")
]
HOURLY = "0 * * * *"
app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.command("set", epilog=EXIT_CODES)
def set_settings(  # noqa: PLR0913, PLR0917  (options)
    ctx: typer.Context,
    user: UserArgument,
    enabled: EnabledOption = None,
    frequency: FrequencyOption = None,
    time: TimeOption = None,
    keep: CountOption = None,
    timezone: ZoneOption = None,
    cron: CronOption = None,
    hourly: HourlyOption = False,
    weekday: WeekdayOption = None,
    keep_within_days: WithinOption = None,
    keep_daily: DailyOption = None,
    keep_weekly: WeeklyOption = None,
    keep_monthly: MonthlyOption = None,
    keep_yearly: YearlyOption = None,
    run_now: RunNowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create or change a user's settings.

    Options that are not given stay as they are. New settings are daily at 03:00 UTC and keep 7. A
    refused change is recorded, too. A cron expression replaces frequency and time until one of them
    is set again.

    \b
    Examples:
      backup-ledger settings set 1
      backup-ledger settings set 1 --frequency weekly --time 22:30 --timezone Europe/Berlin
      backup-ledger settings set 1 --weekday sun --time 04:00
      backup-ledger settings set 1 --cron '0 3 * * MON#1'
      backup-ledger settings set 1 --keep 7 --keep-weekly 4 --keep-monthly 12
      backup-ledger settings set 1 --disabled
    """
    from commands.schedules.settings import configure

    changes = {
        "enabled": enabled,
        "frequency": frequency,
        "backup_time": time,
        "keep_count": keep,
        "timezone": timezone,
        "keep_within_days": keep_within_days,
        "keep_daily": keep_daily,
        "keep_weekly": keep_weekly,
        "keep_monthly": keep_monthly,
        "keep_yearly": keep_yearly,
        "cron": HOURLY if hourly else cron,
    }
    _require_one_rhythm(frequency, time, cron, weekday, hourly=hourly)
    with opened(ctx, "begin") as session:
        if weekday is not None:
            changes |= _on_weekdays(session.site, user, weekday, time)
        schedule = configure(session.site, session.context, user, changes)
        taken = _taken_now(session, user) if run_now else None
        _show(schedule, session.context.now, as_json=as_json, taken=taken)


def _taken_now(session: Session, user: int) -> dict[str, Any]:
    """A backup of the user, which is not a scheduled run: the next one stays where it is."""
    from commands.backups.take import take_backup

    with progress_bar("backing up", in_bytes=True) as progress:
        taken = take_backup(session.site, session.context, user_id=user, on_progress=progress)
    return backup_json(session.site, taken)


def _require_one_rhythm(
    frequency: str | None, time: str | None, cron: str | None, weekday: str | None, *, hourly: bool
) -> None:
    """Make sure that only one option says when.

    Raises:
        typer.BadParameter: two of them do.
    """
    given = {
        "--frequency": None if weekday and frequency == "weekly" else frequency,
        "--cron": cron,
        "--hourly": hourly or None,
        "--weekday": weekday,
        "--time": time if cron or hourly else None,
    }
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise typer.BadParameter(f"{' and '.join(names)} contradict each other; give one of them")
    if weekday is not None and len(weekday.split()) != 1:
        raise typer.BadParameter(
            f"{weekday!r} is not a list of weekdays; give one such as sun, mon-fri or mon,thu",
            param_hint="--weekday",
        )


def _on_weekdays(site: Site, user: int, days: str, time: str | None) -> dict[str, str | None]:
    """Some days of the week as cron, at the time of day that is given or set already."""
    from commands.schedules.local_time import parse_backup_time
    from commands.schedules.settings import DEFAULTS, find_settings

    try:
        known = getattr(find_settings(site, user), "backup_time", DEFAULTS["backup_time"])
        at = parse_backup_time(time or known)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--time") from None
    return {
        "cron": f"{at.minute} {at.hour} * * {days}",
        "frequency": None,
        "backup_time": None,
    }


@app.command(epilog=EXIT_CODES)
def show(ctx: typer.Context, user: UserArgument, as_json: JsonOption = False) -> None:
    """Show a user's settings and the state of their runs.

    \b
    Example:
      backup-ledger settings show 1
    """
    from commands.schedules.settings import settings_of

    with opened(ctx, "read") as session:
        schedule = settings_of(session.site, user)
        _show(schedule, session.context.now, as_json=as_json)
        if schedule.failures and not as_json:
            _say_why(session, schedule)


def _say_why(session: Session, schedule: Schedule) -> None:
    """What the last run that failed said, and where the rest stands."""
    from projections.queries.schedules import runs_page

    with session.site.read_models.reading() as connection:
        failed, _more = runs_page(connection, schedule.user_id, "failed", before=None, limit=1)
    for run in failed:
        slot = moments.minute(run.slot)
        say(f"The run for {slot} UTC failed: {run.error_message}", style="yellow")
    say(f"Its history: backup-ledger audit history schedule/{schedule.user_id}", style="dim")


@app.command("list", epilog=EXIT_CODES)
def list_settings(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List every user's settings.

    \b
    Example:
      backup-ledger settings list
    """
    from commands.shapes.settings import ListedSettings
    from projections.queries.schedules import all_schedules, orphaned_users

    with opened(ctx, "read") as session:
        with session.site.read_models.reading() as connection:
            schedules = all_schedules(connection)
            orphans = orphaned_users(connection)
        if as_json:
            write_json([ListedSettings.among(each, orphans) for each in schedules])
        elif schedules:
            show_schedules(schedules, orphans, session.context.now)
        else:
            say("There are no settings yet; create some: backup-ledger settings set 1")


@app.command(epilog=EXIT_CODES)
def pause(
    ctx: typer.Context, user: UserArgument, note: NoteOption = None, as_json: JsonOption = False
) -> None:
    """Pause a user's runs until `resume`; the settings stay.

    \b
    Example:
      backup-ledger settings pause 1 --note "disk is being replaced"
    """
    from commands.schedules.settings import pause as pause_runs

    with opened(ctx, "act") as session:
        schedule = pause_runs(session.site, session.context, user, note)
        _show(schedule, session.context.now, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def resume(
    ctx: typer.Context, user: UserArgument, note: NoteOption = None, as_json: JsonOption = False
) -> None:
    """Resume a user's runs, from now on.

    \b
    Example:
      backup-ledger settings resume 1
    """
    from commands.schedules.settings import resume as resume_runs

    with opened(ctx, "act") as session:
        schedule = resume_runs(session.site, session.context, user, note)
        _show(schedule, session.context.now, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def preview(
    ctx: typer.Context,
    user: UserArgument,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show a user's next runs, if each runs on time.

    Anything unusual about a run is shown beside it.

    \b
    Example:
      backup-ledger settings preview 1 --count 5
    """
    from commands.schedules.rhythm import remarks, upcoming
    from commands.schedules.settings import settings_of

    with opened(ctx, "read") as session:
        schedule, now = settings_of(session.site, user), session.context.now
        runs = upcoming(session.site.configuration, schedule, now, count)
        if as_json:
            write_json(runs)
        elif runs:
            odd = remarks(session.site.configuration, schedule, runs)
            show_runs(runs, odd, schedule, now)
            _explain_months(session, schedule)
        else:
            say(f"No runs: the settings of user {user} are {state_of(schedule)}.")


def _show(
    schedule: Schedule, now: datetime, *, as_json: bool, taken: dict[str, Any] | None = None
) -> None:
    if as_json:
        from commands.shapes.settings import BackupSettings

        shown = BackupSettings.of(schedule).model_dump()
        write_json(shown | ({"backup": taken} if taken else {}))
        return
    show_schedule(schedule, now)
    if taken:
        say(f"Made {taken['filename']}", style="green")


def _explain_months(session: Session, schedule: Schedule) -> None:
    is_monthly = schedule.frequency == "monthly" and schedule.cron is None
    if is_monthly and not session.site.configuration.calendar_months:
        say("Monthly means every 30 days; calendar_months = true makes it a day of the month.")
