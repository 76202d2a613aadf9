"""Ledger, backups folder, database and read models: are they there, and what they claim to be?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from commands.audit.verify_ledger import verify_ledger
from commands.errors import StoreUnknown
from commands.health.backups import open_collapse
from commands.health.finding import Finding
from commands.reporting.humanize import count
from commands.sqlite.header import header_problem
from ledger.append.database import place_of
from ledger.clock import format_instant, from_microseconds, parse_instant
from ledger.verify.remembered import last_verified
from ledger.vocabulary import BackupStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from commands.health.finding import Look
    from commands.site.site import Site

VERIFY_WITHIN = timedelta(days=30)
"""History that nobody verified for longer is named."""

VERIFIED_AT_SIGHT = 500
"""Records of a ledger that is so small that `status` verifies it itself, in milliseconds."""

_VERIFY = "backup-ledger audit verify"


def ledger_facts(site: Site) -> dict[str, Any]:
    """Which ledger it is, how far it goes, and when all of it was last verified."""
    head = site.ledger.log_recorder.head()
    with site.ledger.engine.connect() as connection:
        last = last_verified(connection)
    return {
        "id": site.ledger.meta.ledger_id,
        "size": head.size,
        "root": head.frontier.root().hex(),
        "path": place_of(site.configuration.ledger_url),
        "verified_at": None if last is None else format_instant(last.verified_at),
        "verified_size": None if last is None else last.size,
        "verified_findings": None if last is None else last.findings,
        "verified_checked": None if last is None else last.checked,
    }


def store_facts(site: Site) -> dict[str, Any]:
    if not site.configuration.names_a_folder:
        return {"id": None, "path": None}
    path = str(site.configuration.backups_folder)
    try:
        return {"id": site.store.store_id, "path": path}
    except StoreUnknown:
        return {"id": None, "path": path}


def database_facts(site: Site) -> dict[str, Any] | None:
    """The database's file; `problem`: what is wrong with it at first sight."""
    if site.configuration.database is None:
        return None
    facts: dict[str, Any] = {"path": str(site.database), "exists": True}
    try:
        facts["size"] = site.database.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return facts | {"exists": False, "size": None, "problem": None}
    except OSError as error:
        problem = f"{site.database} cannot be reached: {error.strerror}"
        return facts | {"exists": False, "size": None, "problem": problem}
    return facts | {"problem": header_problem(site.database)}


def not_looked_at(look: Look) -> Iterator[str]:
    """What nobody named, so that nothing can be said of it."""
    if look.facts["database"] is None:
        yield "the database (--database)"
    if look.facts["store"]["path"] is None:
        yield "the backups folder (--backups)"


def store_findings(look: Look) -> Iterator[Finding]:
    store = look.facts["store"]
    if store["id"] is None and store["path"] is not None:
        yield Finding(
            "store",
            f"{store['path']} has no .store file: is it mounted?",
            "if it is the right folder: backup-ledger ledger init --new",
            is_bad=True,
        )


def database_findings(look: Look) -> Iterator[Finding]:
    database, last = look.facts["database"], look.facts["last_backup"]
    if database is None:
        return
    if last is None:
        advice = "there is no good backup to restore; look for one elsewhere"
    else:
        _newest, fuller = open_collapse(look) or (None, None)
        if fuller is not None and fuller.status == BackupStatus.OK:
            name, which = fuller.filename, "last backup that held more"
        else:
            name, which = last["filename"], "last backup"
        force = " --force" if last["condition"] == "flawed" and name == last["filename"] else ""
        advice = f"put the {which} back: backup-ledger backup restore {name}{force}"
    if database["problem"] is not None:
        text = f"the database cannot be used: {database['problem']}"
        yield Finding("database", text, advice, is_bad=True)
    elif not database["exists"]:
        text = f"the database {database['path']} is missing"
        yield Finding("database", text, f"check --database, or {advice}", is_bad=True)


def ledger_findings(look: Look) -> Iterator[Finding]:
    """What the last verification found, one that is due, and what a look at few records finds."""
    ledger = look.facts["ledger"]
    at_sight = _verified_at_sight(look)
    if ledger["verified_findings"] or at_sight:
        found = at_sight or ledger["verified_findings"]
        text = f"the ledger is not what it was: verifying it found {count(found, 'problem')}"
        yield Finding("ledger", text, f"see them: {_VERIFY}", is_bad=True)
        return
    last, size = _last_look(look), ledger["size"]
    if last is None:
        text = f"the ledger's {count(size, 'event')} were never verified"
    elif look.now - last > VERIFY_WITHIN:
        text = f"the ledger was not verified for {count((look.now - last).days, 'day')}"
    else:
        return
    yield Finding("ledger", text, f"verify it: {_VERIFY}")


def read_model_findings(look: Look) -> Iterator[Finding]:
    models = look.facts["projections"]
    for each in models:
        if each["problem"]:
            yield Finding(
                "read_models",
                f"building {each['name']} stopped: {each['problem']}",
                "the older rows go on to serve; see: backup-ledger projections list",
            )
    behind = max((each["lag"] for each in models if each["state"] == "serving"), default=0)
    if behind:
        yield Finding(
            "read_models",
            f"the read models are {count(behind, 'event')} behind",
            "their database is locked or read-only; see: backup-ledger projections list",
        )


def _verified_at_sight(look: Look) -> int:
    """How many problems a small ledger has; 0 where it has none, or is not small."""
    if look.facts["ledger"]["size"] > VERIFIED_AT_SIGHT:
        return 0
    return len(verify_ledger(look.site.ledger.engine, look.site.configuration).findings)


def _last_look(look: Look) -> datetime | None:
    """When history was last verified, or began; None where that was never, and much happened."""
    ledger = look.facts["ledger"]
    if ledger["verified_at"] is not None:
        return parse_instant(ledger["verified_at"])
    if ledger["size"] > VERIFIED_AT_SIGHT:
        return None
    first = next(iter(look.site.ledger.records(after=0, up_to=1)), None)
    if first is None:
        return look.now
    began = from_microseconds(first.recorded_at)
    return began if look.now - began <= VERIFY_WITHIN else None
