"""A job's page: how far it is, and what it came to."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request, Response

from commands.http.callers import Anybody
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.problems import not_found
from commands.http.served_site import Served
from commands.reporting.humanize import count

if TYPE_CHECKING:
    from commands.http.jobs import Job

router = APIRouter(route_class=ConsoleRoute)


class Verdict(NamedTuple):
    """What a job came to, in a sentence."""

    tone: str
    text: str


class Kind(NamedTuple):
    """How the jobs of a kind are called, and the page that they belong to."""

    title: str
    back: str
    back_name: str


KINDS = {
    "verify_backup": Kind("Verifying a backup", f"{BASE}/backups", "All backups"),
    "restore": Kind("Restoring a backup", f"{BASE}/backups", "All backups"),
    "verify_ledger": Kind("Verifying the ledger", f"{BASE}/audit", "The audit log"),
    "export": Kind("Exporting evidence", f"{BASE}/audit", "The audit log"),
    "rebuild": Kind("Rebuilding a projection", f"{BASE}/projections", "All projections"),
    "offsite_copy": Kind("Copying off-site", f"{BASE}/offsite", "Off-site"),
    "offsite_verify": Kind("Checking off-site copies", f"{BASE}/offsite", "Off-site"),
    "offsite_collect": Kind("Deleting off-site", f"{BASE}/offsite", "Off-site"),
    "compare": Kind("Comparing", f"{BASE}/compare", "Compare something else"),
    "plan_tables": Kind("What would change", f"{BASE}/backups", "All backups"),
    "restore_tables": Kind("Putting back a table", f"{BASE}/backups", "All backups"),
    "restore_beside": Kind("Restoring beside", f"{BASE}/backups", "All backups"),
    "bulk_backups": Kind("Many backups at once", f"{BASE}/backups", "All backups"),
    "bulk_schedules": Kind("Many schedules at once", f"{BASE}/schedules", "All schedules"),
    "diff": Kind("Comparing a projection", f"{BASE}/projections", "All projections"),
}
SHOWN_APART = {
    "compare": "compared.html",
    "plan_tables": "planned_tables.html",
    "restore_tables": "planned_tables.html",
}
"""Kinds whose results have a template of their own."""
OTHER = Kind("A job", BASE, "Overview")
MAX_SHOWN = 40


def job_page(job: Job) -> str:
    """Where a job is watched."""
    return f"{BASE}/jobs/{job.job_id}"


@router.get(f"{BASE}/jobs/{{job_id}}")
def show(request: Request, caller: Anybody, served: Served, job_id: str) -> Response:
    found = served.jobs.find(job_id, caller)
    if found is None:
        raise not_found(f"there is no job {job_id[:100]!r}; jobs end with the process they ran in")
    job = copy(found)  # it goes on while the page is made
    kind = KINDS.get(job.kind, OTHER)
    return page(
        request,
        caller,
        "job.html",
        job=job,
        title=kind.title,
        back=kind.back,
        back_name=kind.back_name,
        verdict=verdict_of(job),
        rows=_rows(job.result) if job.state == "done" and job.kind not in SHOWN_APART else [],
        apart=SHOWN_APART.get(job.kind) if job.state == "done" else None,
        result_rows=_result_rows(job),
    )


def verdict_of(job: Job) -> Verdict | None:
    """In a sentence; None where the job is not done."""
    if job.state != "done":
        return None
    found = job.result if isinstance(job.result, dict) else {}
    if job.kind in SHOWN_APART and "message" not in found:
        return Verdict("ok", _told_apart(found))
    if job.kind in ("restore", "restore_tables"):
        return Verdict("ok", str(found["message"]))
    if "ok" in found:
        good = {
            "verify_backup": "The backup is good.",
            "verify_ledger": found.get("verdict"),
            "diff": "The projection is what the ledger says, row for row.",
            "offsite_verify": f"{count(len(found.get('copies', ())), 'copy', 'copies')} good.",
        }
        bad = {
            "verify_backup": f"The backup is not good: {found.get('problem')}",
            "verify_ledger": f"{found.get('verdict')} See the findings below.",
            "offsite_verify": "Copies are damaged; see below.",
            "diff": f"{found.get('count')} rows are not what the ledger says; rebuild it.",
        }
        told = good if found["ok"] else bad
        return Verdict(
            "ok" if found["ok"] else "bad", told.get(job.kind) or found.get("message") or "Done."
        )
    if job.kind == "offsite_copy" and found.get("failed"):
        return Verdict("bad", f"{len(found['failed'])} not copied; see below.")
    return Verdict("ok", "Done.")


def _told_apart(found: dict[str, Any]) -> str:
    """Of a comparison how many tables differ; of a plan that it is none but that."""
    if "older" not in found:
        return "Nothing was done yet. This is what would change:"
    number = sum(
        bool(each["added"] or each["removed"] or each["changed"] or each["only_in"])
        for each in found["tables"]
    )
    return f"{count(number, 'table')} {'differs' if number == 1 else 'differ'}."


def _result_rows(job: Job) -> list[dict[str, Any]]:
    """What became of each row of an act on many."""
    found: list[dict[str, Any]] = []
    if isinstance(job.result, dict) and job.kind.startswith("bulk_"):
        found = job.result["rows"]
    return found


def _rows(result: Any) -> list[tuple[str, str]]:
    """A result's facts, one level deep."""
    if isinstance(result, list):
        merged = [_rows(each) for each in result[:MAX_SHOWN]]
        return [pair for pairs in merged for pair in pairs]
    if not isinstance(result, dict):
        return []
    shown = [
        (name.replace("_", " "), _text(value))
        for name, value in result.items()
        if name not in ("ok", "message", "verdict", "rows") and value not in (None, [], {}, "")
    ]
    return shown[:MAX_SHOWN]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(_text(each) for each in value[:MAX_SHOWN])
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return str(value)
