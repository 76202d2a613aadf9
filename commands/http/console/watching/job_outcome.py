"""What a job is called, and what it came to, in sentences and links for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from commands.http.console.page import BASE
from commands.reporting.humanize import count, size

if TYPE_CHECKING:
    from commands.http.callers import Caller
    from commands.http.jobs import Job

MAX_SHOWN = 20


class Kind(NamedTuple):
    """How the jobs of a kind are called, and the page that they belong to."""

    title: str
    back: str
    back_name: str


class Link(NamedTuple):
    """Where to go on. `is_next`: what most people do now."""

    text: str
    where: str
    is_next: bool = False


class Outcome(NamedTuple):
    """What a job came to. `lines`: one for each thing that it found or did, the first few."""

    text: str
    tone: str = "ok"
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


KINDS = {
    "take_backup": Kind("Taking a backup", f"{BASE}/backups", "All backups"),
    "verify_backup": Kind("Verifying a backup", f"{BASE}/backups", "All backups"),
    "restore": Kind("Restoring a backup", f"{BASE}/backups", "All backups"),
    "verify_ledger": Kind("Verifying the ledger", f"{BASE}/audit", "The audit log"),
    "export": Kind("Exporting evidence", f"{BASE}/audit", "The audit log"),
    "rebuild": Kind("Rebuilding a projection", f"{BASE}/projections", "All projections"),
    "offsite_copy": Kind("Copying off-site", f"{BASE}/offsite", "Off-site"),
    "offsite_verify": Kind("Checking off-site copies", f"{BASE}/offsite", "Off-site"),
    "offsite_collect": Kind("Deleting off-site", f"{BASE}/offsite", "Off-site"),
    "run_now": Kind("Running what waits", f"{BASE}/trouble", "Trouble"),
    "verify_due": Kind("Verifying what is due", f"{BASE}/trouble", "Trouble"),
    "reconcile": Kind("Comparing folder and catalog", f"{BASE}/trouble", "Trouble"),
    "compare": Kind("Comparing", f"{BASE}/compare", "Compare something else"),
    "plan_tables": Kind("What would change", f"{BASE}/backups", "All backups"),
    "restore_tables": Kind("Putting back a table", f"{BASE}/backups", "All backups"),
    "restore_beside": Kind("Restoring beside", f"{BASE}/backups", "All backups"),
    "bulk_backups": Kind("Many backups at once", f"{BASE}/backups", "All backups"),
    "bulk_schedules": Kind("Many schedules at once", f"{BASE}/schedules", "All schedules"),
    "notify_test": Kind("A test message", f"{BASE}/notifications", "Notifications"),
    "diff": Kind("Comparing a projection", f"{BASE}/projections", "All projections"),
}
SHOWN_APART = {
    "compare": "compared.html",
    "plan_tables": "planned_tables.html",
    "restore_tables": "planned_tables.html",
}
"""Kinds whose results have a template of their own."""
OTHER = Kind("A job", BASE, "Overview")


def kind_of(job: Job) -> Kind:
    """What its page is about."""
    return KINDS.get(job.kind, OTHER)


def outcome_of(job: Job, caller: Caller) -> Outcome | None:
    """None where the job is not done, or failed: then its problem says what to do."""
    if job.state != "done":
        return None
    return DESCRIBED.get(job.kind, _done)(job.result, caller)


def rows_of(job: Job) -> list[dict[str, Any]]:
    """What became of each row of an act on many."""
    if job.state != "done" or not job.kind.startswith("bulk_"):
        return []
    found: list[dict[str, Any]] = job.result["rows"]
    return found


def backup_page(filename: str) -> str:
    """Where a backup is looked at."""
    return f"{BASE}/backups/{quote(filename, safe='')}"


def _done(found: Any, _caller: Caller) -> Outcome:
    """A kind whose result says in a sentence what was done."""
    if not isinstance(found, dict):
        return Outcome("It is done.")
    return Outcome(found.get("message") or "It is done.", "ok" if found.get("ok", True) else "bad")


def _differing(found: dict[str, Any], _caller: Caller) -> Outcome:
    number = sum(
        bool(each["added"] or each["removed"] or each["changed"] or each["only_in"])
        for each in found["tables"]
    )
    return Outcome(f"{count(number, 'table')} {'differs' if number == 1 else 'differ'}.")


def _planned(found: dict[str, Any], _caller: Caller) -> Outcome:
    if not any(
        each["is_new"] or each["rows_added"] or each["rows_changed"] or each["rows_removed"]
        for each in found["tables"]
    ):
        return Outcome("Nothing would change: the table has these rows already.")
    return Outcome("Nothing was done yet. This is what would change:")


def _taken(found: dict[str, Any], _caller: Caller) -> Outcome:
    name, made = found["filename"], found["metadata"]
    facts = [("Size", size(found["size_bytes"]))]
    if made["shared_with"]:
        facts.append(("File", "shared with the backup before: nothing had changed"))
    warnings = tuple(made["warnings"])
    text = f"{name} was made and checked."
    if warnings:
        text = f"{name} was made, with {count(len(warnings), 'warning')}."
    link = Link("The backup", backup_page(name), is_next=True)
    return Outcome(text, "warn" if warnings else "ok", tuple(facts), warnings, (link,))


def _verified(found: dict[str, Any], _caller: Caller) -> Outcome:
    name = found["filename"]
    links: tuple[Link, ...] = (Link("The backup", backup_page(name), is_next=True),)
    facts = (("Backup", name), ("Level", found["level"]))
    if found["ok"]:
        return Outcome("The backup is good.", "ok", facts, (), links)
    if found["failure"]:
        text = f"The backup could not be checked: {found['failure']}"
        return Outcome(text, "warn", facts, (), links)
    links += (Link("What to do now", f"{BASE}/trouble"),)
    lines = tuple(
        f"SHA-256 {what}: {found[key]}"
        for what, key in (("recorded", "expected_sha256"), ("found", "found_sha256"))
        if found[key] and found["found_sha256"] != found["expected_sha256"]
    )
    return Outcome(f"The backup is not good: {found['problem']}", "bad", facts, lines, links)


def _restored(found: dict[str, Any], caller: Caller) -> Outcome:
    kept = found["pre_restore_backup"]
    how = {"transaction": "in one transaction", "replace": "as a new file"}
    facts = (("Into", found["target"]), ("How", how.get(found["mode"], found["mode"])))
    links = [Link("The backup", backup_page(found["filename"]))]
    if kept is not None and caller.role == "operator":
        undo = f"{backup_page(kept['filename'])}/restore"
        links.insert(0, Link("Undo: restore what was there before", undo))
    if caller.user_id is None:
        links.append(Link("It in the audit log", f"{BASE}/audit?type=restore."))
    lines = () if kept is None else (f"What was there before is kept as {kept['filename']}.",)
    return Outcome(found["message"], "ok", facts, lines, tuple(links))


def _ledger_verified(found: dict[str, Any], _caller: Caller) -> Outcome:
    findings = [
        f"Position {each['position']}: {each['problem']}" if each["position"] else each["problem"]
        for each in found["findings"]
    ]
    lines = (*findings[:MAX_SHOWN], *found["notes"], *_not_checked(found["not_checked"]))
    facts = (("Events", f"{found['size']:,}"), ("Root of the tree", found["root"] or "none"))
    return Outcome(found["verdict"], "ok" if found["ok"] else "bad", facts, tuple(lines))


def _not_checked(names: list[str]) -> list[str]:
    """The same words as on the command line, but for what is typed there."""
    shown = []
    for each in names:
        text = each
        for command, words in _TYPED.items():
            text = text.replace(command, words)
        shown.append(f"Not checked: {text}")
    return shown


_TYPED = {
    "backup files are checked by `backup verify`": "verify the backups on their pages",
    "compare them with `projections diff`": "compare them on the page Projections",
    "with --checkpoint FILE --public-key VKEY, or set": "on the machine, or set",
}


def _exported(found: dict[str, Any], _caller: Caller) -> Outcome:
    facts = (
        ("Records", f"{found['records']:,}"),
        ("Positions", f"{found['first_position']} to {found['last_position']}"),
        ("Checkpoint over", count(found["checkpoint_size"], "record")),
        ("Public key", found["public_key"]),
    )
    return Outcome("The bundle is ready; that it was made is recorded.", "ok", facts)


def _rebuilt(found: list[dict[str, Any]], _caller: Caller) -> Outcome:
    lines = [
        f"{each['name']}: {count(each['rows'], 'row')}, up to position {each['position']}"
        for each in found
    ]
    return Outcome("It is folded anew from the ledger.", "ok", (), tuple(lines))


def _compared(found: dict[str, Any], _caller: Caller) -> Outcome:
    if found["ok"]:
        return Outcome("The projection is what the ledger says, row for row.")
    lines = []
    for each in found["differences"][:MAX_SHOWN]:
        line = f"{each['table']} {each['key']}: {each['problem']}"
        if each["column"]:
            line += f" in {each['column']}: {each['found']}, and not {each['expected']}"
        lines.append(line)
    text = f"{count(found['count'], 'row')} not as the ledger says; rebuild the projection."
    link = Link("Rebuild it", f"{BASE}/projections", is_next=True)
    return Outcome(text, "bad", (), tuple(lines), (link,))


def _copied(found: dict[str, Any], _caller: Caller) -> Outcome:
    copies, failed = found["copies"], found["failed"]
    sent = size(sum(each["sent_bytes"] or 0 for each in copies))
    lines = [f"{each['filename']}: {each['problem']}" for each in failed]
    lines += [f"{each['filename']} to {each['destination']}" for each in copies]
    made = count(len(copies), "copy", "copies")
    text = f"{made} made, {sent} sent." if copies else "Nothing was missing there."
    if failed:
        text = f"{count(len(failed), 'backup')} not copied; {made} made, {sent} sent."
    return Outcome(text, "bad" if failed else "ok", (), tuple(lines[:MAX_SHOWN]))


def _checked(found: dict[str, Any], _caller: Caller) -> Outcome:
    copies = found["copies"]
    bad = [each for each in copies if not each["ok"]]
    lines = [f"{each['filename']} at {each['destination']}: {each['problem']}" for each in bad]
    if bad:
        text = f"{len(bad)} of {count(len(copies), 'copy', 'copies')} damaged, or not opened."
        return Outcome(text, "bad", (), tuple(lines[:MAX_SHOWN]))
    if not copies:
        return Outcome("No copy is due to be checked.")
    return Outcome(f"{count(len(copies), 'copy', 'copies')} checked: all good.")


def _collected(found: dict[str, Any], _caller: Caller) -> Outcome:
    going = found["condemned_copies"]
    lines = tuple(f"{each['filename']}: {each['reason']}" for each in going[:MAX_SHOWN])
    if found["problem"]:
        return Outcome(f"Nothing was deleted: {found['problem']}", "bad", (), lines)
    if found["dry_run"]:
        text = f"{count(len(going), 'copy', 'copies')} would go; nothing was deleted."
        return Outcome(text, "ok", (), lines)
    deleted, freed = found["deleted_copies"], size(found["deleted_bytes"])
    text = f"{count(deleted, 'copy', 'copies')} deleted, {freed} freed."
    if going:
        text += f" {count(len(going), 'more')} will go when their waiting time is over."
    return Outcome(text, "ok", (), lines)


def _ran(found: dict[str, Any], _caller: Caller) -> Outcome:
    """Runs that were tried now, and backups for those who had no try left."""
    made, failed = found["completed"] + found["taken"], found["failed"]
    if not (made or failed):
        return Outcome("Nothing waited to be run.")
    lines = [found["problem"]] if found["problem"] else []
    if found["taken"]:
        lines.append(f"{count(found['taken'], 'user')} had no retry left: a backup was taken.")
    if found["left"]:
        lines.append(f"{count(found['left'], 'user')} more will be backed up by their next run.")
    text = f"{count(made, 'backup')} made." if made else "No backup was made."
    if failed:
        text += f" {failed:,} failed again."
    links = (Link("The runs", f"{BASE}/runs", is_next=True), Link("Trouble", f"{BASE}/trouble"))
    return Outcome(text, "bad" if failed else "ok", (), tuple(lines), links)


def _due_verified(found: dict[str, Any], _caller: Caller) -> Outcome:
    bad = found["bad"]
    lines = tuple(f"{each['filename']}: {each['problem']}" for each in bad[:MAX_SHOWN])
    links = (Link("Trouble", f"{BASE}/trouble", is_next=bool(bad)),)
    if bad:
        return Outcome(f"{count(len(bad), 'backup')} not good.", "bad", (), lines, links)
    if not found["good"]:
        return Outcome("No backup was due to be verified.", "ok", (), (), links)
    return Outcome(f"{count(found['good'], 'backup')} verified: all good.", "ok", (), (), links)


def _reconciled(found: dict[str, Any], _caller: Caller) -> Outcome:
    told = (
        ("adopted", "taken into the ledger"),
        ("missing", "not in the folder"),
        ("back", "there again"),
        ("left_alone", "left alone: not a backup"),
    )
    lines = [f"{name}: {what}" for key, what in told for name in found[key]]
    text = f"{count(len(lines), 'file')} differed." if lines else "Folder and catalog agree."
    links = (Link("The backups", f"{BASE}/backups", is_next=True),)
    return Outcome(text, "bad" if found["missing"] else "ok", (), tuple(lines[:MAX_SHOWN]), links)


DESCRIBED: dict[str, Callable[[Any, Caller], Outcome]] = {
    "take_backup": _taken,
    "verify_backup": _verified,
    "restore": _restored,
    "verify_ledger": _ledger_verified,
    "export": _exported,
    "rebuild": _rebuilt,
    "diff": _compared,
    "offsite_copy": _copied,
    "offsite_verify": _checked,
    "offsite_collect": _collected,
    "compare": _differing,
    "plan_tables": _planned,
    "run_now": _ran,
    "verify_due": _due_verified,
    "reconcile": _reconciled,
}
