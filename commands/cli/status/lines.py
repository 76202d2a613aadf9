"""The lines of `backup-ledger status`, made from its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.reporting import humanize as moments

if TYPE_CHECKING:
    from datetime import datetime


MAX_OPEN_RUNS = 5


def style_of(facts: dict[str, Any]) -> str:
    """The color of the first line."""
    return "bold yellow" if facts["findings"] else "bold green"


def lines(facts: dict[str, Any], now: datetime) -> list[tuple[str, object]]:
    last, upcoming = facts["last_backup"], facts["next_backup_at"]
    database, ledger = facts["database"], facts["ledger"]
    return [
        ("last backup", _last(last, now) if last else "none"),
        ("next backup", moments.both(upcoming, now) if upcoming else "none is scheduled"),
        ("backups", _backups(facts["backups"])),
        ("schedules", _schedules(facts["schedules"])),
        *(("overdue", _late(each, now)) for each in facts["overdue"][:MAX_OPEN_RUNS]),
        *(("scheduler", _scheduler(each, now)) for each in facts["schedulers"]),
        *(("running", _run(each, now)) for each in facts["open_runs"][:MAX_OPEN_RUNS]),
        *_more_runs(len(facts["open_runs"]) - MAX_OPEN_RUNS),
        ("database", _database(database)),
        ("folder", facts["store"]["path"] or "not given (--backups)"),
        *_source(facts),
        *_offsite(facts["offsite"], now),
        ("ledger", f"{ledger['size']:,} events, {ledger['path']}"),
        ("", _verified(ledger, now)),
        *(("witness", _witness(each, now)) for each in facts["witnesses"]),
        ("root", ledger["root"]),
    ]


def _offsite(destinations: list[dict[str, Any]], now: datetime) -> list[tuple[str, object]]:
    """Whether the backups would survive this machine; what is wrong there is a finding."""
    if not destinations:
        return [("off-site", "none: if this machine is lost, so are its backups (offsite add)")]
    return [("off-site", _destination(each, now)) for each in destinations]


def _destination(each: dict[str, Any], now: datetime) -> str:
    newest = each["newest_copy_at"]
    told = f"{each['name']}: {moments.count(each['copies'], 'copy', 'copies')}"
    told += f", the newest {moments.relative(newest, now)}" if newest else ""
    return f"{told}, {each['missing']} to come" if each["missing"] else told


def _verified(ledger: dict[str, Any], now: datetime) -> str:
    from ledger.clock import parse_instant

    if ledger["verified_at"] is None:
        return "never verified (backup-ledger audit verify)"
    return f"last verified {moments.relative(parse_instant(ledger['verified_at']), now)}"


def _witness(witness: dict[str, Any], now: datetime) -> str:
    name, size, refusal = witness["name"], witness["cosigned_size"], witness["refusal"]
    cosigned = "cosigned nothing yet"
    if size is not None:
        when = moments.relative(witness["cosigned_at"], now)
        cosigned = f"cosigned {moments.count(size, 'event')} {when}"
    return f"{name}: {cosigned}{f'; refuses: {refusal}'.replace('_', ' ') if refusal else ''}"


def _last(last: dict[str, Any], now: datetime) -> str:
    flaw = ", flawed" if last["condition"] == "flawed" else ""
    return f"{moments.both(last['created_at'], now)}, {last['filename']}{flaw}"


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
    told = f"a backup for user {run['user_id']}, slot {moments.minute(run['slot'])}, started "
    told += moments.relative(run["started_at"], now)
    if run["scheduler"]:
        told += f", by {run['scheduler']}"
    return f"{told} (its lease ran out)" if run["lease_is_over"] else told


def _more_runs(more: int) -> list[tuple[str, object]]:
    return [("", f"and {moments.count(more, 'run')} more, claimed or running")] if more > 0 else []


def _late(late: dict[str, Any], now: datetime) -> str:
    return f"user {late['user_id']}, due {moments.relative(late['due_at'], now)}"


def _scheduler(scheduler: dict[str, Any], now: datetime) -> str:
    state = scheduler["state"]
    if scheduler["runs"]:
        state += f" on {scheduler['runs']} runs" if scheduler["runs"] > 1 else " on 1 run"
    if scheduler["labels"]:
        state += f", for {', '.join(scheduler['labels'])}"
    started = moments.relative(scheduler["started_at"], now)
    return f"{scheduler['instance']}: {state}, started {started}"


def _source(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """Whose folder it is, where that is not plain from the line of the database."""
    source, database = facts["source"], facts["database"]
    if source is None or (database is not None and database["path"] == source["path"]):
        return []
    return [("backups of", source["path"])]


def _database(database: dict[str, Any] | None) -> str:
    if database is None:
        return "not given (--database)"
    size = f" ({moments.size(database['size'])})" if database["exists"] else " (not there)"
    return f"{database['path']}{size}"
