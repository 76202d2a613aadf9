"""backup-ledger status: is everything all right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from commands.cli import moments
from commands.cli.options import JsonOption
from commands.cli.output import say, show_facts, write_json
from commands.cli.session import opened

if TYPE_CHECKING:
    from datetime import datetime

MAX_OPEN_RUNS = 5


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Answer at a glance: is everything all right? What is not is named, with what to do.

    Ends with exit code 0 whatever it finds; programs read `warnings` of --json.

    \b
    Example:
      backup-ledger status
    """
    from commands.cli.status_facts import status_facts

    with opened(ctx, "read") as session:
        facts = status_facts(session.site, session.context.now)
        if as_json:
            write_json(facts)
        else:
            _show(facts, session.context.now)


def _show(facts: dict[str, Any], now: datetime) -> None:
    warnings = facts["warnings"]
    if warnings:
        count = "1 thing" if len(warnings) == 1 else f"{len(warnings)} things"
        say(f"Please look at {count}:", style="bold yellow")
        for each in warnings:
            say(f"- {each}", style="yellow")
    else:
        say("All is well.", style="bold green")
    say()
    show_facts(_lines(facts, now))


def _lines(facts: dict[str, Any], now: datetime) -> list[tuple[str, object]]:
    last, upcoming = facts["last_backup"], facts["next_backup_at"]
    database, ledger = facts["database"], facts["ledger"]
    return [
        ("last backup", _last(last, now) if last else "none"),
        ("next backup", moments.both(upcoming, now) if upcoming else "none is scheduled"),
        ("backups", _backups(facts["backups"])),
        ("schedules", _schedules(facts["schedules"])),
        *(("running", _run(each, now)) for each in facts["open_runs"][:MAX_OPEN_RUNS]),
        ("database", _database(database)),
        ("folder", facts["store"]["path"]),
        ("ledger", f"{ledger['size']:,} events, {ledger['path']}"),
        ("root", ledger["root"]),
    ]


def _last(last: dict[str, Any], now: datetime) -> str:
    return f"{moments.both(last['created_at'], now)}, {last['filename']}"


def _backups(backups: dict[str, Any]) -> str:
    parts = [f"{backups['count']}, {moments.size(backups['bytes'])}"]
    if backups["bytes_on_disk"] is not None:
        parts[0] += f" ({moments.size(backups['bytes_on_disk'])} on disk)"
    for status, found in backups["by_status"].items():
        if found["count"] and status not in ("ok", "deleted"):
            parts.append(f"{found['count']} {status}")
    return "; ".join(parts)


def _schedules(schedules: dict[str, int]) -> str:
    told = f"{schedules['enabled']} of {schedules['total']} enabled"
    for name in ("due", "failing", "paused"):
        if schedules[name]:
            told += f", {schedules[name]} {name}"
    if schedules["orphans"]:
        told += f", {schedules['orphans']} without a user"
    return told


def _run(run: dict[str, Any], now: datetime) -> str:
    started = moments.relative(run["started_at"], now)
    return f"a backup for user {run['user_id']}, started {started}"


def _database(database: dict[str, Any] | None) -> str:
    if database is None:
        return "not given (--database)"
    size = f" ({moments.size(database['size'])})" if database["exists"] else " (missing)"
    return f"{database['path']}{size}"
